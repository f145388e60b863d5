//! SQLite: the conformance suite, and what only a file on a disk can show.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions they share")]

mod audit_properties;
mod backup;
mod bad_disks;
mod blobs;
mod bounds;
#[path = "../conformance/mod.rs"]
mod conformance;
mod crash_points;
#[path = "../properties/cursors.rs"]
mod cursors_properties;
#[path = "../properties/deliveries.rs"]
mod deliveries_properties;
mod durability;
#[path = "../properties/kv.rs"]
mod kv_properties;
mod opening;
mod restarts;
mod tampering;

use picloud_model::clock::ManualClock;
use picloud_store::{OpenError, OpenSettings, Store};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Queues that are tried of each property of them.
const QUEUES: u32 = 24;

/// What keeps the store of a test.
type Guard = TempDir;

async fn open() -> (Arc<dyn Store>, Guard) {
    let dir = tempfile::tempdir().unwrap();
    let store = open_in(&dir.path().join("data")).await.unwrap();
    (store, dir)
}

async fn open_in(data_dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    open_with(OpenSettings::new(data_dir)).await
}

async fn open_with(settings: OpenSettings) -> Result<Arc<dyn Store>, OpenError> {
    picloud_store::open(settings, Arc::new(ManualClock::new(conformance::NOW))).await
}

conformance::bind!(crate::open);
