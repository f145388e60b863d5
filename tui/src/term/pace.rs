//! When the next frame is drawn: at once after a key, soon after an answer, seldom for streams over ssh.

use std::time::{Duration, Instant};

/// Between frames, where the terminal is near.
const NEAR: Duration = Duration::from_millis(33);
/// Between frames of streams over ssh: more of them would wait in front of the line, and keys behind them.
const FAR: Duration = Duration::from_millis(200);
/// A terminal that takes longer for a frame gets fewer.
const SLOW_FLUSH: Duration = Duration::from_millis(50);
/// The longest between frames, however slow it is.
const SLOWEST: Duration = Duration::from_secs(2);

/// What asks for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The person did something.
    Person,
    /// Something that was asked for came.
    Answer,
    /// Something came by itself.
    Stream,
}

/// When to draw.
#[derive(Debug)]
pub(super) struct Pace {
    is_far: bool,
    last: Option<Instant>,
    next: Option<Instant>,
    /// How long the terminal took for the last frame.
    flush: Duration,
}

impl Pace {
    /// Over ssh, or not.
    pub(super) fn new(is_far: bool) -> Self {
        Self { is_far, last: None, next: None, flush: Duration::ZERO }
    }

    /// Something is to be drawn.
    pub(super) fn wants(&mut self, now: Instant, cause: Cause) {
        let between = match cause {
            Cause::Person => Duration::ZERO,
            Cause::Answer => NEAR,
            Cause::Stream if self.is_far => FAR,
            Cause::Stream => NEAR,
        };
        let slow =
            if self.flush > SLOW_FLUSH && cause != Cause::Person { (self.flush * 4).min(SLOWEST) } else { between };
        let at = self.last.map_or(now, |last| (last + between.max(slow)).max(now));
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// When the next frame is due; `None` while nothing waits to be drawn.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// A frame was due, and drawn.
    pub(super) fn drawn(&mut self, now: Instant, flush: Duration) {
        self.last = Some(now);
        self.next = None;
        self.flush = flush;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_a_frame(is_far: bool, flush: Duration) -> (Pace, Instant) {
        let mut pace = Pace::new(is_far);
        let now = Instant::now();
        pace.wants(now, Cause::Stream);
        assert_eq!(pace.next(), Some(now), "the first frame waits for nothing");
        pace.drawn(now, flush);
        assert_eq!(pace.next(), None, "without news there is no frame");
        (pace, now)
    }

    fn next(is_far: bool, flush: Duration, cause: Cause) -> Duration {
        let (mut pace, now) = after_a_frame(is_far, flush);
        pace.wants(now, cause);
        pace.next().unwrap() - now
    }

    #[test]
    fn keys_are_shown_at_once_answers_soon_and_streams_seldom_over_ssh() {
        let quick = Duration::from_millis(1);
        assert_eq!(next(false, quick, Cause::Person), Duration::ZERO);
        assert_eq!(next(true, quick, Cause::Person), Duration::ZERO);
        assert_eq!(next(true, quick, Cause::Answer), NEAR);
        assert_eq!(next(false, quick, Cause::Stream), NEAR);
        assert_eq!(next(true, quick, Cause::Stream), FAR);
    }

    #[test]
    fn a_slow_terminal_gets_fewer_frames_but_keys_do_not_wait() {
        let slow = Duration::from_millis(100);
        assert_eq!(next(false, slow, Cause::Stream), Duration::from_millis(400));
        assert_eq!(next(false, slow, Cause::Person), Duration::ZERO);
        assert_eq!(next(true, Duration::from_secs(60), Cause::Stream), SLOWEST);
    }

    #[test]
    fn a_key_brings_a_frame_forward_that_was_due_later() {
        let (mut pace, now) = after_a_frame(true, Duration::ZERO);
        pace.wants(now, Cause::Stream);
        pace.wants(now, Cause::Person);
        assert_eq!(pace.next(), Some(now));
        pace.wants(now, Cause::Stream);
        assert_eq!(pace.next(), Some(now), "and nothing puts it off again");
    }
}
