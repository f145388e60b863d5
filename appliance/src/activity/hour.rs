//! The runs of the last hour, by minute and app: counted as workers tell of them, a few additions each.

use picloud_model::activity::{ACTIVITY_MINUTES_MAX, CauseCount, MinuteCounts, RunCause};
use picloud_model::clock::UnixMs;
use picloud_model::event::EventKind;
use picloud_model::protocol::{DURATION_BUCKETS_US, ScriptCounts};
use std::collections::BTreeMap;

/// A minute.
const MINUTE_MS: i64 = 60_000;
/// What counts as the last hour.
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Apps that are told apart in a minute; all further ones are counted as one without a name.
const APPS_MAX: usize = 100;
/// What stands for those; no app has no name.
const OTHERS: &str = "";
/// One for each bound of durations, and one above.
const BUCKETS: usize = DURATION_BUCKETS_US.len() + 1;
/// The share of runs that takes no longer than what is told.
const QUANTILE: f64 = 0.95;

/// Runs of one app in one minute.
#[derive(Clone, Debug, Default)]
struct Counts {
    runs: u64,
    failed: u64,
    buckets: [u64; BUCKETS],
    /// Of what started them, all but requests, by the place of [`RunCause`].
    causes: [u64; RunCause::ALL.len()],
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed += other.failed;
        let sums = self.buckets.iter_mut().zip(&other.buckets).chain(self.causes.iter_mut().zip(&other.causes));
        for (sum, count) in sums {
            *sum += count;
        }
    }

    /// The time within which 95 of 100 were done: between the bounds of a bucket as if all were spread evenly.
    fn p95_ms(&self) -> Option<f64> {
        let all: u64 = self.buckets.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = all as f64 * QUANTILE;
        let (mut below, mut from_us) = (0_u64, 0_u64);
        for (count, to_us) in self.buckets.iter().zip(DURATION_BUCKETS_US) {
            if (below + count) as f64 >= wanted {
                let share = (wanted - below as f64) / *count as f64;
                let us = from_us as f64 + share * (to_us - from_us) as f64;
                return Some((us / 100.0).round() / 10.0);
            }
            below += count;
            from_us = to_us;
        }
        // Longer than the last bound; how long is not known.
        Some(from_us as f64 / 1_000.0)
    }
}

/// The last hour.
#[derive(Debug, Default)]
pub(super) struct Hour {
    /// By the minute's beginning, and app.
    minutes: BTreeMap<UnixMs, BTreeMap<String, Counts>>,
}

impl Hour {
    fn counts(&mut self, at: UnixMs, app: &str) -> &mut Counts {
        let minute = at - at.rem_euclid(MINUTE_MS);
        if !self.minutes.contains_key(&minute) {
            // Also where the clock went back: then what was counted ahead of it is forgotten last.
            self.minutes.retain(|old, _apps| at - old < HOUR_MS);
            while self.minutes.len() >= ACTIVITY_MINUTES_MAX {
                self.minutes.pop_first();
            }
        }
        let apps = self.minutes.entry(minute).or_default();
        let app = if apps.contains_key(app) || apps.len() < APPS_MAX { app } else { OTHERS };
        apps.entry(app.to_owned()).or_default()
    }

    /// What a worker counted of a script's runs.
    pub(super) fn add(&mut self, at: UnixMs, app: &str, told: &ScriptCounts) {
        let counts = self.counts(at, app);
        counts.runs += told.ok + told.failed;
        counts.failed += told.failed;
        for (sum, count) in counts.buckets.iter_mut().zip(&told.buckets) {
            *sum += count;
        }
    }

    /// A run that no worker counted.
    pub(super) fn add_run(&mut self, at: UnixMs, app: &str, failed: bool, duration_us: u64) {
        let counts = self.counts(at, app);
        counts.runs += 1;
        counts.failed += u64::from(failed);
        counts.buckets[DURATION_BUCKETS_US.partition_point(|bound| *bound < duration_us)] += 1;
    }

    /// A run that an event started; the run itself is counted by whoever ran it.
    pub(super) fn started_by(&mut self, at: UnixMs, app: &str, kind: EventKind) {
        let cause = match kind {
            EventKind::Kv => RunCause::Kv,
            EventKind::Files => RunCause::Files,
            EventKind::Cron => RunCause::Cron,
            EventKind::Pubsub => RunCause::Pubsub,
            EventKind::DeadLetter => RunCause::DeadLetter,
            EventKind::Timer => RunCause::Timer,
            EventKind::Request => RunCause::Later,
        };
        self.counts(at, app).causes[cause as usize] += 1;
    }

    /// The hour before `now`, of apps that are seen.
    pub(super) fn shown(&self, now: UnixMs, sees: impl Fn(&str) -> bool) -> (Vec<MinuteCounts>, Vec<CauseCount>) {
        let mut whole = Counts::default();
        let mut minutes = Vec::new();
        for (minute, apps) in self.minutes.range(now - HOUR_MS + 1..=now) {
            let mut counts = Counts::default();
            apps.iter().filter(|(app, _counts)| sees(app)).for_each(|(_app, of_app)| counts.add(of_app));
            whole.add(&counts);
            if counts.runs > 0 {
                let Counts { runs, failed, .. } = counts;
                minutes.push(MinuteCounts { minute: *minute, runs, failed, p95_ms: counts.p95_ms() });
            }
        }
        // What no event started was a request, or asked for by somebody.
        let of_events: u64 = whole.causes.iter().sum();
        whole.causes[RunCause::Http as usize] = whole.runs.saturating_sub(of_events);
        let causes = RunCause::ALL.iter().zip(whole.causes).filter(|(_cause, runs)| *runs > 0);
        (minutes, causes.map(|(cause, runs)| CauseCount { cause: *cause, runs }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(_app: &str) -> bool {
        true
    }

    #[test]
    fn an_hour_is_sixty_minutes_of_those_apps_that_are_seen() {
        let mut hour = Hour::default();
        for minute in 0..90 {
            hour.add_run(minute * MINUTE_MS + 7, "kitchen", minute % 10 == 0, 900);
            hour.add_run(minute * MINUTE_MS + 8, "cellar", false, 900);
        }
        hour.started_by(89 * MINUTE_MS, "kitchen", EventKind::Cron);
        let now = 89 * MINUTE_MS + 30_000;
        let (minutes, causes) = hour.shown(now, all);
        assert_eq!((minutes.len(), minutes[0].minute), (60, 30 * MINUTE_MS));
        assert_eq!(minutes.iter().map(|minute| (minute.runs, minute.failed)).max(), Some((2, 1)));
        let count = |cause, runs| CauseCount { cause, runs };
        assert_eq!(causes, [count(RunCause::Http, 119), count(RunCause::Cron, 1)]);
        let (minutes, causes) = hour.shown(now, |app| app == "cellar");
        assert_eq!((minutes.len(), causes), (60, vec![count(RunCause::Http, 60)]));
        assert!(hour.shown(now, |_app| false).0.is_empty());
        assert_eq!(hour.shown(now + HOUR_MS, all), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_is_told_apart_is_bounded_and_nothing_is_lost() {
        let mut hour = Hour::default();
        for app in 0..APPS_MAX + 50 {
            hour.add_run(1, &format!("app{app}"), false, 1);
        }
        assert_eq!(hour.minutes[&0].len(), APPS_MAX + 1);
        assert_eq!(hour.shown(1, all).0[0].runs, APPS_MAX as u64 + 50);
        // Also where the clock runs back.
        for minute in (0..1_000).rev() {
            hour.add_run(minute * MINUTE_MS, "kitchen", false, 1);
        }
        assert_eq!(hour.minutes.len(), ACTIVITY_MINUTES_MAX);
    }

    #[test]
    fn the_time_of_nearly_all_is_told_from_the_buckets() {
        let p95 = |durations_us: &[u64]| {
            let mut hour = Hour::default();
            durations_us.iter().for_each(|us| hour.add_run(1, "kitchen", false, *us));
            hour.shown(1, all).0[0].p95_ms
        };
        assert_eq!(p95(&[50]), Some(0.1));
        assert_eq!(p95(&[7_000; 100]), Some(9.8), "95 of 100 of what is between 5 and 10 ms");
        assert_eq!(p95(&[vec![50; 96], vec![400_000; 4]].concat()), Some(0.1));
        assert_eq!(p95(&[60_000_000]), Some(30_000.0), "longer than the last bound");
    }
}
