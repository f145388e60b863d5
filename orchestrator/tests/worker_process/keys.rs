//! API keys on routes, from the client to the script.

use crate::client::{get, get_as, until};
use crate::fake_host::serve;
use picloud_model::KeyId;
use picloud_model::limits::Limits;

/// Who the script takes the client for, and which headers it sees.
const WHO: &str =
    r#"#{who: ctx.principal, sees: "authorization" in ctx.request.headers, other: ctx.request.headers["x-other"]}"#;

pub(crate) async fn a_key_opens_its_routes_and_its_script_sees_its_name_but_not_the_key() {
    let (host, supervisor, address) = serve(Limits::default(), &[("key_who", WHO), ("who", WHO)]).await;
    assert_eq!(get(address, "/demo/key_who").await.status, 401, "while there is no key, nobody has one");
    let keys = host.put_keys(&[("ci", "invoke@demo"), ("other", "invoke@garden"), ("reader", "script:read")]);
    supervisor.keys_changed(keys).await.unwrap();
    let other = [("x-other", "1")];
    let known = r#"{"other":"1","sees":false,"who":{"kind":"key","name":"ci"}}"#;
    assert_eq!(get_as(address, "/demo/key_who", "ci", &other).await.body, known);
    assert_eq!(get_as(address, "/demo/who", "ci", &other).await.body, known, "a public route may know, too");
    let unknown = r#"{"other":"1","sees":true,"who":null}"#;
    assert_eq!(get_as(address, "/demo/who", "of-something-else", &other).await.body, unknown);
    for (key, status, code) in
        [("other", 403, "forbidden"), ("reader", 403, "forbidden"), ("x", 401, "unauthenticated")]
    {
        let refused = get_as(address, "/demo/key_who", key, &[]).await;
        assert_eq!((refused.status, refused.json()["code"].as_str()), (status, Some(code)), "{key}: {refused:?}");
        assert!(refused.json()["detail"].as_str().is_some_and(|detail| status == 401 || detail.contains("`demo`")));
    }
    until(&host.counts, |all| all.iter().any(|counts| counts.keys_used == [KeyId(0)])).await;
    supervisor.stop().await;
}

pub(crate) async fn a_key_that_is_revoked_is_refused_as_soon_as_the_change_returns() {
    let (host, supervisor, address) = serve(Limits::default(), &[("key_who", "1")]).await;
    for _ in 0..10 {
        supervisor.keys_changed(host.put_keys(&[("ci", "invoke")])).await.unwrap();
        assert_eq!(get_as(address, "/demo/key_who", "ci", &[]).await.status, 200);
        supervisor.keys_changed(host.put_keys(&[])).await.unwrap();
        assert_eq!(get_as(address, "/demo/key_who", "ci", &[]).await.status, 401);
    }
    supervisor.stop().await;
}

pub(crate) async fn keys_outlive_the_worker() {
    let (host, supervisor, address) = serve(Limits::default(), &[("key_who", "1")]).await;
    supervisor.keys_changed(host.put_keys(&[("ci", "invoke")])).await.unwrap();
    let pid = supervisor.worker_pid().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), nix::sys::signal::Signal::SIGKILL).unwrap();
    // It waits in the backlog until there is a worker again.
    assert_eq!(get_as(address, "/demo/key_who", "ci", &[]).await.status, 200);
    supervisor.stop().await;
}

pub(crate) async fn who_shows_wrong_keys_waits_and_is_told_for_how_long() {
    let (host, supervisor, address) = serve(Limits::default(), &[("key_who", "1")]).await;
    supervisor.keys_changed(host.put_keys(&[("ci", "invoke")])).await.unwrap();
    for _ in 0..5 {
        assert_eq!(get_as(address, "/demo/key_who", "wrong", &[]).await.status, 401);
    }
    let refused = get_as(address, "/demo/key_who", "wrong", &[]).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("rate-limited")), "{refused:?}");
    assert!(refused.head.to_lowercase().contains("\r\nretry-after: "), "{refused:?}");
    assert_eq!(get_as(address, "/demo/key_who", "ci", &[]).await.status, 200, "a key that is known never waits");
    supervisor.stop().await;
}
