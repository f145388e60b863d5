//! Where a script runs: learned from how it ran. Short ones that call no port run inline, all others on the pool.
//!
//! Inline costs half of a hop to the pool and back, but a run that is not short would stall the requests of its
//! thread. So trust is earned by content hash, run by run, and lost at once: see [`Record::ran`].

use picloud_model::ContentHash;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// Below this a run is short: well over what inline saves (about 8 µs), well under what a request would notice.
pub const SHORT: Duration = Duration::from_micros(150);
/// From here on an inline run was long, rather than kept waiting for a processor.
const LONG: Duration = Duration::from_millis(20);
/// Short runs in a row before a script runs inline.
const TRUST: i32 = 8;
/// Runs on the pool after an inline run turned out long.
const DISTRUST: i32 = 64;
/// Content hashes remembered; past it all is learned anew.
const RECORDS_MAX: usize = 50_000;

/// What is known of one content hash.
#[derive(Debug, Default)]
pub struct Record(AtomicI32);

impl Record {
    /// Whether the next run is to be inline.
    pub fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= TRUST
    }

    /// Learns from a run that took `took`: processor time on the pool, where others may have had the processor
    /// meanwhile; wall time inline, where only that matters. A racing update may lose one sample, which delays a
    /// decision by a run.
    pub fn ran(&self, took: Duration, waited: bool, inline: bool) {
        let trust = self.0.load(Ordering::Relaxed);
        let next = match (took < SHORT && !waited, inline) {
            (true, _) if trust >= TRUST => return,
            (true, _) => trust + 1,
            // Waiting, or so slow that no busy machine explains it.
            (false, true) if waited || took >= LONG => -DISTRUST,
            (false, _) => trust.min(0),
        };
        self.0.store(next, Ordering::Relaxed);
    }
}

/// All records.
#[derive(Default)]
pub struct Placement(RwLock<HashMap<ContentHash, Arc<Record>>>);

impl Placement {
    /// The record of `hash`.
    pub fn of(&self, hash: ContentHash) -> Arc<Record> {
        if let Some(record) = self.0.read().ok().and_then(|records| records.get(&hash).cloned()) {
            return record;
        }
        let Ok(mut records) = self.0.write() else { return Arc::default() };
        if records.len() >= RECORDS_MAX {
            records.clear();
        }
        Arc::clone(records.entry(hash).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(2);

    #[test]
    fn trust_is_earned_run_by_run_and_lost_at_once() {
        let record = Record::default();
        for _ in 0..TRUST {
            assert!(!record.is_short(), "a new script runs on the pool");
            record.ran(QUICK, false, false);
        }
        assert!(record.is_short());
        record.ran(Duration::from_secs(2), true, true);
        for _ in 0..DISTRUST + TRUST {
            assert!(!record.is_short());
            record.ran(QUICK, false, false);
        }
        assert!(record.is_short());
    }

    #[test]
    fn an_inline_run_that_a_busy_machine_kept_waiting_costs_little_trust() {
        let record = Record::default();
        (0..TRUST).for_each(|_| record.ran(QUICK, false, false));
        record.ran(4 * SHORT, false, true);
        assert!(!record.is_short());
        (0..TRUST).for_each(|_| record.ran(QUICK, false, false));
        assert!(record.is_short());
    }

    #[test]
    fn a_script_that_calls_a_port_or_takes_long_is_never_inline() {
        let (waits, slow) = (Record::default(), Record::default());
        for _ in 0..1000 {
            waits.ran(QUICK, true, false);
            slow.ran(SHORT, false, false);
            assert!(!waits.is_short() && !slow.is_short());
        }
    }

    #[test]
    fn one_hash_has_one_record_and_records_are_bounded() {
        let placement = Placement::default();
        let hash = |n: usize| ContentHash::of(&n.to_le_bytes());
        assert!(Arc::ptr_eq(&placement.of(hash(1)), &placement.of(hash(1))));
        (0..RECORDS_MAX + 10).for_each(|n| drop(placement.of(hash(n))));
        assert!(placement.0.read().unwrap().len() <= RECORDS_MAX);
    }
}
