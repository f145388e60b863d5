//! What the appliance writes to the terminal beyond lines: its log, archives, and how far something is.

pub(super) use crate::backup::shown_size as size;
pub(super) use picloud_cluster::terminal::{complain, exit_code, say};

use picloud_cluster::service::Journal;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;

/// Starts logging on standard error. `filter` was checked with the settings.
pub(super) fn start_log(filter: &str, with_time: bool) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(quieter(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call (only tests could make one) keeps the first subscriber.
    let _already = if with_time { builder.try_init() } else { builder.without_time().try_init() };
}

/// Starts logging to the journal, or on standard error where that goes elsewhere.
pub(super) fn start_service_log(filter: &str, journal: Option<Journal>) {
    match journal {
        Some(journal) => journal.start(quieter(filter)),
        None => start_log(filter, true),
    }
}

fn quieter(filter: &str) -> EnvFilter {
    // Each connection of the pool that broke with the database; that it went away is said once, elsewhere.
    EnvFilter::new(filter).add_directive("sqlx_core::pool=error".parse().expect("it is a directive"))
}

/// Standard output for what is no text.
pub(super) fn output() -> impl Write {
    std::io::stdout()
}

/// How long something goes on before it is shown how far it is.
const QUIET_MAX: Duration = Duration::from_secs(1);
/// Least time between two numbers.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// One line that counts up on a terminal, for what takes longer than a second; gone when it is dropped.
pub(super) struct Progress {
    done: &'static str,
    bytes: u64,
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// Counts what is `done`: `written`.
    pub(super) fn new(done: &'static str) -> Self {
        let next = std::io::stderr().is_terminal().then(|| Instant::now() + QUIET_MAX);
        Self { done, bytes: 0, next, shown: false }
    }

    /// So many bytes more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        let (bytes, done) = (self.bytes, self.done);
        self.show(&format_args!("{} {done}", size(bytes)));
    }

    /// Something else than a number of bytes.
    pub(super) fn show(&mut self, what: &dyn std::fmt::Display) {
        let now = Instant::now();
        if self.next.is_some_and(|next| next <= now) {
            self.next = Some(now + SHOWN_EVERY);
            self.shown = true;
            let mut out = std::io::stderr().lock();
            let _closed = write!(out, "\r{what}\u{1b}[K").and_then(|()| out.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let mut out = std::io::stderr().lock();
            let _closed = write!(out, "\r\u{1b}[K").and_then(|()| out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_not_rounded_up() {
        let sizes = [0, 1_023, 1_024, 1_535, 1024 * 1024 - 1, 1024 * 1024, 5 * 1024 * 1024 * 1024];
        assert_eq!(sizes.map(size), ["0 B", "1023 B", "1.0 KiB", "1.4 KiB", "1023.9 KiB", "1.0 MiB", "5.0 GiB"]);
    }
}
