//! What the cache promises: what it gives is what was asked for, and it stays within its bound.

use super::*;
use picloud_model::hash::ContentHash;
use picloud_model::protocol::Snapshot;
use std::collections::HashSet;

fn hash(bytes: &[u8]) -> ContentHash {
    ContentHash::of(bytes)
}

#[test]
fn content_is_given_back_also_after_a_restart_and_damaged_content_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Content::open(dir.path(), 1_000).unwrap();
    cache.put(&hash(b"hello"), b"hello").unwrap();
    cache.put(&hash(b""), b"").unwrap();
    assert!(matches!(cache.put(&hash(b"other"), b"hello"), Err(CacheError::OtherBytes(_))));
    assert!(!cache.has(&hash(b"other")));
    drop(cache);
    let folder = dir.path().join("cache/content");
    std::fs::write(folder.join("unfinished-7"), b"half").unwrap();
    let cache = Content::open(dir.path(), 1_000).unwrap();
    assert!(!folder.join("unfinished-7").exists());
    assert_eq!(cache.part(&hash(b"hello"), 1, 3).as_deref(), Some(&b"ell"[..]));
    assert_eq!(cache.part(&hash(b"hello"), 4, 30).as_deref(), Some(&b"o"[..]));
    assert_eq!(cache.whole(&hash(b"")).as_deref(), Some(&b""[..]));
    drop(cache);
    std::fs::write(folder.join(hash(b"hello").to_string()), b"hellO").unwrap();
    let cache = Content::open(dir.path(), 1_000).unwrap();
    assert_eq!(cache.whole(&hash(b"hello")), None);
    assert!(!cache.has(&hash(b"hello")), "it is fetched again");
}

#[test]
fn beyond_the_bound_what_nobody_needs_goes_first_and_then_what_was_used_longest_ago() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Content::open(dir.path(), 30).unwrap();
    let all: Vec<[u8; 10]> = (0..5_u8).map(|n| [n; 10]).collect();
    cache.need(HashSet::from([hash(&all[0])]));
    for bytes in &all[..3] {
        cache.put(&hash(bytes), bytes).unwrap();
    }
    cache.whole(&hash(&all[1])).unwrap();
    let here = |cache: &Content| all.iter().map(|bytes| cache.has(&hash(bytes))).collect::<Vec<_>>();
    cache.put(&hash(&all[3]), &all[3]).unwrap();
    assert_eq!(here(&cache), [true, true, false, true, false]);
    cache.put(&hash(&all[4]), &all[4]).unwrap();
    assert_eq!(here(&cache), [true, false, false, true, true]);
    assert!(cache.fits(20) && !cache.fits(21), "what is needed takes ten");
    cache.clear().unwrap();
    assert_eq!(here(&cache), [false; 5]);
}

#[test]
fn an_unfinished_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Content::open(dir.path(), 1_000).unwrap();
    let mut unfinished = cache.begin().unwrap();
    unfinished.write(b"hel").unwrap();
    drop(unfinished);
    assert_eq!(std::fs::read_dir(dir.path().join("cache/content")).unwrap().count(), 0);
    let mut short = cache.begin().unwrap();
    short.write(b"hel").unwrap();
    assert!(cache.finish(short, &hash(b"hello")).is_err());
    assert_eq!(std::fs::read_dir(dir.path().join("cache/content")).unwrap().count(), 0);
}

#[test]
fn the_apps_of_the_last_time_are_read_back_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = SnapshotFile::of(dir.path());
    assert!(file.read().is_none());
    file.write(&Snapshot { revision: 7, ..Snapshot::default() }).unwrap();
    assert_eq!(file.read().unwrap().revision, 7);
    let path = dir.path().join("cache/snapshot");
    let whole = std::fs::read(&path).unwrap();
    for (at, what) in [(0, "another file"), (9, "another form"), (whole.len() - 1, "damaged")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(file.read().is_none(), "{what}");
    }
    for len in 0..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(file.read().is_none(), "cut at {len}");
    }
    file.remove().unwrap();
    assert!(file.read().is_none());
}
