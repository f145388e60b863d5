//! One story through every trait.

use super::kv::{incr, list};
use super::*;
use picloud_model::kv::{KvQuery, KvReply};
use picloud_store::StaticWrite;
use std::sync::Arc;

/// A newcomer deploys an app, it answers and counts, she changes it, it fails, she takes it away.
pub(crate) async fn a_newcomers_first_day(store: Arc<dyn Store>) {
    // She deploys.
    let mut deploy = deploy_of("guestbook");
    deploy.scripts = vec![importing(endpoint("sign", "1"), &["html_parts"]), module("html_parts", "fn head() {}")];
    deploy.routes = vec![route(&["POST"], "/sign", "sign")];
    deploy.static_files = vec![StaticWrite { path: "index.html".to_owned(), bytes: b"<h1>hi".to_vec() }];
    let app = store.deploy(deploy.clone(), &act()).await.unwrap();

    // A worker starts: it is given the app and asks for the source and the page.
    let snapshot = store.snapshot().await.unwrap();
    let sign = snapshot[0].script(&snapshot[0].routes[0].script).unwrap();
    assert_eq!(store.source(sign.hash).await.unwrap().as_deref(), Some("1"));
    let page = &snapshot[0].static_files[0];
    assert_eq!(store.static_bytes(page.hash, 4, 100).await.unwrap().unwrap(), b"hi");

    // Guests come; each visit is counted, and kept as a run.
    for visit in 1..=3 {
        assert_eq!(store.kv(app.id, incr("guests", 1), NOW + visit).await.unwrap(), KvReply::Number(visit));
        let number = u128::try_from(visit).unwrap();
        store.add_executions(vec![executions::run(app.id, "sign", number)]).await.unwrap();
    }

    // She deploys a new version: the data stays.
    deploy.expected = Some(app.revision);
    deploy.scripts[0].source = "2".to_owned();
    let app = store.deploy(deploy, &act()).await.unwrap();
    assert_eq!(app.revision, 2);
    let KvReply::List(page) = store.kv(app.id, list(KvQuery { limit: 5, ..KvQuery::default() }), NOW).await.unwrap()
    else {
        panic!("a list")
    };
    assert_eq!((page.entries.len(), page.entries[0].value.as_slice()), (1, b"3".as_slice()));

    // The new version takes its worker down three times, and she rolls back.
    for crash in 1..=3 {
        let run = picloud_model::ExecutionId::new();
        assert_eq!(store.record_crash(app.id, "sign", 2, run, 3, &act()).await.unwrap(), crash);
    }
    let (sign, live) = store.script(app.id, "sign").await.unwrap().unwrap();
    assert!(sign.quarantine.is_some());
    assert_eq!(live.source.as_deref(), Some("2"));
    let old = store.version(sign.id, 1).await.unwrap().unwrap();
    let back = importing(endpoint("sign", &old.source.unwrap()), &["html_parts"]);
    let sign = store.save_script(app.id, &back, Some(2), &act()).await.unwrap();
    assert_eq!((sign.version, sign.quarantine), (3, None));
    assert_eq!(store.quarantined_after_crashes(sign.id, 2).await.unwrap(), Some(3), "it stays what it is");
    assert_eq!(store.quarantined_after_crashes(sign.id, 3).await.unwrap(), None);

    // She takes it all away; what it did can still be read.
    assert!(store.delete_app(app.id, None, &act()).await.unwrap());
    assert!(store.snapshot().await.unwrap().is_empty());
    assert_eq!(store.executions(app.id, &Default::default()).await.unwrap().items.len(), 3);
}
