//! When keys were last used: kept in memory, and written down at most once an hour.

use super::KeyRing;
use picloud_model::clock::UnixMs;
use picloud_model::ids::KeyId;
use picloud_store::Store;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Least time between two writes: it is told to people, who need no more.
const PERIOD: Duration = Duration::from_secs(60 * 60);

impl KeyRing {
    /// Writes down what is not in the store yet.
    pub async fn flush(&self, store: &dyn Store) {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return;
        }
        let keys = self.keys.load_full();
        let used: Vec<(KeyId, UnixMs)> = keys
            .values()
            .map(|held| (held.id, held.used_at.load(Ordering::Relaxed)))
            .filter(|(_id, at)| *at != 0)
            .collect();
        if let Err(error) = store.touch_keys(&used).await {
            tracing::warn!(keys = used.len(), %error, "when API keys were last used could not be written down");
        }
    }
}

/// Writes for ever; asleep while no key is used.
pub async fn flush_hourly(keys: Arc<KeyRing>, store: Arc<dyn Store>) {
    loop {
        keys.used.notified().await;
        tokio::time::sleep(PERIOD).await;
        keys.flush(store.as_ref()).await;
    }
}
