//! Scripts that may not run on this machine, and a machine that drains.

use crate::asked::{event_of, get_of, run_of};
use crate::client::get;
use crate::crashes::kill_worker;
use crate::fake_host::serve;
use picloud_model::Code;
use picloud_model::limits::Limits;
use picloud_model::protocol::{RunHttp, RunInput, RunRequest, Verdict};
use std::time::Duration;

/// Longer than any run in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn a_script_that_may_not_run_here_is_sent_on_once_and_refused_to_all_others() {
    let calls = r#"let said = "called"; try { scripts::call("camera", 1) } catch (error) { said = `${error.code}: ${error.message}` } said"#;
    let scripts = [("camera", "1 + 1"), ("calls", calls)];
    let (host, supervisor, address) = serve(Limits::default(), &scripts).await;
    let mut app = host.put(Limits::default(), &scripts, &[]);
    app.scripts.iter_mut().find(|script| script.name == "camera").unwrap().elsewhere = true;
    supervisor.app_changed(app).await.unwrap();

    let answer = get(address, "/demo/camera").await;
    assert_eq!((answer.header("x-picloud-node"), answer.body.as_str()), (Some("pi"), "camera"));
    let called = get(address, "/demo/calls").await;
    assert!(
        called.body.starts_with("node-away: scripts::call: endpoint `camera` may not run on this node"),
        "{called:?}"
    );

    let sent_on = RunInput::Forwarded { request: RunHttp::default(), remote_addr: "10.0.0.1".to_owned() };
    for input in [sent_on, event_of("on-x", 1), get_of("/demo/camera")] {
        let refused = supervisor.run(run_of("camera", input), PATIENCE).await.unwrap();
        let error = refused.execution.error().unwrap();
        assert_eq!((refused.verdict, error.code), (Verdict::NotRun, Code::NodeAway), "{error:?}");
    }
    let draft = RunRequest { source: Some("40 + 2".to_owned()), ..run_of("camera", get_of("/")) };
    assert_eq!(supervisor.run(draft, PATIENCE).await.unwrap().body, b"42", "a draft may be tried anywhere");
    supervisor.stop().await;
}

pub(crate) async fn a_request_that_was_sent_on_sees_the_client_that_waits_for_it() {
    let sees = "#{ from: ctx.request.remote_addr, route: ctx.request.route, q: ctx.request.query.a }";
    let (_host, supervisor, _address) = serve(Limits::default(), &[("sees", sees)]).await;
    let request = RunHttp { method: "GET".to_owned(), path: "/demo/sees?a=b".to_owned(), ..RunHttp::default() };
    let input = RunInput::Forwarded { request, remote_addr: "10.0.0.1".to_owned() };
    let result = supervisor.run(run_of("sees", input), PATIENCE).await.unwrap();
    let body = String::from_utf8(result.body).unwrap();
    assert_eq!((result.status, body.as_str()), (200, r#"{"from":"10.0.0.1","q":"b","route":"/sees"}"#));
    supervisor.stop().await;
}

pub(crate) async fn a_machine_that_drains_says_so_also_when_its_worker_is_another() {
    let (host, supervisor, address) = serve(Limits::default(), &[("one", "1")]).await;
    // Frames are done in their order: once this one is, those before it are.
    let settled = async || {
        let app = host.put(Limits::default(), &[("one", "1")], &[]);
        supervisor.app_changed(app).await.unwrap();
        get(address, "/.picloud/health").await.status
    };
    assert_eq!(settled().await, 200);
    supervisor.set_draining(true).await;
    assert_eq!(settled().await, 503);
    kill_worker(&supervisor);
    assert_eq!(settled().await, 503);
    supervisor.set_draining(false).await;
    assert_eq!((settled().await, get(address, "/demo/one").await.status), (200, 200));
    supervisor.stop().await;
}
