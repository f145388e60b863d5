//! An app in memory to run scripts in: sources, log, and a clock that stands still.
#![expect(unreachable_pub, reason = "one harness, compiled into several test programs")]

use picloud_executor::services::{AppView, Files, Http, Kv, LogSink, PubSub, ScriptRef, Secrets, Sources, Timers};
use picloud_executor::{
    CallContext, EventInput, Executor, ExecutorConfig, HttpRequest, RunReport, Script, Services, Timeout,
    stack_bytes_for,
};
use picloud_model::execution::{LogLevel, LogLine};
use picloud_model::file::{FilesReply, FilesRequest};
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::ids::{EventId, TimerId};
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::protocol::ServiceFailure;
use picloud_model::publish::{Publish, Published};
use picloud_model::script::ScriptKind;
use picloud_model::timer::{TimerReply, TimerRequest};
use picloud_model::{AppId, Code, ContentHash, ExecutionId, ManualClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// 2026-01-02T03:04:05.678Z.
pub const NOW_MS: i64 = 1_767_323_045_678;

/// The size of every file.
pub const FILE_BYTES: usize = 32 << 20;

/// One app and what its runs did.
pub struct TestApp {
    pub executor: Executor,
    pub world: Arc<World>,
    pub limits: Limits,
}

/// What is behind the ports.
#[derive(Default)]
pub struct World {
    pub scripts: Mutex<BTreeMap<String, ScriptRef>>,
    pub sources: Mutex<BTreeMap<ContentHash, Arc<str>>>,
    pub source_reads: Mutex<u32>,
    pub logs: Mutex<Vec<LogLine>>,
    pub handovers: Mutex<u32>,
    pub published: Mutex<Vec<String>>,
}

/// An app's scripts at one moment.
struct View {
    scripts: BTreeMap<String, ScriptRef>,
}

impl AppView for View {
    fn script(&self, name: &str) -> Option<ScriptRef> {
        self.scripts.get(name).cloned()
    }
    fn env(&self, _name: &str) -> Option<String> {
        None
    }
}

pub struct Ports(Arc<World>);

impl Sources for Ports {
    fn source(&self, _call: &CallContext, hash: ContentHash) -> Result<Option<Arc<str>>, ServiceFailure> {
        *self.0.source_reads.lock().unwrap() += 1;
        Ok(self.0.sources.lock().unwrap().get(&hash).cloned())
    }
}

impl Secrets for Ports {
    fn secret(&self, _call: &CallContext, name: &str) -> Result<String, ServiceFailure> {
        Ok(format!("the value of {name}"))
    }
}

impl LogSink for Ports {
    fn log(&self, _call: &CallContext, line: LogLine) {
        self.0.logs.lock().unwrap().push(line);
    }
}

impl picloud_executor::services::Handover for Ports {
    fn now_long(&self) {
        *self.0.handovers.lock().unwrap() += 1;
    }
}

impl Kv for Ports {
    fn kv(&self, _call: &CallContext, request: KvRequest) -> Result<KvReply, ServiceFailure> {
        // The SDK's tests have a real one; here a call only needs to be counted.
        match request {
            KvRequest::Has { .. } => Ok(KvReply::Was(false)),
            KvRequest::Delete { .. } => panic!("a fault below the script"),
            _ => Err(ServiceFailure { code: Code::StorageFull, message: "the disk is full".to_owned() }),
        }
    }
}

impl PubSub for Ports {
    fn publish(&self, _call: &CallContext, publish: Publish) -> Result<Published, ServiceFailure> {
        let line = format!("{} {}", publish.topic, String::from_utf8_lossy(&publish.value));
        self.0.published.lock().unwrap().push(line);
        Ok(Published { event: Some(EventId(uuid::Uuid::nil())), deliveries: 0 })
    }

    fn publish_ephemeral(&self, _call: &CallContext, _topic: &str, _value: Vec<u8>) -> Result<(), ServiceFailure> {
        Ok(())
    }
}

impl Timers for Ports {
    fn timer(&self, _call: &CallContext, _request: TimerRequest) -> Result<TimerReply, ServiceFailure> {
        Ok(TimerReply::Set(TimerId(uuid::Uuid::nil())))
    }
}

impl Files for Ports {
    fn files(&self, _call: &CallContext, request: FilesRequest) -> Result<FilesReply, ServiceFailure> {
        match request {
            // So many bytes that the run cannot hold them, from a port that does not look at `bytes_max`.
            FilesRequest::Get { .. } => Ok(FilesReply::Bytes(Some(vec![7; FILE_BYTES].into()))),
            _ => Ok(FilesReply::Was(false)),
        }
    }
}

impl Http for Ports {
    fn http(&self, _call: &CallContext, request: HttpCall) -> Result<HttpAnswer, ServiceFailure> {
        if request.url.contains("slow") {
            return Err(ServiceFailure { code: Code::Deadline, message: "the time is up".to_owned() });
        }
        Ok(HttpAnswer { status: 200, headers: Vec::new(), body: Vec::new() })
    }
}

impl TestApp {
    /// An app without scripts, with the default limits.
    pub fn new() -> Self {
        let world = Arc::new(World::default());
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let services = Services::of(Arc::new(Ports(world.clone())), clock);
        let executor = Executor::new(ExecutorConfig::default(), services);
        Self { executor, world, limits: Limits::default() }
    }

    /// Its sources and secrets.
    pub fn ports(&self) -> Arc<Ports> {
        Arc::new(Ports(self.world.clone()))
    }

    /// Saves a script without validating it.
    pub fn save(&self, name: &str, kind: ScriptKind, source: &str) -> ScriptRef {
        let hash = ContentHash::of(source.as_bytes());
        let found = ScriptRef { kind, version: 1, hash, quarantined_after_crashes: None, elsewhere: false };
        self.world.sources.lock().unwrap().insert(hash, source.into());
        self.world.scripts.lock().unwrap().insert(name.to_owned(), found.clone());
        found
    }

    /// The call of script `name`, beginning now.
    pub fn call(&self, name: &str) -> CallContext {
        let execution_id = "01890000-0000-7000-8000-000000000001".parse::<ExecutionId>().unwrap();
        let view = View { scripts: self.world.scripts.lock().unwrap().clone() };
        let ports = Arc::new(Ports(self.world.clone()));
        CallContext {
            app_id: AppId(1),
            app: "kitchen".into(),
            script: name.into(),
            version: 1,
            node: "pi".into(),
            execution_id,
            root_execution_id: execution_id,
            trigger_depth: 0,
            principal: None,
            deadline: Timeout::of_request(&self.limits).from(Instant::now()),
            timeout: Timeout::of_request(&self.limits),
            limits: Arc::new(self.limits.clone()),
            view: Arc::new(view),
            log: ports.clone(),
            handover: Some(ports),
        }
    }

    /// Runs a stored endpoint on a thread with the stack that its limits ask for.
    pub fn run(&self, name: &str, request: HttpRequest) -> RunReport {
        let found = self.world.scripts.lock().unwrap()[name].clone();
        self.on_a_run_thread(|| self.executor.run_request(Script::Stored(found), request, self.call(name)))
    }

    /// Runs a text that is not saved, as endpoint `main`.
    pub fn run_source(&self, source: &str) -> RunReport {
        let script = Script::Source(source.into());
        self.on_a_run_thread(|| self.executor.run_request(script, get("/main"), self.call("main")))
    }

    /// Runs a text that is not saved for an event.
    pub fn run_event(&self, source: &str, event: &str) -> RunReport {
        let (script, json) = (Script::Source(source.into()), event.as_bytes().to_vec());
        self.on_a_run_thread(|| self.executor.run_event(script, EventInput { json }, self.call("main")))
    }

    fn on_a_run_thread(&self, run: impl FnOnce() -> RunReport + Send) -> RunReport {
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(stack_bytes_for(self.limits.memory_bytes))
                .spawn_scoped(scope, run)
                .unwrap()
                .join()
                .unwrap()
        })
    }

    /// What was logged, as `level message fields`.
    pub fn logged(&self) -> Vec<String> {
        let level = |level: LogLevel| level.as_str();
        let logs = self.world.logs.lock().unwrap();
        logs.iter()
            .map(|line| format!("{} {} {}", level(line.level), line.message, line.fields).trim().to_owned())
            .collect()
    }
}

/// A plain request.
pub fn get(path: &str) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), path: path.to_owned(), route: path.to_owned(), ..HttpRequest::default() }
}

/// One line for what a client would see: status, headers but the usual, body.
pub fn shown(report: &RunReport) -> String {
    match &report.result {
        Ok(response) => {
            // JSON is what answers mostly are: said only where it is something else.
            let headers = response.headers.iter().filter(|(_, value)| value != "application/json");
            let headers: String = headers.map(|(name, value)| format!(" [{name}: {value}]")).collect();
            format!("{}{headers} {}", response.status, String::from_utf8_lossy(&response.body)).trim_end().to_owned()
        }
        Err(error) => {
            let problem = error.problem();
            // Where the clock strikes is not the same twice.
            let at = problem
                .at
                .as_ref()
                .filter(|_| problem.code != Code::Deadline)
                .map(|at| format!(" at {}:{}:{}", at.script, at.line, at.column));
            let limit = problem.limit.as_ref().map(|limit| format!(" [{} = {}]", limit.name, limit.value));
            let errors = problem.errors.iter().map(|error| {
                let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
                format!(" | {}:{}: {}{hint}", error.line, error.column, error.message)
            });
            format!(
                "{} {}{}{}: {}{}",
                problem.status,
                problem.code,
                limit.unwrap_or_default(),
                at.unwrap_or_default(),
                problem.detail,
                errors.collect::<String>()
            )
        }
    }
}
