//! The one place that writes to the terminal.

use std::io::{IsTerminal, Write};

/// Prints what was asked for. A closed terminal is no error: the agent goes on.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints what went wrong.
pub(super) fn complain(line: &str) {
    let mut out = std::io::stderr().lock();
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Starts logging on standard error. `filter` was checked with the settings.
pub(super) fn start_log(filter: &str) {
    use tracing_subscriber::EnvFilter;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call (only tests could make one) keeps the first subscriber.
    let _already = builder.try_init();
}
