//! What is counted since the start, by app and script, with a bound on how many of these are told apart.

use picloud_model::protocol::{DURATION_BUCKETS_US, ScriptCounts};
use std::collections::BTreeMap;

/// Scripts that are told apart; all further ones are counted as one.
pub(super) const SCRIPTS_MAX: usize = 500;
/// Apps that are told apart.
pub(super) const APPS_MAX: usize = 100;
/// What stands for all further ones; no app or script can have that name twice, and one that has it shares.
pub(super) const OTHER: &str = "other";

/// The runs of one script.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    pub(super) ok: u64,
    pub(super) failed: u64,
    pub(super) worker_lost: u64,
    pub(super) duration_us: u64,
    pub(super) buckets: [u64; DURATION_BUCKETS_US.len() + 1],
    pub(super) memory_bytes_max: u64,
}

/// All that is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// By app and script.
    pub(super) scripts: BTreeMap<(String, String), Runs>,
    /// Requests answered without a run, by status.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Bytes of keys and values that were written, by app.
    pub(super) kv_bytes: BTreeMap<String, u64>,
    /// Bytes of everything that scripts wrote, by app and script: keys and values, publishes, timers, files.
    pub(super) written: BTreeMap<(String, String), u64>,
    /// Deliveries by app and what became of an attempt.
    pub(super) deliveries: BTreeMap<(String, &'static str), u64>,
    /// Requests that scripts sent to other servers, by app and how they went.
    pub(super) http_calls: BTreeMap<(String, &'static str), u64>,
    /// Requests that another node ran, by how that went.
    pub(super) forwards: BTreeMap<&'static str, u64>,
    /// Times of schedules that were left out since an earlier one was not over.
    pub(super) slots_skipped: u64,
    /// Times of schedules that came.
    pub(super) slots: u64,
    /// How late they were looked at, all together, in milliseconds.
    pub(super) slots_late_ms: u64,
    /// Refusals of the admin API.
    pub(super) refused: u64,
    /// Workers that were started.
    pub(super) workers: u64,
}

impl Counted {
    /// The place where runs of that script are counted.
    pub(super) fn runs(&mut self, app: &str, script: &str) -> &mut Runs {
        let mut key = (app.to_owned(), script.to_owned());
        if !self.scripts.contains_key(&key) && self.scripts.len() >= SCRIPTS_MAX {
            // One line for what is over the bound, so that the bound holds whatever the number of apps.
            key = (OTHER.to_owned(), OTHER.to_owned());
        }
        self.scripts.entry(key).or_default()
    }

    /// Counts what a worker counted.
    pub(super) fn add(&mut self, app: &str, counts: &ScriptCounts) {
        let runs = self.runs(app, &counts.script);
        runs.ok += counts.ok;
        runs.failed += counts.failed;
        runs.duration_us += counts.duration_us;
        for (bucket, count) in runs.buckets.iter_mut().zip(&counts.buckets) {
            *bucket += count;
        }
        runs.memory_bytes_max = runs.memory_bytes_max.max(counts.memory_bytes_max);
    }

    /// Counts bytes that an app wrote.
    pub(super) fn add_kv_bytes(&mut self, app: &str, bytes: u64) {
        if let Some(written) = self.kv_bytes.get_mut(app) {
            *written += bytes;
            return;
        }
        let app = if self.kv_bytes.len() >= APPS_MAX { OTHER } else { app };
        *self.kv_bytes.entry(app.to_owned()).or_default() += bytes;
    }

    /// Counts bytes that a script wrote.
    pub(super) fn add_written(&mut self, app: &str, script: &str, bytes: u64) {
        let mut key = (app.to_owned(), script.to_owned());
        if !self.written.contains_key(&key) && self.written.len() >= SCRIPTS_MAX {
            key = (OTHER.to_owned(), OTHER.to_owned());
        }
        *self.written.entry(key).or_default() += bytes;
    }
}

/// Counts one by app and word, of which there are few.
pub(super) fn add_one(counts: &mut BTreeMap<(String, &'static str), u64>, app: &str, word: &'static str) {
    /// Most different words.
    const WORDS_MAX: usize = 5;
    let mut key = (app.to_owned(), word);
    if !counts.contains_key(&key) && counts.len() >= APPS_MAX * WORDS_MAX {
        OTHER.clone_into(&mut key.0);
    }
    *counts.entry(key).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_apart_is_bounded_and_nothing_is_lost() {
        let mut counted = Counted::default();
        for n in 0..SCRIPTS_MAX + 50 {
            counted.runs(&format!("app{}", n % 7), &format!("script{n}")).ok += 1;
            counted.add_kv_bytes(&format!("app{n}"), 10);
        }
        counted.runs("app0", "script0").ok += 1;
        for n in 0..SCRIPTS_MAX + 50 {
            counted.add_written("kitchen", &format!("script{n}"), 3);
            add_one(&mut counted.deliveries, &format!("app{n}"), "done");
        }
        assert_eq!(counted.written[&(OTHER.to_owned(), OTHER.to_owned())], 150);
        assert_eq!(counted.deliveries.values().sum::<u64>(), SCRIPTS_MAX as u64 + 50);
        assert_eq!(counted.deliveries[&(OTHER.to_owned(), "done")], 50);
        assert_eq!(counted.scripts.len(), SCRIPTS_MAX + 1);
        assert_eq!(counted.scripts[&(OTHER.to_owned(), OTHER.to_owned())].ok, 50);
        assert_eq!(counted.scripts[&("app0".to_owned(), "script0".to_owned())].ok, 2);
        assert_eq!(counted.kv_bytes.len(), APPS_MAX + 1);
        assert_eq!(counted.kv_bytes.values().sum::<u64>(), 10 * (SCRIPTS_MAX as u64 + 50));
    }
}
