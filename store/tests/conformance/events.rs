//! Cases of what makes deliveries: keys, publishes, timers, requests, and what is made of them together.

use super::kv::{incr, set, set_if};
use super::triggers::{app_with_scripts, claimed, on_kv, put};
use super::*;
use picloud_model::async_request::{Accepted, NewAsyncRequest};
use picloud_model::event::{Cause, EventKind, Hop};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, AsyncRequestId, ExecutionId, TimerId};
use picloud_model::kv::{AtomicCheck, AtomicRequest, AtomicWrite, Condition, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::page::PageRequest;
use picloud_model::protocol::RunHttp;
use picloud_model::publish::{DEDUP_WINDOW_MS, Publish};
use picloud_model::timer::NewTimer;
use picloud_model::trigger::{Op, TriggerKind, TriggerSpec};
use picloud_store::TriggerWrite;
use serde_json::{Value, json};
use std::sync::Arc;

fn cause() -> Cause {
    Cause::first(NOW, &Limits::default())
}

/// So many may wait, and no more.
fn narrow(queued_max: u64) -> Cause {
    Cause { queued_max, ..cause() }
}

fn delete(key: &str) -> KvRequest {
    KvRequest::Delete { collection: "c".to_owned(), key: key.to_owned(), condition: Condition::Always }
}

fn on_topic(name: &str, topic: &str) -> TriggerWrite {
    let topic = Some(topic.to_owned());
    TriggerWrite { spec: TriggerSpec { topic, ..TriggerSpec::new(name, TriggerKind::Pubsub, "hello") }, next_at: None }
}

fn publish(topic: &str, value: &str) -> Publish {
    Publish { topic: topic.to_owned(), value: value.as_bytes().to_vec(), delay_ms: 0, dedup_key: None }
}

/// `ctx.event` of each delivery that is due, in the order in which they were made.
async fn events(store: &dyn Store, now: i64) -> Vec<Value> {
    let mut deliveries = claimed(store, now).await;
    deliveries.sort_by_key(|one| one.id);
    let shown = |one: &picloud_model::delivery::Delivery| {
        let name = one.trigger.as_ref().map(|(_id, name)| name.as_str());
        serde_json::from_slice(&one.event.to_json(name, one.attempt)).unwrap()
    };
    deliveries.iter().map(shown).collect()
}

async fn key_is_there(store: &dyn Store, app: AppId, key: &str) -> bool {
    let has = KvRequest::Has { collection: "c".to_owned(), key: key.to_owned() };
    store.kv(app, has, NOW).await.unwrap() == KvReply::Was(true)
}

pub(crate) async fn each_change_of_a_key_is_one_event_and_what_changes_nothing_is_none(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    for request in [
        set("a", r#"{"n": [1]}"#),
        set("a", "2"),
        incr("a", 3),
        delete("a"),
        delete("a"),
        set_if("a", "9", None, Condition::IfVersion(1)),
        incr("b", 1),
        set_if("brief", "1", Some(5), Condition::IfAbsent),
        KvRequest::Set {
            collection: "other".to_owned(),
            key: "a".to_owned(),
            value: b"1".to_vec(),
            ttl_ms: None,
            condition: Condition::Always,
        },
    ] {
        store.kv(app, request, NOW).await.unwrap();
    }
    store.kv(app, set("brief", "2"), NOW + 5).await.unwrap();
    let events = events(store, NOW + 5).await;
    let told: Vec<String> =
        events.iter().map(|event| format!("{} {} {}", event["op"], event["key"], event["value"])).collect();
    assert_eq!(
        told,
        [
            r#""insert" "a" {"n":[1]}"#,
            r#""update" "a" 2"#,
            r#""update" "a" 5"#,
            r#""delete" "a" null"#,
            r#""insert" "b" 1"#,
            r#""insert" "brief" 1"#,
            r#""insert" "brief" 2"#,
        ]
    );
    for (event, next) in events.iter().zip(&events[1..4]) {
        assert_eq!(event["version"], next["old_version"], "{event} then {next}");
    }
    assert_eq!((&events[0]["old_version"], &events[3]["version"]), (&Value::Null, &Value::Null));
    assert_eq!((&events[0]["kind"], &events[0]["collection"]), (&json!("kv"), &json!("c")));
    assert_eq!((&events[0]["trigger"], &events[0]["attempt"]), (&json!("on-c"), &json!(1)));
    assert_eq!(events[0]["at"], "2026-01-01T00:00:00.000Z");
}

pub(crate) async fn a_trigger_takes_only_what_its_filters_say(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    type Narrow = fn(&mut TriggerSpec);
    let filters: &[(&str, Narrow)] = &[
        ("all", |_spec| {}),
        ("prefix", |spec| spec.prefix = Some("a/".to_owned())),
        ("ops", |spec| spec.ops = vec![Op::Update, Op::Delete]),
        ("room", |spec| drop(spec.matches.insert("value.room".to_owned(), json!("attic")))),
        ("hot", |spec| drop(spec.matches.insert("value.t".to_owned(), json!({"gt": 20, "lte": 30})))),
        ("key", |spec| drop(spec.matches.insert("key".to_owned(), json!({"any": ["b", "c"]})))),
        ("elsewhere", |spec| spec.collection = Some("d".to_owned())),
    ];
    for (name, narrow) in filters {
        let mut trigger = on_kv(name, "hello");
        narrow(&mut trigger.spec);
        put(store, app, &trigger).await;
    }
    for (request, wanted) in [
        (set("a/1", r#"{"room": "attic", "t": 30}"#), "all prefix room hot"),
        (set("a/1", r#"{"room": "cellar", "t": 20}"#), "all prefix ops"),
        (set("b", r#"[]"#), "all key"),
        (delete("a/1"), "all prefix ops"),
    ] {
        store.kv(app, request.clone(), NOW).await.unwrap();
        let events = events(store, NOW).await;
        let ids: std::collections::HashSet<String> = events.iter().map(|event| event["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "one event, many deliveries");
        let names: Vec<&str> = events.iter().map(|event| event["trigger"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), wanted, "{request:?}");
    }
}

pub(crate) async fn a_write_and_its_events_happen_together_or_not_at_all(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("one", "hello")).await;
    put(store, app, &on_kv("two", "hello")).await;
    put(store, app, &on_topic("on-topic", "t")).await;
    store.kv_for(app, set("a", "1"), &narrow(3)).await.unwrap();
    // Of two deliveries there is room for one.
    for request in [set("b", "1"), set("a", "2"), delete("a"), incr("a", 1), incr("n", 1)] {
        let refused = store.kv_for(app, request.clone(), &narrow(3)).await;
        assert!(matches!(refused, Err(StoreError::Backlog { waiting: 2, limit: 3 })), "{request:?}: {refused:?}");
    }
    let both = AtomicRequest {
        writes: vec![AtomicWrite::Set {
            collection: "unheard".to_owned(),
            key: "b".to_owned(),
            value: b"1".to_vec(),
            ttl_ms: None,
        }],
        publishes: vec![publish("t", "1"), publish("t", "2")],
        ..AtomicRequest::default()
    };
    assert!(store.kv_for(app, KvRequest::Atomic(both), &narrow(3)).await.is_err());
    assert_eq!(store.kv_collections(app, NOW).await.unwrap().len(), 1);
    assert!(!key_is_there(store, app, "b").await && key_is_there(store, app, "a").await);
    assert_eq!(store.queued(app).await.unwrap().deliveries, 2);
    assert_eq!(store.kv(app, incr("a", 1), NOW).await.unwrap(), KvReply::Number(2), "and it was not counted");
    assert_eq!(store.queued(app).await.unwrap().deliveries, 4);
}

pub(crate) async fn a_publish_reaches_every_trigger_whose_topic_matches(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    for (name, topic) in [("exact", "orders/new"), ("one", "orders/+"), ("rest", "orders/#"), ("other", "bills")] {
        put(store, app, &on_topic(name, topic)).await;
    }
    let published = store.publish(app, publish("orders/new", r#"{"n":1}"#), &cause()).await.unwrap();
    let event_id = published.event.unwrap();
    assert_eq!(published.deliveries, 3);
    let heard = events(store, NOW).await;
    let names: Vec<&str> = heard.iter().map(|event| event["trigger"].as_str().unwrap()).collect();
    assert_eq!(names, ["exact", "one", "rest"]);
    for event in heard {
        assert_eq!((&event["topic"], &event["value"]), (&json!("orders/new"), &json!({"n": 1})));
        assert_eq!((&event["id"], &event["kind"]), (&json!(event_id), &json!("pubsub")));
    }
    let unheard = store.publish(app, publish("nobody", "1"), &cause()).await.unwrap();
    assert_eq!((unheard.event.is_some(), unheard.deliveries), (true, 0));

    let later = Publish { delay_ms: 500, ..publish("bills", "1") };
    store.publish(app, later, &cause()).await.unwrap();
    assert_eq!([events(store, NOW + 499).await.len(), events(store, NOW + 500).await.len()], [0, 1]);
}

pub(crate) async fn a_dedup_key_makes_a_second_publish_none(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_topic("a", "a")).await;
    put(store, app, &on_topic("b", "b")).await;
    let once = |topic: &str| Publish { dedup_key: Some("k".to_owned()), ..publish(topic, "1") };
    let at = |after_ms: i64| Cause { at: NOW + after_ms, ..cause() };
    for (topic, after_ms, deliveries) in [
        ("a", 0, 1),
        ("a", 0, 0),
        ("b", 0, 1),
        ("a", DEDUP_WINDOW_MS - 1, 0),
        ("a", DEDUP_WINDOW_MS, 1),
        ("a", DEDUP_WINDOW_MS + 1, 0),
    ] {
        let published = store.publish(app, once(topic), &at(after_ms)).await.unwrap();
        assert_eq!(published.deliveries, deliveries, "{topic} after {after_ms}");
        assert_eq!(published.event.is_some(), deliveries > 0, "{topic} after {after_ms}");
    }
    let refused =
        store.publish(app, Publish { dedup_key: Some("new".to_owned()), ..publish("a", "1") }, &narrow(0)).await;
    assert!(matches!(refused, Err(StoreError::Backlog { .. })));
    let again = store.publish(app, Publish { dedup_key: Some("new".to_owned()), ..publish("a", "1") }, &cause()).await;
    assert_eq!(again.unwrap().deliveries, 1, "what was refused was not published");
    assert_eq!(store.expire_events(NOW + DEDUP_WINDOW_MS, 10).await.unwrap(), 2, "of `b`, and the one above");
}

pub(crate) async fn an_atomic_change_checks_all_then_does_all(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    put(store, app, &on_topic("on-t", "t")).await;
    let KvReply::Set(Some(version)) = store.kv(app, set("a", "1"), NOW).await.unwrap() else { panic!("it is set") };
    events(store, NOW).await;
    let write = |key: &str, ttl_ms| AtomicWrite::Set {
        collection: "c".to_owned(),
        key: key.to_owned(),
        value: b"7".to_vec(),
        ttl_ms,
    };
    let check = |key: &str, version| AtomicCheck { collection: "c".to_owned(), key: key.to_owned(), version };
    let all = |checks: Vec<AtomicCheck>| {
        let delete = AtomicWrite::Delete { collection: "c".to_owned(), key: "a".to_owned() };
        let writes = vec![write("x", None), delete, write("x", Some(10))];
        KvRequest::Atomic(AtomicRequest { checks, writes, publishes: vec![publish("t", "3")] })
    };
    for unmet in [vec![check("a", None)], vec![check("a", Some(version)), check("x", Some(1))]] {
        assert_eq!(store.kv_for(app, all(unmet), &cause()).await.unwrap(), KvReply::Atomic(None));
    }
    assert!(events(store, NOW).await.is_empty() && !key_is_there(store, app, "x").await);

    let done = store.kv_for(app, all(vec![check("a", Some(version)), check("x", None)]), &cause()).await.unwrap();
    let KvReply::Atomic(Some(versions)) = done else { panic!("it was done, not {done:?}") };
    assert!(version < versions[0] && versions[0] < versions[1] && versions.len() == 2, "{versions:?}");
    let told: Vec<String> = events(store, NOW)
        .await
        .iter()
        .map(|event| format!("{} {} {}", event["trigger"], event["op"], event["key"]))
        .collect();
    assert_eq!(
        told,
        [r#""on-c" "insert" "x""#, r#""on-c" "delete" "a""#, r#""on-c" "update" "x""#, r#""on-t" null null"#,]
    );
    assert!(key_is_there(store, app, "x").await && !key_is_there(store, app, "a").await);
}

/// More versions in one change than are reserved for one.
pub(crate) async fn many_writes_at_once_have_versions_of_their_own(store: Arc<dyn Store>) {
    let store = &*store;
    let app = make_app(store, "kitchen").await.id;
    let mut last = 0;
    for _round in 0..25 {
        let writes = (0..100).map(|key| AtomicWrite::Set {
            collection: "c".to_owned(),
            key: format!("{key}"),
            value: b"1".to_vec(),
            ttl_ms: None,
        });
        let parts = AtomicRequest { writes: writes.collect(), ..AtomicRequest::default() };
        let done = store.kv(app, KvRequest::Atomic(parts), NOW).await.unwrap();
        let KvReply::Atomic(Some(versions)) = done else { panic!("it was done, not {done:?}") };
        assert!(versions[0] > last && versions.is_sorted(), "{versions:?} after {last}");
        last = versions[99];
    }
}

fn timer(number: u128, script: &str, due_at: i64) -> NewTimer {
    let id = TimerId(uuid::Uuid::from_u128(number));
    NewTimer { id, script: script.to_owned(), due_at, value: br#"{"n":1}"#.to_vec() }
}

pub(crate) async fn a_timer_fires_at_its_time_unless_it_is_cancelled(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let garden = make_app(store, "garden").await.id;
    let refused = store.set_timer(app, timer(9, "nowhere", NOW), &cause()).await;
    assert_eq!(in_the_way(refused), ["a timer"]);
    for (number, after_ms) in [(1, 30), (2, 10), (3, 20), (4, -5)] {
        store.set_timer(app, timer(number, "other", NOW + after_ms), &cause()).await.unwrap();
    }
    let first = PageRequest { limit: Some(3), cursor: None };
    let page = store.timers(app, &first).await.unwrap();
    let rest = store.timers(app, &PageRequest { limit: Some(3), cursor: page.cursor.clone() }).await.unwrap();
    let due: Vec<(u128, i64)> =
        page.items.iter().chain(&rest.items).map(|timer| (timer.id.0.as_u128(), timer.due_at - NOW)).collect();
    assert_eq!(due, [(4, 0), (2, 10), (3, 20), (1, 30)], "what is over is due now");
    assert_eq!((page.items[0].script.as_str(), page.items[0].attempts), ("other", 0));

    let cancel = |app, number| store.cancel_timer(app, TimerId(uuid::Uuid::from_u128(number)));
    assert!(!cancel(garden, 3).await.unwrap(), "another app's");
    assert!(cancel(app, 3).await.unwrap());
    assert!(!cancel(app, 3).await.unwrap());
    let fired = claimed(store, NOW + 10).await;
    assert_eq!(fired.len(), 2);
    assert!(fired.iter().all(|one| one.script == "other" && one.trigger.is_none()));
    assert_eq!(fired[0].event.kind, EventKind::Timer);
    let body: Value = serde_json::from_slice(&fired[0].event.body).unwrap();
    assert_eq!(body["value"], json!({"n": 1}));
    assert!(!cancel(app, 2).await.unwrap(), "it is under way");
    assert_eq!(store.queued(app).await.unwrap().deliveries, 3);

    // A script may set its own next run for ever, unless it goes round at once.
    let deepest = Cause { depth: cause().depth_max, ..cause() };
    store.set_timer(app, timer(5, "hello", NOW + 1_000), &deepest).await.unwrap();
    let one = claimed(store, NOW + 1_000).await.into_iter().find(|one| one.script == "hello").unwrap();
    assert_eq!((one.event.depth, one.event.root_id), (1, deepest.root_id));
    super::deliveries::done(store, one.id).await;
    store.set_timer(app, timer(6, "hello", NOW + 999), &deepest).await.unwrap();
    assert_eq!(store.queued(app).await.unwrap().dead_letters, 1, "a loop");

    store.delete_script(app, "other", None, false, &act()).await.unwrap();
    assert_eq!(store.queued(app).await.unwrap().deliveries, 0, "they go with the script");
    let entries = super::audit::entries(store).await;
    assert_eq!(entries.last().unwrap().before.as_ref().unwrap()["timers_deleted"], 3);
}

pub(crate) fn request(number: u128, key: Option<&str>) -> NewAsyncRequest {
    NewAsyncRequest {
        id: AsyncRequestId(uuid::Uuid::from_u128(number)),
        script: "hello".to_owned(),
        route: "/rooms/{room}".to_owned(),
        params: vec![("room".to_owned(), "attic".to_owned())],
        remote_addr: "192.0.2.1".to_owned(),
        principal: None,
        request: RunHttp {
            method: "POST".to_owned(),
            path: "/rooms/attic?x=1".to_owned(),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: vec![0, 255, 7],
        },
        idempotency_key: key.map(str::to_owned),
    }
}

pub(crate) async fn a_request_is_taken_once_for_each_idempotency_key(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let garden = make_app(store, "garden").await.id;
    store.save_script(garden, &endpoint("hello", "1"), None, &act()).await.unwrap();
    let (same, other) = (ContentHash::of(b"same"), ContentHash::of(b"other"));
    let id = |number| AsyncRequestId(uuid::Uuid::from_u128(number));
    for (app, number, key, hash, wanted) in [
        (app, 1, Some("k"), same, Accepted::New(id(1))),
        (app, 2, Some("k"), same, Accepted::Known(id(1))),
        (app, 3, Some("k"), other, Accepted::KeyTaken),
        (garden, 4, Some("k"), other, Accepted::New(id(4))),
        (app, 5, None, same, Accepted::New(id(5))),
        (app, 6, None, same, Accepted::New(id(6))),
    ] {
        assert_eq!(store.accept(app, request(number, key), hash, &cause()).await.unwrap(), wanted, "{number}");
    }
    let state = store.async_state(id(1), NOW).await.unwrap().unwrap();
    assert_eq!((state.created_at, state.attempts, state.answer), (NOW, 0, None));
    assert_eq!(store.async_state(id(2), NOW).await.unwrap(), None);
    let deliveries = claimed(store, NOW).await;
    assert_eq!(deliveries.len(), 4);
    let first = deliveries.iter().find(|one| one.app == app).unwrap();
    assert_eq!((first.event.kind, first.script.as_str()), (EventKind::Request, "hello"));
    let kept: NewAsyncRequest = serde_json::from_slice(&first.event.body).unwrap();
    assert_eq!((kept.request.body, kept.params), (vec![0, 255, 7], request(1, None).params));
    let nowhere = NewAsyncRequest { script: "nowhere".to_owned(), ..request(7, Some("new")) };
    assert!(store.accept(app, nowhere, same, &cause()).await.is_err());
    assert_eq!(store.accept(app, request(8, Some("new")), same, &cause()).await.unwrap(), Accepted::New(id(8)));
}

pub(crate) async fn what_is_done_by_hand_is_heard_as_well(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    for key in ["a", "b"] {
        store.kv_by_hand(app, set(key, "1"), &act()).await.unwrap();
    }
    store.kv_by_hand(app, delete("a"), &act()).await.unwrap();
    store.kv_by_hand(app, incr("n", 1), &act()).await.unwrap();
    assert_eq!(store.delete_collection(app, "c", &act()).await.unwrap(), 2);
    let told: Vec<String> =
        events(store, NOW).await.iter().map(|event| format!("{} {}", event["op"], event["key"])).collect();
    let wanted = ["insert a", "insert b", "delete a", "insert n", "delete b", "delete n"];
    assert_eq!(told, wanted.map(|one| format!("{:?} {:?}", &one[..6], &one[7..])));
}

pub(crate) async fn an_event_knows_where_it_came_from(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    let root_id = ExecutionId(uuid::Uuid::from_u128(5));
    let hop = Hop { execution_id: root_id, script: "hello".to_owned(), version: 2, cause: "GET /".to_owned() };
    let deep = Cause { root_id, depth: 3, depth_max: 4, chain: Arc::new([hop.clone()]), ..cause() };
    store.kv_for(app, set("a", "1"), &deep).await.unwrap();
    let deliveries = claimed(store, NOW).await;
    let [one] = &deliveries[..] else { panic!("one delivery, not {deliveries:?}") };
    assert_eq!((one.event.root_id, one.event.depth, &one.event.chain[..]), (root_id, 4, &[hop][..]));
    assert_eq!((one.attempt, one.version, one.app), (1, None, app));
}
