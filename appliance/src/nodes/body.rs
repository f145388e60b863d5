//! The body of an answer that goes on: frames as they are put in, and room for a few.

use axum::body::Bytes;
use axum::response::Response;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Pieces that wait for the node to read them.
const PIECES_MAX: usize = 8;

struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// An answer that goes on, and where its pieces are put in; it ends when that is dropped.
pub(super) fn streamed() -> (Response, mpsc::Sender<Bytes>) {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    (Response::new(axum::body::Body::new(Pieces(receiver))), sender)
}
