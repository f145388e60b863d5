//! Cases of `Deliveries`: who gets which, in which order, how they end, and what is left then.

use super::kv::set;
use super::triggers::{app_with_scripts, claimed, on_kv, put};
use super::*;
use picloud_model::async_request::{AsyncAnswer, NewAsyncRequest};
use picloud_model::delivery::{Attempt, Delivery, DeliveryEnd, Ended};
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, AsyncRequestId, DeliveryId, TimerId};
use picloud_model::kv::KvRequest;
use picloud_model::limits::Limits;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::RunHttp;
use picloud_model::timer::NewTimer;
use picloud_model::trigger::{Retry, TriggerKind, TriggerSpec};
use picloud_store::TriggerWrite;
use std::sync::Arc;

/// An attempt that failed.
pub(crate) fn failed(one: &Delivery, why: &str) -> Attempt {
    Attempt {
        attempt: one.attempt,
        at: NOW,
        execution_id: None,
        version: 1,
        node: "pi".to_owned(),
        error: Problem::new(Code::ScriptError, why),
    }
}

pub(crate) async fn end(store: &dyn Store, id: DeliveryId, end: DeliveryEnd) -> Ended {
    store.end_delivery(id, end, NOW).await.unwrap()
}

pub(crate) async fn done(store: &dyn Store, id: DeliveryId) {
    assert_eq!(end(store, id, DeliveryEnd::Done(None)).await, Ended::default());
}

/// Which key each delivery is about.
pub(crate) fn keys(deliveries: &[Delivery]) -> Vec<String> {
    let key = |one: &Delivery| {
        let body: serde_json::Value = serde_json::from_slice(&one.event.body).unwrap();
        body["key"].as_str().unwrap_or_default().to_owned()
    };
    deliveries.iter().map(key).collect()
}

fn set_in(collection: &str, key: &str) -> KvRequest {
    match set(key, "1") {
        KvRequest::Set { key, value, ttl_ms, condition, .. } => {
            KvRequest::Set { collection: collection.to_owned(), key, value, ttl_ms, condition }
        }
        other => other,
    }
}

async fn write(store: &dyn Store, app: AppId, keys: &[&str]) {
    for key in keys {
        store.kv(app, set(key, "1"), NOW).await.unwrap();
    }
}

async fn queued(store: &dyn Store, app: AppId) -> i64 {
    store.queued(app).await.unwrap().deliveries
}

pub(crate) async fn what_is_claimed_is_nobody_elses_and_gone_when_it_is_done(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    write(store, app, &["a", "b", "c"]).await;
    let first = store.claim_deliveries(2, NOW).await.unwrap();
    assert_eq!(keys(&first.deliveries), ["a", "b"]);
    assert_eq!(first.next_due, Some(NOW), "there are more now");
    let one = &first.deliveries[0];
    assert_eq!((one.attempt, one.script.as_str(), one.version, one.retry), (1, "hello", None, Retry::default()));
    let rest = store.claim_deliveries(2, NOW).await.unwrap();
    assert_eq!((keys(&rest.deliveries), rest.next_due), (vec!["c".to_owned()], None));
    assert_eq!(queued(store, app).await, 3, "what is under way counts");
    for one in first.deliveries.iter().chain(&rest.deliveries) {
        done(store, one.id).await;
        done(store, one.id).await;
    }
    assert_eq!(queued(store, app).await, 0);
    assert!(claimed(store, NOW + 1_000_000).await.is_empty());
}

pub(crate) async fn a_failed_one_is_due_again_and_counts_its_attempts(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    write(store, app, &["a"]).await;
    let one = claimed(store, NOW).await.remove(0);
    let retry = DeliveryEnd::Retry { attempt: failed(&one, "no"), due_at: NOW + 500 };
    end(store, one.id, retry.clone()).await;
    end(store, one.id, retry).await;
    let early = store.claim_deliveries(8, NOW + 499).await.unwrap();
    assert!(early.deliveries.is_empty());
    assert_eq!(early.next_due, Some(NOW + 500));
    let again = claimed(store, NOW + 500).await.remove(0);
    assert_eq!((again.id, again.event.id, again.attempt), (one.id, one.event.id, 2));
    // Not run is no attempt, also where it was written down that one had begun.
    store.note_attempts(&[again.id]).await.unwrap();
    end(store, again.id, DeliveryEnd::NotRun { due_at: NOW + 900 }).await;
    let early = store.claim_deliveries(8, NOW + 899).await.unwrap();
    assert_eq!((early.deliveries.len(), early.next_due), (0, Some(NOW + 900)));
    assert_eq!(claimed(store, NOW + 900).await[0].attempt, 2);
}

pub(crate) async fn apps_and_triggers_take_turns(store: Arc<dyn Store>) {
    let store = &*store;
    let loud = app_with_scripts(store).await;
    put(store, loud, &on_kv("on-c", "hello")).await;
    let other = TriggerWrite {
        spec: TriggerSpec { collection: Some("d".to_owned()), ..TriggerSpec::new("on-d", TriggerKind::Kv, "other") },
        next_at: None,
    };
    put(store, loud, &other).await;
    let quiet = make_app(store, "quiet").await.id;
    store.save_script(quiet, &endpoint("hello", "1"), None, &act()).await.unwrap();
    put(store, quiet, &on_kv("on-c", "hello")).await;
    for key in 0..20 {
        store.kv(loud, set(&format!("c{key}"), "1"), NOW).await.unwrap();
    }
    store.kv(loud, set_in("d", "d"), NOW).await.unwrap();
    write(store, quiet, &["q1", "q2"]).await;
    let mut order = Vec::new();
    for _turn in 0..3 {
        order.extend(keys(&store.claim_deliveries(2, NOW).await.unwrap().deliveries));
    }
    assert_eq!(order, ["c0", "q1", "d", "q2", "c1", "c2"], "neither the app nor the trigger with much holds others up");
}

pub(crate) async fn a_trigger_runs_no_more_at_once_than_it_says(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let mut narrow = on_kv("on-c", "hello");
    narrow.spec.concurrency = Some(2);
    put(store, app, &narrow).await;
    write(store, app, &["a", "b", "c"]).await;
    let first = store.claim_deliveries(8, NOW).await.unwrap();
    assert_eq!((keys(&first.deliveries), first.next_due), (vec!["a".to_owned(), "b".to_owned()], None));
    assert!(claimed(store, NOW).await.is_empty());
    let mut signal = store.delivery_signal();
    signal.mark_unchanged();
    done(store, first.deliveries[0].id).await;
    assert!(signal.has_changed().unwrap(), "whoever waits hears that there is room");
    assert_eq!(keys(&claimed(store, NOW).await), ["c"]);
}

pub(crate) async fn one_key_is_one_after_the_other_in_order_and_keys_do_not_hold_each_other_up(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let mut ordered = on_kv("on-c", "hello");
    ordered.spec.ordering_key = Some("key".to_owned());
    put(store, app, &ordered).await;
    write(store, app, &["a", "a", "b", "a", "a"]).await;
    let first = claimed(store, NOW).await;
    assert_eq!(keys(&first), ["a", "b"]);
    let [a1, b] = &first[..] else { panic!("two keys") };
    done(store, b.id).await;
    // A retry that waits keeps its place.
    end(store, a1.id, DeliveryEnd::Retry { attempt: failed(a1, "no"), due_at: NOW + 50 }).await;
    assert!(claimed(store, NOW + 49).await.is_empty());
    let again = claimed(store, NOW + 50).await.remove(0);
    assert_eq!(again.id, a1.id);
    // A dead one does not.
    assert!(end(store, again.id, DeliveryEnd::Dead(failed(&again, "no"))).await.dead_letter.is_some());
    let a2 = claimed(store, NOW + 50).await.remove(0);
    done(store, a2.id).await;
    let a3 = claimed(store, NOW + 50).await.remove(0);
    end(store, a3.id, DeliveryEnd::NotRun { due_at: NOW + 60 }).await;
    assert!(claimed(store, NOW + 50).await.is_empty(), "the one behind it waits as well");
    assert_eq!(claimed(store, NOW + 60).await[0].id, a3.id);
    done(store, a3.id).await;
    let a4 = claimed(store, NOW + 60).await.remove(0);
    assert!(a1.id < a2.id && a2.id < a3.id && a3.id < a4.id);
}

pub(crate) async fn what_is_too_old_is_given_up_unrun(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let mut fresh = on_kv("on-c", "hello");
    fresh.spec.max_age_ms = Some(1_000);
    put(store, app, &fresh).await;
    write(store, app, &["a"]).await;
    store.kv(app, set("b", "1"), NOW + 500).await.unwrap();
    let claim = store.claim_deliveries(8, NOW + 1_000).await.unwrap();
    assert_eq!(keys(&claim.deliveries), ["b"]);
    let letters = store.dead_letters(app, &Default::default()).await.unwrap().items;
    assert_eq!((letters.len(), letters[0].error.code, letters[0].attempts), (1, Code::Deadline, 0));
    assert!(letters[0].error.detail.contains("max_age_ms"), "{}", letters[0].error.detail);
    assert_eq!(store.trigger(app, "on-c").await.unwrap().unwrap().failures, 0, "nothing was tried");
    assert_eq!(queued(store, app).await, 1);
}

pub(crate) async fn an_attempt_that_never_ends_counts(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let mut once = on_kv("on-c", "hello");
    once.spec.retry = Some(Retry { max_attempts: 1, ..Retry::default() });
    put(store, app, &once).await;
    write(store, app, &["a"]).await;
    let one = claimed(store, NOW).await.remove(0);
    store.note_attempts(&[one.id, DeliveryId(i64::MAX)]).await.unwrap();
    // It ends after all: counted once.
    end(store, one.id, DeliveryEnd::Retry { attempt: failed(&one, "no"), due_at: NOW }).await;
    assert!(claimed(store, NOW).await.is_empty(), "it has no further attempt");
    let letter = store.dead_letters(app, &Default::default()).await.unwrap().items.remove(0);
    assert_eq!((letter.attempts, letter.error.code), (1, Code::WorkerLost));
}

pub(crate) async fn a_timer_under_way_is_not_cancelled_and_one_that_was_not_run_is(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let id = TimerId::new();
    let timer = NewTimer { id, script: "hello".to_owned(), due_at: NOW + 10, value: b"1".to_vec() };
    store.set_timer(app, timer, &Cause::first(NOW, &Limits::default())).await.unwrap();
    assert_eq!(store.claim_deliveries(8, NOW).await.unwrap().next_due, Some(NOW + 10));
    let one = claimed(store, NOW + 10).await.remove(0);
    assert_eq!((one.trigger, one.script.as_str()), (None, "hello"));
    assert!(!store.cancel_timer(app, id).await.unwrap());
    end(store, one.id, DeliveryEnd::NotRun { due_at: NOW + 99 }).await;
    assert!(store.cancel_timer(app, id).await.unwrap());
    assert!(claimed(store, NOW + 99).await.is_empty());
    assert_eq!(queued(store, app).await, 0);
}

pub(crate) async fn a_request_has_its_answer_when_it_is_done_or_given_up(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let answer = AsyncAnswer { status: 201, headers: vec![("x-a".to_owned(), "1".to_owned())], body: vec![0, 255] };
    for number in 1..=2_u128 {
        let request = NewAsyncRequest {
            id: AsyncRequestId(uuid::Uuid::from_u128(number)),
            script: "hello".to_owned(),
            route: "/hello".to_owned(),
            params: Vec::new(),
            remote_addr: "::1".to_owned(),
            principal: None,
            request: RunHttp { method: "POST".to_owned(), ..RunHttp::default() },
            idempotency_key: None,
        };
        let cause = Cause::first(NOW, &Limits::default());
        store.accept(app, request, ContentHash::of(b"r"), &cause).await.unwrap();
    }
    let state = async |number| {
        let id = AsyncRequestId(uuid::Uuid::from_u128(number));
        store.async_state(id, NOW).await.unwrap().unwrap()
    };
    assert!(!state(1).await.running);
    let both = claimed(store, NOW).await;
    assert!(state(1).await.running);
    end(store, both[0].id, DeliveryEnd::Done(Some(answer.clone()))).await;
    assert_eq!((state(1).await.answer, state(1).await.running), (Some(answer), false));
    end(store, both[1].id, DeliveryEnd::Retry { attempt: failed(&both[1], "no"), due_at: NOW }).await;
    assert_eq!((state(2).await.attempts, state(2).await.answer), (1, None));
    let again = claimed(store, NOW).await.remove(0);
    let letter = end(store, again.id, DeliveryEnd::Dead(failed(&again, "for good"))).await.dead_letter.unwrap();
    let refusal = state(2).await.answer.unwrap();
    assert_eq!(refusal.status, 500);
    assert!(String::from_utf8(refusal.body).unwrap().contains("for good"));
    // Sent again, it is to be answered again.
    store.retry_dead_letter(app, letter, &Default::default(), &act()).await.unwrap().unwrap();
    assert_eq!(state(2).await.answer, None);
    let third = claimed(store, NOW).await.remove(0);
    let answer = AsyncAnswer { status: 204, headers: Vec::new(), body: Vec::new() };
    end(store, third.id, DeliveryEnd::Done(Some(answer.clone()))).await;
    assert_eq!(state(2).await.answer, Some(answer));
}

pub(crate) async fn a_deleted_script_takes_its_timers_along(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let cause = Cause::first(NOW, &Limits::default());
    for script in ["hello", "other"] {
        let timer = NewTimer { id: TimerId::new(), script: script.to_owned(), due_at: NOW, value: b"1".to_vec() };
        store.set_timer(app, timer, &cause).await.unwrap();
    }
    store.delete_script(app, "hello", None, false, &act()).await.unwrap();
    let left = claimed(store, NOW).await;
    assert_eq!((left.len(), left[0].script.as_str(), queued(store, app).await), (1, "other", 1));
}

pub(crate) async fn the_signal_tells_of_what_is_due_sooner(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    put(store, app, &on_kv("on-c", "hello")).await;
    let mut signal = store.delivery_signal();
    let heard = |signal: &mut tokio::sync::watch::Receiver<u64>| {
        let heard = signal.has_changed().unwrap();
        signal.mark_unchanged();
        heard
    };
    heard(&mut signal);
    store.kv(app, set_in("elsewhere", "a"), NOW).await.unwrap();
    assert!(!heard(&mut signal), "nobody listens to that");
    write(store, app, &["a"]).await;
    assert!(heard(&mut signal));
    let one = claimed(store, NOW).await.remove(0);
    assert!(!heard(&mut signal), "a claim frees nothing");
    end(store, one.id, DeliveryEnd::Retry { attempt: failed(&one, "no"), due_at: NOW + 1 }).await;
    assert!(heard(&mut signal));
    store.pause_trigger(app, "on-c", Some("x"), &act()).await.unwrap();
    heard(&mut signal);
    let paused = store.claim_deliveries(8, NOW).await.unwrap();
    assert_eq!((paused.deliveries.len(), paused.next_due), (0, None), "nothing of a paused one comes by itself");
    store.pause_trigger(app, "on-c", None, &act()).await.unwrap();
    assert!(heard(&mut signal));
}
