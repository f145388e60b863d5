//! What the agent writes to the terminal: lines, and its log.

pub(super) use picloud_cluster::terminal::{complain, exit_code, say};

use picloud_cluster::service::Journal;
use std::io::IsTerminal;

/// Starts logging to the journal, or else on standard error. `filter` was checked with the settings.
pub(super) fn start_log(filter: &str, journal: Option<Journal>) {
    use tracing_subscriber::EnvFilter;
    if let Some(journal) = journal {
        return journal.start(EnvFilter::new(filter));
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call (only tests could make one) keeps the first subscriber.
    let _already = builder.try_init();
}
