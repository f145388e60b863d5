//! The parent's end: every call of the worker is answered by the host, many at a time but never more than a bound.
//!
//! Past the bound the socket is not read, so that the worker feels it. Calls are futures of the one reading task:
//! the host mostly waits on the store, and a task a call would cost more than the call.
//!
//! The socket is registered for reading only: one registered for writing as well wakes its owner each time the other
//! end has read, which is for every answer.

use super::incoming::Incoming;
use super::{FrameError, decode, encode};
use futures_util::stream::{FuturesUnordered, StreamExt};
use picloud_model::problem::Code;
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest, ToParent, ToWorker};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::net::UnixStream as PlainStream;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// Calls of one worker that the host works on at once.
const CALLS_IN_FLIGHT_MAX: usize = 256;
/// Frames that wait to be written to a worker.
const OUTGOING_FRAMES_MAX: usize = 256;
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
    let (sender, receiver) = mpsc::channel(OUTGOING_FRAMES_MAX);
    let replies = sender.clone();
    let serve = async move {
        let (writing, frames) = match Frames::of(stream) {
            Ok(both) => both,
            Err(error) => return error.into(),
        };
        tokio::select! {
            error = write_all(writing, receiver) => error,
            error = read_all(frames, replies, &answerer) => error,
        }
    };
    (Outgoing(sender), serve)
}

async fn write_all(mut writing: PlainStream, mut receiver: mpsc::Receiver<Vec<u8>>) -> FrameError {
    let mut batch = Vec::with_capacity(WRITE_BATCH_FRAMES);
    while receiver.recv_many(&mut batch, WRITE_BATCH_FRAMES).await > 0 {
        let bytes = if batch.len() == 1 { batch.swap_remove(0) } else { batch.concat() };
        batch.clear();
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            let written = match writing.write(left) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => room(&writing).await.map(|()| 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                written => written,
            };
            match written {
                Ok(written) => left = &left[written..],
                Err(error) => return error.into(),
            }
        }
    }
    FrameError::Closed
}

/// Waits until the worker has read enough for more to be written.
async fn room(writing: &PlainStream) -> io::Result<()> {
    pipe::Sender::from_owned_fd_unchecked(writing.try_clone()?.into())?.writable().await
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

/// The frames that arrive. Dropping `next` between two polls loses nothing.
struct Frames {
    /// One direction of the socket, which is what a pipe is.
    reading: pipe::Receiver,
    incoming: Incoming,
    /// What the last read brought and nobody has taken; nothing is read before it is empty.
    arrived: VecDeque<Result<ToParent, FrameError>>,
}

impl Frames {
    /// A socket's two sides: what writes to it, and the frames from it.
    fn of(stream: UnixStream) -> io::Result<(PlainStream, Self)> {
        // Both stay non-blocking.
        let writing = stream.into_std()?;
        let reading = pipe::Receiver::from_owned_fd_unchecked(writing.try_clone()?.into())?;
        Ok((writing, Self { reading, incoming: Incoming::new(), arrived: VecDeque::new() }))
    }

    async fn next(&mut self) -> Result<ToParent, FrameError> {
        loop {
            if let Some(frame) = self.arrived.pop_front() {
                return frame;
            }
            let bytes = self.reading.read(self.incoming.room()).await?;
            let arrived = &mut self.arrived;
            let taken = self.incoming.take(bytes, |frame| {
                arrived.push_back(decode(frame));
                Ok(())
            });
            if let Err(error) = taken {
                arrived.push_back(Err(error));
            }
        }
    }
}
