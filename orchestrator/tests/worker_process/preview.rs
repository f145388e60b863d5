//! Versions that are not live, asked for by their number.

use crate::client::{Answer, get, get_as, until};
use crate::fake_host::{FakeHost, LIVE_VERSION, serve};
use picloud_model::limits::Limits;
use picloud_model::protocol::AppSnapshot;
use std::net::SocketAddr;
use std::sync::Arc;

const LIVE: &str =
    r#"import "units" as u; #{version: ctx.version, units: u::name(), other: scripts::call("other", 1)}"#;
const THEN: &str = r#"import "units" as u; #{then: ctx.version, units: u::name(), other: scripts::call("other", 1)}"#;
const OTHER: &str = r#"import "units" as u; u::name()"#;

fn scripts() -> [(&'static str, &'static str); 4] {
    [("main", LIVE), ("key_main", LIVE), ("other", OTHER), ("module units", r#"fn name() { "now" }"#)]
}

async fn asked(address: SocketAddr, path: &str, version: &str) -> Answer {
    get_as(address, path, "ci", &[("x-picloud-version", version)]).await
}

fn with_versions(host: &Arc<FakeHost>) {
    host.put_version("main", 2, THEN, &[("units", r#"fn name() { "then" }"#)]);
    host.put_version("main", 3, "throw \"oh\"", &[]);
    host.put_version("main", LIVE_VERSION, LIVE, &[("units", r#"fn name() { "when saved" }"#)]);
    host.put_version("key_main", 2, THEN, &[("units", r#"fn name() { "then" }"#)]);
}

pub(crate) async fn a_version_runs_with_the_modules_it_was_saved_with_and_those_it_calls_with_theirs() {
    let (host, supervisor, address) = serve(Limits::default(), &scripts()).await;
    with_versions(&host);
    supervisor.keys_changed(host.put_keys(&[("ci", "invoke@demo")])).await.unwrap();
    let live = r#"{"other":"now","units":"now","version":4}"#;
    for _ in 0..3 {
        assert_eq!(get(address, "/demo/main").await.body, live);
        let then = asked(address, "/demo/main", "2").await;
        assert_eq!(then.body, r#"{"other":"now","then":2,"units":"then"}"#);
        assert!(then.head.to_lowercase().contains("\r\nx-picloud-version: 2"), "{then:?}");
    }
    assert_eq!(*host.looked_up.borrow(), 1, "versions do not change");
    assert_eq!(asked(address, "/demo/main", "4").await.body, r#"{"other":"now","units":"when saved","version":4}"#);
    assert_eq!(asked(address, "/demo/key_main", "2").await.status, 200);
    let failed = asked(address, "/demo/main", "3").await;
    assert_eq!((failed.status, failed.json()["code"].as_str()), (500, Some("script-error")));
    assert!(failed.head.to_lowercase().contains("\r\nx-picloud-version: 3"), "{failed:?}");
    let executions = until(&host.executions, |all| all.iter().any(|one| one.version == 3)).await;
    assert!(executions.iter().all(|one| one.script == "main" || one.script == "key_main"));
    for (version, status) in [("9", 404), ("0", 400), ("x", 400)] {
        assert_eq!(asked(address, "/demo/main", version).await.status, status, "{version}");
    }
    supervisor.stop().await;
}

pub(crate) async fn only_who_may_invoke_or_write_sees_a_version() {
    let (host, supervisor, address) = serve(Limits::default(), &scripts()).await;
    with_versions(&host);
    let keys =
        [("ci", "invoke@demo"), ("author", "script:write@demo"), ("other", "invoke@garden"), ("reader", "script:read")];
    supervisor.keys_changed(host.put_keys(&keys)).await.unwrap();
    let version = [("x-picloud-version", "2")];
    for (key, status) in [("ci", 200), ("author", 200), ("other", 403), ("reader", 403), ("nobody", 401)] {
        assert_eq!(get_as(address, "/demo/main", key, &version).await.status, status, "{key}");
    }
    supervisor.stop().await;
}

pub(crate) async fn another_version_of_a_quarantined_script_answers() {
    let (host, supervisor, address) = serve(Limits::default(), &scripts()).await;
    with_versions(&host);
    supervisor.keys_changed(host.put_keys(&[("ci", "invoke@demo")])).await.unwrap();
    let mut app: AppSnapshot = host.put(Limits::default(), &scripts(), &[]);
    app.scripts.iter_mut().filter(|script| script.name == "main").for_each(|script| {
        script.quarantined_after_crashes = Some(3);
    });
    supervisor.app_changed(app).await.unwrap();
    assert_eq!(get(address, "/demo/main").await.status, 502);
    assert_eq!(asked(address, "/demo/main", "2").await.status, 200);
    assert_eq!(asked(address, "/demo/main", "4").await.status, 502, "the one that took its worker down");
    supervisor.stop().await;
}
