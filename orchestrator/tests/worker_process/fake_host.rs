//! A host in memory, and apps made of a few lines.

use picloud_model::async_request::{Accepted, AsyncState, NewAsyncRequest};
use picloud_model::execution::Execution;
use picloud_model::key::hash_of_key;
use picloud_model::kv::{KvEntry, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::protocol::{
    AppSnapshot, Caller, Counts, Forwarded, KeyEntry, RouteEntry, ScriptEntry, ServiceFailure, ServiceReply,
    ServiceRequest, Snapshot, StaticEntry, VersionEntry, WorkerSettings,
};
use picloud_model::publish::Published;
use picloud_model::route::RouteAuth;
use picloud_model::script::{ModuleVersion, ScriptKind};
use picloud_model::{AppId, AsyncRequestId, Code, ContentHash, EventId, KeyId};
use picloud_orchestrator::supervisor::{Host, HostError, LostRun, Supervisor, SupervisorConfig, SupervisorError};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Runs at once in these tests.
pub(crate) const CONCURRENCY: u32 = 4;

/// The version of every script that is live.
pub(crate) const LIVE_VERSION: i64 = 4;
/// What a script's name begins with that is a module.
const MODULE: &str = "module ";

#[derive(Default)]
struct State {
    apps: Vec<AppSnapshot>,
    blobs: HashMap<ContentHash, Vec<u8>>,
    numbers: HashMap<(AppId, String), i64>,
    keys: Vec<KeyEntry>,
    /// By name: the value, and the script it is granted to.
    secrets: HashMap<String, (String, String)>,
    versions: HashMap<(String, i64), VersionEntry>,
    later: HashMap<AsyncRequestId, (NewAsyncRequest, AsyncState)>,
}

/// Answers workers from memory and remembers what they say.
pub(crate) struct FakeHost {
    state: Mutex<State>,
    pub(crate) executions: watch::Sender<Vec<Execution>>,
    pub(crate) lost: watch::Sender<Vec<LostRun>>,
    pub(crate) counts: watch::Sender<Vec<Counts>>,
    /// Versions that were looked up.
    pub(crate) looked_up: watch::Sender<u32>,
    /// `Incr` calls that were answered.
    pub(crate) counted: watch::Sender<u32>,
    /// Topics that were published on.
    pub(crate) published: watch::Sender<Vec<String>>,
    /// `Has` calls that arrived; they are answered never.
    pub(crate) stalled: watch::Sender<u32>,
}

impl FakeHost {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            executions: watch::channel(Vec::new()).0,
            lost: watch::channel(Vec::new()).0,
            counts: watch::channel(Vec::new()).0,
            looked_up: watch::channel(0).0,
            counted: watch::channel(0).0,
            published: watch::channel(Vec::new()).0,
            stalled: watch::channel(0).0,
        })
    }

    /// The app `demo` with these scripts, each at `/demo/{name}` (for keys, where the name begins with `key`), and these static files.
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
                name: name.trim_start_matches(MODULE).to_owned(),
                kind: if name.starts_with(MODULE) { ScriptKind::Module } else { ScriptKind::Endpoint },
                version: LIVE_VERSION,
                hash: keep(source.as_bytes()),
                quarantined_after_crashes: None,
                placement: picloud_model::placement::Placement::default(),
                elsewhere: false,
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
        let endpoints = entries.iter().filter(|entry| entry.kind == ScriptKind::Endpoint);
        let routes = endpoints.enumerate().map(|(index, entry)| RouteEntry {
            id: index as i64,
            methods: Vec::new(),
            path: format!("/{}", entry.name),
            script: entry.name.clone(),
            auth: if entry.name.starts_with("key") { RouteAuth::Key } else { RouteAuth::Public },
        });
        let app = AppSnapshot {
            http_allow: Vec::new(),
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

impl FakeHost {
    /// Keys `picloud_{name}` with one scope each, in the place of those before.
    pub(crate) fn put_keys(&self, keys: &[(&str, &str)]) -> Arc<Vec<KeyEntry>> {
        let key = |(id, (name, scope)): (usize, &(&str, &str))| KeyEntry {
            id: KeyId(i64::try_from(id).unwrap()),
            name: (*name).to_owned(),
            hash: hash_of_key(&format!("picloud_{name}")),
            scopes: vec![scope.parse().unwrap()],
            expires_at: None,
        };
        let keys: Vec<KeyEntry> = keys.iter().enumerate().map(key).collect();
        self.state.lock().unwrap().keys.clone_from(&keys);
        Arc::new(keys)
    }

    /// A secret of the app, granted to one script.
    pub(crate) fn put_secret(&self, name: &str, value: &str, script: &str) {
        let granted = (value.to_owned(), script.to_owned());
        self.state.lock().unwrap().secrets.insert(name.to_owned(), granted);
    }

    /// A version of a script that is not live, with the modules it was saved with, each at version 1.
    pub(crate) fn put_version(&self, script: &str, version: i64, source: &str, modules: &[(&str, &str)]) {
        let mut state = self.state.lock().unwrap();
        let mut keep = |source: &str| {
            let hash = ContentHash::of(source.as_bytes());
            state.blobs.insert(hash, source.as_bytes().to_vec());
            hash
        };
        let modules = modules
            .iter()
            .map(|(name, source)| ModuleVersion { name: (*name).to_owned(), version: 1, hash: keep(source) })
            .collect();
        let entry =
            VersionEntry { kind: ScriptKind::Endpoint, hash: keep(source), modules, quarantined_after_crashes: None };
        state.versions.insert((script.to_owned(), version), entry);
    }
}

impl FakeHost {
    /// The only request that waits for its answer.
    pub(crate) fn waiting(&self) -> NewAsyncRequest {
        let state = self.state.lock().unwrap();
        let mut waiting = state.later.values().filter(|(_, state)| state.answer.is_none());
        let (one, none) = (waiting.next().unwrap().0.clone(), waiting.next());
        assert!(none.is_none());
        one
    }

    /// What a client is told that asks for the answer.
    pub(crate) fn put_state(&self, id: AsyncRequestId, state: AsyncState) {
        self.state.lock().unwrap().later.get_mut(&id).unwrap().1 = state;
    }
}

impl State {
    /// As the store does it, for one app.
    fn accept(&mut self, request: NewAsyncRequest) -> Accepted {
        let with_key = |(other, _): &&(NewAsyncRequest, AsyncState)| {
            request.idempotency_key.is_some() && other.idempotency_key == request.idempotency_key
        };
        match self.later.values().find(with_key) {
            Some((known, _)) if known.request.body == request.request.body => Accepted::Known(known.id),
            Some(_other) => Accepted::KeyTaken,
            None => {
                let id = request.id;
                let state = AsyncState { created_at: 0, attempts: 0, running: false, answer: None };
                self.later.insert(id, (request, state));
                Accepted::New(id)
            }
        }
    }
}

fn failure(code: Code) -> ServiceFailure {
    ServiceFailure { code, message: "the fake host says no".to_owned() }
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
            ServiceRequest::Secret { script, name } => match state.secrets.get(&name) {
                Some((value, granted)) if *granted == script => Ok(ServiceReply::Secret(value.clone())),
                Some(_not_granted) => Err(failure(Code::Forbidden)),
                None => Err(failure(Code::NotFound)),
            },
            ServiceRequest::Version { script, version } => {
                self.looked_up.send_modify(|count| *count += 1);
                Ok(ServiceReply::Version(state.versions.get(&(script, version)).cloned()))
            }
            ServiceRequest::Publish(publish) => {
                self.published.send_modify(|all| all.push(publish.topic));
                Ok(ServiceReply::Published(Published { event: Some(EventId::new()), deliveries: 0 }))
            }
            ServiceRequest::Accept(request) => Ok(ServiceReply::Accepted(state.accept(*request))),
            ServiceRequest::AsyncState(id) => {
                Ok(ServiceReply::AsyncState(state.later.get(&id).map(|(_, state)| state.clone())))
            }
            ServiceRequest::PublishEphemeral { .. }
            | ServiceRequest::Timer(_)
            | ServiceRequest::Files(_)
            | ServiceRequest::Http(_)
            | ServiceRequest::Signed(_) => Err(failure(Code::NodeAway)),
            ServiceRequest::Forward(asked) => {
                let body = asked.script.into_bytes();
                let answer = Forwarded { node: "pi".to_owned(), status: 200, headers: Vec::new(), body };
                Ok(ServiceReply::Forwarded(answer))
            }
            ServiceRequest::Kv(_) => {
                Err(ServiceFailure { code: Code::StorageFull, message: "the fake host stores numbers only".to_owned() })
            }
        }
    }

    async fn snapshot(&self) -> Result<Snapshot, HostError> {
        let apps = self.state.lock().unwrap().apps.iter().cloned().map(Arc::new).collect();
        Ok(Snapshot { revision: 0, apps, keys: Arc::new(self.state.lock().unwrap().keys.clone()) })
    }

    fn counts(&self, counts: Counts) {
        self.counts.send_modify(|all| all.push(counts));
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
    let config = SupervisorConfig { executable, ingress: vec![ingress], settings, run_as: None, log_priorities: false };
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
