//! Connections that wait for the next question: a handshake of TLS costs a small machine more than most answers.

use super::Connection;
use super::outgoing::Sending;
use hyper::client::conn::http1::SendRequest;
use std::sync::{Mutex, PoisonError};

/// So many wait at most; those of streams never do.
const IDLE_MAX: usize = 4;

/// A connection on which nothing is under way.
pub(super) struct Idle {
    pub(super) host: String,
    pub(super) sender: SendRequest<Sending>,
    pub(super) connection: Connection,
}

/// Those that wait.
#[derive(Default)]
pub(crate) struct Idles(Mutex<Vec<Idle>>);

impl Idles {
    /// The one that was used last and is still open.
    pub(super) fn take(&self) -> Option<Idle> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| !idle.sender.is_closed());
        idle.pop()
    }

    /// Its answer is whole.
    pub(super) fn put(&self, idle: Idle) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < IDLE_MAX && !idle.sender.is_closed() {
            waiting.push(idle);
        }
    }
}
