//! Schedules: when a `cron` trigger comes next, what becomes of times that nobody was there for, and the task that
//! watches them.
//!
//! The rule for the two odd nights of a time zone: a local time that is skipped comes once, at the first instant after
//! the gap; one that is doubled comes once, at its first. A schedule whose hour is `*` follows the time that passes
//! instead: it leaves out the hour that is not there, and comes in both of the hours that look alike. `every` knows
//! no local time at all.

mod alarm;
mod expression;
mod missed;
mod preview;
mod watcher;

pub use alarm::Alarm;
pub use expression::{Expression, check, check_text};
pub use missed::slot;
pub use preview::{PREVIEW_MAX, Preview, preview};
pub use watcher::run;

use picloud_model::clock::UnixMs;

/// 2024-01-01T00:00:00Z: a clock before it has not been set yet, as on a small machine without a battery.
pub const CLOCK_SET_FROM: UnixMs = 1_704_067_200_000;
