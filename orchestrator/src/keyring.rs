//! The API keys a worker knows: enough to know one that is shown to it, too little to make one.

use picloud_model::ContentHash;
use picloud_model::protocol::KeyEntry;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// All keys, by their hashes; made when they change, not when one is shown.
#[derive(Debug, Default)]
pub struct Keyring(HashMap<ContentHash, Arc<RingKey>>);

/// One key.
#[derive(Debug)]
pub struct RingKey {
    /// What it may do.
    pub entry: KeyEntry,
    /// Whether it was let in since that was last told.
    used: AtomicBool,
}

impl Keyring {
    /// The ring of these keys.
    pub fn of(entries: &[KeyEntry]) -> Self {
        let key = |entry: &KeyEntry| Arc::new(RingKey { entry: entry.clone(), used: AtomicBool::new(false) });
        Self(entries.iter().map(|entry| (entry.hash, key(entry))).collect())
    }

    /// The key with that hash.
    pub fn get(&self, hash: &ContentHash) -> Option<&Arc<RingKey>> {
        self.0.get(hash)
    }
}

impl RingKey {
    /// Notes a use; true for the first since it was told.
    pub(crate) fn note_use(&self) -> bool {
        !self.used.load(SeqCst) && !self.used.swap(true, SeqCst)
    }

    /// Its use is about to be told.
    pub(crate) fn told(&self) {
        self.used.store(false, SeqCst);
    }
}
