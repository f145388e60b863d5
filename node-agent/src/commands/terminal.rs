//! What the agent writes to the terminal: lines, and its log.

pub(super) use picloud_cluster::terminal::{exit_code, say};

use std::io::IsTerminal;

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
