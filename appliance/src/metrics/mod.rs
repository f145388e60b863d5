//! What is counted and measured, for `/metrics` and `/status`.
//!
//! Workers count their runs and tell once a second, and only when there was one; everything else is read when
//! somebody asks. Labels are bounded, so that no number of apps and scripts makes the answer large.

mod backups;
mod counted;
mod nodes;
mod process;
mod text;

pub use nodes::NodesNow;
pub use process::ProcessUsage;
pub use text::Form;

use crate::repository::Outcomes;
use counted::Counted;
use picloud_model::protocol::{Counts, RunsNow};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is as it is at one moment, gathered by whoever asks.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// Time since the start.
    pub uptime_s: u64,
    /// Finished runs that wait to be kept.
    pub history_waiting: u64,
    /// Finished runs that were not kept.
    pub history_dropped: u64,
    /// Open streams.
    pub streams: u64,
    /// Entries ever written to the audit log.
    pub audit_entries: u64,
    /// Apps.
    pub apps: u64,
    /// Scripts and modules.
    pub scripts: u64,
    /// Scripts in quarantine.
    pub quarantined: u64,
    /// API keys.
    pub keys: u64,
    /// Runs at this moment, where the worker told in time.
    pub runs: Option<RunsNow>,
    /// What waits in each app, by name.
    pub queues: Vec<Queue>,
    /// The nodes.
    pub nodes: NodesNow,
    /// What came of the last backups into the repository.
    pub backups: Outcomes,
}

/// What waits in one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The app.
    pub app: String,
    /// Deliveries that wait or are under way, timers included.
    pub deliveries: u64,
    /// For how long the oldest of them has been due, in milliseconds; 0 where none is.
    pub oldest_due_ms: u64,
    /// Deliveries that wait for a node that may run them and has a place.
    pub waiting_for_node: u64,
    /// Dead letters.
    pub dead_letters: u64,
}

/// Runs since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTotals {
    /// That went well.
    pub ok: u64,
    /// That did not.
    pub failed: u64,
}

/// All counters.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counted>);

impl Metrics {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a worker counted; `app_name` names an app by its id.
    pub fn add(&self, counts: &Counts, app_name: impl Fn(picloud_model::AppId) -> String) {
        let mut counted = self.counted();
        for script in &counts.scripts {
            counted.add(&app_name(script.app), script);
        }
        for (status, count) in &counts.statuses {
            *counted.statuses.entry(*status).or_default() += count;
        }
    }

    /// A run whose worker died.
    pub fn run_lost(&self, app: &str, script: &str) {
        self.counted().runs(app, script).worker_lost += 1;
    }

    /// A worker asked for what it needs to start.
    pub fn worker_started(&self) {
        self.counted().workers += 1;
    }

    /// An app wrote so many bytes of keys and values.
    pub fn kv_written(&self, app: &str, bytes: u64) {
        self.counted().add_kv_bytes(app, bytes);
    }

    /// A script wrote so many bytes, of whatever kind.
    pub fn written(&self, app: &str, script: &str, bytes: u64) {
        self.counted().add_written(app, script, bytes);
    }

    /// An attempt of a delivery came to this: `done`, `retry`, `dead`, `not_run`.
    pub fn delivery_ended(&self, app: &str, word: &'static str) {
        counted::add_one(&mut self.counted().deliveries, app, word);
    }

    /// A script's request to another server went so: `ok`, `failed`, `refused`.
    pub fn http_called(&self, app: &str, word: &'static str) {
        counted::add_one(&mut self.counted().http_calls, app, word);
    }

    /// A request was run by another node, and that went so: `ok`, `failed`.
    pub fn forwarded(&self, word: &'static str) {
        *self.counted().forwards.entry(word).or_default() += 1;
    }

    /// A schedule's time came, and was looked at so late; so many times were left out.
    pub fn slot_ended(&self, late_ms: i64, skipped: u64) {
        let mut counted = self.counted();
        counted.slots += 1;
        counted.slots_late_ms += u64::try_from(late_ms).unwrap_or(0);
        counted.slots_skipped += skipped;
    }

    /// Bytes that the scripts of each app wrote.
    pub fn written_by_app(&self) -> BTreeMap<String, u64> {
        let mut by_app = BTreeMap::new();
        for ((app, _script), bytes) in &self.counted().written {
            *by_app.entry(app.clone()).or_default() += bytes;
        }
        by_app
    }

    /// The admin API refused somebody.
    pub fn refused(&self) {
        self.counted().refused += 1;
    }

    /// Runs of all scripts.
    pub fn run_totals(&self) -> RunTotals {
        let counted = self.counted();
        let each = counted.scripts.values();
        each.fold(RunTotals::default(), |totals, runs| RunTotals {
            ok: totals.ok + runs.ok,
            failed: totals.failed + runs.failed + runs.worker_lost,
        })
    }

    /// Everything as text; `None` where it cannot be written.
    pub fn text(&self, gauges: Gauges, worker_pid: Option<u32>, form: Form) -> Option<String> {
        let moment = text::Moment {
            counted: self.counted().clone(),
            gauges,
            appliance: ProcessUsage::of(std::process::id()),
            worker: worker_pid.map(ProcessUsage::of),
        };
        moment.text(form).ok()
    }
}
