//! A store with something in every table, and what is in the files of one, for comparisons.

use crate::conformance::deliveries::{end, failed};
use crate::conformance::events::request;
use crate::conformance::executions::run;
use crate::conformance::files::write;
use crate::conformance::keys::key;
use crate::conformance::kv::{set, set_if};
use crate::conformance::triggers::{on_kv, on_schedule};
use crate::conformance::{NOW, act, deploy_of, endpoint, importing, module, new_app, route};
use picloud_model::delivery::DeliveryEnd;
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, EventId, ExecutionId};
use picloud_model::kv::Condition;
use picloud_model::limits::Limits;
use picloud_model::placement::Labels;
use picloud_model::protocol::node::Once;
use picloud_model::publish::Publish;
use picloud_model::timer::NewTimer;
use picloud_model::trigger::{TriggerKind, TriggerSpec};
use picloud_store::{FileExpected, JoinTokenWrite, NodeWrite, StaticWrite, Store, TriggerWrite};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// Puts something into every table.
pub(crate) async fn fill(store: &dyn Store) -> AppId {
    let app = deployed(store).await;
    happened(store, app).await;
    for scope in ["invoke", "instance:admin"] {
        store.create_key(&key(&scope.replace(':', "-"), &[scope]), &act()).await.unwrap();
    }
    store.put_app_key(app, b"sealed \0 key".to_vec()).await.unwrap();
    store.put_secret(app, "token", Some(vec![0, 255]), None, None, &act()).await.unwrap();
    let gone = write("gone", "one");
    let gone = store.create_file(app, gone, &cause(), Some(&act())).await.unwrap();
    store.create_file(app, write("ä \u{1f525}", "two"), &cause(), None).await.unwrap();
    store.delete_file(app, "photos", gone.id, FileExpected::Anything, &cause(), None).await.unwrap();
    store.use_signature_once(ContentHash::of(b"url"), NOW + 1, NOW).await.unwrap();
    joined(store, app).await;
    store.keep("files_root_id", b"one").await.unwrap();
    let mut failed = run(app, "hello", 9);
    failed.root_id = ExecutionId(uuid::Uuid::from_u128(8));
    failed.trigger = "on-key".to_owned();
    store.add_executions(vec![run(app, "hello", 8), failed]).await.unwrap();
    // Ids that were given out and are nobody's any more are not given out again.
    let short = store.create_app(&new_app("short-lived"), &act()).await.unwrap();
    assert!(store.delete_app(short.id, None, &act()).await.unwrap());
    app
}

fn cause() -> Cause {
    Cause::first(NOW, &Limits::default())
}

async fn deployed(store: &dyn Store) -> AppId {
    let mut deploy = deploy_of("kitchen");
    deploy.app.env.insert("city".to_owned(), "Köln \"am\" Rhein".to_owned());
    deploy.scripts = vec![importing(endpoint("hello", "1"), &["units"]), module("units", "fn a() {}")];
    deploy.routes = vec![route(&["GET", "POST"], "/rooms/{room}", "hello")];
    deploy.static_files = vec![StaticWrite { path: "a.bin".to_owned(), bytes: vec![7; 300_000] }];
    let on_news =
        TriggerSpec { topic: Some("news".to_owned()), ..TriggerSpec::new("on-news", TriggerKind::Pubsub, "hello") };
    deploy.triggers = vec![
        on_kv("on-key", "hello"),
        on_schedule("nightly", "0 3 * * *", NOW + 1_000),
        TriggerWrite { spec: on_news, next_at: None },
    ];
    let app = store.deploy(deploy.clone(), &act()).await.unwrap();
    deploy.expected = Some(app.revision);
    deploy.scripts[0].source = "let x = \"\u{1f525}\\n\";\n".to_owned();
    let app = store.deploy(deploy, &act()).await.unwrap();
    store.record_crash(app.id, "hello", 2, ExecutionId(uuid::Uuid::from_u128(1)), 3, &act()).await.unwrap();
    app.id
}

async fn happened(store: &dyn Store, app: AppId) {
    store.kv(app, set("a", "1"), NOW).await.unwrap();
    let one = store.claim_deliveries(1, NOW).await.unwrap().deliveries.remove(0);
    end(store, one.id, DeliveryEnd::Dead(failed(&one, "no"))).await;
    store.kv(app, set_if("b/ü", "\"x\"", Some(5_000), Condition::default()), NOW).await.unwrap();
    let publish =
        Publish { topic: "news".to_owned(), value: b"1".to_vec(), delay_ms: 5, dedup_key: Some("once".to_owned()) };
    store.publish(app, publish, &cause()).await.unwrap();
    let timer = NewTimer {
        id: picloud_model::ids::TimerId(uuid::Uuid::from_u128(5)),
        script: "hello".to_owned(),
        due_at: NOW + 9,
        value: b"null".to_vec(),
    };
    store.set_timer(app, timer, &cause()).await.unwrap();
    store.accept(app, request(3, Some("key")), ContentHash::of(b"r"), &cause()).await.unwrap();
}

async fn joined(store: &dyn Store, app: AppId) {
    let labels: Labels = [("room".to_owned(), "attic".to_owned())].into();
    let token = JoinTokenWrite { hash: ContentHash::of(b"t"), labels: labels.clone(), uses: 2, expires_at: NOW + 1 };
    store.create_join_token(&token, &act()).await.unwrap();
    let node =
        NodeWrite { fingerprint: ContentHash::of(b"key"), name: "pi".to_owned(), labels, facts: Labels::default() };
    let node = store.admit_node(&node, &act()).await.unwrap();
    let once = Once { number: 7, settled_below: 7, event: EventId::new() };
    let publish = Publish { topic: "news".to_owned(), value: b"2".to_vec(), delay_ms: 0, dedup_key: None };
    store.publish_once(app, publish, &cause(), &node.id, once).await.unwrap();
}

/// Every row of both files in a data folder, by table, as SQL would write it. The store must be closed.
pub(crate) fn rows_of(dir: &Path) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for file in ["picloud.db", "history.db"] {
        let conn = Connection::open(dir.join(file)).unwrap();
        let texts = |sql: &str| -> Vec<String> {
            let mut select = conn.prepare(sql).unwrap();
            let rows = select.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        for table in texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'refinery_schema_history'")
        {
            let columns = texts(&format!("SELECT name FROM pragma_table_info('{table}')"));
            let quoted: Vec<String> = columns.iter().map(|name| format!("'{name}=' || quote(\"{name}\")")).collect();
            let mut rows = texts(&format!("SELECT {} FROM \"{table}\"", quoted.join(" || ' ' || ")));
            rows.sort();
            all.insert(format!("{file}/{table}"), rows);
        }
    }
    all
}
