//! The API keys in memory: one look-up decides who asks, and a revoked key is gone from here before anything else.

mod used;

pub use used::flush_hourly;

use arc_swap::ArcSwap;
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::hash::ContentHash;
use picloud_model::ids::KeyId;
use picloud_model::key::{ApiKey, KEY_PREFIX, KEY_RANDOM_BYTES, hash_of_key};
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::protocol::KeyEntry;
use picloud_model::scope::{Grant, Scope};
use picloud_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Keys that may exist at once.
pub const KEYS_MAX: usize = 1_000;
/// How often the keys are read from a store that refuses.
const READS_MAX: u32 = 5;
/// How long to wait before they are read again.
const READ_PAUSE: Duration = Duration::from_millis(100);
/// Longest sleep until a key expires, so that a clock that jumped is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60 * 60);

/// A key as it is checked.
#[derive(Debug)]
pub struct Held {
    /// Its id.
    pub id: KeyId,
    /// Whom it stands for.
    pub principal: Principal,
    /// What it may do.
    pub scopes: Arc<Vec<Grant>>,
    /// What workers are told of it.
    entry: KeyEntry,
    /// When it was last let in, since the start; 0 for never.
    used_at: AtomicI64,
}

impl Held {
    fn new(entry: KeyEntry) -> Self {
        Self {
            id: entry.id,
            principal: Principal { kind: PrincipalKind::Key, name: entry.name.clone() },
            scopes: Arc::new(entry.scopes.clone()),
            entry,
            used_at: AtomicI64::new(0),
        }
    }

    fn is_expired(&self, now: UnixMs) -> bool {
        self.entry.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether a worker has to know it.
    fn is_of_routes(&self) -> bool {
        self.scopes.iter().any(|grant| matches!(grant.scope, Scope::Invoke | Scope::ScriptWrite))
    }
}

/// Why a key is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such key.
    Unknown,
    /// Its time is over.
    Expired,
}

/// All keys.
pub struct KeyRing {
    keys: ArcSwap<HashMap<ContentHash, Arc<Held>>>,
    /// Counts the changes, for whoever must notice that a key is gone.
    changes: watch::Sender<u64>,
    /// Held while the keys are read, so that what was read last is what holds.
    reading: tokio::sync::Mutex<()>,
    /// Whether some use of a key is not in the store yet.
    dirty: AtomicBool,
    used: Notify,
}

impl Default for KeyRing {
    fn default() -> Self {
        Self {
            keys: ArcSwap::default(),
            changes: watch::Sender::new(0),
            reading: tokio::sync::Mutex::new(()),
            dirty: AtomicBool::new(false),
            used: Notify::new(),
        }
    }
}

impl KeyRing {
    /// Takes all keys from the store.
    pub async fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _in_order = self.reading.lock().await;
        let mut reads = 1;
        let entries = loop {
            match store.key_entries().await {
                Err(error) if reads < READS_MAX => {
                    tracing::warn!(%error, "the API keys could not be read; trying again");
                    tokio::time::sleep(READ_PAUSE).await;
                    reads += 1;
                }
                read => break read?,
            }
        };
        let before = self.keys.load();
        let keys = entries.into_iter().map(|entry| match before.get(&entry.hash) {
            // The same key goes on knowing when it was used.
            Some(held) if held.entry == entry => (entry.hash, Arc::clone(held)),
            _new => (entry.hash, Arc::new(Held::new(entry))),
        });
        self.put(keys.collect());
        Ok(())
    }

    /// Lets nobody in with this key any more, whatever the store says next.
    pub fn forget(&self, id: KeyId) {
        let keys = self.keys.load();
        self.put(
            keys.iter().filter(|(_hash, held)| held.id != id).map(|(hash, held)| (*hash, Arc::clone(held))).collect(),
        );
    }

    fn put(&self, keys: HashMap<ContentHash, Arc<Held>>) {
        self.keys.store(Arc::new(keys));
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.load().len()
    }

    /// Who shows `key`, as of `now`.
    pub fn check(&self, key: &str, now: UnixMs) -> Result<Arc<Held>, Unfit> {
        let held = self.keys.load().get(&hash_of_key(key)).cloned().ok_or(Unfit::Unknown)?;
        if held.is_expired(now) {
            return Err(Unfit::Expired);
        }
        self.note_use(&held, now);
        Ok(held)
    }

    /// A worker let in whoever showed these.
    pub fn were_used(&self, ids: &[KeyId], now: UnixMs) {
        if ids.is_empty() {
            return;
        }
        for held in self.keys.load().values().filter(|held| ids.contains(&held.id)) {
            self.note_use(held, now);
        }
    }

    fn note_use(&self, held: &Held, now: UnixMs) {
        held.used_at.fetch_max(now, Ordering::Relaxed);
        if !self.dirty.load(Ordering::Relaxed) && !self.dirty.swap(true, Ordering::AcqRel) {
            self.used.notify_one();
        }
    }

    /// What workers are told: the keys that open routes or versions.
    pub fn for_workers(&self) -> Arc<Vec<KeyEntry>> {
        let keys = self.keys.load();
        let mut entries: Vec<KeyEntry> =
            keys.values().filter(|held| held.is_of_routes()).map(|held| held.entry.clone()).collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        Arc::new(entries)
    }

    /// The key with what is known here of its last use, which is newer than what the store knows.
    pub fn with_last_use(&self, mut key: ApiKey) -> ApiKey {
        let used_at =
            self.keys.load().values().find(|held| held.id == key.id).map(|held| held.used_at.load(Ordering::Relaxed));
        key.last_used_at = key.last_used_at.max(used_at.filter(|at| *at != 0));
        key
    }

    /// Waits until the key is not let in any more: for answers that go on for long.
    pub async fn gone(&self, id: KeyId, clock: &dyn Clock) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let held = self.keys.load().values().find(|held| held.id == id).cloned();
            let now = clock.now_ms();
            let Some(held) = held.filter(|held| !held.is_expired(now)) else { return };
            let expiry = async {
                match held.entry.expires_at {
                    Some(at) => {
                        let left = Duration::from_millis(u64::try_from(at - now).unwrap_or(0));
                        tokio::time::sleep(left.min(SLEEP_MAX)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = expiry => {}
            }
        }
    }
}

/// A new key, as its owner gets to see it once.
pub fn new_key() -> Result<String, getrandom::Error> {
    use base64::Engine;
    let mut bytes = [0; KEY_RANDOM_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{KEY_PREFIX}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests;
