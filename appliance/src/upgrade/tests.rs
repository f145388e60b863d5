//! An upgrade stands in the audit log once, and holds the bytes of files.

use super::*;
use picloud_model::audit::AuditQuery;
use picloud_model::clock::ManualClock;
use picloud_store::OpenSettings;
use picloud_store::upgrade::{go_back, upgrade_copies};

const NOW: i64 = 1_800_000_000_000;

/// A store and a copy in its folder, as an upgrade leaves it.
async fn upgraded(dir: &Path) -> Arc<dyn Store> {
    let store = picloud_store::open(OpenSettings::new(dir), Arc::new(ManualClock::new(NOW))).await.unwrap();
    let copy = dir.join("before-upgrade/3-20270115T080000Z");
    std::fs::create_dir_all(&copy).unwrap();
    let names = store.copy_to(&copy).await.unwrap();
    let file = |name: &str| {
        let bytes = std::fs::read(copy.join(name)).unwrap();
        serde_json::json!({ "name": name, "size_bytes": bytes.len(),
            "sha256": picloud_model::hash::ContentHash::of(&bytes).to_string() })
    };
    let manifest = serde_json::json!({
        "format": 1, "store": "sqlite", "made_at": picloud_model::clock::rfc3339(NOW),
        "from": { "data": 3, "history": 3 }, "to": { "data": 4, "history": 3 },
        "files": names.iter().map(|name| file(name)).collect::<Vec<_>>(), "tables": [],
    });
    std::fs::write(copy.join("manifest.json"), manifest.to_string()).unwrap();
    store
}

async fn actions(store: &dyn Store) -> Vec<String> {
    let entries = store.audit(&AuditQuery::default()).await.unwrap().items;
    entries.into_iter().map(|entry| format!("{} {}", entry.action, entry.target)).collect()
}

#[tokio::test]
async fn an_upgrade_and_the_way_back_are_in_the_audit_log_once_and_hold_the_bytes_of_files() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("data");
    let blobs = Blobs::open(&place.path().join("files")).unwrap();
    let store = upgraded(&dir).await;
    for _start in 0..2 {
        settle(store.as_ref(), &blobs, &dir, "pi").await.unwrap();
        assert_eq!(actions(store.as_ref()).await, ["store.upgrade schema 3 → 4"]);
    }
    assert!(blobs.held().unwrap().is_some());
    drop(store);
    go_back(&dir, None, NOW + 1).unwrap();
    let store = picloud_store::open(OpenSettings::new(&dir), Arc::new(ManualClock::new(NOW))).await.unwrap();
    settle(store.as_ref(), &blobs, &dir, "pi").await.unwrap();
    assert_eq!(actions(store.as_ref()).await, ["store.go-back schema 4 → 3"]);
}

#[tokio::test]
async fn copies_whose_time_is_over_are_removed_and_then_there_is_nothing_to_wait_for() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("data");
    let blobs = Blobs::open(&place.path().join("files")).unwrap();
    let store = upgraded(&dir).await;
    let late = Arc::new(ManualClock::new(NOW + copy_kept_ms()));
    run(store, late, blobs, dir.clone()).await;
    assert!(upgrade_copies(&dir).unwrap().is_empty());
}
