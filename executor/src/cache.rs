//! A bounded map that forgets what was not used for longest; readers do not wait for each other.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

/// A cache of at most so many entries that weigh at most so much together.
pub(crate) struct Cache<K, V> {
    entries: RwLock<Entries<K, V>>,
    uses: AtomicU64,
    entries_max: usize,
    weight_max: usize,
}

struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    weight: usize,
}

struct Entry<V> {
    value: V,
    weight: usize,
    last_use: AtomicU64,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// An empty cache. Both bounds are at least one entry: the one just put in stays.
    pub(crate) fn new(entries_max: usize, weight_max: usize) -> Self {
        let entries = Entries { by_key: HashMap::new(), weight: 0 };
        Self { entries: RwLock::new(entries), uses: AtomicU64::new(0), entries_max: entries_max.max(1), weight_max }
    }

    /// What is kept under `key`.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // A panic elsewhere cannot have left the map in disorder: values are only moved under the lock.
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.by_key.get(key)?;
        entry.last_use.store(self.uses.fetch_add(1, Relaxed), Relaxed);
        Some(entry.value.clone())
    }

    /// Keeps `value` under `key`, and lets go of others as the bounds ask.
    pub(crate) fn put(&self, key: K, value: V, weight: usize) {
        let last_use = AtomicU64::new(self.uses.fetch_add(1, Relaxed));
        let mut forgotten = Vec::new();
        {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.weight += weight;
            if let Some(old) = entries.by_key.insert(key, Entry { value, weight, last_use }) {
                entries.weight -= old.weight;
                forgotten.push(old);
            }
            while entries.by_key.len() > 1
                && (entries.by_key.len() > self.entries_max || entries.weight > self.weight_max)
            {
                let oldest = entries.by_key.iter().min_by_key(|(_, entry)| entry.last_use.load(Relaxed));
                let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
                if let Some(entry) = entries.by_key.remove(&oldest) {
                    entries.weight -= entry.weight;
                    forgotten.push(entry);
                }
            }
        }
        // Dropped outside the lock: a large tree takes its time.
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn the_entry_not_used_for_longest_is_forgotten_first() {
        let cache = Cache::new(2, 100);
        cache.put("a", 1, 1);
        cache.put("b", 2, 1);
        assert_eq!(cache.get("a"), Some(1));
        cache.put("c", 3, 1);
        assert_eq!((cache.get("a"), cache.get("b"), cache.get("c")), (Some(1), None, Some(3)));
    }

    #[test]
    fn entries_never_weigh_more_than_the_bound_together() {
        let cache = Cache::new(10, 100);
        cache.put("a", 1, 60);
        cache.put("b", 2, 60);
        assert_eq!((cache.get("a"), cache.get("b")), (None, Some(2)));
        cache.put("b", 3, 30);
        cache.put("c", 4, 70);
        assert_eq!((cache.get("b"), cache.get("c")), (Some(3), Some(4)));
    }

    #[test]
    fn one_entry_above_the_bound_is_kept_alone() {
        let cache = Cache::new(10, 100);
        cache.put("a", 1, 500);
        assert_eq!(cache.get("a"), Some(1));
    }
}
