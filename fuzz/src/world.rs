//! An app in memory: KV in a map, sources by hash, logs dropped, and a clock that stands still.
//!
//! One executor for the whole process, as in a worker, so that what one run leaves behind meets the next.

use picloud_executor::services::{AppView, Kv, LogSink, ScriptRef, Secrets, Sources};
use picloud_executor::{CallContext, Executor, ExecutorConfig, HttpRequest, RunReport, Script, Services};
use picloud_model::execution::LogLine;
use picloud_model::kv::{KvEntry, KvList, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::protocol::ServiceFailure;
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, Code, ContentHash, ExecutionId, ManualClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keys kept between runs; a run may add its own.
const KEYS_MAX: usize = 64;

/// When it always is.
const NOW_MS: i64 = 1_767_323_045_678;
/// How long over its deadline a run may end on a machine that has much else to do.
const LATE_MS_MAX: u64 = 5_000;
/// How far a run may get over its memory before the next look at it ends the run.
const MEMORY_SLACK_BYTES: u64 = 1024 * 1024;

/// The modules that every script may import.
const MODULES: &[(&str, &str)] = &[
    ("units", "const PI = 3; fn double(x) { x * 2 } fn apply(f, x) { f.call(x) }"),
    ("chain", "import \"units\" as u; fn twice(x) { u::double(u::double(x)) }"),
];
/// The endpoint that every script may call.
const OTHER: &str = "let v = ctx.value; [v, ctx.trigger_depth]";

/// Limits small enough that a run which meets one is short.
pub fn limits() -> Limits {
    Limits {
        timeout_ms: 250,
        max_operations: 50_000,
        memory_bytes: 2 * 1024 * 1024,
        string_bytes: 64 * 1024,
        array_items: 5_000,
        map_entries: 5_000,
        request_body_bytes: 64 * 1024,
        response_body_bytes: 256 * 1024,
        source_bytes: 64 * 1024,
        kv_calls: 50,
        kv_value_bytes: 4 * 1024,
        ..Limits::default()
    }
}

/// The app and its executor.
pub struct World {
    executor: Executor,
    ports: Arc<Ports>,
    limits: Arc<Limits>,
}

#[derive(Default)]
struct Ports {
    sources: Mutex<BTreeMap<ContentHash, Arc<str>>>,
    entries: Mutex<BTreeMap<(String, String), Vec<u8>>>,
}

struct View(BTreeMap<String, ScriptRef>);

impl AppView for View {
    fn script(&self, name: &str) -> Option<ScriptRef> {
        self.0.get(name).cloned()
    }
    fn env(&self, name: &str) -> Option<String> {
        (name == "city").then(|| "Berlin".to_owned())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sources for Ports {
    fn source(&self, _call: &CallContext, hash: ContentHash) -> Result<Option<Arc<str>>, ServiceFailure> {
        Ok(lock(&self.sources).get(&hash).cloned())
    }
}

impl LogSink for Ports {
    fn log(&self, _call: &CallContext, line: LogLine) {
        assert!(line.message.len() + line.fields.len() < 64 * 1024, "a log line is bounded");
    }
}

impl Secrets for Ports {
    fn secret(&self, _call: &CallContext, name: &str) -> Result<String, ServiceFailure> {
        match name {
            "TOKEN" => Ok("a secret value".to_owned()),
            _ => Err(ServiceFailure { code: Code::NotFound, message: "there is no such secret".to_owned() }),
        }
    }
}

impl Kv for Ports {
    fn kv(&self, _call: &CallContext, request: KvRequest) -> Result<KvReply, ServiceFailure> {
        let mut entries = lock(&self.entries);
        if entries.len() > KEYS_MAX {
            entries.clear();
        }
        let entry = |key: &str, value: &[u8]| KvEntry {
            key: key.to_owned(),
            value: value.to_vec(),
            version: 1,
            updated_at: NOW_MS,
            expires_at: None,
        };
        Ok(match request {
            KvRequest::Set { collection, key, value, .. } => {
                entries.insert((collection, key), value);
                KvReply::Set(Some(1))
            }
            KvRequest::Get { collection, key } => {
                let found = entries.get(&(collection, key.clone()));
                KvReply::Entry(found.map(|value| entry(&key, value)))
            }
            KvRequest::Has { collection, key } => KvReply::Was(entries.contains_key(&(collection, key))),
            KvRequest::Delete { collection, key, .. } => KvReply::Was(entries.remove(&(collection, key)).is_some()),
            KvRequest::Incr { by, .. } => KvReply::Number(by),
            KvRequest::List { collection, query } => {
                let of = entries.iter().filter(|((c, key), _)| *c == collection && key.starts_with(&query.prefix));
                let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
                let entries = of.take(limit).map(|((_, key), value)| entry(key, value)).collect();
                KvReply::List(KvList { entries, cursor: None })
            }
        })
    }
}

impl World {
    /// An app without any script of its own.
    pub fn new() -> Self {
        let ports = Arc::new(Ports::default());
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let services = Services { kv: ports.clone(), sources: ports.clone(), secrets: ports.clone(), clock };
        let config = ExecutorConfig { program_cache_entries: 64, ..ExecutorConfig::default() };
        Self { executor: Executor::new(config, services), ports, limits: Arc::new(limits()) }
    }

    /// Runs `main` for a request whose body is `body`; `fuzzed`, where given, is a module it may import. Panics
    /// where the run was not what is promised of every run.
    pub fn run(&self, main: &str, fuzzed: Option<&str>, body: &[u8]) -> RunReport {
        let mut view = BTreeMap::new();
        let mut save = |name: &str, kind: ScriptKind, source: &str| {
            let hash = ContentHash::of(source.as_bytes());
            lock(&self.ports.sources).insert(hash, source.into());
            let found = ScriptRef { kind, version: 1, hash, quarantined_after_crashes: None };
            view.insert(name.to_owned(), found.clone());
            found
        };
        for (name, source) in MODULES {
            save(name, ScriptKind::Module, source);
        }
        save("other", ScriptKind::Endpoint, OTHER);
        if let Some(source) = fuzzed {
            save("fuzzed", ScriptKind::Module, source);
        }
        let main = save("main", ScriptKind::Endpoint, main);
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: "/main/1".to_owned(),
            route: "/main/{id}".to_owned(),
            params: vec![("id".to_owned(), "1".to_owned())],
            query: "a=1&b=%20&a=2".to_owned(),
            headers: vec![
                ("cookie".to_owned(), "c=1".to_owned()),
                ("content-type".to_owned(), "text/plain".to_owned()),
            ],
            remote_addr: "192.0.2.1".to_owned(),
            body: body.to_vec(),
        };
        let begun = Instant::now();
        let report = self.executor.run_request(Script::Stored(main), request, self.call(view));
        let took = begun.elapsed();
        lock(&self.ports.sources).clear();
        assert!(took < Duration::from_millis(self.limits.timeout_ms + LATE_MS_MAX), "the run took {took:?}");
        let usage = &report.usage;
        assert!(
            usage.memory_bytes <= self.limits.memory_bytes + MEMORY_SLACK_BYTES,
            "the run held too much: {usage:?}"
        );
        report
    }

    fn call(&self, view: BTreeMap<String, ScriptRef>) -> CallContext {
        let execution_id: ExecutionId = "01890000-0000-7000-8000-000000000001".parse().expect("this is an id");
        CallContext {
            app_id: AppId(1),
            app: "kitchen".into(),
            script: "main".into(),
            version: 1,
            node: "pi".into(),
            execution_id,
            root_execution_id: execution_id,
            trigger_depth: 0,
            principal: None,
            deadline: Instant::now() + Duration::from_millis(self.limits.timeout_ms),
            timeout_ms: self.limits.timeout_ms,
            limits: self.limits.clone(),
            view: Arc::new(View(view)),
            log: self.ports.clone(),
            handover: None,
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
