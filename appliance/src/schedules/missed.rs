//! What a schedule's time comes to when it is looked at: on time, or after nobody was there for a while.

use super::expression::Expression;
use picloud_model::clock::UnixMs;
use picloud_model::trigger::{MISSED_SLOTS_MAX, Missed};
use picloud_store::Slot;

/// A time that nobody looked at for so long was missed; before that, it is only late.
const LATE_MS_MAX: i64 = 60_000;
/// Missed times that are counted one by one; more are that many.
const COUNTED_MAX: u32 = 10_000;

/// What to do at `now` about a schedule that was due at `due_at`.
pub fn slot(expression: &Expression, missed: Missed, due_at: UnixMs, now: UnixMs) -> Slot {
    let wanted = if missed == Missed::All { MISSED_SLOTS_MAX as usize } else { 1 };
    let (times, before) = newest(expression, due_at, now, wanted);
    let last = times.last().copied().unwrap_or(due_at);
    let next_at = expression.next(last);
    let deliver = match missed {
        Missed::Skip if now - last > LATE_MS_MAX => Vec::new(),
        Missed::Skip => vec![(last, 0)],
        Missed::Once => vec![(last, before)],
        // What is too much to be made up for is told with the first.
        Missed::All => times.into_iter().enumerate().map(|(n, at)| (at, if n == 0 { before } else { 0 })).collect(),
    };
    Slot { due_at, deliver, next_at }
}

/// The last `wanted` times from `due_at` to `now`, oldest first, and how many there were before them.
///
/// Looks back in windows that double, so that the work is about `wanted` whatever the distance.
fn newest(expression: &Expression, due_at: UnixMs, now: UnixMs, wanted: usize) -> (Vec<UnixMs>, u32) {
    if let Some(every_ms) = expression.every_ms() {
        let last = (now - due_at).max(0) / every_ms;
        let first = (last + 1 - i64::try_from(wanted).unwrap_or(i64::MAX)).max(0);
        let times = (first..=last).map(|n| due_at + n * every_ms).collect();
        return (times, u32::try_from(first).unwrap_or(u32::MAX));
    }
    let mut window_ms = 1_000_i64;
    loop {
        let from = now.saturating_sub(window_ms);
        let all = from <= due_at;
        // The due time itself is the first, however the schedule reads by now.
        let mut times: Vec<UnixMs> = if all { vec![due_at] } else { Vec::new() };
        let mut at = if all { due_at } else { from };
        while let Some(next) = expression.next(at).filter(|next| *next <= now) {
            times.push(next);
            at = next;
        }
        if all || times.len() >= wanted {
            let rest = times.len().saturating_sub(wanted);
            let earlier = if all { 0 } else { count(expression, due_at, times.first().copied().unwrap_or(now)) };
            let before = u32::try_from(rest).unwrap_or(u32::MAX).saturating_add(earlier);
            return (times.split_off(rest), before);
        }
        window_ms = window_ms.saturating_mul(2);
    }
}

/// How many times there are from `due_at` to before `end`.
fn count(expression: &Expression, due_at: UnixMs, end: UnixMs) -> u32 {
    let mut counted = 1;
    let mut at = due_at;
    while counted < COUNTED_MAX {
        match expression.next(at) {
            Some(next) if next < end => (at, counted) = (next, counted + 1),
            _done => break,
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;

    fn at(schedule: &str, missed: Missed, due_at: UnixMs, now: UnixMs) -> (Vec<(UnixMs, u32)>, Option<UnixMs>) {
        let slot = slot(&Expression::parse(schedule, None).unwrap(), missed, due_at, now);
        assert_eq!(slot.due_at, due_at);
        (slot.deliver, slot.next_at)
    }

    #[test]
    fn a_time_that_is_on_time_is_one_run_whatever_the_policy() {
        for schedule in ["@daily", "every 1d"] {
            for missed in [Missed::Skip, Missed::Once, Missed::All] {
                let expected = (vec![(DAY, 0)], Some(2 * DAY));
                assert_eq!(at(schedule, missed, DAY, DAY + 5), expected, "{schedule} {missed:?}");
            }
        }
    }

    #[test]
    fn missed_times_are_left_out_made_up_for_once_or_each() {
        let now = 4 * DAY + 3 * 60 * MINUTE;
        for schedule in ["@daily", "every 1d"] {
            assert_eq!(at(schedule, Missed::Skip, DAY, now), (vec![], Some(5 * DAY)), "{schedule}");
            assert_eq!(at(schedule, Missed::Once, DAY, now), (vec![(4 * DAY, 3)], Some(5 * DAY)), "{schedule}");
            let each = (1..=4).map(|day| (day * DAY, 0)).collect();
            assert_eq!(at(schedule, Missed::All, DAY, now), (each, Some(5 * DAY)), "{schedule}");
        }
    }

    #[test]
    fn a_year_of_seconds_is_bounded() {
        let now = 400 * DAY;
        for (schedule, counted) in
            [("* * * * * *", COUNTED_MAX), ("every 1s", u32::try_from(399 * DAY / 1_000).unwrap())]
        {
            let (once, next_at) = at(schedule, Missed::Once, DAY, now);
            assert_eq!((once, next_at), (vec![(now, counted)], Some(now + 1_000)), "{schedule}");
            let (all, _next_at) = at(schedule, Missed::All, DAY, now);
            assert_eq!(all.len(), MISSED_SLOTS_MAX as usize);
            assert_eq!(all.last(), Some(&(now, 0)));
            assert!(all[0].1 >= COUNTED_MAX - MISSED_SLOTS_MAX, "{schedule}: {:?}", all[0]);
        }
    }

    #[test]
    fn a_clock_that_went_back_makes_no_second_run() {
        // Looked at before its time: nothing but the due time itself is made of it.
        assert_eq!(at("@daily", Missed::Once, 5 * DAY, 5 * DAY).1, Some(6 * DAY));
    }
}
