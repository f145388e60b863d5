//! Requests that are answered later.

use crate::asked::run_of;
use crate::client::{Answer, get, get_as, send};
use crate::fake_host::serve;
use picloud_model::AsyncRequestId;
use picloud_model::async_request::{AsyncAnswer, AsyncState};
use picloud_model::limits::Limits;
use picloud_model::protocol::{RunInput, Verdict};
use std::net::SocketAddr;
use std::time::Duration;

const SEES: &str = r#"
    let r = ctx.request;
    let who = if ctx.principal == () { "nobody" } else { ctx.principal.name };
    respond(201, [r.method, r.path, r.route, r.query.q, r.text(), who]).header("x-own", "1")"#;

async fn later(address: SocketAddr, path: &str, key: &str, body: &str) -> Answer {
    let key = [("prefer", "respond-async, wait=5"), ("idempotency-key", key)];
    send(address, "POST", path, if key[1].1.is_empty() { &key[..1] } else { &key }, body).await
}

pub(crate) async fn a_request_is_taken_and_answered_at_its_address() {
    let (host, supervisor, address) = serve(Limits::default(), &[("sees", SEES)]).await;
    let taken = later(address, "/demo/sees?q=1%202", "", "the body").await;
    assert_eq!((taken.status, taken.json()["state"].as_str()), (202, Some("queued")), "{taken:?}");
    let shown = ["preference-applied", "retry-after"].map(|name| taken.header(name));
    assert_eq!(shown, [Some("respond-async"), Some("1")], "{taken:?}");
    let place = taken.header("location").unwrap().to_owned();
    let waiting = host.waiting();
    assert_eq!(place, format!("/.picloud/requests/{}", waiting.id));
    assert_eq!(waiting.id.0.get_version_num(), 4, "nobody guesses it from another one");
    assert_eq!((waiting.script.as_str(), waiting.remote_addr.as_str()), ("sees", "127.0.0.1"));
    let state = |attempts, running, answer| AsyncState { created_at: 0, attempts, running, answer };
    for (attempts, running, shown) in [(0, false, "queued"), (0, true, "running"), (2, false, "queued")] {
        host.put_state(waiting.id, state(attempts, running, None));
        let answer = get(address, &place).await;
        assert_eq!((answer.status, answer.header("retry-after")), (202, Some("1")));
        assert_eq!(answer.json(), serde_json::json!({ "state": shown, "attempts": attempts }));
    }
    let (id, asked) = (waiting.id, run_of("sees", RunInput::Async { request: Box::new(waiting), attempt: 2 }));
    let result = supervisor.run(asked, Duration::from_secs(20)).await.unwrap();
    assert_eq!((result.verdict, result.status), (Verdict::Done, 201), "{:?}", result.execution);
    assert_eq!(result.execution.attempt, 2);
    let answer = AsyncAnswer { status: result.status, headers: result.headers, body: result.body };
    host.put_state(id, state(1, false, Some(answer)));
    let answer = get(address, &place).await;
    assert_eq!(
        (answer.status, answer.header("x-own"), answer.header("x-picloud-state")),
        (201, Some("1"), Some("done"))
    );
    assert_eq!(answer.body, r#"["POST","/demo/sees","/sees","1 2","the body","nobody"]"#);
    let head = send(address, "HEAD", &place, &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (201, ""));
    supervisor.stop().await;
}

pub(crate) async fn the_same_request_is_taken_once() {
    let (host, supervisor, address) = serve(Limits::default(), &[("sees", SEES)]).await;
    let first = later(address, "/demo/sees", "\"order-7\"", "a").await;
    let again = later(address, "/demo/sees", "order-7", "a").await;
    assert_eq!((first.status, first.header("location")), (202, again.header("location")));
    assert_eq!(host.waiting().idempotency_key.as_deref(), Some("order-7"));
    let other = later(address, "/demo/sees", "order-7", "b").await;
    assert_eq!((other.status, other.json()["code"].as_str()), (422, Some("invalid")));
    supervisor.stop().await;
}

pub(crate) async fn what_cannot_be_taken_is_refused() {
    let (host, supervisor, address) = serve(Limits::default(), &[("sees", SEES), ("key_sees", SEES)]).await;
    supervisor.keys_changed(host.put_keys(&[("ci", "invoke@demo")])).await.unwrap();
    assert_eq!(later(address, "/demo/nothing", "", "x").await.status, 404);
    assert_eq!(later(address, "/demo/sees", &"k".repeat(256), "x").await.status, 400);
    assert_eq!(later(address, "/demo/key_sees", "", "x").await.status, 401);
    let taken = get_as(address, "/demo/key_sees", "ci", &[("prefer", "respond-async")]).await;
    assert_eq!(taken.status, 202, "{taken:?}");
    let waiting = host.waiting();
    assert_eq!(waiting.principal.unwrap().name, "ci");
    assert!(
        !waiting.request.headers.iter().any(|(name, _)| name == "authorization"),
        "the key is none of its business"
    );
    let nobody = AsyncRequestId::new();
    for (method, path, status) in [
        ("GET", format!("/.picloud/requests/{nobody}"), 404),
        ("GET", "/.picloud/requests/x".to_owned(), 404),
        ("DELETE", format!("/.picloud/requests/{nobody}"), 405),
        ("OPTIONS", format!("/.picloud/requests/{nobody}"), 204),
    ] {
        let answer = send(address, method, &path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow"), (status != 404).then_some("GET, HEAD, OPTIONS"));
    }
    supervisor.stop().await;
}
