//! Removes entries whose time is over, in batches. Nobody sees them any more by then: this only gives space back.

use picloud_model::clock::{Clock, UnixMs};
use picloud_store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Entries removed in one transaction.
const BATCH_ENTRIES_MAX: u32 = 500;
/// Least time between two rounds, so that many entries that end one after the other go together.
const ROUND_GAP: Duration = Duration::from_secs(1);
/// Longest sleep, so that a clock that jumped delays a round by no more.
const SLEEP_MAX: Duration = Duration::from_secs(60 * 60);

/// Wakes the task when an entry may end sooner than the one it waits for.
#[derive(Clone, Default)]
pub struct ExpirySignal(Arc<Plan>);

struct Plan {
    /// The end that the task waits for; later ones need not wake it.
    at: AtomicI64,
    sooner: Notify,
}

impl Default for Plan {
    fn default() -> Self {
        Self { at: AtomicI64::new(UnixMs::MAX), sooner: Notify::new() }
    }
}

impl ExpirySignal {
    /// An entry got a time to live that ends at `at`.
    pub fn expires(&self, at: UnixMs) {
        if self.0.at.fetch_min(at, Ordering::AcqRel) > at {
            self.0.sooner.notify_one();
        }
    }
}

/// Removes for ever; asleep until the next entry ends, and wholly where none ever does.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, signal: ExpirySignal) {
    let ExpirySignal(plan) = signal;
    loop {
        let next = store.next_expiry().await;
        plan.at.store(next.as_ref().ok().copied().flatten().unwrap_or(UnixMs::MAX), Ordering::Release);
        match next {
            Ok(None) => plan.sooner.notified().await,
            Ok(Some(at)) => {
                let wait_ms = u64::try_from(at - clock.now_ms()).unwrap_or(0);
                let wait = (Duration::from_millis(wait_ms) + ROUND_GAP).min(SLEEP_MAX);
                tokio::select! {
                    () = tokio::time::sleep(wait) => purge(store.as_ref(), clock.as_ref()).await,
                    () = plan.sooner.notified() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the next expiry of KV entries is not known");
                tokio::time::sleep(SLEEP_MAX).await;
            }
        }
    }
}

async fn purge(store: &dyn Store, clock: &dyn Clock) {
    loop {
        match store.purge_expired(clock.now_ms(), BATCH_ENTRIES_MAX).await {
            Ok(removed) if removed >= u64::from(BATCH_ENTRIES_MAX) => {}
            Ok(_last_batch) => return,
            Err(error) => return tracing::warn!(%error, "KV entries whose time is over could not be removed"),
        }
    }
}
