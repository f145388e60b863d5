//! What is counted of runs and answers: a few additions a run, told to the parent when something changed.
//!
//! Whoever counts adds to numbers and, if it is the first since they were last told, puts them on the list of what
//! changed; the first on an empty list wakes whoever tells. So a run pays for additions, a steady load for one frame
//! a second ([`crate::capture`]), and an idle worker for nothing. What was not told when a worker dies is lost.

use crate::keyring::RingKey;
use crate::refusals::Refusals;
use picloud_model::AppId;
use picloud_model::protocol::{Counts, DURATION_BUCKETS_US, Refusal, ScriptCounts};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The lowest status that is counted.
const STATUS_MIN: u16 = 100;
/// How many there are from there on.
const STATUSES: usize = 500;

/// Everything that is counted in this worker.
pub struct Counting {
    changed: Mutex<Changed>,
    /// Answers without a run, by status less [`STATUS_MIN`].
    statuses: Vec<AtomicU64>,
    statuses_changed: AtomicBool,
    refusals: Mutex<Refusals>,
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What is to be told. Bounded: each script version and key that is known is on it at most once.
#[derive(Default)]
struct Changed {
    any: bool,
    scripts: Vec<Arc<ScriptCounter>>,
    keys: Vec<Arc<RingKey>>,
}

/// The runs of one script since they were last told. There may be two for one script while it changes; whoever hears
/// of them adds them up.
pub struct ScriptCounter {
    app: AppId,
    script: Arc<str>,
    ok: AtomicU64,
    failed: AtomicU64,
    duration_us: AtomicU64,
    buckets: [AtomicU64; DURATION_BUCKETS_US.len() + 1],
    memory_bytes_max: AtomicU64,
    /// Whether it is on the list of what changed.
    listed: AtomicBool,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            changed: Mutex::default(),
            statuses: (0..STATUSES).map(|_| AtomicU64::new(0)).collect(),
            statuses_changed: AtomicBool::new(false),
            refusals: Mutex::default(),
            listener: OnceLock::new(),
        }
    }
}

impl Counting {
    /// Has `listener` called, on the thread of whoever counts, when there is something to tell after there was nothing.
    pub fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        let first = self.listener.set(Box::new(listener)).is_ok();
        debug_assert!(first, "one thread tells the parent");
    }

    /// Counts a run.
    pub(crate) fn ran(&self, counter: &Arc<ScriptCounter>, ok: bool, took: Duration, memory_bytes: u64) {
        if counter.add(ok, took, memory_bytes) {
            self.change(|changed| changed.scripts.push(Arc::clone(counter)));
        }
    }

    /// Counts an answer that no run gave.
    pub(crate) fn answered(&self, status: u16) {
        let Some(counter) = status.checked_sub(STATUS_MIN).and_then(|index| self.statuses.get(usize::from(index)))
        else {
            return;
        };
        counter.fetch_add(1, SeqCst);
        if !self.statuses_changed.load(SeqCst) && !self.statuses_changed.swap(true, SeqCst) {
            self.change(|_changed| {});
        }
    }

    /// Notes that a key was let in.
    pub(crate) fn key_used(&self, key: &Arc<RingKey>) {
        if key.note_use() {
            self.change(|changed| changed.keys.push(Arc::clone(key)));
        }
    }

    /// Notes that somebody was not let in.
    pub(crate) fn refused(&self, refusal: Refusal) {
        let first = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).add(refusal);
        if first {
            self.change(|_changed| {});
        }
    }

    /// Takes all that is to be told, if there is anything.
    pub(crate) fn take(&self) -> Option<Counts> {
        let Changed { scripts, keys, .. } = std::mem::take(&mut *self.lock());
        let mut counts =
            Counts { scripts: scripts.iter().map(|counter| counter.take()).collect(), ..Counts::default() };
        for key in keys {
            key.told();
            counts.keys_used.push(key.entry.id);
        }
        if self.statuses_changed.swap(false, SeqCst) {
            let taken = (STATUS_MIN..).zip(&self.statuses).map(|(status, counter)| (status, counter.swap(0, SeqCst)));
            counts.statuses = taken.filter(|(_status, count)| *count > 0).collect();
        }
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).take();
        (counts.refusals, counts.other_refusals) = refusals;
        (counts != Counts::default()).then_some(counts)
    }

    fn change(&self, add: impl FnOnce(&mut Changed)) {
        let mut changed = self.lock();
        add(&mut changed);
        let first = !std::mem::replace(&mut changed.any, true);
        drop(changed);
        if first && let Some(listener) = self.listener.get() {
            listener();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptCounter {
    /// Nothing yet.
    pub(crate) fn new(app: AppId, script: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            app,
            script,
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            duration_us: AtomicU64::new(0),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            memory_bytes_max: AtomicU64::new(0),
            listed: AtomicBool::new(false),
        })
    }

    /// True if it is to be put on the list.
    fn add(&self, ok: bool, took: Duration, memory_bytes: u64) -> bool {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = DURATION_BUCKETS_US.partition_point(|bound| *bound < us);
        self.duration_us.fetch_add(us, Relaxed);
        self.buckets[bucket].fetch_add(1, Relaxed);
        if memory_bytes > self.memory_bytes_max.load(Relaxed) {
            self.memory_bytes_max.fetch_max(memory_bytes, Relaxed);
        }
        // Last and in one order with the list: what is added after the counter was taken finds it unlisted.
        if ok { &self.ok } else { &self.failed }.fetch_add(1, SeqCst);
        !self.listed.load(SeqCst) && !self.listed.swap(true, SeqCst)
    }

    fn take(&self) -> ScriptCounts {
        self.listed.store(false, SeqCst);
        ScriptCounts {
            app: self.app,
            script: self.script.as_ref().to_owned(),
            ok: self.ok.swap(0, SeqCst),
            failed: self.failed.swap(0, SeqCst),
            duration_us: self.duration_us.swap(0, Relaxed),
            buckets: self.buckets.iter().map(|bucket| bucket.swap(0, Relaxed)).collect(),
            memory_bytes_max: self.memory_bytes_max.swap(0, Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Keyring;
    use picloud_model::KeyId;
    use picloud_model::key::hash_of_key;
    use picloud_model::protocol::KeyEntry;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn what_was_counted_is_told_once_and_the_listener_hears_of_the_first_only() {
        let (counting, calls) = (Counting::default(), Arc::new(AtomicUsize::new(0)));
        let heard = Arc::clone(&calls);
        counting.listen(move || {
            heard.fetch_add(1, SeqCst);
        });
        let counter = ScriptCounter::new(AppId(1), Arc::from("hello"));
        for (ok, us, bytes) in [(true, 100, 10), (true, 101, 30), (false, 31_000_000, 20)] {
            counting.ran(&counter, ok, Duration::from_micros(us), bytes);
        }
        counting.answered(404);
        counting.answered(404);
        counting.answered(99);
        let hash = hash_of_key("picloud_x");
        let entry = KeyEntry { id: KeyId(7), name: "ci".to_owned(), hash, scopes: Vec::new(), expires_at: None };
        let ring = Keyring::of(&[entry]);
        counting.key_used(ring.get(&hash).unwrap());
        counting.key_used(ring.get(&hash).unwrap());
        assert_eq!(calls.load(SeqCst), 1);
        let counts = counting.take().unwrap();
        let script = &counts.scripts[0];
        assert_eq!((script.ok, script.failed, script.duration_us, script.memory_bytes_max), (2, 1, 31_000_201, 30));
        assert_eq!(script.buckets, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((counts.statuses, counts.keys_used), (vec![(404, 2)], vec![KeyId(7)]));
        assert_eq!(counting.take(), None);
        counting.ran(&counter, true, Duration::ZERO, 0);
        assert_eq!(calls.load(SeqCst), 2);
        assert_eq!(counting.take().unwrap().scripts[0].ok, 1);
    }

    #[test]
    fn no_run_is_lost_between_who_counts_and_who_tells() {
        const RUNS: u64 = 20_000;
        let counting = Arc::new(Counting::default());
        let counter = ScriptCounter::new(AppId(1), Arc::from("hello"));
        let runners: Vec<_> = (0..4)
            .map(|_| {
                let (counting, counter) = (Arc::clone(&counting), Arc::clone(&counter));
                std::thread::spawn(move || {
                    (0..RUNS).for_each(|_| counting.ran(&counter, true, Duration::from_micros(1), 1));
                })
            })
            .collect();
        let mut told = 0;
        let take = || counting.take().map_or(0, |counts| counts.scripts.iter().map(|script| script.ok).sum::<u64>());
        while !runners.iter().all(std::thread::JoinHandle::is_finished) {
            told += take();
        }
        told += take();
        assert_eq!(told, 4 * RUNS);
    }
}
