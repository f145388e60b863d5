//! Postgres: the conformance suite, and what only a server that goes away, and others beside one, can show.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions they share")]

mod claims;
#[path = "../conformance/mod.rs"]
mod conformance;
#[path = "../properties/cursors.rs"]
mod cursors_properties;
#[path = "../properties/deliveries.rs"]
mod deliveries_properties;
mod filled;
mod history;
#[path = "../properties/kv.rs"]
mod kv_properties;
mod moving;
mod opening;
mod server_gone;
mod shared;
mod tampering;
#[path = "../temp_pg/mod.rs"]
mod temp_pg;
mod upgrades;

use picloud_model::clock::ManualClock;
use picloud_store::{OpenError, OpenSettings, Store};
use std::path::Path;
use std::sync::Arc;
use temp_pg::TempPg;
use tempfile::TempDir;

/// Queues that are tried of each property of them: every step is several round trips.
const QUEUES: u32 = 6;

/// What keeps the store of a test. The directory goes first: fields are dropped in order.
type Guard = (TempDir, TempPg);

/// A store with its directory, on a database of its own.
async fn open() -> (Arc<dyn Store>, Guard) {
    let (dir, pg) = (tempfile::tempdir().unwrap(), TempPg::new());
    let store = open_on(&pg, &dir.path().join("data")).await.unwrap();
    (store, (dir, pg))
}

/// An appliance's store: several may be on one database, each with a directory of its own.
async fn open_on(pg: &TempPg, data_dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    open_with(OpenSettings { database_url: Some(pg.url()), ..OpenSettings::new(data_dir) }).await
}

async fn open_with(settings: OpenSettings) -> Result<Arc<dyn Store>, OpenError> {
    picloud_store::open(settings, Arc::new(ManualClock::new(conformance::NOW))).await
}

conformance::bind!(crate::open);
