//! Frames in the bodies of the two streams: a 4-byte little-endian length, then postcard.
//!
//! The other end is another machine and perhaps another version: what does not fit is refused, and room is made only
//! for bytes that have come.

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use picloud_model::protocol::FRAME_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the length in front of every frame.
const LENGTH_BYTES: usize = 4;
/// Room made for a frame before it is written; larger ones take more as they grow.
const FRAME_BYTES_USUAL: usize = 128;

/// Why a stream cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other end closed within a frame.
    #[error("the other end closed the stream in the middle of a frame")]
    Truncated,
    /// No frame may be that long.
    #[error("a frame claims {claimed} bytes, more than the {max} that are allowed")]
    TooLong {
        /// What its length says.
        claimed: usize,
        /// What is allowed.
        max: usize,
    },
    /// The bytes are no frame.
    #[error("a frame of {len} bytes cannot be read: {source}")]
    Garbage {
        /// Its length.
        len: usize,
        /// What the decoder says.
        source: postcard::Error,
    },
    /// The connection failed.
    #[error("the stream failed: {0}")]
    Stream(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A frame with its length in front, ready to be sent.
pub fn encode<T: Serialize>(frame: &T) -> Result<Bytes, FrameError> {
    let garbage = |source| FrameError::Garbage { len: 0, source };
    let mut bytes = Vec::with_capacity(FRAME_BYTES_USUAL);
    bytes.resize(LENGTH_BYTES, 0);
    bytes = postcard::to_extend(frame, bytes).map_err(garbage)?;
    let len = bytes.len() - LENGTH_BYTES;
    if len > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { claimed: len, max: FRAME_BYTES_MAX });
    }
    let length = u32::try_from(len).expect("FRAME_BYTES_MAX is below 4 GiB");
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(bytes.into())
}

/// What the bytes of a frame (without its length) say; bytes left over are garbage.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let garbage = |source| FrameError::Garbage { len: bytes.len(), source };
    match postcard::take_from_bytes(bytes) {
        Ok((frame, [])) => Ok(frame),
        Ok(_left_over) => Err(garbage(postcard::Error::DeserializeBadEncoding)),
        Err(source) => Err(garbage(source)),
    }
}

/// Frames out of the chunks they came in.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(FRAME_BYTES_MAX)
    }
}

impl Decoder {
    /// One that takes frames of at most `max` bytes, and of [`FRAME_BYTES_MAX`].
    pub fn with_limit(max: usize) -> Self {
        Self { buffer: BytesMut::new(), max: max.min(FRAME_BYTES_MAX) }
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next frame that is whole.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let claimed = u32::from_le_bytes(*length) as usize;
        if claimed > self.max {
            return Err(FrameError::TooLong { claimed, max: self.max });
        }
        if self.buffer.len() < LENGTH_BYTES + claimed {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        decode(&self.buffer.split_to(claimed)).map(Some)
    }

    /// Whether nothing of a frame is waiting for its rest.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// Frames out of a request's or an answer's body.
#[derive(Debug)]
pub struct FrameReader<B> {
    body: B,
    decoder: Decoder,
}

impl<B> FrameReader<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Reads from this body.
    pub fn new(body: B) -> Self {
        Self { body, decoder: Decoder::default() }
    }

    /// The next frame, `None` where the other end closed between two. May be dropped and called again.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        loop {
            if let Some(frame) = self.decoder.take()? {
                return Ok(Some(frame));
            }
            match self.body.frame().await {
                None if self.decoder.is_empty() => return Ok(None),
                None => return Err(FrameError::Truncated),
                Some(Err(error)) => return Err(FrameError::Stream(error.into())),
                Some(Ok(part)) => {
                    if let Some(chunk) = part.data_ref() {
                        self.decoder.push(chunk);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use picloud_model::protocol::node::{FromNode, NodeCall, ToNode};
    use proptest::prelude::*;
    use std::convert::Infallible;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// What a body that has all its chunks at hand reads as.
    fn read(chunks: Vec<Bytes>) -> Vec<Result<u64, String>> {
        let parts = chunks.into_iter().map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
        let mut reader = FrameReader::new(StreamBody::new(futures_util::stream::iter(parts)));
        let mut read = Vec::new();
        loop {
            let next = match pin!(reader.next::<ToNode>()).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(next) => next,
                Poll::Pending => panic!("all chunks are there"),
            };
            match next {
                Ok(Some(ToNode::Beat { number })) => read.push(Ok(number)),
                Ok(Some(other)) => panic!("nobody said {other:?}"),
                Ok(None) => return read,
                Err(error) => {
                    read.push(Err(error.to_string()));
                    return read;
                }
            }
        }
    }

    fn beats() -> Vec<u8> {
        [1, 2, 3].iter().flat_map(|number| encode(&ToNode::Beat { number: *number }).unwrap()).collect()
    }

    #[test]
    fn frames_come_out_of_whatever_chunks_they_came_in() {
        let bytes = beats();
        for size in 1..=bytes.len() {
            let chunks = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
            assert_eq!(read(chunks), [Ok(1), Ok(2), Ok(3)], "in chunks of {size}");
        }
        assert_eq!(read(Vec::new()), []);
    }

    #[test]
    fn a_stream_that_is_no_stream_of_frames_is_refused() {
        let bytes = beats();
        let cut = Bytes::copy_from_slice(&bytes[..bytes.len() - 1]);
        let long = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff]);
        let unknown = Bytes::from_static(&[1, 0, 0, 0, 0x7f]);
        let left_over = Bytes::from_static(&[3, 0, 0, 0, 9, 1, 1]);
        let refusals: Vec<String> = [cut, long, unknown, left_over]
            .into_iter()
            .map(|bad| read(vec![bad]).pop().unwrap().unwrap_err())
            .collect();
        insta::assert_snapshot!(refusals.join("\n"), @"
        the other end closed the stream in the middle of a frame
        a frame claims 4294967295 bytes, more than the 83886080 that are allowed
        a frame of 1 bytes cannot be read: Serde Deserialization Error
        a frame of 3 bytes cannot be read: The original data was not well encoded
        ");
        let mut small = Decoder::with_limit(8);
        small.push(&[9, 0, 0, 0]);
        assert!(matches!(small.take::<ToNode>(), Err(FrameError::TooLong { claimed: 9, max: 8 })));
    }

    #[test]
    fn room_is_made_only_for_what_has_come() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::try_from(FRAME_BYTES_MAX).unwrap().to_le_bytes());
        assert!(decoder.take::<ToNode>().unwrap().is_none());
        assert!(decoder.buffer.capacity() < 1024, "{}", decoder.buffer.capacity());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = decode::<ToNode>(&bytes);
            let _either = decode::<FromNode>(&bytes);
            let _either = decode::<NodeCall>(&bytes);
        }
    }
}
