//! A body that is read while it is sent, so that a file of any size needs little memory.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Bytes of one part.
const PART_BYTES: usize = 256 * 1024;
/// Parts that are read ahead.
const PARTS_AHEAD: usize = 4;

/// What is sent.
pub(super) enum Sending {
    /// At hand.
    Whole(Full<Bytes>),
    /// Read while it is sent.
    Parts(Outgoing),
}

/// Bytes on their way out of a file or pipe.
pub(crate) struct Outgoing {
    parts: mpsc::Receiver<io::Result<Bytes>>,
    left: Option<u64>,
    sent: Arc<AtomicU64>,
}

impl Outgoing {
    /// All that `from` gives, which is `bytes` where that is known; `seen` is shown each part.
    pub(crate) fn of(
        mut from: impl Read + Send + 'static,
        bytes: Option<u64>,
        mut seen: impl FnMut(&[u8]) + Send + 'static,
    ) -> Self {
        let (sender, parts) = mpsc::channel(PARTS_AHEAD);
        tokio::task::spawn_blocking(move || {
            loop {
                let mut part = vec![0; PART_BYTES];
                let read = from.read(&mut part);
                let is_over = !matches!(read, Ok(1..));
                if let Ok(length) = &read {
                    part.truncate(*length);
                    seen(&part);
                }
                let nothing_follows = matches!(read, Ok(0));
                // Nobody takes it any more where the request is over.
                if nothing_follows || sender.blocking_send(read.map(|_length| part.into())).is_err() || is_over {
                    break;
                }
            }
        });
        Self { parts, left: bytes, sent: Arc::default() }
    }

    /// Grows by what was handed to the connection.
    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
            Self::Parts(outgoing) => outgoing.parts.poll_recv(cx).map(|part| {
                part.map(|part| {
                    let part = part?;
                    outgoing.sent.fetch_add(part.len() as u64, Relaxed);
                    if let Some(left) = &mut outgoing.left {
                        // A file that shrinks or grows meanwhile is noticed by the connection.
                        *left = left.saturating_sub(part.len() as u64);
                    }
                    Ok(Frame::data(part))
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Parts(outgoing) => outgoing.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Parts(outgoing) => outgoing.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
