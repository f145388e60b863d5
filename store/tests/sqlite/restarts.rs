//! What a restart does to deliveries that were under way.

use crate::conformance::deliveries::{failed, keys};
use crate::conformance::kv::set;
use crate::conformance::triggers::{app_with_scripts, on_kv};
use crate::conformance::{NOW, act};
use crate::open_in;
use picloud_model::delivery::DeliveryEnd;

/// Far more than wait.
const ALL: u32 = 1_000;

#[test]
fn a_restart_ends_every_claim_and_keeps_what_was_counted() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (under_way, letter) = runtime.block_on(async {
        let store = open_in(dir.path()).await.unwrap();
        let app = app_with_scripts(&*store).await;
        let mut write = on_kv("on-c", "hello");
        write.spec.ordering_key = Some("key".to_owned());
        store.put_trigger(app, &write, None, &act()).await.unwrap();
        for key in ["noted", "noted", "begun", "failed", "done", "dead"] {
            store.kv(app, set(key, "1"), NOW).await.unwrap();
        }
        let claimed = store.claim_deliveries(ALL, NOW).await.unwrap().deliveries;
        let of = |key: &str| claimed.iter().find(|one| keys(std::slice::from_ref(one)).remove(0) == key).unwrap();
        assert_eq!(claimed.len(), 5, "the second of a key waits");
        store.note_attempts(&[of("noted").id]).await.unwrap();
        let retry = DeliveryEnd::Retry { attempt: failed(of("failed"), "no"), due_at: NOW + 50 };
        store.end_delivery(of("failed").id, retry, NOW).await.unwrap();
        store.end_delivery(of("done").id, DeliveryEnd::Done(None), NOW).await.unwrap();
        let dead = DeliveryEnd::Dead(failed(of("dead"), "no"));
        let letter = store.end_delivery(of("dead").id, dead, NOW).await.unwrap().dead_letter.unwrap();
        (of("begun").id, letter)
    });
    runtime.block_on(async {
        let store = open_in(dir.path()).await.unwrap();
        let app = store.app("kitchen").await.unwrap().unwrap().id;
        let claim = store.claim_deliveries(ALL, NOW).await.unwrap();
        let seen: Vec<_> =
            claim.deliveries.iter().map(|one| (keys(std::slice::from_ref(one)).remove(0), one.attempt)).collect();
        assert_eq!(seen, [("noted".to_owned(), 2), ("begun".to_owned(), 1)]);
        assert_eq!((claim.deliveries[1].id, claim.next_due), (under_way, Some(NOW + 50)));
        assert!(store.dead_letter(app, letter).await.unwrap().is_some());
        let trigger = store.trigger(app, "on-c").await.unwrap().unwrap();
        assert_eq!((trigger.failures, trigger.queued), (1, 4));
        // The row of dead letters ends with the next one that is done, also over a restart.
        store.end_delivery(under_way, DeliveryEnd::Done(None), NOW).await.unwrap();
        assert_eq!(store.trigger(app, "on-c").await.unwrap().unwrap().failures, 0);
        // An id is not given out twice.
        store.kv(app, set("new", "1"), NOW).await.unwrap();
        let new = store.claim_deliveries(ALL, NOW).await.unwrap().deliveries;
        assert!(new.len() == 1 && claim.deliveries.iter().all(|one| one.id < new[0].id));
    });
}
