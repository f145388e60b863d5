//! Drops what of events is not kept any longer: dead letters by age and number, keys that make a publish happen once,
//! and answers of requests that nobody waits for. At the start and once an hour; dropped letters are in the audit log.

use picloud_model::audit::Act;
use picloud_model::clock::Clock;
use picloud_model::dead_letter::LettersKept;
use picloud_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How often.
const PERIOD: Duration = Duration::from_secs(60 * 60);
/// How long after the start, so that it takes nothing from the first answers.
const FIRST_AFTER: Duration = Duration::from_secs(40);
/// Rows dropped in one transaction.
const STEP_ROWS_MAX: u32 = 500;

/// Drops for ever.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, node: String, kept: LettersKept) {
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
        match drop_letters(store.as_ref(), clock.as_ref(), &node, &kept).await {
            Ok(0) => {}
            Ok(dropped) => tracing::warn!(dropped, "dead letters that are older or more than are kept were dropped"),
            Err(error) => tracing::warn!(%error, "old dead letters could not be dropped"),
        }
        if let Err(error) = drop_keys(store.as_ref(), clock.as_ref()).await {
            tracing::warn!(%error, "keys and answers whose time is over could not be dropped");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// In steps so short that nobody waits behind one; answers how many.
async fn drop_letters(store: &dyn Store, clock: &dyn Clock, node: &str, kept: &LettersKept) -> Result<u64, StoreError> {
    let mut dropped = 0;
    loop {
        let act = Act::of_appliance(node, clock.now_ms());
        let step = store.expire_dead_letters(kept, STEP_ROWS_MAX, &act).await?;
        if step == 0 {
            return Ok(dropped);
        }
        dropped += step;
        // Whoever waits to write comes first.
        tokio::task::yield_now().await;
    }
}

async fn drop_keys(store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
    while store.expire_events(clock.now_ms(), STEP_ROWS_MAX).await? > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}
