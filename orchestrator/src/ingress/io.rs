//! A connection's socket as hyper sees it, and what the connection's watch learns from it.

use crate::parking::Client;
use std::io::{IoSlice, Result};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Read and thrown away at most, after a request was refused before its body was read.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The next request, or the client to read an answer.
    Idle,
    /// The rest of a head.
    Head,
    /// Us.
    Busy,
    /// The client to see that it was refused.
    Lingering,
}

/// What socket, service and watch of one connection tell each other. All in one task: relaxed is enough.
pub(super) struct Shared {
    phase: AtomicU8,
    moved: AtomicBool,
    unread_body: AtomicBool,
    answer_unflushed: AtomicBool,
    /// Whether the next answer is the last one here.
    leaving: AtomicBool,
    /// The status hyper wanted to answer a head with that it could not read; 0 for none.
    refused: AtomicU16,
    /// The same connection once more, to be left with the parent.
    connection: Option<Arc<OwnedFd>>,
}

impl Shared {
    pub(super) fn new(connection: Option<OwnedFd>) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Head as u8),
            moved: AtomicBool::new(false),
            unread_body: AtomicBool::new(false),
            answer_unflushed: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            refused: AtomicU16::new(0),
            connection: connection.map(Arc::new),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Lingering,
        }
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.set(Phase::Busy);
    }

    /// The client, if all that it can hear next is the answer to the request under way.
    pub(super) fn client(&self, head_only: bool) -> Option<Client> {
        let connection = self.connection.as_ref().filter(|_| !self.answer_unflushed.load(Relaxed))?;
        Some(Client::new(Arc::clone(connection), head_only))
    }

    /// A request has its answer, which is still to be sent.
    pub(super) fn end(&self) {
        self.answer_unflushed.store(true, Relaxed);
        self.set(Phase::Idle);
    }

    /// The body of a request was not read to its end: the connection cannot go on.
    pub(super) fn leave_body(&self) {
        self.unread_body.store(true, Relaxed);
    }

    /// The next answer is the last one.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    /// Whether bytes came or went since the last question.
    pub(super) fn has_moved(&self) -> bool {
        self.moved.load(Relaxed) && self.moved.swap(false, Relaxed)
    }

    pub(super) fn refused(&self) -> Option<u16> {
        Some(self.refused.load(Relaxed)).filter(|status| *status != 0)
    }

    /// hyper answers a head it cannot read itself, with a status alone; we keep the status and say it better.
    fn intercepts(&self, written: &[u8]) -> bool {
        if self.phase() != Phase::Head || self.answer_unflushed.load(Relaxed) || !written.starts_with(b"HTTP/1.1 4") {
            return false;
        }
        let digits = written.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        let status = digits.and_then(|digits| digits.parse().ok()).unwrap_or(400);
        self.refused.store(status, Relaxed);
        true
    }
}

/// The socket.
pub(super) struct Io {
    stream: TcpStream,
    shared: Arc<Shared>,
    lingered_bytes: usize,
}

impl Io {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        Self { stream, shared, lingered_bytes: 0 }
    }

    /// Sends what fits without waiting; for last words only.
    pub(super) fn try_send(&self, bytes: &[u8]) {
        let _may_be_gone = self.stream.try_write(bytes);
    }

    /// Says that nothing more will be sent, then reads what the client still has to say: closing a socket with
    /// unread bytes resets it, and the answer with it.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.shared.set(Phase::Lingering);
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        let mut room = [0; 8 * 1024];
        while self.lingered_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            self.lingered_bytes += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&self, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.shared.moved.store(true, Relaxed);
        }
        written
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.shared.moved.store(true, Relaxed);
            if self.shared.phase() == Phase::Idle {
                self.shared.set(Phase::Head);
            }
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if self.shared.intercepts(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.shared.answer_unflushed.store(false, Relaxed);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.shared.refused().is_some() {
            // The last words are still to be said.
            return Poll::Ready(Ok(()));
        }
        if self.shared.unread_body.load(Relaxed) {
            return self.poll_linger(cx);
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if self.shared.intercepts(parts.first().map_or(&[], |part| part)) {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
