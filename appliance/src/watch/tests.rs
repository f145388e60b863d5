//! Followers against a real store.

use super::*;
use picloud_model::audit::{Act, RefusedAct};
use picloud_model::clock::SystemClock;
use picloud_store::OpenSettings;

async fn hub(dir: &std::path::Path) -> Hub {
    let hub = Hub::new(picloud_store::open(OpenSettings::new(dir), Arc::new(SystemClock)).await.unwrap());
    tokio::spawn(run(hub.clone()));
    hub
}

/// Writes so many entries in one go.
async fn write(hub: &Hub, count: i64) {
    let act = Act::of_appliance("test", 1);
    let refused = RefusedAct {
        act,
        action: "kv.read".to_owned(),
        app: Some("kitchen".to_owned()),
        target: String::new(),
        reason: serde_json::Value::Null,
    };
    let all = usize::try_from(count).unwrap();
    hub.store.audit_refusals(vec![refused; all]).await.unwrap();
}

async fn seqs(follower: &mut Follower, count: i64) -> Vec<i64> {
    let mut seqs = Vec::new();
    for _n in 0..count {
        match follower.next().await.unwrap() {
            News::Change(change) => seqs.push(change.seq),
            News::Gap { .. } => panic!("a gap after {seqs:?}"),
        }
    }
    seqs
}

#[tokio::test]
async fn who_reads_late_or_comes_late_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    write(&hub, 5).await;
    let mut slow = hub.follow(None);
    // More batches than are held for anybody.
    let many = i64::from(PAGE_ENTRIES) * (BATCHES_BEHIND_MAX as i64 + 9);
    write(&hub, many).await;
    write(&hub, 3).await;
    let mut late = hub.follow(Some(2));
    assert_eq!(seqs(&mut late, many + 6).await, (3..=many + 8).collect::<Vec<_>>());
    assert_eq!(seqs(&mut slow, many + 3).await, (6..=many + 8).collect::<Vec<_>>());
    write(&hub, 1).await;
    assert_eq!((seqs(&mut slow, 1).await, seqs(&mut late, 1).await), (vec![many + 9], vec![many + 9]));
}

#[tokio::test]
async fn who_missed_too_much_is_told_and_goes_on_from_now() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hub(dir.path()).await;
    let many = CAUGHT_UP_ENTRIES_MAX + 8;
    write(&hub, many).await;
    let mut follower = hub.follow(Some(7));
    let News::Gap { missed_from, missed_to } = follower.next().await.unwrap() else { panic!("no gap") };
    assert_eq!((missed_from, missed_to, follower.position()), (8, many, many));
    write(&hub, 1).await;
    assert_eq!(seqs(&mut follower, 1).await, [many + 1]);
    let mut just_not = hub.follow(Some(many + 1 - CAUGHT_UP_ENTRIES_MAX));
    assert_eq!(seqs(&mut just_not, 1).await, [many + 2 - CAUGHT_UP_ENTRIES_MAX]);
}
