//! What a program and the service manager (systemd) say to each other: sockets that are handed down, readiness, a line of
//! status, the watchdog, and the journal.
//!
//! All of it comes from the environment, which is read once, before there is a second thread. A program that nobody
//! manages says nothing to nobody, and binds its own addresses. docs/operating.md is what people read about it.

mod journal;
mod notify;
mod sockets;
mod watchdog;

pub use journal::Journal;
pub use notify::Notifier;
pub use sockets::{SocketError, is_where_wanted};
pub use watchdog::{Stuck, Watchdog, ask_the_loop};

use listenfd::ListenFd;
use std::ffi::OsString;
use std::net::TcpListener;
use std::time::Duration;

/// What the service manager gave to this program.
pub struct Service {
    /// Where it is told how things are.
    pub notifier: Notifier,
    /// It ends the program that says nothing for so long.
    pub watchdog: Option<Duration>,
    /// Where requests come in; none where the program is to bind an address itself.
    pub ingress: Vec<TcpListener>,
    /// The journal, where standard error goes there.
    pub journal: Option<Journal>,
}

impl Service {
    /// Takes what the environment tells. To be called first of all: sockets and variables are taken away, which no
    /// other thread may see happen.
    pub fn take(program: &'static str) -> Result<Self, SocketError> {
        let names = variable("LISTEN_FDNAMES").and_then(|names| names.into_string().ok());
        let ingress = sockets::ingress(ListenFd::from_env(), names.as_deref(), program)?;
        let number = |name| variable(name)?.into_string().ok()?.parse::<u64>().ok();
        let is_for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_for_us && *usec > 0).map(Duration::from_micros);
        Ok(Self {
            notifier: Notifier::to(variable("NOTIFY_SOCKET").as_deref()),
            watchdog,
            ingress,
            journal: Journal::open(variable("JOURNAL_STREAM").as_deref(), program),
        })
    }

    /// Nobody manages this program.
    pub fn none() -> Self {
        Self { notifier: Notifier::to(None), watchdog: None, ingress: Vec::new(), journal: None }
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The beginning of `text` that is no longer than that.
fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}
