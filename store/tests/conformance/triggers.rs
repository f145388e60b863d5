//! Cases of `Triggers`: what they say, where they lead, and what becomes of their queues.

use super::kv::set;
use super::*;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::Delivery;
use picloud_model::event::EventKind;
use picloud_model::ids::AppId;
use picloud_model::page::PageRequest;
use picloud_model::trigger::{Trigger, TriggerKind, TriggerSpec};
use picloud_store::{AppChange, TriggerWrite};
use std::sync::Arc;

/// A trigger on the keys of collection `c`.
pub(crate) fn on_kv(name: &str, script: &str) -> TriggerWrite {
    let collection = Some("c".to_owned());
    TriggerWrite { spec: TriggerSpec { collection, ..TriggerSpec::new(name, TriggerKind::Kv, script) }, next_at: None }
}

pub(crate) fn on_schedule(name: &str, schedule: &str, next_at: UnixMs) -> TriggerWrite {
    let schedule = Some(schedule.to_owned());
    let spec = TriggerSpec { schedule, ..TriggerSpec::new(name, TriggerKind::Cron, "hello") };
    TriggerWrite { spec, next_at: Some(next_at) }
}

/// An app with the endpoints `hello` and `other`.
pub(crate) async fn app_with_scripts(store: &dyn Store) -> AppId {
    let app = make_app(store, "kitchen").await.id;
    for name in ["hello", "other"] {
        store.save_script(app, &endpoint(name, "1"), None, &act()).await.unwrap();
    }
    app
}

pub(crate) async fn put(store: &dyn Store, app: AppId, trigger: &TriggerWrite) -> Trigger {
    store.put_trigger(app, trigger, None, &act()).await.unwrap()
}

/// Everything that may be run at a time; nobody else gets it.
pub(crate) async fn claimed(store: &dyn Store, now: UnixMs) -> Vec<Delivery> {
    store.claim_deliveries(1_000, now).await.unwrap().deliveries
}

async fn named(store: &dyn Store, app: AppId, name: &str) -> Trigger {
    store.trigger(app, name).await.unwrap().unwrap()
}

async fn revision(store: &dyn Store) -> i64 {
    store.app("kitchen").await.unwrap().unwrap().revision
}

pub(crate) async fn a_trigger_counts_its_changes_and_its_queue_goes_where_it_leads(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let before = revision(store).await;
    let made = put(store, app, &on_kv("on-c", "hello")).await;
    assert_eq!((made.version, made.queued, made.paused.clone(), made.created_at), (1, 0, None, NOW));
    assert_eq!(put(store, app, &on_kv("on-c", "hello")).await, made, "the same again is no change");
    assert_eq!(revision(store).await, before + 1);
    let twice = store.put_trigger(app, &on_kv("on-c", "hello"), Some(0), &act()).await;
    assert_eq!(stale(twice), (0, 1));
    store.kv(app, set("a", "1"), NOW).await.unwrap();
    assert_eq!(named(store, app, "on-c").await.queued, 1);

    let turned = store.put_trigger(app, &on_kv("on-c", "other"), Some(1), &act_at(NOW + 5)).await.unwrap();
    assert_eq!((turned.id, turned.version, turned.queued), (made.id, 2, 1));
    assert_eq!((turned.created_at, turned.updated_at), (NOW, NOW + 5));
    store.delete_script(app, "hello", None, false, &act()).await.unwrap();
    let deliveries = claimed(store, NOW).await;
    let [one] = &deliveries[..] else { panic!("one delivery, not {deliveries:?}") };
    assert_eq!((one.script.as_str(), one.trigger.clone()), ("other", Some((made.id, "on-c".to_owned()))));
}

pub(crate) async fn a_trigger_leads_to_an_endpoint_of_its_own_app(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let garden = make_app(store, "garden").await.id;
    store.save_script(garden, &endpoint("theirs", "1"), None, &act()).await.unwrap();
    store.save_script(app, &module("units", "fn a() {}"), None, &act()).await.unwrap();
    let before = revision(store).await;
    for script in ["nowhere", "units", "theirs"] {
        let refused = store.put_trigger(app, &on_kv("on-c", script), None, &act()).await;
        assert_eq!(in_the_way(refused), ["trigger `on-c`"], "{script}");
    }
    assert_eq!((store.trigger(app, "on-c").await.unwrap(), revision(store).await), (None, before));
}

pub(crate) async fn triggers_are_listed_in_their_order_page_by_page(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    for name in ["c", "a", "b"] {
        put(store, app, &on_kv(name, "hello")).await;
    }
    let first = PageRequest { limit: Some(2), cursor: None };
    let page = store.triggers(app, &first).await.unwrap();
    let rest = PageRequest { limit: Some(2), cursor: page.cursor.clone() };
    let rest = store.triggers(app, &rest).await.unwrap();
    let names: Vec<String> = page.items.into_iter().chain(rest.items).map(|trigger| trigger.spec.name).collect();
    assert_eq!((names.join(" "), rest.cursor), ("c a b".to_owned(), None));
}

pub(crate) async fn a_deleted_trigger_takes_its_queue_along_and_says_how_much(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let first = put(store, app, &on_kv("on-c", "hello")).await;
    put(store, app, &on_kv("stays", "hello")).await;
    for key in ["a", "b", "c"] {
        store.kv(app, set(key, "1"), NOW).await.unwrap();
    }
    assert_eq!(stale(store.delete_trigger(app, "on-c", Some(7), &act()).await), (7, 1));
    assert!(store.delete_trigger(app, "on-c", Some(1), &act()).await.unwrap());
    assert!(!store.delete_trigger(app, "on-c", None, &act()).await.unwrap());
    let entries = super::audit::entries(store).await;
    let last = entries.last().unwrap();
    assert_eq!((last.action.as_str(), &last.before.as_ref().unwrap()["queued"]), ("trigger.delete", &3.into()));
    assert_eq!(store.queued(app).await.unwrap().deliveries, 3, "those of the other trigger");
    assert!(claimed(store, NOW).await.iter().all(|one| one.trigger.as_ref().unwrap().1 == "stays"));
    store.kv(app, set("d", "1"), NOW).await.unwrap();
    assert_eq!(claimed(store, NOW).await.len(), 1, "nobody else hears of it");
    let again = put(store, app, &on_kv("on-c", "hello")).await;
    assert!(again.id > first.id, "an id is not given out twice");
}

pub(crate) async fn a_paused_trigger_queues_and_runs_only_what_is_fired_by_hand(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    let paused = store.pause_trigger(app, "on-c", Some("holiday"), &act_at(NOW + 1)).await.unwrap().unwrap();
    let state = paused.paused.clone().unwrap();
    assert_eq!((state.since, state.reason.as_str(), paused.version), (NOW + 1, "holiday", 1));
    let again = store.pause_trigger(app, "on-c", Some("other"), &act_at(NOW + 2)).await.unwrap().unwrap();
    assert_eq!(again.paused, Some(state), "who came first");
    store.kv(app, set("a", "1"), NOW + 2).await.unwrap();
    assert!(claimed(store, NOW + 3).await.is_empty());

    let id = store.fire_trigger(app, "on-c", br#"{"key":"k"}"#, &act_at(NOW + 3)).await.unwrap().unwrap();
    let fired = claimed(store, NOW + 3).await;
    let [fired] = &fired[..] else { panic!("one delivery, not {fired:?}") };
    let event: serde_json::Value = serde_json::from_slice(&fired.event.to_json(Some("on-c"), 1)).unwrap();
    assert_eq!((fired.event.id, fired.event.kind, &event["key"]), (id, EventKind::Kv, &"k".into()));
    assert_eq!((&event["manual"], fired.trigger.as_ref().unwrap().1.as_str()), (&true.into(), "on-c"));
    assert_eq!(store.fire_trigger(app, "nowhere", b"{}", &act()).await.unwrap(), None);

    let resumed = store.pause_trigger(app, "on-c", None, &act()).await.unwrap().unwrap();
    assert_eq!((resumed.paused, resumed.queued), (None, 1));
    assert_eq!(claimed(store, NOW + 3).await.len(), 1);
    assert!(store.pause_trigger(app, "nowhere", None, &act()).await.unwrap().is_none());
}

pub(crate) async fn a_schedule_keeps_its_time_until_it_changes(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    assert_eq!(put(store, app, &on_schedule("nightly", "@daily", NOW + 10)).await.next_at, Some(NOW + 10));
    let mut elsewhere = on_schedule("nightly", "@daily", NOW + 20);
    elsewhere.spec.script = "other".to_owned();
    assert_eq!(put(store, app, &elsewhere).await.next_at, Some(NOW + 10));
    elsewhere.spec.timezone = Some("Europe/Berlin".to_owned());
    assert_eq!(put(store, app, &elsewhere).await.next_at, Some(NOW + 20));
    assert_eq!(put(store, app, &on_schedule("nightly", "@hourly", NOW + 30)).await.next_at, Some(NOW + 30));
}

/// Names with ids, in order.
async fn shown(store: &dyn Store, app: AppId) -> Vec<(String, i64)> {
    let triggers = store.app_state(app).await.unwrap().unwrap().triggers;
    triggers.into_iter().map(|trigger| (trigger.spec.name, trigger.id.0)).collect()
}

fn with_triggers(expected: Option<i64>, triggers: &[TriggerWrite]) -> DeployWrite {
    let mut deploy = deploy_of("kitchen");
    deploy.expected = expected;
    deploy.scripts = vec![endpoint("hello", "1"), endpoint("other", "1"), module("units", "fn a() {}")];
    deploy.triggers = triggers.to_vec();
    deploy
}

pub(crate) async fn a_deploy_makes_the_triggers_exactly_these(store: Arc<dyn Store>) {
    let store = &*store;
    let [a, b, c] = ["a", "b", "c"].map(|name| on_kv(name, "hello"));
    let app = store.deploy(with_triggers(None, &[a.clone(), b.clone()]), &act()).await.unwrap().id;
    let before = shown(store, app).await;
    assert_eq!(before.iter().map(|(name, _id)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    store.pause_trigger(app, "b", Some("holiday"), &act()).await.unwrap();
    store.kv(app, set("k", "1"), NOW).await.unwrap();
    let again = store.deploy(with_triggers(Some(1), &[a.clone(), b.clone()]), &act()).await.unwrap();
    assert_eq!(again.revision, 1, "the same again is no change");

    let mut other_b = b.clone();
    other_b.spec.script = "other".to_owned();
    store.deploy(with_triggers(Some(1), &[c.clone(), other_b]), &act()).await.unwrap();
    let after = shown(store, app).await;
    assert_eq!((after[0].0.as_str(), &after[1]), ("c", &before[1]), "`b` is the same one still");
    let kept = named(store, app, "b").await;
    assert_eq!((kept.queued, kept.version, kept.paused.is_some()), (1, 2, true));
    let entries = super::audit::entries(store).await;
    let noted = entries.last().unwrap().after.as_ref().unwrap();
    assert_eq!(noted["triggers_deleted"], serde_json::json!(["a with 1 queued"]));
    assert_eq!(noted["triggers_saved"], serde_json::json!(["c", "b"]));

    for (what, bad) in
        [("to nothing", on_kv("d", "nowhere")), ("to a module", on_kv("d", "units")), ("twice", c.clone())]
    {
        let refused = store.deploy(with_triggers(Some(2), &[c.clone(), bad.clone()]), &act()).await;
        assert_eq!(in_the_way(refused), [format!("trigger `{}`", bad.spec.name)], "{what}");
        assert_eq!(shown(store, app).await, after, "{what}");
    }
    let reversed = store.deploy(with_triggers(Some(2), &[b, c]), &act()).await.unwrap();
    assert_eq!((reversed.revision, shown(store, app).await[0].0.as_str()), (3, "b"));
}

pub(crate) async fn a_script_that_a_trigger_leads_to_stays_what_it_is(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    store.kv(app, set("a", "1"), NOW).await.unwrap();
    assert_eq!(in_the_way(store.delete_script(app, "hello", None, false, &act()).await), ["trigger `on-c`"]);
    let turned = module("hello", "fn a() {}");
    assert_eq!(in_the_way(store.save_script(app, &turned, None, &act()).await), ["trigger `on-c`"]);
    let change = AppChange {
        expected: revision(store).await,
        scripts: vec![turned],
        routes: None,
        triggers: None,
        action: "script.rollback",
        target: "hello".to_owned(),
    };
    assert_eq!(in_the_way(store.change_app(app, change, &act()).await), ["trigger `on-c`"]);

    assert!(store.delete_script(app, "hello", None, true, &act()).await.unwrap());
    assert_eq!(store.trigger(app, "on-c").await.unwrap(), None);
    let entries = super::audit::entries(store).await;
    let before = entries.last().unwrap().before.as_ref().unwrap();
    assert_eq!(before["in_use_by"], serde_json::json!(["trigger `on-c`"]));
    assert_eq!(before["triggers_deleted"], serde_json::json!(["on-c with 1 queued"]));
    store.kv(app, set("a", "2"), NOW).await.unwrap();
    assert_eq!(store.queued(app).await.unwrap().deliveries, 0);
}

pub(crate) async fn a_version_knows_the_triggers_it_was_live_with(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("first", "hello")).await;
    put(store, app, &on_kv("elsewhere", "other")).await;
    let hello = store.save_script(app, &endpoint("hello", "2"), None, &act()).await.unwrap().id;
    put(store, app, &on_kv("second", "hello")).await;
    let mut names = Vec::new();
    for version in [1, 2] {
        let context = store.version_context(hello, version).await.unwrap().unwrap();
        names.push(context.triggers.into_iter().map(|spec| spec.name).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(names, ["first", "first second"], "as it was when replaced, and as it is");
}

/// What was taken back is in nobody's memory either.
pub(crate) async fn a_change_that_fails_leaves_the_triggers_as_they_were(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    store.save_script(app, &module("units", "fn a() {}"), None, &act()).await.unwrap();
    store.save_script(app, &importing(endpoint("other", "2"), &["units"]), None, &act()).await.unwrap();
    put(store, app, &on_kv("old", "hello")).await;
    store.kv(app, set("a", "1"), NOW).await.unwrap();
    let change = AppChange {
        expected: revision(store).await,
        scripts: vec![endpoint("units", "3")],
        routes: None,
        triggers: Some(vec![on_kv("new", "hello")]),
        action: "script.rollback",
        target: "units".to_owned(),
    };
    assert_eq!(in_the_way(store.change_app(app, change, &act()).await), ["endpoint `other`"]);
    store.kv(app, set("a", "2"), NOW).await.unwrap();
    let deliveries = claimed(store, NOW).await;
    let names: Vec<&str> = deliveries.iter().map(|one| one.trigger.as_ref().unwrap().1.as_str()).collect();
    assert_eq!(names, ["old", "old"]);
}

pub(crate) async fn a_deleted_app_takes_triggers_and_queue_along(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    put(store, app, &on_schedule("nightly", "@daily", NOW)).await;
    store.kv(app, set("a", "1"), NOW).await.unwrap();
    assert!(store.delete_app(app, None, &act()).await.unwrap());
    assert!(claimed(store, NOW + 1).await.is_empty());
    assert!(store.schedules().await.unwrap().is_empty());
    assert_eq!(store.queued(app).await.unwrap().deliveries, 0);
}
