//! The parent's end: every call of the worker is answered by the host, many at a time but never more than a bound.
//!
//! Past the bound the socket is not read, so that the worker feels it. Calls are futures of the one reading task:
//! the host mostly waits on the store, and a task a call would cost more than the call.

use super::{FrameError, LENGTH_BYTES, claimed_length, decode, encode};
use bytes::{Buf, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt};
use picloud_model::problem::Code;
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest, ToParent, ToWorker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// Calls of one worker that the host works on at once.
const CALLS_IN_FLIGHT_MAX: usize = 256;
/// Frames that wait to be written to a worker.
const OUTGOING_FRAMES_MAX: usize = 256;
/// First size of the read buffer.
const BUFFER_BYTES: usize = 8 * 1024;
/// Largest frame after which the buffer it took is kept.
const BUFFER_BYTES_KEPT: usize = 256 * 1024;
/// Frames written with one system call.
const WRITE_BATCH_FRAMES: usize = 64;

/// What answers the calls of a worker, and takes everything else it says.
#[async_trait::async_trait]
pub trait Answerer: Send + Sync {
    /// Answers one call; given up when `deadline` is over.
    async fn call(
        &self,
        caller: Caller,
        deadline: Duration,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure>;

    /// Takes a frame that is no call. Must not block.
    fn take(&self, frame: ToParent);
}

/// The way to a worker.
#[derive(Clone)]
pub struct Outgoing(mpsc::Sender<Vec<u8>>);

impl Outgoing {
    /// Queues a frame; waits while the worker does not read.
    pub async fn send(&self, frame: &ToWorker) -> Result<(), FrameError> {
        self.0.send(encode(frame)?).await.map_err(|_closed| FrameError::Closed)
    }
}

/// Takes a worker's socket: the way to it, and a future that serves it until the connection is over and says why.
pub fn open<A: Answerer>(stream: UnixStream, answerer: A) -> (Outgoing, impl Future<Output = FrameError> + Send) {
    let (reading, writing) = stream.into_split();
    let (sender, receiver) = mpsc::channel(OUTGOING_FRAMES_MAX);
    let replies = sender.clone();
    let serve = async move {
        tokio::select! {
            error = write_all(writing, receiver) => error,
            error = read_all(Frames::new(reading), replies, &answerer) => error,
        }
    };
    (Outgoing(sender), serve)
}

async fn write_all(mut writing: OwnedWriteHalf, mut receiver: mpsc::Receiver<Vec<u8>>) -> FrameError {
    let mut batch = Vec::with_capacity(WRITE_BATCH_FRAMES);
    while receiver.recv_many(&mut batch, WRITE_BATCH_FRAMES).await > 0 {
        let bytes = if batch.len() == 1 { batch.swap_remove(0) } else { batch.concat() };
        batch.clear();
        if let Err(error) = writing.write_all(&bytes).await {
            return error.into();
        }
    }
    FrameError::Closed
}

async fn read_all(mut frames: Frames, replies: mpsc::Sender<Vec<u8>>, answerer: &impl Answerer) -> FrameError {
    let mut calls = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(reply) = calls.next(), if !calls.is_empty() => {
                if replies.send(reply).await.is_err() {
                    return FrameError::Closed;
                }
            }
            frame = frames.next(), if calls.len() < CALLS_IN_FLIGHT_MAX => match frame {
                Ok(ToParent::Call { id, caller, deadline_ms, request }) => {
                    let deadline = Duration::from_millis(u64::from(deadline_ms));
                    calls.push(answer(answerer, id, caller, deadline, request));
                }
                Ok(other) => answerer.take(other),
                Err(error) => return error,
            },
        }
    }
}

async fn answer(
    answerer: &impl Answerer,
    id: u64,
    caller: Caller,
    deadline: Duration,
    request: ServiceRequest,
) -> Vec<u8> {
    let result = match tokio::time::timeout(deadline, answerer.call(caller, deadline, request)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(ServiceFailure {
            code: Code::Deadline,
            message: format!("the appliance gave no answer within {} ms", deadline.as_millis()),
        }),
    };
    encode(&ToWorker::Reply { id, result }).unwrap_or_else(|error| {
        let failure = ServiceFailure { code: Code::TooLarge, message: error.to_string() };
        encode(&ToWorker::Reply { id, result: Err(failure) }).expect("a failure is small and always encodes")
    })
}

/// Cuts the stream into frames. Dropping `next` between two polls loses nothing.
struct Frames {
    reading: OwnedReadHalf,
    buffer: BytesMut,
}

impl Frames {
    fn new(reading: OwnedReadHalf) -> Self {
        Self { reading, buffer: BytesMut::with_capacity(BUFFER_BYTES) }
    }

    async fn next(&mut self) -> Result<ToParent, FrameError> {
        loop {
            if let Some(frame) = self.cut()? {
                return Ok(frame);
            }
            if self.reading.read_buf(&mut self.buffer).await? == 0 {
                return Err(if self.buffer.is_empty() { FrameError::Closed } else { FrameError::Truncated });
            }
        }
    }

    fn cut(&mut self) -> Result<Option<ToParent>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let claimed = claimed_length(*length)?;
        if self.buffer.len() < LENGTH_BYTES + claimed {
            return Ok(None);
        }
        let frame = decode(&self.buffer[LENGTH_BYTES..LENGTH_BYTES + claimed]);
        self.buffer.advance(LENGTH_BYTES + claimed);
        if self.buffer.is_empty() && claimed > BUFFER_BYTES_KEPT {
            self.buffer = BytesMut::with_capacity(BUFFER_BYTES);
        }
        frame.map(Some)
    }
}
