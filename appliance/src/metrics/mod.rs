//! What is counted and measured, for `/metrics` and `/status`.
//!
//! Workers count their runs and tell once a second, and only when there was one; everything else is read when
//! somebody asks. Labels are bounded, so that no number of apps and scripts makes the answer large.

mod counted;
mod process;
mod text;

pub use process::ProcessUsage;
pub use text::Form;

use counted::Counted;
use picloud_model::protocol::{Counts, RunsNow};
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
