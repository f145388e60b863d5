//! Cases of `DeadLetters`: how a delivery becomes one, what comes of it, and how it is sent again or goes.

use super::deliveries::{done, end, failed, keys};
use super::kv::set;
use super::triggers::{app_with_scripts, claimed, on_kv, put};
use super::*;
use picloud_model::audit::AuditQuery;
use picloud_model::dead_letter::{ATTEMPTS_KEPT_MAX, DeadLetter, DeadLetterQuery, LettersKept, RetryInput};
use picloud_model::delivery::{Attempt, Delivery, DeliveryEnd};
use picloud_model::event::{Cause, EventKind, Hop};
use picloud_model::ids::{AppId, DeadLetterId, ExecutionId, TimerId};
use picloud_model::limits::Limits;
use picloud_model::problem::Code;
use picloud_model::timer::NewTimer;
use picloud_model::trigger::{TriggerKind, TriggerSpec};
use picloud_store::TriggerWrite;
use serde_json::json;
use std::sync::Arc;

fn on_letters(name: &str, of: Option<&str>) -> TriggerWrite {
    let trigger = of.map(str::to_owned);
    let spec = TriggerSpec { trigger, ..TriggerSpec::new(name, TriggerKind::DeadLetter, "other") };
    TriggerWrite { spec, next_at: None }
}

async fn letters(store: &dyn Store, app: AppId) -> Vec<DeadLetter> {
    store.dead_letters(app, &DeadLetterQuery::default()).await.unwrap().items
}

async fn kill(store: &dyn Store, one: &Delivery) -> DeadLetterId {
    end(store, one.id, DeliveryEnd::Dead(failed(one, "no"))).await.dead_letter.unwrap()
}

/// A delivery of each key that has died.
async fn dead(store: &dyn Store, app: AppId, keys: &[&str]) -> Vec<DeadLetterId> {
    let mut dead = Vec::new();
    for key in keys {
        store.kv(app, set(key, "1"), NOW).await.unwrap();
        dead.push(kill(store, &claimed(store, NOW).await.remove(0)).await);
    }
    dead
}

async fn entries(store: &dyn Store, action: &str) -> Vec<serde_json::Value> {
    let query = AuditQuery { action: Some(action.to_owned()), ..AuditQuery::default() };
    let entries = store.audit(&query).await.unwrap().items;
    entries.into_iter().map(|entry| json!([entry.target, entry.before, entry.after])).collect()
}

pub(crate) async fn a_dead_letter_keeps_the_event_and_every_attempt(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    store.kv(app, set("a", r#"{"n":1}"#), NOW).await.unwrap();
    let mut one = claimed(store, NOW).await.remove(0);
    for _attempt in 0..ATTEMPTS_KEPT_MAX + 1 {
        // A trigger of many attempts; how many are kept is not for it to say.
        let attempt = failed(&one, &format!("no {}", one.attempt));
        end(store, one.id, DeliveryEnd::Retry { attempt, due_at: NOW }).await;
        let claim = store.claim_deliveries(8, NOW).await.unwrap().deliveries;
        match claim.into_iter().next() {
            Some(again) => one = again,
            None => break,
        }
    }
    let id = letters(store, app).await[0].id;
    let detail = store.dead_letter(app, id).await.unwrap().unwrap();
    assert_eq!((detail.letter.attempts, detail.tried.len()), (5, 5), "as often as the trigger says");
    assert_eq!(detail.tried[4].error.detail, "no 5");
    assert_eq!((&detail.event["key"], &detail.event["value"]["n"]), (&json!("a"), &json!(1)));
    assert_eq!((&detail.event["attempt"], &detail.event["trigger"]), (&json!(5), &json!("on-c")));
    let letter = &detail.letter;
    assert_eq!((letter.trigger.as_deref(), letter.script.as_str(), letter.version), (Some("on-c"), "hello", 1));
    assert_eq!((letter.event_id, letter.first_at, letter.last_at), (one.event.id, NOW, NOW));
    assert!(!letter.is_final && detail.trigger_depth == 1 && detail.root_execution_id == one.event.root_id);
    let queued = store.queued(app).await.unwrap();
    assert_eq!((queued.deliveries, queued.dead_letters), (0, 1));
    let garden = make_app(store, "garden").await.id;
    assert!(store.dead_letter(garden, id).await.unwrap().is_none(), "it is of its app alone");
    assert_eq!(letters(store, garden).await, []);
}

pub(crate) async fn those_who_listen_for_letters_get_one_event_each_and_a_letter_of_that_is_final(
    store: Arc<dyn Store>,
) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    put(store, app, &on_letters("all", None)).await;
    put(store, app, &on_letters("mine", Some("on-c"))).await;
    put(store, app, &on_letters("others", Some("nobody"))).await;
    store.kv(app, set("a", "1"), NOW).await.unwrap();
    let one = claimed(store, NOW).await.remove(0);
    let attempt = Attempt { execution_id: Some(ExecutionId::new()), ..failed(&one, "no") };
    let id = end(store, one.id, DeliveryEnd::Dead(attempt.clone())).await.dead_letter.unwrap();
    let told = claimed(store, NOW).await;
    let names: Vec<_> = told.iter().map(|one| one.trigger.as_ref().unwrap().1.as_str()).collect();
    assert_eq!(names, ["all", "mine"]);
    let event = &told[0].event;
    assert_eq!((event.kind, event.depth, event.root_id), (EventKind::DeadLetter, 2, one.event.root_id));
    assert_eq!(event.chain.last().unwrap().execution_id, attempt.execution_id.unwrap(), "the run that failed");
    let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
    let letter = body["letter"].as_object().unwrap();
    let fields: Vec<_> = letter.keys().map(String::as_str).collect();
    let mut fields = fields;
    fields.sort_unstable();
    let wanted = ["attempts", "error", "event", "first_at", "id", "last_at", "script", "trigger", "version"];
    assert_eq!(fields, wanted);
    assert_eq!((&letter["id"], &letter["event"]["key"]), (&json!(id), &json!("a")));
    assert_eq!(letter["error"]["code"], "script-error");

    kill(store, &told[0]).await;
    assert!(claimed(store, NOW).await.is_empty(), "nobody is told of that");
    assert_eq!(letters(store, app).await.iter().map(|one| one.is_final).collect::<Vec<_>>(), [true, false]);
    done(store, told[1].id).await;
}

pub(crate) async fn what_is_too_deep_is_a_dead_letter_at_once_and_shows_the_way(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    put(store, app, &on_letters("all", None)).await;
    let hop = |script: &str| Hop {
        execution_id: ExecutionId::new(),
        script: script.to_owned(),
        version: 1,
        cause: "request".to_owned(),
    };
    let limits = Limits::default();
    let depth_max = u32::try_from(limits.trigger_depth).unwrap();
    let cause = Cause { depth: depth_max, chain: Arc::new([hop("hello"), hop("other")]), ..Cause::first(NOW, &limits) };
    store.kv_for(app, set("a", "1"), &cause).await.unwrap();
    let letter = letters(store, app).await.remove(0);
    assert_eq!((letter.error.code, letter.error.status, letter.attempts), (Code::Loop, 508, 0));
    assert!(letter.error.detail.contains("hello → other → hello"), "{}", letter.error.detail);
    assert!(!letter.is_final);
    let told = claimed(store, NOW).await;
    assert_eq!((told.len(), told[0].event.kind, told[0].event.depth), (1, EventKind::DeadLetter, depth_max + 2));
    // What who is told of it does is too deep as well, and nobody is told of that.
    let cause = Cause { depth: depth_max + 2, ..cause };
    store.kv_for(app, set("b", "1"), &cause).await.unwrap();
    assert!(claimed(store, NOW).await.is_empty());
    assert!(letters(store, app).await[0].is_final);
}

pub(crate) async fn a_trigger_with_too_many_dead_letters_in_a_row_is_paused(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let mut careful = on_kv("on-c", "hello");
    careful.spec.pause_after = Some(2);
    put(store, app, &careful).await;
    let failures = async || store.trigger(app, "on-c").await.unwrap().unwrap().failures;
    dead(store, app, &["a"]).await;
    assert_eq!(failures().await, 1);
    store.kv(app, set("b", "1"), NOW).await.unwrap();
    done(store, claimed(store, NOW).await[0].id).await;
    assert_eq!(failures().await, 0, "one that is done ends the row");
    dead(store, app, &["c"]).await;
    store.kv(app, set("d", "1"), NOW).await.unwrap();
    let one = claimed(store, NOW).await.remove(0);
    // A run that never came back told no version.
    let lost = Attempt { version: 0, ..failed(&one, "gone") };
    let ended = end(store, one.id, DeliveryEnd::Dead(lost)).await;
    assert_eq!(ended.paused, Some(("on-c".to_owned(), 2)));
    assert_eq!(letters(store, app).await[0].version, 1, "the live one");
    let paused = store.trigger(app, "on-c").await.unwrap().unwrap().paused.unwrap();
    assert_eq!((paused.since, paused.reason.as_str()), (NOW, "2 dead letters in a row"));
    assert_eq!(entries(store, "trigger.pause").await.len(), 1);
    store.kv(app, set("e", "1"), NOW).await.unwrap();
    assert!(claimed(store, NOW).await.is_empty());
    store.pause_trigger(app, "on-c", None, &act()).await.unwrap();
    assert_eq!((keys(&claimed(store, NOW).await), failures().await), (vec!["e".to_owned()], 0));
}

pub(crate) async fn what_a_person_should_look_at_is_told_for_all_apps_at_once(store: Arc<dyn Store>) {
    let store = &*store;
    assert_eq!(store.letters_by_trigger(9).await.unwrap(), []);
    assert_eq!(store.triggers_that_paused(9).await.unwrap(), []);
    let app = app_with_scripts(store).await;
    let mut careful = on_kv("on-c", "hello");
    careful.spec.pause_after = Some(2);
    put(store, app, &careful).await;
    put(store, app, &on_kv("on-c-too", "other")).await;
    store.pause_trigger(app, "on-c-too", Some("holiday"), &act()).await.unwrap();
    let timer = NewTimer {
        id: TimerId(uuid::Uuid::from_u128(1)),
        script: "other".to_owned(),
        due_at: NOW,
        value: b"{}".to_vec(),
    };
    store.set_timer(app, timer, &Cause::first(NOW, &Limits::default())).await.unwrap();
    kill(store, &claimed(store, NOW).await.remove(0)).await;
    dead(store, app, &["a", "b"]).await;
    let garden = make_app(store, "garden").await.id;
    store.save_script(garden, &endpoint("hello", "1"), None, &act()).await.unwrap();
    put(store, garden, &on_kv("on-c", "hello")).await;
    dead(store, garden, &["c"]).await;
    let found = store.letters_by_trigger(9).await.unwrap();
    let shown: Vec<_> = found.iter().map(|of| (of.app, of.trigger.as_deref(), of.letters)).collect();
    assert_eq!(shown, [(garden, Some("on-c"), 1), (app, Some("on-c"), 2), (app, None, 1)]);
    assert_eq!((found[1].error.detail.as_str(), found[1].last_at), ("no", NOW));
    assert_eq!(store.letters_by_trigger(1).await.unwrap(), found[..1]);
    let paused = store.triggers_that_paused(9).await.unwrap();
    let shown: Vec<_> = paused.iter().map(|one| (one.app, one.trigger.as_str(), one.paused.reason.as_str())).collect();
    assert_eq!(shown, [(app, "on-c", "2 dead letters in a row")], "and none that a person paused");
    store.pause_trigger(app, "on-c", None, &act()).await.unwrap();
    assert_eq!(store.triggers_that_paused(9).await.unwrap(), []);
}

pub(crate) async fn one_is_sent_again_as_it_was_or_edited(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    let ids = dead(store, app, &["a", "b"]).await;
    let before = letters(store, app).await;
    let event = store.retry_dead_letter(app, ids[0], &RetryInput::default(), &act_at(NOW + 7)).await.unwrap().unwrap();
    let again = claimed(store, NOW + 7).await.remove(0);
    assert_eq!((again.event.id, again.event.at, again.attempt), (event, NOW, 1));
    assert_eq!((event, again.version), (before[1].event_id, None));
    assert_eq!(again.trigger.as_ref().unwrap().1, "on-c");
    done(store, again.id).await;
    assert!(store.dead_letter(app, ids[0]).await.unwrap().is_none());
    assert_eq!(store.retry_dead_letter(app, ids[0], &RetryInput::default(), &act()).await.unwrap(), None);

    let edit = RetryInput { event: Some(json!({ "value": "better", "id": "mine" })), version: Some(1) };
    store.retry_dead_letter(app, ids[1], &edit, &act()).await.unwrap().unwrap();
    let again = claimed(store, NOW).await.remove(0);
    let seen: serde_json::Value = serde_json::from_slice(&again.event.to_json(Some("on-c"), again.attempt)).unwrap();
    assert_eq!((&seen["value"], &seen["key"], &seen["id"]), (&json!("better"), &json!("b"), &json!(again.event.id)));
    assert_eq!(again.version, Some(1));
    // Newest first; which fields were edited, and nothing that they hold.
    let noted = entries(store, "dead_letter.retry").await;
    assert_eq!(noted.len(), 2);
    assert_eq!((&noted[0][2]["edited"], &noted[0][2]["version"]), (&json!(["value"]), &json!(1)));
    assert!(!noted[0].to_string().contains("better"));
}

pub(crate) async fn one_whose_script_or_version_is_gone_stays(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    let ids = dead(store, app, &["a", "b"]).await;
    let version = RetryInput { version: Some(9), ..RetryInput::default() };
    let gone = in_the_way(store.retry_dead_letter(app, ids[0], &version, &act()).await);
    assert_eq!(gone, ["version 9 of endpoint `hello`"]);
    // The trigger leads elsewhere now: there it goes.
    put(store, app, &on_kv("on-c", "other")).await;
    store.delete_script(app, "hello", None, false, &act()).await.unwrap();
    store.retry_dead_letter(app, ids[0], &RetryInput::default(), &act()).await.unwrap().unwrap();
    assert_eq!(claimed(store, NOW).await[0].script, "other");
    store.delete_trigger(app, "on-c", None, &act()).await.unwrap();
    let gone = in_the_way(store.retry_dead_letter(app, ids[1], &RetryInput::default(), &act()).await);
    assert_eq!(gone, ["endpoint `hello`"]);
    assert_eq!(store.retry_dead_letters(app, None, 10, &act()).await.unwrap(), 0);
    assert_eq!(letters(store, app).await.len(), 1);
}

pub(crate) async fn many_are_sent_again_oldest_first_and_noted_once(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    dead(store, app, &["a", "b", "c"]).await;
    assert_eq!(store.retry_dead_letters(app, Some("nobody"), 10, &act()).await.unwrap(), 0);
    assert_eq!(store.retry_dead_letters(app, Some("on-c"), 2, &act()).await.unwrap(), 2);
    assert_eq!(keys(&claimed(store, NOW).await), ["a", "b"]);
    assert_eq!(store.retry_dead_letters(app, None, 10, &act()).await.unwrap(), 1);
    assert_eq!(keys(&claimed(store, NOW).await), ["c"]);
    let noted = entries(store, "dead_letter.retry").await;
    assert_eq!(noted, [json!(["*", null, {"letters": 1}]), json!(["on-c", null, {"letters": 2}])]);
}

pub(crate) async fn letters_are_listed_newest_first_and_discarded(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    let ids = dead(store, app, &["a", "b", "c"]).await;
    for trigger in [None, Some("on-c".to_owned())] {
        let mut query = DeadLetterQuery { trigger, limit: Some(2), cursor: None };
        let page = store.dead_letters(app, &query).await.unwrap();
        assert_eq!(page.items.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
        query.cursor = page.cursor;
        let page = store.dead_letters(app, &query).await.unwrap();
        assert_eq!((page.items[0].id, page.items.len(), page.cursor), (ids[0], 1, None));
    }
    let other = DeadLetterQuery { trigger: Some("other".to_owned()), ..DeadLetterQuery::default() };
    assert_eq!(store.dead_letters(app, &other).await.unwrap().items, []);
    assert!(store.discard_dead_letter(app, ids[1], &act()).await.unwrap());
    assert!(!store.discard_dead_letter(app, ids[1], &act()).await.unwrap());
    assert_eq!(letters(store, app).await.len(), 2);
    assert_eq!(entries(store, "dead_letter.discard").await.len(), 1);
    assert_eq!(store.trigger(app, "on-c").await.unwrap().unwrap().dead_letters, 2);
}

pub(crate) async fn old_letters_and_too_many_go_with_their_number_noted(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    let ids = dead(store, app, &["a", "b", "c", "d"]).await;
    let kept = LettersKept { age_ms_max: 1_000, per_app_max: 2 };
    assert_eq!(store.expire_dead_letters(&kept, 1, &act()).await.unwrap(), 1);
    assert_eq!(store.expire_dead_letters(&kept, 10, &act()).await.unwrap(), 1);
    assert_eq!(store.expire_dead_letters(&kept, 10, &act()).await.unwrap(), 0, "two are kept");
    assert_eq!(letters(store, app).await.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[3], ids[2]]);
    assert_eq!(store.expire_dead_letters(&kept, 10, &act_at(NOW + 1_000)).await.unwrap(), 2);
    let noted = entries(store, "dead_letter.expire").await;
    assert_eq!(noted[0], json!(["*", {"letters": 2}, null]));
    assert_eq!(noted.len(), 3);
}
