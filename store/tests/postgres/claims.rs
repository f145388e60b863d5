//! Several appliances that claim from one database: nothing is done twice or out of order, no more at once than a trigger
//! says, and what a holder leaves behind is done by another one.

use crate::conformance::deliveries::{done, end, failed, keys};
use crate::conformance::kv::set;
use crate::conformance::triggers::{app_with_scripts, claimed, on_kv, put};
use crate::conformance::{NOW, make_app};
use crate::open_on;
use crate::temp_pg::TempPg;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::{Delivery, DeliveryEnd, Ended};
use picloud_model::event::Cause;
use picloud_model::ids::{AppId, DeliveryId, TimerId};
use picloud_model::kv::KvRequest;
use picloud_model::limits::Limits;
use picloud_model::timer::NewTimer;
use picloud_model::trigger::Retry;
use picloud_store::{Store, StoreError, TriggerWrite};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

/// What comes from another store is there long before this.
const SOON: Duration = Duration::from_secs(20);

async fn stores<const N: usize>(pg: &TempPg) -> ([Arc<dyn Store>; N], TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut stores = Vec::new();
    for number in 0..N {
        stores.push(open_on(pg, &dir.path().join(number.to_string())).await.unwrap());
    }
    let Ok(stores) = stores.try_into() else { unreachable!("there are as many") };
    (stores, dir)
}

fn in_collection(name: &str, key: &str) -> KvRequest {
    match set(key, "1") {
        KvRequest::Set { key, value, ttl_ms, condition, .. } => {
            KvRequest::Set { collection: name.to_owned(), key, value, ttl_ms, condition }
        }
        other => other,
    }
}

/// A trigger on the collection of its name.
fn on(name: &str) -> TriggerWrite {
    let mut write = on_kv(name, "hello");
    write.spec.collection = Some(name.to_owned());
    write
}

/// Everybody's holders seem to have said nothing for too long.
fn end_leases(pg: &TempPg) {
    pg.sql("UPDATE claim_holders SET alive_until = 1");
}

/// What is under way anywhere, and what was done.
#[derive(Default)]
struct Seen {
    running: BTreeMap<DeliveryId, (String, String)>,
    done: BTreeSet<DeliveryId>,
    last_of_key: BTreeMap<String, DeliveryId>,
}

impl Seen {
    fn begin(&mut self, one: &Delivery) {
        let trigger = one.trigger.as_ref().unwrap().1.clone();
        let key = keys(std::slice::from_ref(one)).remove(0);
        let with_it = |both: bool| {
            let same = |(of, its_key): &&(String, String)| *of == trigger && (both || *its_key == key);
            self.running.values().filter(same).count()
        };
        match trigger.as_str() {
            "narrow" => assert!(with_it(true) < 2, "two at once are under way"),
            "ordered" => {
                assert_eq!(with_it(false), 0, "one of `{key}` is under way");
                let last = self.last_of_key.insert(key.clone(), one.id);
                assert!(last < Some(one.id), "`{key}` goes on in its order");
            }
            _ => {}
        }
        assert!(!self.done.contains(&one.id), "it was done");
        assert!(self.running.insert(one.id, (trigger, key)).is_none(), "twice at once");
    }

    fn end(&mut self, id: DeliveryId) {
        self.running.remove(&id);
        self.done.insert(id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_stores_claim_at_once_while_others_write_and_nothing_is_done_twice_or_out_of_order() {
    const WRITES: usize = 60;
    const TRIGGERS: usize = 3;
    let pg = TempPg::new();
    let (stores, _dir) = stores::<4>(&pg).await;
    let app = app_with_scripts(&*stores[0]).await;
    let mut narrow = on("narrow");
    narrow.spec.concurrency = Some(2);
    let mut ordered = on("ordered");
    ordered.spec.ordering_key = Some("key".to_owned());
    for write in [&on("free"), &narrow, &ordered] {
        put(&*stores[0], app, write).await;
    }
    let seen = Arc::new(Mutex::new(Seen::default()));
    let all = 2 * WRITES * TRIGGERS;
    let mut tasks = Vec::new();
    for writer in &stores[..2] {
        let store = writer.clone();
        tasks.push(tokio::spawn(async move {
            for number in 0..WRITES {
                for name in ["free", "narrow", "ordered"] {
                    let key = format!("k{}", number % 3);
                    store.kv(app, in_collection(name, &key), NOW).await.unwrap();
                }
            }
        }));
    }
    for store in &stores {
        let (store, seen) = (store.clone(), seen.clone());
        tasks.push(tokio::spawn(async move {
            let mut signal = store.delivery_signal();
            while seen.lock().unwrap().done.len() < all {
                signal.mark_unchanged();
                let claimed = store.claim_deliveries(7, NOW).await.unwrap();
                for one in &claimed.deliveries {
                    seen.lock().unwrap().begin(one);
                }
                for one in &claimed.deliveries {
                    // Before anybody else can know: the next one with its key may begin as soon as it is written.
                    seen.lock().unwrap().end(one.id);
                    done(&*store, one.id).await;
                }
                if claimed.deliveries.is_empty() && seen.lock().unwrap().done.len() < all {
                    // Others may have ended the last one without news for this one.
                    let _woken = timeout(Duration::from_millis(200), signal.changed()).await;
                }
            }
        }));
    }
    for task in tasks {
        timeout(Duration::from_secs(100), task).await.expect("nothing is stuck").unwrap();
    }
    assert_eq!(stores[0].queued(app).await.unwrap().deliveries, 0);
    assert_eq!(pg.sql("SELECT count(*) FROM events"), "0", "each event went with its last delivery");
}

#[tokio::test]
async fn the_claims_of_a_dead_holder_are_taken_over_and_its_own_word_does_not_count_any_more() {
    let pg = TempPg::new();
    let ([one, other], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*one).await;
    put(&*one, app, &on_kv("on-c", "hello")).await;
    for key in ["begun", "noted"] {
        one.kv(app, set(key, "1"), NOW).await.unwrap();
    }
    let held = claimed(&*one, NOW).await;
    one.note_attempts(&[held[1].id]).await.unwrap();
    let nothing = other.claim_deliveries(8, NOW).await.unwrap();
    assert!(nothing.deliveries.is_empty());
    let look_again = nothing.next_due.expect("it looks again when the lease is over");
    assert!((NOW + 1..=NOW + 30_000).contains(&look_again), "{}", look_again - NOW);

    end_leases(&pg);
    let taken = claimed(&*other, NOW).await;
    let attempts: Vec<_> = taken.iter().map(|one| (one.id, one.attempt)).collect();
    assert_eq!(attempts, [(held[0].id, 1), (held[1].id, 2)], "what was noted counts");
    for (one_of, how) in held.iter().zip([DeliveryEnd::Done(None), DeliveryEnd::Dead(failed(&held[1], "no"))]) {
        assert_eq!(end(&*one, one_of.id, how).await, Ended::default());
    }
    let queued = other.queued(app).await.unwrap();
    assert_eq!((queued.deliveries, queued.dead_letters), (2, 0), "the other one has them");
    end(&*other, taken[0].id, DeliveryEnd::Retry { attempt: failed(&taken[0], "no"), due_at: NOW }).await;
    done(&*other, taken[1].id).await;
    let again = claimed(&*one, NOW).await;
    assert_eq!((again.len(), again[0].id, again[0].attempt), (1, held[0].id, 2));
    done(&*one, again[0].id).await;
    assert_eq!(other.queued(app).await.unwrap().deliveries, 0);
}

#[tokio::test]
async fn a_store_that_ends_leaves_what_it_had_at_once() {
    let pg = TempPg::new();
    let ([one, other], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*one).await;
    put(&*one, app, &on_kv("on-c", "hello")).await;
    one.kv(app, set("a", "1"), NOW).await.unwrap();
    assert_eq!(claimed(&*one, NOW).await.len(), 1);
    assert!(claimed(&*other, NOW).await.is_empty());
    let mut signal = other.delivery_signal();
    signal.mark_unchanged();
    drop(one);
    timeout(SOON, signal.changed()).await.expect("the other one is told").unwrap();
    assert_eq!(claimed(&*other, NOW).await.len(), 1);
}

#[tokio::test]
async fn a_lease_is_renewed_while_something_is_under_way_and_ends_with_the_last_of_it() {
    let pg = TempPg::new();
    let ([store], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*store).await;
    put(&*store, app, &on_kv("on-c", "hello")).await;
    store.kv(app, set("a", "1"), NOW).await.unwrap();
    let one = claimed(&*store, NOW).await.remove(0);
    let lasts = "SELECT coalesce(max(alive_until - clock_ms()) > 25000, false) FROM claim_holders";
    assert_eq!(pg.sql(lasts), "t");
    // As if it had been claimed a while ago.
    pg.sql("UPDATE claim_holders SET alive_until = clock_ms() + 15000");
    until(|| pg.sql(lasts) == "t").await;
    done(&*store, one.id).await;
    until(|| pg.sql("SELECT count(*) FROM claim_holders") == "0").await;
}

/// Waits for what another task is about to do.
async fn until(mut holds: impl FnMut() -> bool) {
    timeout(SOON, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it happens soon");
}

/// An appliance that cannot reach the database for longer than its lease, while another one can.
#[tokio::test]
async fn an_absence_longer_than_the_lease_loses_nothing_and_delivers_what_was_done_once() {
    let pg = TempPg::own();
    let ([one, other], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*one).await;
    put(&*one, app, &on_kv("on-c", "hello")).await;
    for key in ["a", "b", "c"] {
        one.kv(app, set(key, "1"), NOW).await.unwrap();
    }
    let held = claimed(&*one, NOW).await;
    done(&*one, held[0].id).await;
    pg.kill();
    let away = one.end_delivery(held[1].id, DeliveryEnd::Done(None), NOW).await;
    assert!(matches!(away, Err(StoreError::Away(_))), "{away:?}");
    assert!(one.claim_deliveries(8, NOW).await.is_err());
    pg.start();
    // Within the lease whoever comes back ends what he has.
    until_back(&*other).await;
    assert!(claimed(&*other, NOW).await.is_empty());
    done(&*one, held[1].id).await;
    // After it somebody else has it.
    end_leases(&pg);
    let taken = claimed(&*other, NOW).await;
    assert_eq!(taken.iter().map(|one| one.id).collect::<Vec<_>>(), [held[2].id]);
    done(&*one, held[2].id).await;
    assert_eq!(one.queued(app).await.unwrap().deliveries, 1);
    done(&*other, held[2].id).await;
    assert_eq!(one.queued(app).await.unwrap().deliveries, 0);
    // It is an appliance like any other again.
    one.kv(app, set("d", "1"), NOW).await.unwrap();
    assert_eq!(keys(&claimed(&*one, NOW).await), ["d"]);
}

async fn until_back(store: &dyn Store) {
    timeout(SOON, async { while store.schedules().await.is_err() {} }).await.expect("it comes back");
}

#[tokio::test]
async fn a_claim_that_nobody_waited_for_is_not_held_for_ever() {
    let pg = TempPg::new();
    let ([store], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*store).await;
    put(&*store, app, &on_kv("on-c", "hello")).await;
    for polls in 1..40 {
        store.kv(app, set("a", "1"), NOW).await.unwrap();
        // Given up after so many steps, some of them between the commit and its answer.
        let mut claim = store.claim_deliveries(8, NOW);
        let mut left = polls;
        std::future::poll_fn(|context| {
            left -= 1;
            match claim.as_mut().poll(context) {
                std::task::Poll::Pending if left > 0 => std::task::Poll::Pending,
                _ended_or_given_up => std::task::Poll::Ready(()),
            }
        })
        .await;
        drop(claim);
        let mut again = claimed(&*store, NOW).await;
        if again.is_empty() {
            // It was answered in time, and is under way: the rows tell which.
            let id: i64 = pg.sql("SELECT id FROM deliveries").parse().unwrap();
            done(&*store, DeliveryId(id)).await;
        } else {
            done(&*store, again.remove(0).id).await;
        }
        assert_eq!(store.queued(app).await.unwrap().deliveries, 0, "after {polls} steps");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_timer_is_either_taken_back_or_run() {
    let pg = TempPg::new();
    let ([one, other], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*one).await;
    for _round in 0..20 {
        let id = TimerId::new();
        let timer = NewTimer { id, script: "hello".to_owned(), due_at: NOW, value: b"1".to_vec() };
        one.set_timer(app, timer, &Cause::first(NOW, &Limits::default())).await.unwrap();
        let (cancelled, claimed) = tokio::join!(one.cancel_timer(app, id), other.claim_deliveries(8, NOW));
        let claimed = claimed.unwrap().deliveries;
        assert_eq!(cancelled.unwrap(), claimed.is_empty());
        for delivery in claimed {
            done(&*other, delivery.id).await;
        }
    }
}

/// Two stores let in at most a little more than may wait, and neither much less.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_is_full_for_everybody() {
    const MAX: u64 = 40;
    let pg = TempPg::new();
    let ([one, other], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*one).await;
    put(&*one, app, &on_kv("on-c", "hello")).await;
    let cause = Cause { queued_max: MAX, ..Cause::first(NOW, &Limits::default()) };
    let fill = |store: Arc<dyn Store>| {
        let cause = cause.clone();
        tokio::spawn(async move {
            let mut let_in = 0_u64;
            loop {
                match store.kv_for(app, set("a", "1"), &cause).await {
                    Ok(_set) => let_in += 1,
                    Err(StoreError::Backlog { limit: MAX, .. }) => break let_in,
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    };
    let (mine, yours) = (fill(one.clone()), fill(other.clone()));
    let let_in = mine.await.unwrap() + yours.await.unwrap();
    assert!((MAX..=MAX + 2).contains(&let_in), "{let_in}");
    let refused = one.kv_for(app, set("a", "1"), &cause).await;
    assert!(matches!(refused, Err(StoreError::Backlog { limit: MAX, .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_given_up_is_one_letter_though_two_look_at_once() {
    let pg = TempPg::new();
    let ([one, other], _dir) = stores(&pg).await;
    let app = app_with_scripts(&*one).await;
    let mut brief = on_kv("on-c", "hello");
    brief.spec.max_age_ms = Some(10);
    brief.spec.retry = Some(Retry { max_attempts: 3, ..Retry::default() });
    put(&*one, app, &brief).await;
    for _write in 0..10 {
        one.kv(app, set("a", "1"), NOW).await.unwrap();
    }
    let later: UnixMs = NOW + 100;
    let (mine, yours) = tokio::join!(one.claim_deliveries(8, later), other.claim_deliveries(8, later));
    assert!(mine.unwrap().deliveries.is_empty() && yours.unwrap().deliveries.is_empty());
    let queued = one.queued(app).await.unwrap();
    assert_eq!((queued.deliveries, queued.dead_letters), (0, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_two_stores_write_count_every_write_and_are_made_once() {
    let pg = TempPg::new();
    let ([one, other], _dir) = stores(&pg).await;
    let app = make_app(&*one, "kitchen").await.id;
    let count = |store: Arc<dyn Store>, app: AppId| {
        tokio::spawn(async move {
            for _time in 0..40 {
                store.kv(app, crate::conformance::kv::incr("n", 1), NOW).await.unwrap();
            }
        })
    };
    let counting: Vec<_> = [&one, &other, &one, &other].map(|store| count(store.clone(), app)).into();
    for one in counting {
        one.await.unwrap();
    }
    let sum = one.kv(app, crate::conformance::kv::incr("n", 0), NOW).await.unwrap();
    assert_eq!(sum, picloud_model::kv::KvReply::Number(160));
}
