//! Signals that are heeded. The one that suspends is not among them: the system's own way is the right one.

use futures_util::FutureExt;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The line is gone, or somebody ends the program.
    End,
    /// It was stopped, and goes on.
    GoOn,
    /// The terminal has another size.
    Resized,
}

/// The signals.
pub(super) struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    go_on: Signal,
    resized: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            go_on: signal(SignalKind::from_raw(nix::libc::SIGCONT))?,
            resized: signal(SignalKind::window_change())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hang_up.recv() => Told::End,
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.go_on.recv() => Told::GoOn,
            _ = self.resized.recv() => Told::Resized,
        }
    }

    /// Waits for one that ends the program while another one has the terminal: Ctrl-C is meant for that one.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.hang_up.recv() => {}
            _ = self.terminate.recv() => {}
        }
        self.forget_others();
    }

    /// What another program was told counts no more.
    pub(super) fn forget_others(&mut self) {
        while self.interrupt.recv().now_or_never().is_some() {}
        while self.go_on.recv().now_or_never().is_some() {}
    }
}
