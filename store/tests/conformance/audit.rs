//! Cases of `Audit`: what every other trait writes into it, and how it is read.

use super::keys::key;
use super::kv::{incr, set, set_if};
use super::triggers::on_kv;
use super::*;
use picloud_model::app::AppPatch;
use picloud_model::audit::{AuditEntry, AuditOutcome, AuditQuery, RefusedAct};
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::kv::{Condition, KvRequest};
use picloud_store::{AppChange, StaticWrite};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) async fn entries(store: &dyn Store) -> Vec<AuditEntry> {
    store.audit_after(0, 10_000).await.unwrap().0
}

/// What the entries after `seq` are about.
async fn noted(store: &dyn Store, seq: i64) -> Vec<String> {
    let (entries, _first) = store.audit_after(seq, 1_000).await.unwrap();
    entries.iter().map(|entry| format!("{} {}", entry.action, entry.target)).collect()
}

async fn change_a_trigger(store: &dyn Store, app: AppId) {
    let act = act();
    let trigger = on_kv("on-c", "hello");
    for _again in 0..2 {
        store.put_trigger(app, &trigger, None, &act).await.unwrap();
        store.pause_trigger(app, "on-c", Some("holiday"), &act).await.unwrap();
    }
    store.fire_trigger(app, "on-c", b"{}", &act).await.unwrap();
    for _again in 0..2 {
        store.pause_trigger(app, "on-c", None, &act).await.unwrap();
    }
    for _again in 0..2 {
        store.delete_trigger(app, "on-c", None, &act).await.unwrap();
    }
}

/// Everything that can be done, each followed by the same again, which changes nothing.
pub(crate) async fn each_change_is_one_entry_and_what_changes_nothing_is_none(store: Arc<dyn Store>) {
    let act = act();
    let app = store.create_app(&new_app("kitchen"), &act).await.unwrap().id;
    assert!(store.create_app(&new_app("kitchen"), &act).await.is_err());
    let patch = AppPatch { hosts: Some(vec!["a.example".to_owned()]), ..AppPatch::default() };
    for _again in 0..2 {
        store.patch_app(app, &patch, None, &act).await.unwrap();
    }
    for _again in 0..2 {
        store.save_script(app, &module("units", "fn a() {}"), None, &act).await.unwrap();
        store.save_script(app, &importing(endpoint("hello", "1"), &["units"]), None, &act).await.unwrap();
    }
    assert!(store.delete_script(app, "units", None, false, &act).await.is_err());
    let revision = store.app("kitchen").await.unwrap().unwrap().revision;
    let made = store.create_route(app, &route(&["GET"], "/", "hello"), revision, &act).await.unwrap();
    assert!(store.create_route(app, &route(&["GET"], "/", "hello"), revision + 1, &act).await.is_err());
    for _again in 0..2 {
        store.delete_route(app, made.id, &act).await.unwrap();
    }
    for run in [1, 2, 3, 4] {
        let run = ExecutionId(uuid::Uuid::from_u128(run));
        store.record_crash(app, "hello", 1, run, 3, &act).await.unwrap();
    }
    for _again in 0..2 {
        store.release_script(app, "hello", &act).await.unwrap();
    }
    change_a_trigger(&*store, app).await;
    let change = |expected| AppChange {
        expected,
        scripts: vec![importing(endpoint("hello", "2"), &["units"])],
        routes: Some(vec![route(&[], "/", "hello")]),
        triggers: None,
        action: "script.rollback",
        target: "hello".to_owned(),
    };
    let revision = store.app("kitchen").await.unwrap().unwrap().revision;
    let revision = store.change_app(app, change(revision), &act).await.unwrap().revision;
    store.change_app(app, change(revision), &act).await.unwrap();
    for _again in 0..2 {
        store.delete_script(app, "hello", None, true, &act).await.unwrap();
    }
    assert_eq!(
        noted(&*store, 0).await,
        [
            "app.create kitchen",
            "app.change kitchen",
            "script.save units",
            "script.save hello",
            "route.create GET /",
            "route.delete GET /",
            "script.quarantine hello",
            "script.release hello",
            "trigger.save on-c",
            "trigger.pause on-c",
            "trigger.fire on-c",
            "trigger.resume on-c",
            "trigger.delete on-c",
            "script.rollback hello",
            "script.delete hello",
        ]
    );
    assert!(store.verify_audit().await.unwrap().intact);
}

pub(crate) async fn keys_values_secrets_and_deploys_are_noted_too(store: Arc<dyn Store>) {
    let act = act();
    let mut deploy = deploy_of("kitchen");
    deploy.scripts = vec![endpoint("hello", "1")];
    let app = store.deploy(deploy.clone(), &act).await.unwrap();
    store.deploy(DeployWrite { expected: Some(app.revision), ..deploy }, &act).await.unwrap();
    let app = app.id;
    store.kv_by_hand(app, set("n", "1"), &act).await.unwrap();
    store.kv_by_hand(app, set_if("n", "2", None, Condition::IfAbsent), &act).await.unwrap();
    store.kv_by_hand(app, incr("n", 1), &act).await.unwrap();
    store.kv(app, incr("n", 1), NOW).await.unwrap();
    let delete = KvRequest::Delete { collection: "c".to_owned(), key: "n".to_owned(), condition: Condition::Always };
    for _again in 0..2 {
        store.kv_by_hand(app, delete.clone(), &act).await.unwrap();
    }
    store.kv(app, set("m", "1"), NOW).await.unwrap();
    for _again in 0..2 {
        store.delete_collection(app, "c", &act).await.unwrap();
    }
    for _again in 0..2 {
        store.put_secret(app, "token", Some(b"sealed".to_vec()), None, None, &act).await.unwrap();
        store.put_secret(app, "token", None, Some(vec!["hello".to_owned()]), None, &act).await.unwrap();
    }
    for _again in 0..2 {
        store.delete_secret(app, "token", None, &act).await.unwrap();
    }
    store.put_app_key(app, b"sealed".to_vec()).await.unwrap();
    let made = store.create_key(&key("laptop", &["invoke"]), &act).await.unwrap();
    store.touch_keys(&[(made.id, NOW)]).await.unwrap();
    for _again in 0..2 {
        store.delete_key(made.id, &act).await.unwrap();
        store.delete_app(app, None, &act).await.unwrap();
    }
    store.audit_done(&act, None, "backup.take", "kitchen.tar", serde_json::json!({"files": 2})).await.unwrap();
    assert_eq!(
        noted(&*store, 0).await,
        [
            "app.deploy kitchen",
            "kv.set c/n",
            "kv.incr c/n",
            "kv.delete c/n",
            "kv.delete_collection c",
            "secret.set token",
            "secret.grant token",
            "secret.delete token",
            "key.create laptop",
            "key.delete laptop",
            "app.delete kitchen",
            "backup.take kitchen.tar",
        ]
    );
    assert!(store.verify_audit().await.unwrap().intact);
}

pub(crate) async fn an_entry_tells_who_what_before_and_after(store: Arc<dyn Store>) {
    let mut deploy = deploy_of("kitchen");
    deploy.app.env = BTreeMap::from([("city".to_owned(), "Berlin".to_owned())]);
    deploy.scripts = vec![importing(endpoint("hello", "1"), &["units"]), module("units", "fn a() {}")];
    deploy.routes = vec![route(&["GET"], "/a", "hello"), route(&[], "/b", "hello")];
    deploy.static_files = vec![StaticWrite { path: "x.css".to_owned(), bytes: b"a{}".to_vec() }];
    let app = store.deploy(deploy.clone(), &act()).await.unwrap();
    deploy.expected = Some(app.revision);
    deploy.app.env.insert("city".to_owned(), "Paris".to_owned());
    deploy.scripts = vec![endpoint("hello", "2")];
    deploy.routes = vec![route(&["GET"], "/c", "hello"), route(&["GET"], "/a", "hello")];
    store.deploy(deploy, &Act { from: "192.0.2.7".to_owned(), ..act_at(NOW + 1) }).await.unwrap();
    let all = entries(&*store).await;
    let [made, changed] = &all[..] else { panic!("two entries, got {all:?}") };
    assert_eq!((made.seq, made.at, made.from.as_str(), &made.who), (1, NOW, "socket", &person("ada")));
    assert_eq!((made.app.as_deref(), made.outcome, &made.before), (Some("kitchen"), AuditOutcome::Done, &None));
    assert_eq!((changed.seq, changed.at, changed.from.as_str()), (2, NOW + 1, "192.0.2.7"));
    let expected = serde_json::json!({
        "hosts": [], "env": ["city"], "env_changed": ["city"], "limits": {}, "revision": 2, "message": "because",
        "scripts_saved": ["hello 2"], "scripts_deleted": ["units"],
        "routes_added": ["GET /c → hello"], "routes_removed": ["* /b → hello"], "routes_moved": true,
    });
    assert_eq!(changed.after.as_ref(), Some(&expected), "the module went, and with it the import of it");
    assert_eq!(changed.before.as_ref().unwrap()["revision"], 1);
}

/// Neither sources nor values nor env values nor anything sealed, in whatever entry.
pub(crate) async fn nothing_secret_is_shown(store: Arc<dyn Store>) {
    let mut deploy = deploy_of("kitchen");
    deploy.app.env = BTreeMap::from([("city".to_owned(), "HUSH".to_owned())]);
    deploy.scripts = vec![endpoint("hello", "HUSH")];
    deploy.static_files = vec![StaticWrite { path: "x.css".to_owned(), bytes: b"HUSH".to_vec() }];
    let app = store.deploy(deploy, &act()).await.unwrap().id;
    let patch = AppPatch { env: Some(BTreeMap::from([("a".to_owned(), "HUSH".to_owned())])), ..AppPatch::default() };
    store.patch_app(app, &patch, None, &act()).await.unwrap();
    store.save_script(app, &endpoint("hello", "HUSH too"), None, &act()).await.unwrap();
    store.kv_by_hand(app, set("n", "\"HUSH\""), &act()).await.unwrap();
    store.put_secret(app, "token", Some(b"HUSH".to_vec()), None, None, &act()).await.unwrap();
    let write = key("laptop", &["invoke"]);
    store.create_key(&write, &act()).await.unwrap();
    store.delete_app(app, None, &act()).await.unwrap();
    let shown = serde_json::to_string(&entries(&*store).await).unwrap();
    assert_eq!(entries(&*store).await.len(), 7);
    for secret in ["HUSH", "picloud_", &write.hash.to_string(), &serde_json::to_string(b"HUSH").unwrap()] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

pub(crate) async fn the_log_is_filtered_paged_and_followed(store: Arc<dyn Store>) {
    let mut signal = store.audit_signal();
    assert_eq!((*signal.borrow_and_update(), store.audit_last().await.unwrap()), (0, 0));
    let kitchen = make_app(&*store, "kitchen").await.id;
    make_app(&*store, "garden").await;
    let bob = Act { who: person("bob"), ..act() };
    store.save_script(kitchen, &endpoint("hello", "1"), None, &bob).await.unwrap();
    let refused = RefusedAct {
        act: bob.clone(),
        action: "scripts.write".to_owned(),
        app: Some("garden".to_owned()),
        target: "hello".to_owned(),
        reason: serde_json::json!({"code": "forbidden"}),
    };
    assert!(signal.has_changed().unwrap());
    store
        .audit_refusals(vec![refused.clone(), RefusedAct { action: "scripts.read".to_owned(), ..refused }])
        .await
        .unwrap();
    store.audit_refusals(Vec::new()).await.unwrap();
    assert_eq!((*signal.borrow_and_update(), store.audit_last().await.unwrap()), (5, 5));
    assert!(store.create_app(&new_app("kitchen"), &act()).await.is_err());
    assert!(!signal.has_changed().unwrap(), "what was taken back is told to nobody");

    let some = |text: &str| Some(text.to_owned());
    let all = AuditQuery::default();
    for (query, seqs) in [
        (all.clone(), vec![5, 4, 3, 2, 1]),
        (AuditQuery { app: some("garden"), ..all.clone() }, vec![5, 4, 2]),
        (AuditQuery { who: some("bob"), ..all.clone() }, vec![5, 4, 3]),
        (AuditQuery { action: some("script."), ..all.clone() }, vec![3]),
        (AuditQuery { action: some("scripts."), ..all.clone() }, vec![5, 4]),
        (AuditQuery { action: some("scripts.write"), ..all.clone() }, vec![4]),
        (AuditQuery { action: some("app"), ..all.clone() }, vec![]),
        (AuditQuery { outcome: Some(AuditOutcome::Refused), who: some("ada"), ..all.clone() }, vec![]),
        (AuditQuery { outcome: Some(AuditOutcome::Done), app: some("garden"), ..all.clone() }, vec![2]),
    ] {
        let page = store.audit(&query).await.unwrap();
        assert_eq!(page.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), seqs, "{query:?}");
    }
    let first = store.audit(&AuditQuery { limit: Some(3), ..all.clone() }).await.unwrap();
    let rest = store.audit(&AuditQuery { limit: Some(3), cursor: first.cursor, ..all }).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].seq, rest.cursor), (2, 2, None));
    let (after, oldest) = store.audit_after(3, 1).await.unwrap();
    assert_eq!((after.len(), after[0].seq, oldest), (1, 4, 1));
    assert_eq!(
        (after[0].outcome, after[0].after.as_ref().unwrap()["code"].as_str()),
        (AuditOutcome::Refused, Some("forbidden"))
    );
    let verdict = store.verify_audit().await.unwrap();
    assert_eq!((verdict.intact, verdict.entries, verdict.first_seq, verdict.last_seq), (true, 5, Some(1), Some(5)));
    assert_eq!(verdict.head, Some(entries(&*store).await[4].hash));
}

/// Some of what stands in it comes from callers who are nobody yet.
pub(crate) async fn an_entry_is_bounded(store: Arc<dyn Store>) {
    let long = "\u{e9}".repeat(10_000);
    let act = Act { from: long.clone(), message: Some(long.clone()), ..act() };
    let reason = serde_json::Value::Null;
    let (app, target, action) = (Some(long.clone()), long.clone(), long);
    store.audit_refusals(vec![RefusedAct { act: act.clone(), action, app, target, reason }]).await.unwrap();
    store.deploy(deploy_of("kitchen"), &act).await.unwrap();
    for entry in entries(&*store).await {
        let bytes = serde_json::to_vec(&entry).unwrap().len();
        assert!((1_024..6_000).contains(&bytes), "{bytes} bytes");
    }
    assert!(store.verify_audit().await.unwrap().intact);
}

/// However the code that hashes is built: a log that was written before must still verify.
pub(crate) async fn the_hash_of_an_entry_stays_what_it_is(store: Arc<dyn Store>) {
    store
        .audit_done(&act(), None, "backup.take", "b.tar", serde_json::json!({"z": 1, "a": {"c": 2, "b": 1.5}}))
        .await
        .unwrap();
    let entry = &entries(&*store).await[0];
    assert_eq!(entry.hash.to_string(), "d747532d2e3ddc40b3ade0f97be125ad5401fc96fba599dd0edd0ec6fa729d08");
}
