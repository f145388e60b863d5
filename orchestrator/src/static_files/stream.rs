//! A big file on its way: read part by part, one part ahead of nobody, so that a slow client costs one part.

use super::StaticBytes;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use picloud_model::protocol::{STATIC_CHUNK_BYTES_MAX, ServiceFailure};
use picloud_model::{AppId, ContentHash};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The rest of a file did not come; the connection ends, for the status was sent long ago.
#[derive(Debug, thiserror::Error)]
#[error("a static file broke off: {0}")]
pub struct BrokenOff(String);

/// Some bytes of one file, still to be read.
pub struct FileStream {
    bytes: Arc<dyn StaticBytes>,
    app: AppId,
    hash: ContentHash,
    left: Range<u64>,
    reading: Option<BoxFuture<'static, Result<Bytes, ServiceFailure>>>,
}

impl FileStream {
    /// The bytes `range` of the app's file with that content.
    pub(crate) fn new(bytes: Arc<dyn StaticBytes>, app: AppId, hash: ContentHash, range: Range<u64>) -> Self {
        Self { bytes, app, hash, left: range, reading: None }
    }

    /// With its first part at hand: what is wrong with that can still be answered in words.
    pub(crate) async fn begun(mut self) -> Result<Self, ServiceFailure> {
        let len = self.part_len();
        if len > 0 {
            let part = self.bytes.read(self.app, self.hash, self.left.start, len).await;
            self.reading = Some(Box::pin(std::future::ready(Ok(part?))));
        }
        Ok(self)
    }

    /// How many bytes are still to come.
    pub(crate) fn left_bytes(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// Of the next part.
    fn part_len(&self) -> u32 {
        u32::try_from(self.left_bytes()).unwrap_or(u32::MAX).min(STATIC_CHUNK_BYTES_MAX)
    }

    /// The next part; `None` at the end.
    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let len = self.part_len();
        if len == 0 {
            return Poll::Ready(None);
        }
        let (bytes, app, hash, from) = (&self.bytes, self.app, self.hash, self.left.start);
        let reading = self.reading.get_or_insert_with(|| bytes.read(app, hash, from, len));
        let part = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        Poll::Ready(Some(match part {
            Ok(part) if part.len() as u64 == u64::from(len) => {
                self.left.start += u64::from(len);
                Ok(part)
            }
            Ok(part) => Err(BrokenOff(format!("{} bytes instead of {len} at {from}", part.len()))),
            Err(failure) => Err(BrokenOff(failure.message)),
        }))
    }
}
