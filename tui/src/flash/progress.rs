//! How far it is: bytes, rate and time left, in one line that is painted over, for a person only.

use crate::output::Output;
use std::time::{Duration, Instant};

/// How often the line changes.
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// One stage of it.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    what: &'static str,
    total: u64,
    began: Instant,
    shown: Option<Instant>,
}

impl<'a> Progress<'a> {
    /// Begins a stage of so many bytes.
    pub(crate) fn begin(output: &'a Output, what: &'static str, total: u64) -> Self {
        Self { output, what, total, began: Instant::now(), shown: None }
    }

    /// So many bytes are done.
    pub(crate) fn at(&mut self, done: u64) {
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        self.output.waiting_over();
        self.output.waiting(&line(self.what, done, self.total, self.began.elapsed()));
    }

    /// The stage is over; how long it took.
    pub(crate) fn end(self) -> Duration {
        self.output.waiting_over();
        self.began.elapsed()
    }
}

/// `writing  412.0 MiB of 1.2 GiB  21.3 MiB/s  0:38 left`
fn line(what: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let shown = size;
    let seconds = elapsed.as_secs_f64();
    if seconds < 0.5 || done == 0 {
        return format!("{what}  {} of {}", shown(done), shown(total));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate for people"
    )]
    let (rate, left) = {
        let rate = done as f64 / seconds;
        (rate as u64, (total.saturating_sub(done) as f64 / rate) as u64)
    };
    format!("{what}  {} of {}  {}/s  {}:{:02} left", shown(done), shown(total), shown(rate), left / 60, left % 60)
}

/// `1.2 GiB`
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_how_fast_and_how_long_yet() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(line("writing", 0, 4 * MIB, Duration::ZERO), "writing  0 B of 4.0 MiB");
        let later = line("writing", 100 * MIB, 1_000 * MIB, Duration::from_secs(10));
        assert_eq!(later, "writing  100.0 MiB of 1000.0 MiB  10.0 MiB/s  1:30 left");
    }
}
