//! The body of an answer that goes on: frames as they are put in, those that wait together as one piece, and room for a
//! few.

use axum::body::Bytes;
use axum::response::Response;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Pieces that wait for the node to read them.
const PIECES_MAX: usize = 8;

struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    /// Those that are taken out to go as one; empty between two looks.
    taken: Vec<Bytes>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { receiver, taken } = &mut *self;
        receiver.poll_recv_many(cx, taken, PIECES_MAX).map(|count| {
            let piece = match count {
                0 => return None,
                1 => taken.swap_remove(0),
                _several => taken.concat().into(),
            };
            taken.clear();
            Some(Ok(Frame::data(piece)))
        })
    }
}

/// An answer that goes on, and where its pieces are put in; it ends when that is dropped.
pub(super) fn streamed() -> (Response, mpsc::Sender<Bytes>) {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let pieces = Pieces { receiver, taken: Vec::with_capacity(PIECES_MAX) };
    (Response::new(axum::body::Body::new(pieces)), sender)
}
