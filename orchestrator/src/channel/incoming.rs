//! What arrives, at either end: bytes read as many at a time as there are, cut into frames.
//!
//! One read brings the answers of all who waited on the same commit, so that they cost one system call and not one
//! each. It does not read itself, nor know what a frame means.

use super::{FrameError, LENGTH_BYTES, claimed_length};

/// Size of the buffer as long as no frame needs a larger one.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bytes that have arrived.
pub(super) struct Incoming {
    buffer: Vec<u8>,
    /// So many bytes of the buffer have arrived and are in no frame that was handed out.
    filled: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES], filled: 0 }
    }

    /// Where the next bytes are to be read to; never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            // What a length claims is not believed: the buffer grows with what really arrives.
            self.buffer.resize(2 * self.filled, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Takes so many bytes that were read to [`Incoming::room`], and gives every frame that is whole now, without its
    /// length, to `each`. None at all are the end of the stream.
    pub(super) fn take(
        &mut self,
        bytes: usize,
        mut each: impl FnMut(&[u8]) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        if bytes == 0 {
            return Err(if self.filled == 0 { FrameError::Closed } else { FrameError::Truncated });
        }
        self.filled += bytes;
        let mut begin = 0;
        while let Some(length) = self.buffer[begin..self.filled].first_chunk::<LENGTH_BYTES>() {
            let body = begin + LENGTH_BYTES;
            let end = body + claimed_length(*length)?;
            if end > self.filled {
                break;
            }
            each(&self.buffer[body..end])?;
            begin = end;
        }
        self.buffer.copy_within(begin..self.filled, 0);
        self.filled -= begin;
        if self.filled < BUFFER_BYTES && self.buffer.len() > BUFFER_BYTES {
            self.buffer.truncate(BUFFER_BYTES);
            self.buffer.shrink_to_fit();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode;
    use super::*;
    use picloud_model::protocol::ToWorker;
    use std::io::Read;

    fn frame(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
    }

    /// All frames, read with at most `step` bytes at a time, and why it ended.
    fn read_all(mut bytes: &[u8], step: usize) -> (Vec<Vec<u8>>, String) {
        let mut incoming = Incoming::new();
        let mut frames = Vec::new();
        loop {
            let room = incoming.room();
            let step = step.min(room.len());
            let arrived = bytes.read(&mut room[..step]).unwrap();
            let taken = incoming.take(arrived, |frame| {
                frames.push(frame.to_vec());
                Ok(())
            });
            if let Err(error) = taken {
                return (frames, error.to_string());
            }
            assert!(incoming.buffer.len() <= 2 * incoming.filled.max(BUFFER_BYTES), "it grows with what arrives");
        }
    }

    #[test]
    fn frames_come_out_whole_however_their_bytes_arrive() {
        let bodies = [vec![1; 3], Vec::new(), vec![2; 3 * BUFFER_BYTES], vec![3; BUFFER_BYTES - 4], vec![4; 70]];
        let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for step in [1, 7, 4096, BUFFER_BYTES, usize::MAX] {
            let (frames, end) = read_all(&bytes, step);
            assert!(frames == bodies, "{step} bytes a read");
            assert_eq!(end, "the other end closed the channel");
        }
    }

    #[test]
    fn truncated_and_oversized_frames_are_told_apart() {
        let bytes = encode(&ToWorker::Drain).unwrap();
        let read = |bytes: &[u8]| read_all(bytes, usize::MAX).1;
        insta::assert_snapshot!(read(b""), @"the other end closed the channel");
        insta::assert_snapshot!(read(&bytes[..3]), @"the other end closed the channel in the middle of a frame");
        insta::assert_snapshot!(read(&bytes[..4]), @"the other end closed the channel in the middle of a frame");
        insta::assert_snapshot!(read(&[0xff; 9]), @"a frame claims 4294967295 bytes, more than FRAME_BYTES_MAX = 83886080");
    }

    #[test]
    fn a_buffer_that_a_large_frame_took_is_given_back() {
        let bytes = frame(&vec![1; 10 * BUFFER_BYTES]);
        let (mut incoming, mut stream) = (Incoming::new(), bytes.as_slice());
        let mut frames = 0;
        while frames == 0 {
            let arrived = stream.read(incoming.room()).unwrap();
            let count = |_frame: &[u8]| {
                frames += 1;
                Ok(())
            };
            incoming.take(arrived, count).unwrap();
        }
        assert_eq!((incoming.filled, incoming.buffer.capacity()), (0, BUFFER_BYTES));
    }
}
