//! Bodies that nobody read: whoever is refused while they still send gets to see why.
//!
//! A connection that is closed with unread bytes is reset, and the answer is lost with it. So what is left of a body is
//! read and thrown away, within bounds, before the answer goes out.

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long it may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(60);

/// A body that comes back when it is dropped before its end.
pub(super) struct Kept {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

impl Kept {
    /// The body, and where it comes back.
    pub(super) fn new(body: Incoming) -> (Self, oneshot::Receiver<Incoming>) {
        let (back, comes_back) = oneshot::channel();
        (Self { body: Some(body), back: Some(back) }, comes_back)
    }
}

impl Body for Kept {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            let _nobody_waits = back.send(body);
        }
    }
}

/// Reads up to `bytes_max` of what came back.
pub(super) async fn discard(mut comes_back: oneshot::Receiver<Incoming>, bytes_max: u64) {
    let Ok(mut body) = comes_back.try_recv() else { return };
    let read = async {
        let mut left = bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            let Some(less) = left.checked_sub(bytes) else { return };
            left = less;
        }
    };
    let _in_time = tokio::time::timeout(DISCARD_TIMEOUT, read).await;
}
