//! Looks: most checks beside each other, those that would disturb others alone, each with an end in time.

use super::{About, CHECKS, Case, Check, Finding};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// What one check found.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it looks at.
    pub(crate) title: &'static str,
    /// What it found.
    pub(crate) finding: Finding,
    /// How long that took.
    pub(crate) took: Duration,
}

/// Runs the checks of these names, or all; what concerns the machine only where it is the one that is asked about.
/// `tell` hears which are under way.
pub(crate) fn run(case: Case, names: &[String], tell: &dyn Fn(&[&str])) -> Vec<Told> {
    let is_wanted = |check: &&&Check| {
        let is_named = names.is_empty() || names.iter().any(|name| name == check.name);
        is_named && (case.asked.is_here || check.about == About::Appliance || check.name == "clock")
    };
    let wanted: Vec<&'static Check> = CHECKS.iter().filter(is_wanted).copied().collect();
    let case = Arc::new(case);
    let (alone, together): (Vec<_>, Vec<_>) = wanted.iter().copied().partition(|check| check.is_alone);
    let mut told = beside_each_other(&case, &together, tell);
    for check in alone {
        told.extend(beside_each_other(&case, &[check], tell));
    }
    let place = |one: &Told| wanted.iter().position(|check| check.name == one.name);
    told.sort_by_key(place);
    told
}

fn beside_each_other(case: &Arc<Case>, checks: &[&'static Check], tell: &dyn Fn(&[&str])) -> Vec<Told> {
    let began = Instant::now();
    let (sender, found) = mpsc::sync_channel(checks.len());
    for (index, check) in checks.iter().copied().enumerate() {
        let (case, sender) = (Arc::clone(case), sender.clone());
        // One that never ends is left behind, and ends with the process.
        std::thread::spawn(move || {
            let finding = (check.look)(&case);
            let _too_late = sender.send((index, finding));
        });
    }
    drop(sender);
    let mut results: Vec<Option<Told>> = vec![None; checks.len()];
    loop {
        let open: Vec<&Check> =
            checks.iter().zip(&results).filter(|(_, result)| result.is_none()).map(|(check, _)| *check).collect();
        tell(&open.iter().map(|check| check.name).collect::<Vec<_>>());
        let Some(until) = open.iter().map(|check| began + check.time_max).max() else { break };
        match found.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((index, finding)) => results[index] = Some(told(checks[index], finding, began.elapsed())),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    let late = |check: &Check| {
        let waited = began.elapsed();
        let what = if waited < check.time_max {
            "it came to grief, which it must not: please report it".to_owned()
        } else {
            format!("it did not end within {} s; a disk or a network that hangs does that", check.time_max.as_secs())
        };
        told(check, Finding::unknown(what), waited)
    };
    results.into_iter().zip(checks).map(|(result, check)| result.unwrap_or_else(|| late(check))).collect()
}

fn told(check: &Check, finding: Finding, took: Duration) -> Told {
    Told { name: check.name, title: check.title, finding, took }
}
