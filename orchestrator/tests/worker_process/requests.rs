//! What requests and runs give, through both processes.

use crate::asked::{get_of, run_of};
use crate::client::{get, until};
use crate::fake_host::serve;
use picloud_model::AppId;
use picloud_model::execution::Outcome;
use picloud_model::limits::Limits;
use picloud_model::protocol::{RunHttp, RunInput, RunRequest};
use std::time::Duration;

pub(crate) async fn a_script_answers_and_its_kv_calls_reach_the_host() {
    let scripts = [("hello", r#"#{hello: ctx.app, node: ctx.node}"#), ("count", r#"kv::collection("c").incr("n", 2)"#)];
    let (_host, supervisor, address) = serve(Limits::default(), &scripts).await;
    let hello = get(address, "/demo/hello").await;
    assert_eq!((hello.status, hello.body.as_str()), (200, r#"{"hello":"demo","node":"here"}"#));
    for n in [2, 4, 6] {
        assert_eq!(get(address, "/demo/count").await.body, n.to_string());
    }
    assert_eq!(get(address, "/demo/nothing").await.status, 404);
    supervisor.stop().await;
}

pub(crate) async fn a_script_that_throws_is_a_problem_with_its_execution_and_its_record_arrives() {
    let (host, supervisor, address) = serve(Limits::default(), &[("bad", "log::warn(\"soon\");\nthrow \"oh\"")]).await;
    let answer = get(address, "/demo/bad").await;
    let problem = answer.json();
    assert_eq!((answer.status, problem["code"].as_str()), (500, Some("script-error")), "{answer:?}");
    assert_eq!(problem["at"]["line"], 2);
    let executions = until(&host.executions, |all| !all.is_empty()).await;
    assert_eq!(problem["execution_id"], executions[0].id.to_string());
    assert_eq!((executions[0].outcome, executions[0].cause.as_str()), (Outcome::Failed, "GET /demo/bad"));
    assert_eq!(executions[0].logs[0].message, "soon");
    supervisor.stop().await;
}

pub(crate) async fn a_changed_app_answers_anew_as_soon_as_the_change_returns() {
    let (host, supervisor, address) = serve(Limits::default(), &[("v", "0")]).await;
    for version in 1..=20 {
        let app = host.put(Limits::default(), &[("v", &version.to_string())], &[]);
        supervisor.app_changed(app).await.unwrap();
        assert_eq!(get(address, "/demo/v").await.body, version.to_string());
    }
    supervisor.app_removed(AppId(1)).await.unwrap();
    assert_eq!(get(address, "/demo/v").await.status, 404);
    supervisor.stop().await;
}

pub(crate) async fn a_run_that_no_request_asked_for_gives_its_answer_and_its_record() {
    let (_host, supervisor, _address) = serve(Limits::default(), &[("echo", "ctx.request.text()")]).await;
    let run = |script: &str, source: Option<&str>| RunRequest {
        source: source.map(str::to_owned),
        ..run_of(
            script,
            RunInput::Request(RunHttp {
                method: "POST".to_owned(),
                path: "/x?a=1".to_owned(),
                headers: Vec::new(),
                body: b"body".to_vec(),
            }),
        )
    };
    let patience = Duration::from_secs(20);
    let echo = supervisor.run(run("echo", None), patience).await.unwrap();
    assert_eq!((echo.status, echo.body.as_slice()), (200, b"body".as_slice()));
    assert_eq!((echo.execution.outcome, echo.execution.cause.as_str()), (Outcome::Ok, "test"));
    let draft = supervisor.run(run("echo", Some("ctx.request.query.a + 1")), patience).await.unwrap();
    assert_eq!(draft.body, b"11");
    let missing = supervisor.run(run("nothing", None), patience).await.unwrap();
    assert_eq!((missing.status, missing.execution.outcome), (404, Outcome::Failed));
    let routed = RunRequest { input: get_of("/demo/echo"), ..run("echo", Some("ctx.request.route")) };
    assert_eq!(supervisor.run(routed, patience).await.unwrap().body, b"/echo");
    supervisor.stop().await;
}

pub(crate) async fn a_draft_that_fails_tells_all_that_a_run_tells() {
    let (_host, supervisor, _address) = serve(Limits::default(), &[("good", "1")]).await;
    let source = "log::info(\"before\", #{n: 1});\nkv::collection(\"c\").incr(\"n\", 1);\nlet s = \"x\"; s.pad(100000, \"x\");\nthrow \"oh\"";
    let run = RunRequest { source: Some(source.to_owned()), ..run_of("draft", get_of("/")) };
    let failed = supervisor.run(run, Duration::from_secs(20)).await.unwrap();
    let execution = failed.execution;
    let problem = execution.error().unwrap();
    assert_eq!((failed.status, execution.status, problem.detail.as_str()), (500, 500, "oh"));
    assert_eq!((problem.at.as_ref().unwrap().line, problem.execution_id), (4, Some(execution.id)));
    assert_eq!((execution.logs[0].message.as_str(), execution.logs[0].fields.as_str()), ("before", r#"{"n":1}"#));
    let usage = execution.usage;
    assert!(usage.operations > 3 && usage.memory_bytes > 100_000 && usage.kv_calls == 1, "{usage:?}");
    assert!(execution.duration_us > 0 && execution.outcome == Outcome::Failed);
    supervisor.stop().await;
}

pub(crate) async fn a_static_file_comes_through_the_channel() {
    let (_host, supervisor, address) = serve(Limits::default(), &[("hello", "1")]).await;
    let file = get(address, "/demo/notes.txt").await;
    assert_eq!((file.status, file.body.as_str()), (200, "from a file"));
    supervisor.stop().await;
}
