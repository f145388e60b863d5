//! What the appliance does about upgrades of its store, which the store makes by itself when it is opened: they are
//! written into the audit log, bytes of files that a copy needs are held, and copies go when their time is over.

use crate::tasks::blob_sweep;
use picloud_model::audit::Act;
use picloud_model::clock::Clock;
use picloud_store::Store;
use picloud_store::blobs::{BlobError, Blobs};
use picloud_store::upgrade::{UpgradeEvent, copy_kept_ms, expire_copies, upgrade_events};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// After a failure.
const RETRY_GAP: Duration = Duration::from_secs(60 * 60);

/// Holds the bytes that copies need, and writes down what happened to the store, before anything is swept.
pub(crate) async fn settle(store: &dyn Store, blobs: &Blobs, data_dir: &Path, node: &str) -> Result<(), BlobError> {
    let dir = data_dir.to_owned();
    let events = match tokio::task::spawn_blocking(move || upgrade_events(&dir)).await {
        Ok(Ok(events)) => events,
        Ok(Err(error)) => {
            tracing::warn!(%error, "it could not be read whether the store was upgraded");
            return Ok(());
        }
        Err(panicked) => {
            tracing::warn!(error = %panicked, "it could not be read whether the store was upgraded");
            return Ok(());
        }
    };
    for event in events {
        blobs.hold(event.at, event.at.saturating_add(copy_kept_ms())).await?;
        record(store, event, node).await;
    }
    Ok(())
}

/// Where it cannot be written down now, it is with the next start.
async fn record(store: &dyn Store, event: UpgradeEvent, node: &str) {
    tracing::info!(action = event.action, target_of = %event.target, "the store was changed as a whole");
    let act = Act::of_appliance(node, event.at);
    if let Err(error) = store.audit_done(&act, None, event.action, &event.target, event.after.clone()).await {
        tracing::warn!(%error, "an upgrade of the store could not be written into the audit log");
        return;
    }
    match tokio::task::spawn_blocking(move || event.recorded()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the next start writes this upgrade into the audit log again"),
        Err(panicked) => {
            tracing::warn!(error = %panicked, "the next start writes this upgrade into the audit log again")
        }
    }
}

/// Removes copies when their time is over, and what they held; asleep until then, for ever.
pub(crate) async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, blobs: Blobs, data_dir: PathBuf) {
    loop {
        let (dir, now) = (data_dir.clone(), clock.now_ms());
        let expired = tokio::task::spawn_blocking(move || expire_copies(&dir, now)).await;
        let wait = match expired {
            Ok(Ok((gone, due))) => {
                if !gone.is_empty() {
                    tracing::info!(copies = gone.join(", "), "what was kept of before an upgrade was removed");
                    if let Err(error) = blob_sweep::compare(store.as_ref(), &blobs, false).await {
                        tracing::warn!(%error, "what those copies held is removed after the next start");
                    }
                }
                let Some(due) = due else { return };
                // One more second: to be there a moment early would be to come twice.
                Duration::from_millis(u64::try_from(due - now).unwrap_or(0)) + Duration::from_secs(1)
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "copies from before upgrades could not be looked through");
                RETRY_GAP
            }
            Err(_panicked) => RETRY_GAP,
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
