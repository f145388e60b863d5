//! A host in memory, and apps made of a few lines.

use picloud_model::execution::Execution;
use picloud_model::kv::{KvEntry, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::protocol::{
    AppSnapshot, Caller, RouteEntry, ScriptEntry, ServiceFailure, ServiceReply, ServiceRequest, Snapshot, StaticEntry,
    WorkerSettings,
};
use picloud_model::route::RouteAuth;
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, Code, ContentHash};
use picloud_orchestrator::supervisor::{Host, HostError, LostRun, Supervisor, SupervisorConfig, SupervisorError};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Runs at once in these tests.
pub(crate) const CONCURRENCY: u32 = 4;

#[derive(Default)]
struct State {
    apps: Vec<AppSnapshot>,
    blobs: HashMap<ContentHash, Vec<u8>>,
    numbers: HashMap<(AppId, String), i64>,
}

/// Answers workers from memory and remembers what they say.
pub(crate) struct FakeHost {
    state: Mutex<State>,
    pub(crate) executions: watch::Sender<Vec<Execution>>,
    pub(crate) lost: watch::Sender<Vec<LostRun>>,
    /// `Incr` calls that were answered.
    pub(crate) counted: watch::Sender<u32>,
    /// `Has` calls that arrived; they are answered never.
    pub(crate) stalled: watch::Sender<u32>,
}

impl FakeHost {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            executions: watch::channel(Vec::new()).0,
            lost: watch::channel(Vec::new()).0,
            counted: watch::channel(0).0,
            stalled: watch::channel(0).0,
        })
    }

    /// The app `demo` with these scripts, each at `/demo/{name}`, and these static files.
    pub(crate) fn put(&self, limits: Limits, scripts: &[(&str, &str)], files: &[(&str, &[u8])]) -> AppSnapshot {
        let mut state = self.state.lock().unwrap();
        let mut keep = |bytes: &[u8]| {
            let hash = ContentHash::of(bytes);
            state.blobs.insert(hash, bytes.to_vec());
            hash
        };
        let mut entries: Vec<ScriptEntry> = scripts
            .iter()
            .map(|(name, source)| ScriptEntry {
                name: (*name).to_owned(),
                kind: ScriptKind::Endpoint,
                version: 1,
                hash: keep(source.as_bytes()),
                quarantined_after_crashes: None,
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut static_files: Vec<StaticEntry> = files
            .iter()
            .map(|(path, bytes)| StaticEntry {
                path: (*path).to_owned(),
                hash: keep(bytes),
                size_bytes: bytes.len() as u64,
                updated_at: 0,
            })
            .collect();
        static_files.sort_by(|a, b| a.path.cmp(&b.path));
        let routes = entries.iter().enumerate().map(|(index, entry)| RouteEntry {
            id: index as i64,
            methods: Vec::new(),
            path: format!("/{}", entry.name),
            script: entry.name.clone(),
            auth: RouteAuth::Public,
        });
        let app = AppSnapshot {
            id: AppId(1),
            name: "demo".to_owned(),
            hosts: Vec::new(),
            env: vec![("city".to_owned(), "Berlin".to_owned())],
            limits,
            routes: routes.collect(),
            scripts: entries,
            static_files,
        };
        state.apps = vec![app.clone()];
        app
    }
}

#[async_trait::async_trait]
impl Host for FakeHost {
    async fn call(
        &self,
        caller: Caller,
        _deadline: Duration,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        if let ServiceRequest::Kv(KvRequest::Has { .. }) = request {
            self.stalled.send_modify(|count| *count += 1);
            std::future::pending::<()>().await;
        }
        let mut state = self.state.lock().unwrap();
        match request {
            ServiceRequest::Source(hash) => {
                let text = state.blobs.get(&hash).map(|bytes| String::from_utf8(bytes.clone()).unwrap());
                Ok(ServiceReply::Source(text))
            }
            ServiceRequest::Static { hash, offset, len } => {
                let bytes = &state.blobs[&hash];
                let from = offset as usize;
                Ok(ServiceReply::Bytes(bytes[from..bytes.len().min(from + len as usize)].to_vec()))
            }
            ServiceRequest::Kv(KvRequest::Incr { key, by, .. }) => {
                let number = state.numbers.entry((caller.app, key)).or_default();
                *number += by;
                self.counted.send_modify(|count| *count += 1);
                Ok(ServiceReply::Kv(KvReply::Number(*number)))
            }
            ServiceRequest::Kv(KvRequest::Get { key, .. }) => {
                let entry = state.numbers.get(&(caller.app, key.clone())).map(|number| KvEntry {
                    key,
                    value: number.to_string().into_bytes(),
                    version: 1,
                    updated_at: 0,
                    expires_at: None,
                });
                Ok(ServiceReply::Kv(KvReply::Entry(entry)))
            }
            ServiceRequest::Kv(_) => {
                Err(ServiceFailure { code: Code::StorageFull, message: "the fake host stores numbers only".to_owned() })
            }
        }
    }

    async fn snapshot(&self) -> Result<Snapshot, HostError> {
        let apps = self.state.lock().unwrap().apps.iter().cloned().map(Arc::new).collect();
        Ok(Snapshot { revision: 0, apps })
    }

    fn executions(&self, executions: Vec<Execution>) {
        self.executions.send_modify(|all| all.extend(executions));
    }

    async fn worker_lost(&self, runs: Vec<LostRun>) {
        self.lost.send_modify(|all| all.extend(runs));
    }
}

/// A supervisor of `executable` on a free port.
pub(crate) async fn supervise(
    host: &Arc<FakeHost>,
    executable: PathBuf,
) -> (Result<Supervisor, SupervisorError>, SocketAddr) {
    let ingress = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = ingress.local_addr().unwrap();
    let settings = WorkerSettings { node: "here".to_owned(), concurrency: CONCURRENCY, module_cache_entries: 16 };
    let config = SupervisorConfig { executable, ingress, settings, run_as: None };
    let host: Arc<FakeHost> = Arc::clone(host);
    (Supervisor::start(config, host).await, address)
}

/// The app `demo` with `scripts`, served by a worker that is this program.
pub(crate) async fn serve(limits: Limits, scripts: &[(&str, &str)]) -> (Arc<FakeHost>, Supervisor, SocketAddr) {
    let host = FakeHost::new();
    host.put(limits, scripts, &[("notes.txt", b"from a file")]);
    let (supervisor, address) = supervise(&host, std::env::current_exe().unwrap()).await;
    (host, supervisor.unwrap(), address)
}
