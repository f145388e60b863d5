//! The SDK from outside: every file in `tests/sdk/` is a list of scripts, each with the answer it must give.
//!
//! A script ends at a line that begins with `//>`, which holds the expected answer: the body of a 200 with JSON as it
//! is, `text` and a JSON string for a 200 as text, the status for anything else, `! code: detail` for a failure. The
//! scripts of one file share one KV store and one clock, which stands at 2026-03-29T00:30:00.250Z; a line `//+ 1000` moves
//! it by so many milliseconds, and a line `//@ {…}` starts the next script for that event: its value is what is shown. With `UPDATE_CASES` set the files are rewritten with what was answered.

#![expect(clippy::unwrap_used, reason = "a test program: what fails here fails the test")]

mod memory;

use memory::Memory;
use picloud_executor::services::{AppView, LogSink, ScriptRef, Secrets, Services, Sources};
use picloud_executor::{CallContext, EventInput, Executor, ExecutorConfig, HttpRequest, RunAllocator, Script, Timeout};
use picloud_model::clock::ManualClock;
use picloud_model::execution::LogLine;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::limits::Limits;
use picloud_model::protocol::ServiceFailure;
use picloud_model::script::ScriptKind;
use picloud_model::{Code, Problem};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: RunAllocator = RunAllocator;

/// 2026-03-29T00:30:00.250Z, half an hour before the clocks of Europe change.
const START_MS: i64 = 1_774_744_200_250;

/// An app with two other endpoints, `double` and `tell`, one value, and some secrets.
struct View;

const DOUBLE: &str =
    "if ctx.value == \"fail\" { throw \"cannot double it\"; } #{ twice: ctx.value * 2, method: ctx.request.method }";

const TELL: &str = "secrets::get(ctx.value)";

impl AppView for View {
    fn script(&self, name: &str) -> Option<ScriptRef> {
        let source = match name {
            "double" => DOUBLE,
            "tell" => TELL,
            "remind" => "ctx.event.value",
            _ => return None,
        };
        let hash = ContentHash::of(source.as_bytes());
        Some(ScriptRef {
            kind: ScriptKind::Endpoint,
            version: 1,
            hash,
            quarantined_after_crashes: None,
            elsewhere: false,
        })
    }

    fn env(&self, name: &str) -> Option<String> {
        (name == "city").then(|| "Berlin".to_owned())
    }
}

impl Sources for View {
    fn source(&self, _: &CallContext, hash: ContentHash) -> Result<Option<Arc<str>>, ServiceFailure> {
        Ok([DOUBLE, TELL].into_iter().find(|source| ContentHash::of(source.as_bytes()) == hash).map(Arc::from))
    }
}

impl Secrets for View {
    fn secret(&self, call: &CallContext, name: &str) -> Result<String, ServiceFailure> {
        let failure = |code| Err(ServiceFailure { code, message: "the far side says less".to_owned() });
        match (name, &*call.script) {
            ("token", "case") => Ok("hunter2-hunter2".to_owned()),
            ("quoted", _) => Ok("a\"b\\c".to_owned()),
            ("pin", _) => Ok("123".to_owned()),
            ("away", _) => failure(Code::NodeAway),
            ("others" | "token", _) => failure(Code::Forbidden),
            _ => failure(Code::NotFound),
        }
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<LogLine>>);

impl LogSink for Lines {
    fn log(&self, _: &CallContext, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

struct Harness {
    executor: Executor,
    clock: Arc<ManualClock>,
    lines: Arc<Lines>,
    memory: Arc<Memory>,
}

impl Harness {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(START_MS));
        let memory = Memory::new(clock.clone());
        let view = Arc::new(View);
        let services = Services {
            kv: memory.clone(),
            sources: view.clone(),
            secrets: view,
            pubsub: memory.clone(),
            timers: memory.clone(),
            files: memory.clone(),
            http: memory.clone(),
            clock: clock.clone(),
        };
        Self { executor: Executor::new(ExecutorConfig::default(), services), clock, lines: Arc::default(), memory }
    }

    fn call(&self) -> CallContext {
        let id: ExecutionId = "018f0000-0000-7000-8000-000000000000".parse().unwrap();
        let limits = Limits::default();
        CallContext {
            app_id: AppId(1),
            app: "kitchen".into(),
            script: "case".into(),
            version: 3,
            node: "pi".into(),
            execution_id: id,
            root_execution_id: id,
            trigger_depth: 0,
            principal: None,
            deadline: Timeout::of_request(&limits).from(Instant::now()),
            timeout: Timeout::of_request(&limits),
            limits: Arc::new(limits),
            view: Arc::new(View),
            log: self.lines.clone(),
            handover: None,
        }
    }

    /// The answer in one line, as the case files have it.
    fn answer(&self, source: &str, event: Option<&str>) -> String {
        let script = Script::Source(source.into());
        let report = match event {
            Some(event) => self.executor.run_event(script, EventInput { json: event.into() }, self.call()),
            None => self.executor.run_request(script, request(), self.call()),
        };
        let mut answer = match report.result {
            Ok(response) if event.is_some() => {
                assert_eq!(response.body, report.value_json.as_bytes());
                report.value_json
            }
            Ok(response) => {
                let header = |name: &str| response.headers.iter().find(|(header, _)| header == name);
                let content_type = header("content-type").map_or("", |(_, value)| value.as_str());
                let body = String::from_utf8_lossy(&response.body);
                match (response.status, content_type) {
                    (200, "application/json") => body.into_owned(),
                    (200, "text/plain; charset=utf-8") => format!("text {}", serde_json::to_string(&body).unwrap()),
                    (status, "") => status.to_string(),
                    (status, other) => format!("{status} {other} {}", serde_json::to_string(&body).unwrap()),
                }
            }
            Err(error) => {
                let problem: Problem = error.problem();
                format!("! {}: {}", problem.code, problem.detail)
            }
        };
        for told in self.memory.told.lock().unwrap().drain(..) {
            write!(answer, " | told {told}").unwrap();
        }
        for line in self.lines.0.lock().unwrap().drain(..) {
            let message: String = line.message.chars().take(80).collect();
            write!(answer, " | {} {message}{}", line.level.as_str(), line.fields).unwrap();
        }
        answer.replace('\n', "\\n")
    }
}

fn request() -> HttpRequest {
    let text = |text: &str| text.to_owned();
    HttpRequest {
        method: text("POST"),
        path: text("/rooms/kitchen/a/b"),
        route: text("/rooms/{room}/{*rest}"),
        params: vec![(text("room"), text("kitchen")), (text("rest"), text("a/b"))],
        query: text("q=tea+%26+cake&tag=a&tag=b&empty=&bare"),
        headers: vec![
            (text("Content-Type"), text("application/json")),
            (text("X-Many"), text("one")),
            (text("x-many"), text("two")),
            (text("Cookie"), text("session=abc; theme=\"dark\"")),
            (text("cookie"), text("session=old; lang=de")),
        ],
        remote_addr: text("192.0.2.7"),
        body: br#"{"item": "tea", "count": 2}"#.to_vec(),
    }
}

/// On a thread with the stack that runs need.
fn on_a_run_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let stack_bytes = picloud_executor::stack_bytes_for(Limits::default().memory_bytes);
    std::thread::Builder::new().stack_size(stack_bytes).spawn(run).unwrap().join().unwrap()
}

/// Runs all scripts of one file.
fn check(file: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let answered = {
        let text = text.clone();
        on_a_run_thread(move || answers(&text))
    };
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, answered).unwrap();
    } else {
        for (line, (answered, expected)) in answered.lines().zip(text.lines()).enumerate() {
            assert_eq!(answered, expected, "{file}:{}", line + 1);
        }
        assert_eq!(answered, text);
    }
}

/// The file with the answers that were given in the place of the expected ones.
fn answers(text: &str) -> String {
    let harness = Harness::new();
    let mut answered = String::new();
    let mut script = String::new();
    let mut event = None;
    for line in text.lines() {
        if line.starts_with("//>") {
            writeln!(answered, "//> {}", harness.answer(&script, event.take())).unwrap();
            script.clear();
            continue;
        }
        if let Some(by_ms) = line.strip_prefix("//+ ") {
            harness.clock.advance(by_ms.parse().unwrap());
        } else if let Some(json) = line.strip_prefix("//@ ") {
            event = Some(json);
        } else {
            script += line;
            script.push('\n');
        }
        writeln!(answered, "{line}").unwrap();
    }
    assert!(script.trim().is_empty(), "the last script has no answer: {script}");
    answered
}

#[test]
fn every_example_of_the_documentation_runs() {
    for (namespace, script) in picloud_executor::sdk::examples() {
        let answer = on_a_run_thread(move || Harness::new().answer(script, None));
        assert!(!answer.starts_with('!'), "{namespace}: {answer}");
    }
}

#[test]
fn the_documentation_is_what_the_table_says() {
    insta::assert_snapshot!(picloud_executor::sdk::docs());
}

macro_rules! cases {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            check(concat!(stringify!($name), ".rhai"));
        }
    )* };
}

cases!(atomic base64 crypto csv ctx env event files html http json kv log pubsub regex respond scripts secrets time timer url uuid);
