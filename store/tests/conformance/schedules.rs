//! Cases of schedules: each time once, whoever sees it, and what becomes of it while an earlier one is under way.

use super::deliveries::done;
use super::triggers::{app_with_scripts, claimed, put};
use super::*;
use picloud_model::clock::rfc3339;
use picloud_model::event::EventKind;
use picloud_model::trigger::{Overlap, TriggerKind, TriggerSpec};
use picloud_store::{Slot, SlotEnded, TriggerWrite};
use std::sync::Arc;

fn every(name: &str, overlap: Overlap, next_at: UnixMs) -> TriggerWrite {
    let spec = TriggerSpec {
        schedule: Some("every 1s".to_owned()),
        overlap: Some(overlap),
        ..TriggerSpec::new(name, TriggerKind::Cron, "hello")
    };
    TriggerWrite { spec, next_at: Some(next_at) }
}

fn slot(due_at: UnixMs) -> Slot {
    Slot { due_at, deliver: vec![(due_at, 0)], next_at: Some(due_at + 1_000) }
}

const DELIVERED: Option<SlotEnded> = Some(SlotEnded { delivered: 1, skipped: 0 });

pub(crate) async fn a_time_is_delivered_once_whoever_sees_it(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let late = put(store, app, &every("late", Overlap::Allow, NOW + 9)).await;
    let soon = put(store, app, &every("soon", Overlap::Allow, NOW)).await;
    let order: Vec<_> = store.schedules().await.unwrap().into_iter().map(|one| (one.trigger, one.next_at)).collect();
    assert_eq!(order, [(soon.id, NOW), (late.id, NOW + 9)]);
    let mut signal = store.schedule_signal();
    signal.mark_unchanged();
    assert_eq!(store.end_slot(soon.id, &slot(NOW), NOW).await.unwrap(), DELIVERED);
    assert_eq!(store.end_slot(soon.id, &slot(NOW), NOW).await.unwrap(), None, "the second who saw it");
    assert_eq!(store.trigger(app, "soon").await.unwrap().unwrap().next_at, Some(NOW + 1_000));
    assert!(signal.has_changed().unwrap());
    let one = claimed(store, NOW).await;
    assert_eq!((one.len(), one[0].event.kind, one[0].event.depth), (1, EventKind::Cron, 1));
    let body: serde_json::Value = serde_json::from_slice(&one[0].event.body).unwrap();
    assert_eq!(body, serde_json::json!({"scheduled_at": rfc3339(NOW), "missed": 0}));
    // Missed ones are delivered together, and one that comes no more leaves the list.
    let last = Slot { due_at: NOW + 1_000, deliver: vec![(NOW + 1_000, 0), (NOW + 2_000, 4)], next_at: None };
    let ended = store.end_slot(soon.id, &last, NOW + 7_000).await.unwrap();
    assert_eq!(ended, Some(SlotEnded { delivered: 2, skipped: 0 }));
    assert_eq!(claimed(store, NOW + 7_000).await.len(), 2);
    assert_eq!(store.schedules().await.unwrap().len(), 1);
}

pub(crate) async fn overlap_says_what_becomes_of_a_time_while_another_is_under_way(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    for (name, overlap, at_once, in_all) in
        [("skip", Overlap::Skip, 1, 1), ("queue", Overlap::Queue, 1, 2), ("allow", Overlap::Allow, 2, 2)]
    {
        let trigger = put(store, app, &every(name, overlap, NOW)).await;
        assert_eq!(store.end_slot(trigger.id, &slot(NOW), NOW).await.unwrap(), DELIVERED);
        let mut running = claimed(store, NOW).await;
        let second = store.end_slot(trigger.id, &slot(NOW + 1_000), NOW + 1_000).await.unwrap().unwrap();
        let skipped = u32::from(overlap == Overlap::Skip);
        assert_eq!((second.delivered, second.skipped), (1 - skipped, skipped), "{name}");
        running.extend(claimed(store, NOW + 1_000).await);
        assert_eq!(running.len(), at_once, "{name}");
        let mut all = 0;
        while let Some(one) = running.pop() {
            done(store, one.id).await;
            all += 1;
            running.extend(claimed(store, NOW + 1_000).await);
        }
        assert_eq!(all, in_all, "{name}");
        let third = store.end_slot(trigger.id, &slot(NOW + 2_000), NOW + 2_000).await.unwrap();
        assert_eq!(third, DELIVERED, "{name}: it goes on");
        for one in claimed(store, NOW + 2_000).await {
            done(store, one.id).await;
        }
    }
}

pub(crate) async fn a_paused_schedule_waits_and_a_full_queue_does_not_stop_one(store: Arc<dyn Store>) {
    let store = &*store;
    let app = app_with_scripts(store).await;
    let trigger = put(store, app, &every("t", Overlap::Allow, NOW)).await;
    store.pause_trigger(app, "t", Some("x"), &act()).await.unwrap();
    assert_eq!(store.schedules().await.unwrap(), []);
    assert_eq!(store.end_slot(trigger.id, &slot(NOW), NOW).await.unwrap(), None);
    store.pause_trigger(app, "t", None, &act()).await.unwrap();
    let limits = serde_json::from_value(serde_json::json!({"queued_deliveries": 1})).unwrap();
    let patch = picloud_model::app::AppPatch { limits: Some(limits), ..Default::default() };
    store.patch_app(app, &patch, None, &act()).await.unwrap();
    assert_eq!(store.end_slot(trigger.id, &slot(NOW), NOW).await.unwrap(), DELIVERED);
    assert_eq!(store.end_slot(trigger.id, &slot(NOW + 1_000), NOW).await.unwrap(), DELIVERED);
    store.delete_trigger(app, "t", None, &act()).await.unwrap();
    assert_eq!(store.end_slot(trigger.id, &slot(NOW + 2_000), NOW).await.unwrap(), None);
}
