//! Small files kept in memory, the longest unused going first.

use bytes::Bytes;
use picloud_model::ContentHash;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// All files kept together; part of the promise of 40 MB for both processes.
const CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Files kept; bounds the search for the longest unused one.
const CACHE_FILES_MAX: usize = 512;

/// Files by content.
#[derive(Default)]
pub(super) struct FileCache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    files: HashMap<ContentHash, File>,
    bytes: usize,
    /// Counts uses; a file's own count is when it was last used.
    uses: u64,
}

struct File {
    content: Bytes,
    used: u64,
}

impl FileCache {
    pub(super) fn get(&self, hash: &ContentHash) -> Option<Bytes> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let used = kept.uses;
        let file = kept.files.get_mut(hash)?;
        file.used = used;
        Some(file.content.clone())
    }

    pub(super) fn put(&self, hash: ContentHash, content: Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let used = kept.uses;
        kept.bytes += content.len();
        if let Some(before) = kept.files.insert(hash, File { content, used }) {
            kept.bytes -= before.content.len();
        }
        while kept.bytes > CACHE_BYTES_MAX || kept.files.len() > CACHE_FILES_MAX {
            let Some(oldest) = kept.files.iter().min_by_key(|(_, file)| file.used).map(|(hash, _)| *hash) else {
                break;
            };
            if let Some(gone) = kept.files.remove(&oldest) {
                kept.bytes -= gone.content.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first_and_the_bound_holds() {
        let cache = FileCache::default();
        let hash = |number: usize| ContentHash::of(&number.to_le_bytes());
        for number in 0..CACHE_FILES_MAX {
            cache.put(hash(number), Bytes::from_static(b"x"));
        }
        assert!(cache.get(&hash(0)).is_some());
        cache.put(hash(CACHE_FILES_MAX), Bytes::from_static(b"x"));
        assert!(cache.get(&hash(0)).is_some() && cache.get(&hash(1)).is_none());
        cache.put(hash(9_999), Bytes::from(vec![0; CACHE_BYTES_MAX]));
        assert_eq!(cache.0.lock().unwrap().bytes, CACHE_BYTES_MAX);
    }
}
