//! The body of an answer: bytes at hand, or a file on its way.

use crate::static_files::{BrokenOff, FileStream};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What the ingress sends.
pub enum AnswerBody {
    /// At hand; `None` once sent.
    Bytes(Option<Bytes>),
    /// A length for a `HEAD`, whose body is never asked for.
    Length(u64),
    /// Read while it is sent.
    Stream(FileStream),
}

impl AnswerBody {
    /// These bytes.
    pub fn bytes(bytes: Bytes) -> Self {
        Self::Bytes((!bytes.is_empty()).then_some(bytes))
    }

    /// A body that never comes, with its length.
    pub fn length_only(length: u64) -> Self {
        Self::Length(length)
    }

    /// The one part of `full`.
    pub fn full(full: Full<Bytes>) -> Self {
        let mut full = full;
        match Pin::new(&mut full).poll_frame(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => Self::bytes(frame.into_data().unwrap_or_default()),
            _ => Self::Bytes(None),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut *self {
            Self::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Length(_) => Poll::Ready(None),
            Self::Stream(stream) => stream.poll_part(cx).map(|part| part.map(|part| part.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_none(),
            // With `true` hyper would announce an empty body.
            Self::Length(length) => *length == 0,
            Self::Stream(stream) => stream.left_bytes() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Length(length) => *length,
            Self::Stream(stream) => stream.left_bytes(),
        })
    }
}
