//! An app in memory: KV in a map, sources by hash, logs dropped, and a clock that stands still.
//!
//! One executor for the whole process, as in a worker, so that what one run leaves behind meets the next.

use picloud_executor::services::{AppView, Files, Http, Kv, LogSink, PubSub, ScriptRef, Secrets, Sources, Timers};
use picloud_executor::{
    CallContext, EventInput, Executor, ExecutorConfig, HttpRequest, RunReport, Script, Services, Timeout,
};
use picloud_model::execution::LogLine;
use picloud_model::file::{File, FilesReply, FilesRequest};
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::ids::{EventId, FileId, TimerId};
use picloud_model::kv::{AtomicWrite, KvEntry, KvList, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::protocol::ServiceFailure;
use picloud_model::publish::{Publish, Published};
use picloud_model::script::ScriptKind;
use picloud_model::timer::{TimerReply, TimerRequest};
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
        event_value_bytes: 4 * 1024,
        publish_calls: 50,
        file_calls: 50,
        http_calls: 20,
        http_body_bytes: 64 * 1024,
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
            KvRequest::Atomic(request) => {
                let mut versions = Vec::new();
                for write in request.writes {
                    match write {
                        AtomicWrite::Set { collection, key, value, .. } => {
                            entries.insert((collection, key), value);
                            versions.push(1);
                        }
                        AtomicWrite::Delete { collection, key } => drop(entries.remove(&(collection, key))),
                    }
                }
                KvReply::Atomic(Some(versions))
            }
        })
    }
}

/// Checks what the far side would be told, then forgets it.
impl PubSub for Ports {
    fn publish(&self, _call: &CallContext, publish: Publish) -> Result<Published, ServiceFailure> {
        assert!(picloud_model::publish::check_topic(&publish.topic).is_ok(), "topics are checked");
        Ok(Published { event: publish.dedup_key.is_none().then(|| EventId(uuid::Uuid::nil())), deliveries: 0 })
    }

    fn publish_ephemeral(&self, _call: &CallContext, topic: &str, _value: Vec<u8>) -> Result<(), ServiceFailure> {
        assert!(picloud_model::publish::check_topic(topic).is_ok(), "topics are checked");
        Ok(())
    }
}

impl Timers for Ports {
    fn timer(&self, _call: &CallContext, request: TimerRequest) -> Result<TimerReply, ServiceFailure> {
        Ok(match request {
            TimerRequest::Cancel(_) => TimerReply::Cancelled(false),
            TimerRequest::After { .. } | TimerRequest::At { .. } => TimerReply::Set(TimerId(uuid::Uuid::nil())),
        })
    }
}

/// Every file is there, as long as may be.
impl Files for Ports {
    fn files(&self, _call: &CallContext, request: FilesRequest) -> Result<FilesReply, ServiceFailure> {
        let file = |id| File {
            id,
            name: "n".to_owned(),
            content_type: "a/b".to_owned(),
            size: 1,
            sha256: ContentHash::of(b""),
            version: 1,
            created_at: NOW_MS,
            updated_at: NOW_MS,
            metadata: "{}".to_owned(),
        };
        Ok(match request {
            FilesRequest::Create { .. } => FilesReply::File(Some(file(FileId(uuid::Uuid::nil())))),
            FilesRequest::Head { id, .. } | FilesRequest::Update { id, .. } => FilesReply::File(Some(file(id))),
            FilesRequest::Get { bytes_max, .. } => {
                let bytes = usize::try_from(bytes_max.min(limits().memory_bytes)).unwrap_or(usize::MAX);
                // On another thread, as every port of a worker: the run is charged for it once.
                let made = std::thread::spawn(move || vec![b'x'; bytes]);
                FilesReply::Bytes(Some(made.join().expect("it does not panic").into()))
            }
            FilesRequest::Delete { .. } => FilesReply::Was(true),
            FilesRequest::List { .. } => FilesReply::List { files: vec![file(FileId(uuid::Uuid::nil()))], cursor: None },
            FilesRequest::Sign { .. } => FilesReply::Url("/.picloud/files/x".to_owned()),
        })
    }
}

/// Answers with the body that it was sent.
impl Http for Ports {
    fn http(&self, _call: &CallContext, request: HttpCall) -> Result<HttpAnswer, ServiceFailure> {
        assert!(request.url.starts_with("http"), "URLs are checked");
        let mut body = request.body;
        body.truncate(usize::try_from(request.body_bytes_max).unwrap_or(usize::MAX));
        Ok(HttpAnswer { status: 200, headers: request.headers, body })
    }
}

impl World {
    /// An app without any script of its own.
    pub fn new() -> Self {
        let ports = Arc::new(Ports::default());
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let services = Services::of(ports.clone(), clock);
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
            let found = ScriptRef { kind, version: 1, hash, quarantined_after_crashes: None, elsewhere: false };
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
        let call = self.call(view);
        // The same bytes choose the same of the three ways every time.
        let (event, dry) = (body.len() % 3 == 1, body.len() % 3 == 2);
        let dry = dry.then(|| self.executor.dry());
        let executor = dry.as_ref().map_or(&self.executor, |(executor, _overlay)| executor);
        let report = if event {
            let json = br#"{"id": "e", "kind": "pubsub", "value": {"a": [1, 2.5, "x"]}}"#.to_vec();
            executor.run_event(Script::Stored(main), EventInput { json }, call)
        } else {
            executor.run_request(Script::Stored(main), request, call)
        };
        assert!(serde_json::from_str::<serde_json::Value>(&report.value_json).is_ok() || !event || report.result.is_err());
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
            deadline: Timeout::of_request(&self.limits).from(Instant::now()),
            timeout: Timeout::of_request(&self.limits),
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
