//! Leases, outbox and numbers of publishes under everything that a network does to them: a simulation of dispatcher,
//! hub, spool and store over a clock and a network that are not real, the same for the same seed.
//!
//! What is checked, when all faults are over and everything has had its turn: each publish that a script was told is
//! done is stored exactly once, in the order in which its node was told; every delivery has run at least once and ended
//! exactly once; none began on a node while another had its lease; nothing waits any more.
//!
//! A seed that fails is named: `PICLOUD_SIMULATION_SEED=123 cargo nextest run -p picloud-cluster simulation` runs it
//! alone; `PICLOUD_SIMULATION_SEEDS=100000` runs so many.

mod appliance;
mod check;
mod network;
mod node;
mod random;
mod store;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 2_000;
/// Within so many seeds a broken rule must show.
const SEEDS_UNTIL_SEEN: u64 = 6_000;

/// Rules that are broken on purpose, to see that the simulation would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    StoreTakesNumbersTwice,
    StoreForgetsWhatIsSettled,
    SettledTooEarly,
    NumbersBeginAnew,
    SpooledUnderANewNumber,
    PublishesPassTheSpool,
    SpoolForwardedAllAtOnce,
    ResultsAreSaidOnce,
    ResultsAreNotHeld,
    LateResultsCount,
    LeasesNeverEnd,
    LeasesEndTooEarly,
    WhatIsSentArrivesHoweverLate,
}

/// A number from the environment.
#[expect(clippy::disallowed_methods, reason = "a test has no settings")]
fn asked_for(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("it is a number"))
}

type Failed = Option<(u64, Vec<String>)>;

fn lock(failed: &Mutex<Failed>) -> MutexGuard<'_, Failed> {
    failed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs seeds on all processors until one fails; the first that does, and what was not kept.
fn first_failure(seeds: std::ops::Range<u64>, broken: Option<Broken>) -> Failed {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Failed::None));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _thread in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || lock(&failed).as_ref().is_some_and(|(first, _)| *first < seed) {
                        return;
                    }
                    let run = std::panic::AssertUnwindSafe(|| World::new(seed, broken).run());
                    let promises = std::panic::catch_unwind(run).unwrap_or_else(|panic| {
                        let said = panic.downcast_ref::<String>().cloned();
                        vec![said.unwrap_or_else(|| "it panicked".to_owned())]
                    });
                    let mut failed = lock(&failed);
                    if !promises.is_empty() && failed.as_ref().is_none_or(|(first, _)| seed < *first) {
                        *failed = Some((seed, promises));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn whatever_the_network_does_promises_are_kept() {
    let seeds = match asked_for("PICLOUD_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked_for("PICLOUD_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    if let Some((seed, promises)) = first_failure(seeds, None) {
        panic!("PICLOUD_SIMULATION_SEED={seed}:\n{}", promises.join("\n"));
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let broken = Some(Broken::LeasesNeverEnd);
    let failed = first_failure(0..SEEDS_UNTIL_SEEN, broken).expect("a broken rule shows");
    assert_eq!(World::new(failed.0, broken).run(), failed.1);
}

#[test]
fn every_rule_that_is_broken_on_purpose_is_seen() {
    for broken in [
        Broken::StoreTakesNumbersTwice,
        Broken::StoreForgetsWhatIsSettled,
        Broken::SettledTooEarly,
        Broken::NumbersBeginAnew,
        Broken::SpooledUnderANewNumber,
        Broken::PublishesPassTheSpool,
        Broken::SpoolForwardedAllAtOnce,
        Broken::ResultsAreSaidOnce,
        Broken::ResultsAreNotHeld,
        Broken::LateResultsCount,
        Broken::LeasesNeverEnd,
        Broken::LeasesEndTooEarly,
        Broken::WhatIsSentArrivesHoweverLate,
    ] {
        assert!(first_failure(0..SEEDS_UNTIL_SEEN, Some(broken)).is_some(), "{broken:?} goes unnoticed");
    }
}
