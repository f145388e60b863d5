//! The beats of one link: when the next is due, and until when one is to be answered. Over a time that is given.

use picloud_model::protocol::node::{BEAT_ANSWER_MS, BEAT_BUSY_MS, BEAT_IDLE_MS, FromNode, SLOW_ROUND_TRIP_MS};
use std::time::Duration;
use tokio::time::Instant;

/// A doubt is followed by a beat, but no sooner than so long after the last one.
const DOUBT_PAUSE: Duration = Duration::from_secs(1);

/// The beats of one link; by default those of none, of which nothing is ever due.
#[derive(Default)]
pub(super) struct Beats {
    number: u64,
    last: Option<Instant>,
    /// The first that was not answered yet, and when it was sent.
    unanswered: Option<(u64, Instant)>,
    round_trip: Duration,
}

impl Beats {
    /// Those of a link that begins.
    pub(super) fn begin(now: Instant) -> Self {
        Self { last: Some(now), ..Self::default() }
    }

    /// The next beat, which is sent now.
    pub(super) fn send(&mut self, now: Instant, spooled: u64) -> FromNode {
        self.number += 1;
        self.last = Some(now);
        self.unanswered.get_or_insert((self.number, now));
        let round_trip_ms = u32::try_from(self.round_trip.as_millis()).unwrap_or(u32::MAX);
        FromNode::Beat { number: self.number, round_trip_ms, spooled }
    }

    /// The beat of this number was answered, and with it those before it.
    pub(super) fn answered(&mut self, number: u64, now: Instant) {
        if let Some((_first, sent)) = self.unanswered.take_if(|(first, _sent)| *first <= number) {
            self.round_trip = now.saturating_duration_since(sent);
        }
    }

    /// Nothing is waited for any more.
    pub(super) fn give_up(&mut self) {
        self.unanswered = None;
    }

    /// Whether somebody who doubts that the link still works would learn more from another beat.
    pub(super) fn settles_doubt(&self, now: Instant) -> bool {
        let is_new = self.last.is_none_or(|last| now.saturating_duration_since(last) >= DOUBT_PAUSE);
        is_new && self.unanswered.is_none()
    }

    /// When the next is due; `busy` is a node that holds runs.
    pub(super) fn next_at(&self, busy: bool) -> Option<Instant> {
        let was_slow = self.round_trip > Duration::from_millis(SLOW_ROUND_TRIP_MS.into());
        let every = Duration::from_millis(if busy || was_slow { BEAT_BUSY_MS } else { BEAT_IDLE_MS });
        self.last.map(|last| last + every)
    }

    /// Until when the first one that waits for it is to be answered.
    pub(super) fn answer_by(&self) -> Option<Instant> {
        self.unanswered.map(|(_first, sent)| sent + Duration::from_millis(BEAT_ANSWER_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_beat_without_an_answer_counts_until_one_is_answered() {
        let start = Instant::now();
        let mut beats = Beats::begin(start);
        assert_eq!(beats.answer_by(), None);
        beats.send(start + ms(10), 0);
        beats.send(start + ms(20), 0);
        assert_eq!(beats.answer_by(), Some(start + ms(10 + BEAT_ANSWER_MS)));
        beats.answered(2, start + ms(50));
        assert_eq!(beats.answer_by(), None);
        let third = beats.send(start + ms(60), 7);
        assert!(matches!(third, FromNode::Beat { number: 3, round_trip_ms: 40, spooled: 7 }), "{third:?}");
        beats.answered(2, start + ms(70));
        assert_eq!(beats.answer_by(), Some(start + ms(60 + BEAT_ANSWER_MS)), "that was the answer to another one");
        beats.give_up();
        assert_eq!(beats.answer_by(), None);
    }

    #[test]
    fn a_beat_is_due_by_what_is_at_stake_and_never_without_a_link() {
        let start = Instant::now();
        let beats = Beats::begin(start);
        assert_eq!(beats.next_at(true), Some(start + ms(BEAT_BUSY_MS)));
        assert_eq!(beats.next_at(false), Some(start + ms(BEAT_IDLE_MS)));
        let mut slow = Beats::begin(start);
        for (took, every) in [(1_001, BEAT_BUSY_MS), (1_000, BEAT_IDLE_MS)] {
            slow.send(start, 0);
            slow.answered(slow.number, start + ms(took));
            assert_eq!(slow.next_at(false), Some(start + ms(every)), "after {took} ms");
        }
        assert_eq!((Beats::default().next_at(true), Beats::default().answer_by()), (None, None));
    }

    #[test]
    fn a_doubt_is_worth_a_beat_where_none_was_sent_just_now_or_waits_for_its_answer() {
        let start = Instant::now();
        let mut beats = Beats::begin(start);
        assert!(!beats.settles_doubt(start + ms(999)));
        assert!(beats.settles_doubt(start + DOUBT_PAUSE));
        beats.send(start + DOUBT_PAUSE, 0);
        assert!(!beats.settles_doubt(start + DOUBT_PAUSE * 3), "the answer is waited for already");
        beats.answered(1, start + DOUBT_PAUSE * 3);
        assert!(beats.settles_doubt(start + DOUBT_PAUSE * 3));
    }
}
