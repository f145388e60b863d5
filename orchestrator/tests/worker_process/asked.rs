//! Runs that no client waits for: events, replays, dry runs.

use crate::client::{get, send, until};
use crate::fake_host::{CONCURRENCY, serve};
use picloud_model::execution::{KeptInput, Outcome};
use picloud_model::limits::Limits;
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::protocol::{RunHttp, RunInput, RunRequest, RunResult, Verdict};
use picloud_model::{AppId, ExecutionId};
use picloud_orchestrator::supervisor::Supervisor;
use std::time::Duration;

/// Longer than any run in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// A run of `script` two runs away from the first.
pub(crate) fn run_of(script: &str, input: RunInput) -> RunRequest {
    RunRequest {
        app: AppId(1),
        script: script.to_owned(),
        source: None,
        version: None,
        input,
        principal: None,
        execution_id: ExecutionId::new(),
        root_execution_id: ExecutionId::new(),
        trigger_depth: 2,
        cause: "test".to_owned(),
        dry_run: false,
    }
}

/// `GET path`.
pub(crate) fn get_of(path: &str) -> RunInput {
    RunInput::Request(RunHttp { method: "GET".to_owned(), path: path.to_owned(), ..RunHttp::default() })
}

/// An event with `id`, `attempt` and `value`.
pub(crate) fn event_of(trigger: &str, attempt: u32) -> RunInput {
    let json = format!(r#"{{"id":"e1","kind":"pubsub","trigger":"{trigger}","attempt":{attempt},"value":[1,2.5]}}"#);
    RunInput::Event { json: json.into_bytes(), trigger: Some(trigger.to_owned()), attempt }
}

async fn run(supervisor: &Supervisor, run: RunRequest) -> RunResult {
    supervisor.run(run, PATIENCE).await.unwrap()
}

pub(crate) async fn an_event_is_seen_and_its_run_is_told_with_all_that_is_kept_of_it() {
    let sees = r#"
        log::info("saw it");
        #{
            id: ctx.event.id, value: ctx.event.value, attempt: ctx.event.attempt, by_request: "request" in ctx,
            ids: ctx.execution_id != ctx.root_execution_id, depth: ctx.trigger_depth,
        }"#;
    let limits = Limits { timeout_ms: 1_000, triggered_timeout_ms: 30_000, ..Limits::default() };
    let scripts = [("sees", sees), ("bare", r#""event" in ctx"#), ("slow", "let n = 0; loop { n += 1 }")];
    let (host, supervisor, address) = serve(limits, &scripts).await;
    let asked = run_of("sees", event_of("on-x", 3));
    let (id, root) = (asked.execution_id, asked.root_execution_id);
    let result = run(&supervisor, asked).await;
    let execution = &result.execution;
    assert_eq!((result.verdict, execution.outcome), (Verdict::Done, Outcome::Ok), "{execution:?}");
    let value = r#"{"attempt":3,"by_request":false,"depth":2,"id":"e1","ids":true,"value":[1,2.5]}"#;
    assert_eq!((execution.result_json.as_str(), result.body.as_slice()), (value, value.as_bytes()));
    assert_eq!((execution.id, execution.root_id, execution.trigger_depth), (id, root, 2));
    assert_eq!((execution.trigger.as_str(), execution.attempt, execution.cause.as_str()), ("on-x", 3, "test"));
    assert_eq!((execution.version, execution.node.as_str()), (crate::fake_host::LIVE_VERSION, "here"));
    assert_eq!(execution.logs[0].message, "saw it");
    assert!(execution.usage.operations > 0);
    let RunInput::Event { json, .. } = event_of("on-x", 3) else { unreachable!("it is one") };
    let KeptInput::Event(kept) = serde_json::from_str(&execution.input_json).unwrap() else { panic!("{execution:?}") };
    assert_eq!(kept, serde_json::from_slice::<serde_json::Value>(&json).unwrap());
    assert!(host.executions.borrow().is_empty(), "it is told once, with the answer");
    assert_eq!(get(address, "/demo/bare").await.body, "false");
    supervisor.stop().await;
}

pub(crate) async fn how_a_run_ended_says_whether_to_try_it_again() {
    let limits = Limits { timeout_ms: 20_000, triggered_timeout_ms: 100, ..Limits::default() };
    let scripts = [
        ("throws", "throw \"oh\""),
        ("terminal", "throw terminal(\"no use\")"),
        ("later", "throw retry_after(7, \"busy\")"),
        ("gone", "throw http_error(410, \"gone\")"),
        ("away", "throw http_error(503, \"away\")"),
        ("slow", "loop { kv::collection(\"c\").incr(\"n\", 1) }"),
        ("full", "kv::collection(\"c\").set(\"k\", 1)"),
        ("broken", "let = 1"),
        ("teapot", "respond(418, \"fine\")"),
    ];
    let (_host, supervisor, _address) = serve(limits, &scripts).await;
    for (script, verdict) in [
        ("throws", Verdict::Failed),
        ("terminal", Verdict::Terminal),
        ("later", Verdict::RetryAfter { seconds: 7 }),
        ("gone", Verdict::Terminal),
        ("away", Verdict::Failed),
        ("full", Verdict::Failed),
        ("broken", Verdict::Terminal),
        ("teapot", Verdict::Done),
    ] {
        let result = run(&supervisor, run_of(script, event_of("t", 1))).await;
        assert_eq!(result.verdict, verdict, "{script}: {:?}", result.execution);
        assert_eq!(result.execution.outcome == Outcome::Ok, verdict == Verdict::Done, "{script}");
    }
    let slow = run(&supervisor, run_of("slow", event_of("t", 1))).await;
    let problem = slow.execution.error().unwrap();
    let by_time = problem.code == picloud_model::Code::Deadline && slow.verdict == Verdict::Failed;
    // On a quick machine the calls are up before the time is.
    assert!(by_time || problem.code == picloud_model::Code::LimitExceeded, "{problem}");
    supervisor.stop().await;
}

pub(crate) async fn what_is_not_run_says_why_and_whether_to_try_it_again() {
    let scripts = [("bad", "1"), ("module m", "fn f() { 1 }")];
    let (host, supervisor, _address) = serve(Limits::default(), &scripts).await;
    let mut app = host.put(Limits::default(), &scripts, &[]);
    app.scripts.iter_mut().filter(|script| script.name == "bad").for_each(|script| {
        script.quarantined_after_crashes = Some(3);
    });
    supervisor.app_changed(app).await.unwrap();
    let of = |script: &str| run_of(script, event_of("t", 4));
    for (asked, status, verdict) in [
        (RunRequest { app: AppId(7), ..of("bad") }, 404, Verdict::NotRun),
        (of("nothing"), 404, Verdict::Terminal),
        (of("m"), 422, Verdict::Terminal),
        (of("bad"), 502, Verdict::Failed),
        (RunRequest { version: Some(99), ..of("bad") }, 404, Verdict::Terminal),
    ] {
        let (id, root) = (asked.execution_id, asked.root_execution_id);
        let result = run(&supervisor, asked).await;
        let execution = result.execution;
        assert_eq!((result.status, result.verdict), (status, verdict), "{execution:?}");
        assert_eq!((execution.id, execution.root_id, execution.attempt), (id, root, 4));
        assert_eq!((execution.trigger.as_str(), execution.status), ("t", status));
        assert!(!execution.error().unwrap().detail.is_empty());
    }
    supervisor.stop().await;
}

pub(crate) async fn an_event_runs_on_the_version_that_is_asked_for() {
    let live = r#"import "units" as u; [ctx.version, u::name()]"#;
    let scripts = [("main", live), ("module units", r#"fn name() { "now" }"#)];
    let (host, supervisor, _address) = serve(Limits::default(), &scripts).await;
    host.put_version("main", 2, live, &[("units", r#"fn name() { "then" }"#)]);
    for (version, result) in [(None, r#"[4,"now"]"#), (Some(2), r#"[2,"then"]"#)] {
        let ran = run(&supervisor, RunRequest { version, ..run_of("main", event_of("t", 1)) }).await;
        assert_eq!(ran.execution.result_json, result);
        assert_eq!(ran.execution.version, version.unwrap_or(4));
    }
    supervisor.stop().await;
}

pub(crate) async fn a_dry_run_does_nothing_and_tells_what_it_would_have_done() {
    let writes = r#"
        let c = kv::collection("c");
        c.incr("n", 5);
        pubsub::publish("orders/new", #{id: 1});
        c.get("n")"#;
    let (host, supervisor, _address) = serve(Limits::default(), &[("writes", writes)]).await;
    let dry = RunRequest { dry_run: true, ..run_of("writes", event_of("t", 1)) };
    let result = run(&supervisor, dry).await;
    assert_eq!((result.verdict, result.execution.result_json.as_str()), (Verdict::Done, "5"), "{:?}", result.execution);
    let effects: Vec<_> = result.effects.iter().map(|effect| (effect.what.as_str(), effect.target.as_str())).collect();
    assert_eq!(effects, [("kv.incr", "c/n"), ("pubsub::publish", "orders/new")], "{:?}", result.effects);
    assert_eq!((*host.counted.borrow(), host.published.borrow().len()), (0, 0), "nothing left the worker");
    let wet = run(&supervisor, run_of("writes", event_of("t", 1))).await;
    assert_eq!((wet.effects.len(), wet.execution.result_json.as_str()), (0, "5"));
    assert_eq!((*host.counted.borrow(), host.published.borrow().len()), (1, 1));
    supervisor.stop().await;
}

pub(crate) async fn a_request_that_is_run_again_is_the_one_that_was_kept() {
    let tells = r#"
        log::info("kept");
        let r = ctx.request;
        [r.method, r.path, r.route, r.query.q, r.text(), r.headers["x-plain"], r.headers["x-api-key"]]"#;
    let (host, supervisor, address) = serve(Limits::default(), &[("tells", tells)]).await;
    let headers = [("x-plain", "yes"), ("x-api-key", "secret")];
    let answer = send(address, "POST", "/demo//tells?q=a%20b", &headers, "the body").await;
    assert_eq!(answer.body, r#"["POST","/demo/tells","/tells","a b","the body","yes","secret"]"#);
    let kept = until(&host.executions, |all| !all.is_empty()).await.remove(0);
    assert!(!kept.input_json.contains("secret"), "{}", kept.input_json);
    assert_eq!((kept.root_id, kept.trigger_depth, kept.attempt), (kept.id, 0, 0));
    let KeptInput::Request { method, path, headers, body } = serde_json::from_str(&kept.input_json).unwrap() else {
        panic!("{kept:?}")
    };
    assert_eq!(body, "dGhlIGJvZHk=");
    let request = RunHttp { method, path, headers, body: b"the body".to_vec() };
    let principal = Some(Principal { kind: PrincipalKind::Key, name: "me".to_owned() });
    let again = run(&supervisor, RunRequest { principal, ..run_of("tells", RunInput::Request(request)) }).await;
    assert_eq!(String::from_utf8(again.body).unwrap(), r#"["POST","/demo/tells","/tells","a b","the body","yes","…"]"#);
    supervisor.stop().await;
}

pub(crate) async fn deliveries_never_take_all_places() {
    let busy = r#"kv::collection("c").incr("begun", 1); let n = 0; loop { n += 1 }"#;
    let limits = Limits { timeout_ms: 3_000, triggered_timeout_ms: 3_000, ..Limits::default() };
    let (host, supervisor, address) = serve(limits, &[("busy", busy), ("hello", "\"hello\"")]).await;
    let places = CONCURRENCY * 3 / 4;
    let ask = |script: &'static str| {
        let supervisor = supervisor.clone();
        tokio::spawn(async move { run(&supervisor, run_of(script, event_of("t", 1))).await })
    };
    let busy: Vec<_> = (0..places).map(|_| ask("busy")).collect();
    until(&host.counted, |count| *count == places).await;
    // The last of them may still be on its way back from the host, and count only then.
    let one_too_many = loop {
        let result = ask("hello").await.unwrap();
        if result.verdict != Verdict::Done {
            break result;
        }
    };
    assert_eq!((one_too_many.verdict, one_too_many.status), (Verdict::NotRun, 503), "{one_too_many:?}");
    for _ in 0..20 {
        assert_eq!(get(address, "/demo/hello").await.body, "hello");
    }
    assert!(!busy.iter().any(tokio::task::JoinHandle::is_finished), "they all ran meanwhile");
    for busy in busy {
        assert_ne!(busy.await.unwrap().verdict, Verdict::NotRun);
    }
    supervisor.stop().await;
}
