//! Who waits for whom.

use crate::client::{get, until};
use crate::fake_host::{CONCURRENCY, serve};
use picloud_model::limits::Limits;
use std::net::SocketAddr;

const HELLO: (&str, &str) = ("hello", "\"hello\"");

/// Short unless asked not to be; then about as long as its deadline.
const SOMETIMES_LONG: &str = r#"if "long" in ctx.request.query { let n = 0; loop { n += 1 } } else { 1 }"#;

fn limits(timeout_ms: u64) -> Limits {
    Limits { timeout_ms, ..Limits::default() }
}

/// Runs a script often enough that it is known.
async fn make_known(address: SocketAddr, path: &str) {
    for _ in 0..20 {
        assert_eq!(get(address, path).await.status, 200);
    }
}

pub(crate) async fn a_host_that_gives_no_answer_costs_the_run_its_deadline_and_nobody_else_anything() {
    let stalls = r#"try { kv::collection("c").has("k") } catch { } "caught""#;
    let (host, supervisor, address) = serve(limits(700), &[("stalls", stalls), HELLO]).await;
    let stalled = tokio::spawn(async move { get(address, "/demo/stalls").await });
    until(&host.stalled, |count| *count == 1).await;
    assert_eq!(get(address, "/demo/hello").await.body, "hello");
    let answer = stalled.await.unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (504, Some("deadline")), "no try catches it");
    supervisor.stop().await;
}

pub(crate) async fn a_script_known_as_short_that_turns_long_stalls_nobody() {
    let (_host, supervisor, address) = serve(limits(1_500), &[("sometimes", SOMETIMES_LONG), HELLO]).await;
    make_known(address, "/demo/sometimes").await;
    make_known(address, "/demo/hello").await;
    // As many as the gate lets in but one: more than there are async threads.
    let long: Vec<_> =
        (1..CONCURRENCY).map(|_| tokio::spawn(async move { get(address, "/demo/sometimes?long").await })).collect();
    let mut answered = 0;
    while !long.iter().any(tokio::task::JoinHandle::is_finished) {
        assert_eq!(get(address, "/demo/hello").await.body, "hello");
        answered += 1;
    }
    for long in long {
        let answer = long.await.unwrap();
        assert!(answer.status == 504 || answer.json()["code"] == "limit-exceeded", "{answer:?}");
    }
    assert!(answered > 50, "only {answered} requests were answered beside the long runs");
    supervisor.stop().await;
}

pub(crate) async fn past_the_gate_requests_get_503_with_a_retry_after() {
    let busy = r#"kv::collection("c").incr("begun", 1); let n = 0; loop { n += 1 }"#;
    let (host, supervisor, address) = serve(limits(3_000), &[("busy", busy), HELLO]).await;
    let busy: Vec<_> =
        (0..CONCURRENCY).map(|_| tokio::spawn(async move { get(address, "/demo/busy").await })).collect();
    until(&host.counted, |count| *count == CONCURRENCY).await;
    // The last of them may still be on its way back from the host, and count only then.
    let refused = loop {
        let answer = get(address, "/demo/hello").await;
        if answer.status != 200 {
            break answer;
        }
        assert!(!busy.iter().any(tokio::task::JoinHandle::is_finished), "nobody was refused");
    };
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("overloaded")));
    assert_eq!(refused.json()["limit"]["name"], "concurrency");
    assert!(refused.head.to_lowercase().contains("\r\nretry-after: "), "{refused:?}");
    for busy in busy {
        assert!([500, 504].contains(&busy.await.unwrap().status));
    }
    assert_eq!(get(address, "/demo/hello").await.status, 200, "places come back");
    supervisor.stop().await;
}

pub(crate) async fn runs_that_wait_for_the_host_let_others_run() {
    let stalls = r#"kv::collection("c").has("k")"#;
    let (host, supervisor, address) = serve(limits(3_000), &[("stalls", stalls), HELLO]).await;
    let stalled: Vec<_> =
        (0..CONCURRENCY).map(|_| tokio::spawn(async move { get(address, "/demo/stalls").await })).collect();
    until(&host.stalled, |count| *count == CONCURRENCY).await;
    make_known(address, "/demo/hello").await;
    for stalled in stalled {
        assert_eq!(stalled.await.unwrap().status, 504);
    }
    supervisor.stop().await;
}

pub(crate) async fn an_app_with_a_bigger_memory_budget_runs_too() {
    let limits = Limits { memory_bytes: 64 << 20, ..Limits::default() };
    let big = "let a = []; for i in 0..30 { let s = \"x\"; s.pad(1000000, 'x'); a.push(s); } a.len()";
    let (_host, supervisor, address) = serve(limits, &[("big", big)]).await;
    for _ in 0..3 {
        assert_eq!(get(address, "/demo/big").await.body, "30");
    }
    supervisor.stop().await;
}
