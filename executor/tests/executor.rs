//! The executor as the orchestrator uses it: what is read once, what is told when, what a run is charged.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[expect(dead_code, reason = "one harness, of which this program uses a part")]
mod harness;

use harness::{FILE_BYTES, TestApp, get, shown};
use picloud_executor::{HttpRequest, RunAllocator, RunError};
use picloud_model::script::ScriptKind::{Endpoint, Module};

#[global_allocator]
static ALLOCATOR: RunAllocator = RunAllocator;

#[test]
fn a_source_is_read_once_however_often_it_runs() {
    let app = TestApp::new();
    app.save("units", Module, "fn one() { 1 }");
    app.save("main", Endpoint, "import \"units\" as u; u::one()");
    for _ in 0..5 {
        assert_eq!(shown(&app.run("main", get("/"))), "200 1");
    }
    assert_eq!(*app.world.source_reads.lock().unwrap(), 2);
}

#[test]
fn a_saved_module_is_what_the_next_call_runs_also_below_other_modules() {
    let app = TestApp::new();
    app.save("deep", Module, "fn value() { \"old\" }");
    app.save("mid", Module, "import \"deep\" as d; fn value() { d::value() }");
    app.save("main", Endpoint, "import \"mid\" as m; m::value()");
    assert!(shown(&app.run("main", get("/"))).ends_with("old"));
    app.save("deep", Module, "fn value() { \"new\" }");
    assert!(shown(&app.run("main", get("/"))).ends_with("new"));
}

#[test]
fn a_call_sees_the_scripts_of_the_moment_it_began() {
    let app = TestApp::new();
    app.save("units", Module, "fn value() { \"old\" }");
    let found = app.save("main", Endpoint, "import \"units\" as u; u::value()");
    let call = app.call("main");
    app.save("units", Module, "fn value() { \"new\" }");
    let report = app.executor.run_request(picloud_executor::Script::Stored(found), get("/"), call);
    assert!(shown(&report).ends_with("old"), "{}", shown(&report));
}

#[test]
fn a_short_run_is_not_handed_over_and_a_long_one_is_once() {
    let app = TestApp::new();
    app.save("short", Endpoint, "1");
    // The first run compiles, which takes its time.
    app.run("short", get("/"));
    *app.world.handovers.lock().unwrap() = 0;
    app.run_source("let n = 0; for i in 0..200000 { n += i; } n");
    assert_eq!(*app.world.handovers.lock().unwrap(), 1);
}

#[test]
fn a_run_is_charged_what_it_holds_and_the_next_one_starts_from_nothing() {
    let app = TestApp::new();
    let large = app.run_source("let s = \"x\"; s.pad(900000, \"x\"); s.len()");
    assert!((900_000..2_500_000).contains(&large.usage.memory_bytes), "{:?}", large.usage);
    let small = app.run_source("1");
    assert!(small.usage.memory_bytes < 20_000, "{:?}", small.usage);
    assert!(small.usage.operations < 10, "{:?}", small.usage);
    assert!(!small.made_calls);
}

#[test]
fn a_run_that_calls_a_port_says_so() {
    let app = TestApp::new();
    let report = app.run_source("kv::collection(\"c\").has(\"k\")");
    assert!(report.made_calls);
    assert_eq!(report.usage.kv_calls, 1);
}

#[test]
fn a_source_that_is_gone_is_not_found_by_name_and_version() {
    let app = TestApp::new();
    app.save("main", Endpoint, "1");
    app.world.sources.lock().unwrap().clear();
    let report = app.run("main", get("/"));
    assert_eq!(shown(&report), "404 not-found: the source of `main` version 1 is not there any more");
}

#[test]
fn lines_past_the_runs_share_are_counted() {
    let app = TestApp::new();
    let report = app.run_source("let s = \"x\"; s.pad(8000, \"x\"); for i in 0..40 { print(s); }");
    assert_eq!(report.logs_dropped, 8);
    assert_eq!(app.logged().len(), 32);
}

#[test]
fn the_body_of_a_request_may_be_longer_than_a_string() {
    let mut app = TestApp::new();
    app.limits.request_body_bytes = 8 << 20;
    app.limits.memory_bytes = 64 << 20;
    app.save("main", Endpoint, "let b = ctx.request.body; let c = b; c.len()");
    let request = HttpRequest { body: vec![7; 6 << 20], ..get("/") };
    assert_eq!(shown(&app.run("main", request)), format!("200 {}", 6 << 20));
}

#[test]
fn a_failed_run_keeps_its_kind() {
    let app = TestApp::new();
    let terminal = app.run_source("throw terminal(\"never\")").result.unwrap_err();
    assert!(matches!(terminal, RunError::Terminal { .. }), "{terminal:?}");
    let again = app.run_source("throw retry_after(7, \"later\")").result.unwrap_err();
    assert!(matches!(again, RunError::RetryAfter { seconds: 7, .. }), "{again:?}");
}

#[test]
fn a_panic_below_a_script_is_one_failed_run() {
    let app = TestApp::new();
    let report = app.run_source("let s = \"x\"; s.pad(900000, \"x\"); kv::collection(\"c\").delete(\"k\")");
    assert_eq!(report.result.as_ref().unwrap_err(), &RunError::Panic);
    assert_eq!((report.usage.kv_calls, report.usage.memory_bytes > 900_000), (1, true));
    assert_eq!(shown(&app.run_source("1")), "200 1");
}

#[test]
fn a_run_for_an_event_keeps_its_value_and_answers_nobody() {
    let app = TestApp::new();
    let report = app.run_event("pubsub::publish(\"t\", 1); [ctx.event.id, ctx.trigger_depth]", r#"{"id": "e1"}"#);
    assert_eq!(report.value_json, r#"["e1",0]"#);
    assert!(report.made_calls && report.usage.publish_calls == 1, "{:?}", report.usage);
    assert_eq!(*app.world.published.lock().unwrap(), ["t 1"]);
    assert_eq!(app.run_source("1").value_json, "");
}

#[test]
fn a_value_of_a_triggered_run_that_is_too_long_or_no_json_is_kept_as_its_beginning() {
    let app = TestApp::new();
    let long = app.run_event("let s = \"x\"; s.pad(5000, \"ä\"); s", "{}").value_json;
    assert!(long.starts_with("\"xä") && long.ends_with("…\"") && long.len() < 1100, "{long}");
    let long = app.run_event("let a = []; a.pad(5000, 7); a", "{}").value_json;
    assert!(long.starts_with("\"[7, 7,") && long.ends_with("…\""), "{long}");
    let bytes = app.run_event("blob(3, 255)", "{}");
    assert_eq!((bytes.value_json.as_str(), bytes.result.is_ok()), ("\"ffffff\"", true));
}

#[test]
fn a_file_larger_than_the_memory_that_is_left_ends_the_run_whatever_the_port_says() {
    let app = TestApp::new();
    assert!(FILE_BYTES as u64 > app.limits.memory_bytes);
    let report = app.run_source(
        "let f = files::collection(\"c\"); try { f.get(\"019a0000-0000-7000-8000-000000000001\"); } catch (e) { } 1",
    );
    assert!(shown(&report).starts_with("500 limit-exceeded [memory_bytes = 16777216]"), "{}", shown(&report));
}

#[test]
fn a_request_elsewhere_that_takes_the_runs_own_time_ends_it_and_its_own_can_be_caught() {
    let mut app = TestApp::new();
    let source = "let e = 0; try { http::get(\"https://slow.example.org\"); } catch (error) { e = error.code; } e";
    assert_eq!(shown(&app.run_source(source)), "200 [content-type: text/plain; charset=utf-8] deadline");
    app.limits.timeout_ms = 0;
    assert!(shown(&app.run_source(source)).starts_with("504 deadline"), "{}", shown(&app.run_source(source)));
}
