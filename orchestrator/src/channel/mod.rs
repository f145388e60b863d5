//! The one socket between a worker and its parent: frames, and what is wrong with bad ones.
//!
//! A frame is a 4-byte little-endian length and then postcard. [`worker_end`] is synchronous, for scripts are;
//! [`parent_end`] is asynchronous. Neither knows what a frame means for the worker or the appliance.

mod incoming;
pub mod parent_end;
pub mod worker_end;

use picloud_model::protocol::FRAME_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

/// Bytes of the length in front of every frame.
const LENGTH_BYTES: usize = 4;

/// Room made for a frame before it is written; larger ones take more as they grow.
const FRAME_BYTES_USUAL: usize = 128;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other end closed between two frames.
    #[error("the other end closed the channel")]
    Closed,
    /// The other end closed within a frame.
    #[error("the other end closed the channel in the middle of a frame")]
    Truncated,
    /// No frame is that long, so this is not one.
    #[error("a frame claims {claimed} bytes, more than FRAME_BYTES_MAX = {FRAME_BYTES_MAX}")]
    TooLong {
        /// What its length says.
        claimed: usize,
    },
    /// The bytes are no frame.
    #[error("a frame of {len} bytes cannot be read: {source}")]
    Garbage {
        /// Its length.
        len: usize,
        /// What the decoder says.
        source: postcard::Error,
    },
    /// The socket failed.
    #[error("the channel failed: {0}")]
    Io(#[from] io::Error),
}

/// A frame with its length in front, ready to be written.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, FrameError> {
    let garbage = |source| FrameError::Garbage { len: 0, source };
    let mut bytes = Vec::with_capacity(FRAME_BYTES_USUAL);
    bytes.resize(LENGTH_BYTES, 0);
    bytes = postcard::to_extend(frame, bytes).map_err(garbage)?;
    let len = bytes.len() - LENGTH_BYTES;
    if len > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { claimed: len });
    }
    let length = u32::try_from(len).expect("FRAME_BYTES_MAX is below 4 GiB");
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
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

/// The length that the first bytes of a frame claim.
fn claimed_length(length: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
    let claimed = u32::from_le_bytes(length) as usize;
    if claimed > FRAME_BYTES_MAX { Err(FrameError::TooLong { claimed }) } else { Ok(claimed) }
}

/// Reads one frame's bytes into `frame`, blocking.
#[cfg(test)]
fn read_frame(stream: &mut impl io::Read, frame: &mut Vec<u8>) -> Result<(), FrameError> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length)?;
    frame.resize(claimed_length(length)?, 0);
    Ok(stream.read_exact(frame)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::protocol::{ToParent, ToWorker};
    use proptest::prelude::*;

    #[test]
    fn a_frame_reads_back_as_what_was_written() {
        let bytes = encode(&ToParent::Applied { revision: 7 }).unwrap();
        let mut frame = Vec::new();
        read_frame(&mut bytes.as_slice(), &mut frame).unwrap();
        assert!(matches!(decode(&frame).unwrap(), ToParent::Applied { revision: 7 }));
    }

    #[test]
    fn bytes_left_over_are_garbage() {
        let left_over = decode::<ToWorker>(&[7, 0, 0]).unwrap_err();
        insta::assert_snapshot!(left_over, @"a frame of 3 bytes cannot be read: The original data was not well encoded");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = decode::<ToParent>(&bytes);
            let _either = decode::<ToWorker>(&bytes);
        }
    }
}
