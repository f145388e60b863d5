//! The time that messages carry.

use crate::app::Now;
use picloud_model::clock::{Clock, SystemClock};
use std::time::Instant;

/// Counts from the start of the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(Instant);

impl Ticks {
    /// From now on.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since then.
    pub(super) fn mono_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The time as a message carries it.
    pub(super) fn now(self) -> Now {
        Now { mono_ms: self.mono_ms(), unix_ms: SystemClock.now_ms() }
    }
}
