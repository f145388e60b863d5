//! The worker's end: a run's thread calls, waits, and decodes its own answer.
//!
//! Writing: a frame goes out on the caller's thread with one system call; only when the parent does not read fast
//! enough does the rest wait in a bounded buffer that a flusher thread empties, so that a call never waits longer
//! than its deadline, not even for room. Reading: one thread hands the *bytes* of answers to whoever waits, so
//! that the memory of a decoded answer is charged to the run it is for. Every wait is on a condition, none polls.

use super::incoming::Incoming;
use super::{FrameError, decode, encode};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use picloud_model::problem::Code;
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest, ToParent, ToWorker};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Bytes that may wait for the parent to read; past it, calls wait for room until their deadline.
const OUTBOX_BYTES_MAX: usize = 1024 * 1024;
/// Answer buffers kept for the next answers.
const SPARE_BUFFERS_MAX: usize = 32;
/// Largest answer buffer kept.
const SPARE_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// The worker's end of the channel, shared by everything in the worker.
pub struct WorkerEnd {
    stream: UnixStream,
    outbox: Mutex<Outbox>,
    /// Told when the outbox has room again.
    room: Condvar,
    /// Told when the outbox has something for the flusher.
    work: Condvar,
    waiting: Mutex<HashMap<u64, Waiting>>,
    next_id: AtomicU64,
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct Outbox {
    pending: Vec<u8>,
    /// The flusher writes what it took; nothing may be written past it.
    flushing: bool,
}

/// Who waits for an answer.
enum Waiting {
    Thread(Arc<Answer>),
    Task(oneshot::Sender<Vec<u8>>),
}

/// The place where an answer's bytes are laid for a thread, while whoever lays them has `waiting` locked.
#[derive(Default)]
struct Answer {
    bytes: Mutex<Option<Vec<u8>>>,
    here: Condvar,
}

thread_local! {
    /// A thread waits for one answer at a time.
    static ANSWER: Arc<Answer> = Arc::default();
}

/// Reads once there is something to read.
///
/// A thread that waits in `read` is also woken whenever the *other* end reads, for that makes room to write; one that
/// waits in `poll` for bytes is not. There is a read at the other end for nearly every call.
fn read(stream: &mut UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let polled = poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
        match polled.map_err(io::Error::from).and_then(|_ready| stream.read(buffer)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Enough of a [`ToWorker`] to see whom it is for, with its variants in the same order.
#[derive(Deserialize)]
enum Address {
    Start,
    Snapshot,
    AppChanged,
    AppRemoved,
    Keys,
    Reply { id: u64 },
    Run,
    Drain,
    Count,
    Draining,
}

/// A lock whose holder panicked guards plain data that is still whole here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkerEnd {
    /// Takes the socket and starts the reader and flusher threads. `others` gets every frame that is no answer,
    /// on the reader's thread; `ended` is called once, when the connection is over.
    pub fn start(
        stream: UnixStream,
        mut others: impl FnMut(ToWorker) + Send + 'static,
        ended: impl FnOnce(FrameError) + Send + 'static,
    ) -> Result<Arc<Self>, FrameError> {
        let mut reading = stream.try_clone()?;
        let flushing = stream.try_clone()?;
        let end = Arc::new(Self {
            stream,
            outbox: Mutex::default(),
            room: Condvar::new(),
            work: Condvar::new(),
            waiting: Mutex::default(),
            next_id: AtomicU64::new(1),
            spare: Mutex::new(Vec::with_capacity(SPARE_BUFFERS_MAX)),
        });
        let reader = Arc::clone(&end);
        std::thread::Builder::new().name("channel-read".to_owned()).stack_size(512 * 1024).spawn(move || {
            let mut incoming = Incoming::new();
            let error = loop {
                if let Err(error) = reader.read_some(&mut reading, &mut incoming, &mut others) {
                    break error;
                }
            };
            ended(error);
        })?;
        let flusher = Arc::clone(&end);
        std::thread::Builder::new()
            .name("channel-flush".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || flusher.flush_for_ever(flushing))?;
        Ok(end)
    }

    /// Asks, and waits for the answer at most until `deadline`, on this thread.
    pub fn call(
        &self,
        caller: Caller,
        deadline: Instant,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = call_frame(id, caller, deadline, request)?;
        let answer = ANSWER.with(Arc::clone);
        lock(&self.waiting).insert(id, Waiting::Thread(Arc::clone(&answer)));
        let mut bytes = if self.send_until(&frame, deadline) { answer.wait_until(deadline) } else { None };
        if bytes.is_none() {
            lock(&self.waiting).remove(&id);
            // It may have come in the last moment, and must not be there for the thread's next call.
            bytes = lock(&answer.bytes).take();
        }
        let Some(bytes) = bytes else { return Err(too_late()) };
        let result = decode::<ToWorker>(&bytes);
        // Given back rather than freed: the buffer was never charged to this run, so it must not be credited.
        self.give_back(bytes);
        reply_of(result)
    }

    /// Asks, and waits for the answer at most until `deadline`, in a task.
    pub async fn call_async(
        &self,
        caller: Caller,
        deadline: Instant,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = call_frame(id, caller, deadline, request)?;
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).insert(id, Waiting::Task(sender));
        self.send_always(&frame);
        match tokio::time::timeout_at(deadline.into(), receiver).await {
            Ok(Ok(bytes)) => reply_of(decode(&bytes)),
            Ok(Err(_)) | Err(_) => {
                lock(&self.waiting).remove(&id);
                Err(too_late())
            }
        }
    }

    /// Sends a frame that nobody waits for, without ever blocking for long. Only for frames whose number is
    /// bounded elsewhere: answers to the parent and the calls of tasks.
    pub fn tell(&self, frame: &ToParent) {
        match encode(frame) {
            Ok(bytes) => self.send_always(&bytes),
            Err(error) => tracing::error!("a frame for the parent is dropped: {error}"),
        }
    }

    /// Sends a frame, waiting for room as long as it takes; for threads of ours that may wait.
    pub fn tell_with_room(&self, frame: &ToParent) {
        match encode(frame) {
            Ok(bytes) => self.append(self.wait_for_room(), &bytes),
            Err(error) => tracing::error!("a frame for the parent is dropped: {error}"),
        }
    }

    fn wait_for_room(&self) -> MutexGuard<'_, Outbox> {
        let mut outbox = lock(&self.outbox);
        while outbox.pending.len() > OUTBOX_BYTES_MAX {
            outbox = self.room.wait(outbox).unwrap_or_else(PoisonError::into_inner);
        }
        outbox
    }

    /// False when there was no room before `deadline`.
    fn send_until(&self, frame: &[u8], deadline: Instant) -> bool {
        let mut outbox = lock(&self.outbox);
        while outbox.pending.len() > OUTBOX_BYTES_MAX {
            let Some(left) = left_until(deadline) else { return false };
            outbox = self.room.wait_timeout(outbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.append(outbox, frame);
        true
    }

    fn send_always(&self, frame: &[u8]) {
        self.append(lock(&self.outbox), frame);
    }

    /// Writes what the socket takes at once; the rest, if any, becomes the flusher's.
    fn append(&self, mut outbox: MutexGuard<'_, Outbox>, frame: &[u8]) {
        let mut written = 0;
        if outbox.pending.is_empty() && !outbox.flushing {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            // An error is the reader's to report: a broken socket ends for it as well.
            written = send(self.stream.as_raw_fd(), frame, flags).unwrap_or(0);
        }
        if written < frame.len() {
            outbox.pending.extend_from_slice(&frame[written..]);
            self.work.notify_one();
        }
    }

    fn flush_for_ever(&self, mut stream: UnixStream) {
        let mut batch = Vec::new();
        loop {
            {
                let mut outbox = lock(&self.outbox);
                outbox.flushing = false;
                while outbox.pending.is_empty() {
                    outbox = self.work.wait(outbox).unwrap_or_else(PoisonError::into_inner);
                }
                outbox.flushing = true;
                batch.clear();
                batch.shrink_to(SPARE_BUFFER_BYTES_MAX);
                std::mem::swap(&mut batch, &mut outbox.pending);
                self.room.notify_all();
            }
            if stream.write_all(&batch).is_err() {
                return;
            }
        }
    }

    /// Waits for bytes and hands out every frame that is whole then.
    fn read_some(
        &self,
        reading: &mut UnixStream,
        incoming: &mut Incoming,
        others: &mut impl FnMut(ToWorker),
    ) -> Result<(), FrameError> {
        let mut answers = Vec::new();
        let arrived = read(reading, incoming.room())?;
        let taken = incoming.take(arrived, |frame| {
            let address = postcard::take_from_bytes::<Address>(frame)
                .map_err(|source| FrameError::Garbage { len: frame.len(), source })?
                .0;
            if let Address::Reply { id } = address {
                answers.push((id, self.buffer_with(frame)));
            } else {
                // It may wait for whatever it waits for; those before it do not.
                self.lay(std::mem::take(&mut answers));
                others(decode(frame)?);
            }
            Ok(())
        });
        self.lay(answers);
        taken
    }

    fn buffer_with(&self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = {
            let mut spare = lock(&self.spare);
            spare.truncate(SPARE_BUFFERS_MAX);
            spare.pop().unwrap_or_default()
        };
        if buffer.capacity() > SPARE_BUFFER_BYTES_MAX {
            buffer = Vec::new();
        }
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Lays every answer where it is waited for, and wakes nobody before all are laid: who is woken takes the
    /// processor, and the others would wait for that.
    fn lay(&self, answers: Vec<(u64, Vec<u8>)>) {
        let mut laid = Vec::with_capacity(answers.len());
        let mut waiting = lock(&self.waiting);
        for (id, bytes) in answers {
            match waiting.remove(&id) {
                Some(Waiting::Thread(answer)) => {
                    *lock(&answer.bytes) = Some(bytes);
                    laid.push(answer);
                }
                // A send to a task that gave up gives the bytes back; they are not needed.
                Some(Waiting::Task(sender)) => drop(sender.send(bytes)),
                // Too late: whoever asked has met its deadline.
                None => self.give_back(bytes),
            }
        }
        drop(waiting);
        for answer in laid {
            answer.here.notify_one();
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        // Freed by the reader, if there are too many: here it would be to the run's credit.
        lock(&self.spare).push(buffer);
    }
}

impl Answer {
    fn wait_until(&self, deadline: Instant) -> Option<Vec<u8>> {
        let mut bytes = lock(&self.bytes);
        loop {
            if let Some(bytes) = bytes.take() {
                return Some(bytes);
            }
            let left = left_until(deadline)?;
            bytes = self.here.wait_timeout(bytes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn left_until(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

fn call_frame(id: u64, caller: Caller, deadline: Instant, request: ServiceRequest) -> Result<Vec<u8>, ServiceFailure> {
    let left = left_until(deadline).ok_or_else(too_late)?;
    let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
    encode(&ToParent::Call { id, caller, deadline_ms, request })
        .map_err(|error| ServiceFailure { code: Code::TooLarge, message: error.to_string() })
}

fn reply_of(frame: Result<ToWorker, FrameError>) -> Result<ServiceReply, ServiceFailure> {
    match frame {
        Ok(ToWorker::Reply { result, .. }) => result,
        Ok(_other) => Err(ServiceFailure { code: Code::Internal, message: "the answer is of another kind".to_owned() }),
        Err(error) => Err(ServiceFailure { code: Code::Internal, message: error.to_string() }),
    }
}

fn too_late() -> ServiceFailure {
    ServiceFailure { code: Code::Deadline, message: "no answer came before the run's deadline".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::read_frame;
    use super::*;
    use picloud_model::protocol::{Snapshot, WorkerSettings};
    use picloud_model::{AppId, ContentHash, ExecutionId};
    use std::sync::mpsc;

    fn caller() -> Caller {
        let id = ExecutionId::new();
        let script = Arc::from("s");
        Caller { app: AppId(1), execution_id: id, root_execution_id: id, trigger_depth: 0, script, version: 1 }
    }

    fn soon(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    fn pair() -> (Arc<WorkerEnd>, UnixStream, mpsc::Receiver<ToWorker>, mpsc::Receiver<FrameError>) {
        let (worker, parent) = UnixStream::pair().unwrap();
        let (others, seen) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let worker_end = WorkerEnd::start(
            worker,
            move |frame| others.send(frame).unwrap_or(()),
            move |error| ended.send(error).unwrap_or(()),
        )
        .unwrap();
        (worker_end, parent, seen, end)
    }

    fn next_call(parent: &mut UnixStream) -> (u64, ServiceRequest) {
        let mut frame = Vec::new();
        read_frame(parent, &mut frame).unwrap();
        match decode(&frame).unwrap() {
            ToParent::Call { id, request, .. } => (id, request),
            other => panic!("{other:?}"),
        }
    }

    fn source_reply(id: u64, text: &str) -> Vec<u8> {
        encode(&ToWorker::Reply { id, result: Ok(ServiceReply::Source(Some(text.to_owned()))) }).unwrap()
    }

    #[test]
    fn the_address_of_every_frame_is_read_as_the_frame_itself() {
        let settings = WorkerSettings { node: "n".to_owned(), concurrency: 1, module_cache_entries: 1 };
        for (frame, is_reply) in [
            (ToWorker::Start(settings), false),
            (ToWorker::Snapshot(Snapshot::default()), false),
            (ToWorker::AppRemoved { revision: 1, app: AppId(1) }, false),
            (ToWorker::Reply { id: 77, result: Ok(ServiceReply::Source(None)) }, true),
            (ToWorker::Drain, false),
        ] {
            let bytes = encode(&frame).unwrap();
            let (address, _rest) = postcard::take_from_bytes::<Address>(&bytes[4..]).unwrap();
            assert_eq!(matches!(address, Address::Reply { id: 77 }), is_reply, "{frame:?}");
        }
    }

    #[test]
    fn answers_in_another_order_reach_whoever_asked() {
        let (end, mut parent, _others, _ended) = pair();
        let ask = |text: &'static str| {
            let end = Arc::clone(&end);
            let hash = ContentHash::of(text.as_bytes());
            std::thread::spawn(move || end.call(caller(), soon(5_000), ServiceRequest::Source(hash)))
        };
        let (one, two) = (ask("one"), ask("two"));
        let calls = [next_call(&mut parent), next_call(&mut parent)];
        for (id, request) in calls.into_iter().rev() {
            let ServiceRequest::Source(hash) = request else { panic!("{request:?}") };
            let text = if hash == ContentHash::of(b"one") { "one" } else { "two" };
            parent.write_all(&source_reply(id, text)).unwrap();
        }
        for (thread, text) in [(one, "one"), (two, "two")] {
            let reply = thread.join().unwrap().unwrap();
            assert!(matches!(reply, ServiceReply::Source(Some(got)) if got == text));
        }
    }

    #[test]
    fn a_call_that_nobody_answers_ends_at_its_deadline_and_its_late_answer_is_dropped() {
        let (end, mut parent, others, _ended) = pair();
        let request = ServiceRequest::Source(ContentHash::of(b""));
        let failure = end.call(caller(), soon(30), request).unwrap_err();
        assert_eq!(failure.code, Code::Deadline);
        let (id, _request) = next_call(&mut parent);
        parent.write_all(&source_reply(id, "late")).unwrap();
        parent.write_all(&encode(&ToWorker::Drain).unwrap()).unwrap();
        assert!(matches!(others.recv().unwrap(), ToWorker::Drain), "the reader goes on after a late answer");
        assert!(lock(&end.waiting).is_empty());
    }

    #[test]
    fn every_frame_is_addressed_as_what_it_is() {
        let address = |frame: ToWorker| {
            let bytes = encode(&frame).unwrap();
            postcard::take_from_bytes::<Address>(&bytes[super::super::LENGTH_BYTES..]).unwrap().0
        };
        let settings = WorkerSettings { node: "n".to_owned(), concurrency: 1, module_cache_entries: 1 };
        assert!(matches!(address(ToWorker::Start(settings)), Address::Start));
        assert!(matches!(address(ToWorker::Snapshot(Snapshot::default())), Address::Snapshot));
        assert!(matches!(address(ToWorker::AppRemoved { revision: 1, app: AppId(1) }), Address::AppRemoved));
        assert!(matches!(address(ToWorker::Keys { revision: 1, keys: Arc::default() }), Address::Keys));
        let reply = ToWorker::Reply { id: 300, result: Ok(ServiceReply::Source(None)) };
        assert!(matches!(address(reply), Address::Reply { id: 300 }));
        assert!(matches!(address(ToWorker::Drain), Address::Drain));
        assert!(matches!(address(ToWorker::Draining(true)), Address::Draining));
        assert!(matches!(address(ToWorker::Count { id: 300 }), Address::Count));
    }

    #[test]
    fn a_parent_that_does_not_read_bounds_the_outbox_and_costs_no_caller_more_than_its_deadline() {
        let (end, mut parent, _others, _ended) = pair();
        let big = || ToParent::Hello { unconfined: vec!["x".repeat(300_000)] };
        let mut sent = 0;
        while lock(&end.outbox).pending.len() <= OUTBOX_BYTES_MAX {
            end.tell_with_room(&big());
            sent += 1;
        }
        let began = Instant::now();
        let failure = end.call(caller(), soon(50), ServiceRequest::Source(ContentHash::of(b""))).unwrap_err();
        assert_eq!(failure.code, Code::Deadline);
        assert!(began.elapsed() < Duration::from_secs(5));
        let mut frame = Vec::new();
        for _ in 0..sent {
            read_frame(&mut parent, &mut frame).unwrap();
            assert!(matches!(decode(&frame).unwrap(), ToParent::Hello { .. }), "frames stay whole");
        }
    }

    #[test]
    fn garbage_and_a_closed_socket_end_the_connection_with_a_reason() {
        let (_end, mut parent, _others, ended) = pair();
        parent.write_all(&[3, 0, 0, 0, 0xff, 0xff, 0xff]).unwrap();
        assert!(matches!(ended.recv().unwrap(), FrameError::Garbage { len: 3, .. }));
        let (_end, parent, _others, ended) = pair();
        drop(parent);
        assert!(matches!(ended.recv().unwrap(), FrameError::Closed));
    }
}
