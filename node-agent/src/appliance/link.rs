//! A link: the two streams of one connection to an appliance, for as long as both ends live.

use super::{ANSWER_MAX, AskError, Connection, streamed, why_lost};
use bytes::Bytes;
use hyper::body::Incoming;
use picloud_cluster::frames::{FrameError, FrameReader, encode};
use picloud_model::protocol::node::{FromNode, NodeCall, NodeHello, NodeReply, Once, PATH_CALLS, PATH_CONTROL};
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

/// Calls that wait for an answer at once: as many as an appliance works on for one node.
const CALLS_IN_FLIGHT_MAX: usize = 256;
/// Frames of the control stream that wait to be written.
const CONTROL_FRAMES_MAX: usize = 64;
/// A call that waits for so long makes the node ask whether the appliance is there at all.
const DOUBT_AFTER: Duration = Duration::from_secs(2);
/// How long what was said last may take to be on its way.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

type Answer = Result<ServiceReply, ServiceFailure>;

/// Why a call has no answer of the appliance's.
#[derive(Debug)]
pub enum CallError {
    /// It answered: no.
    Failed(ServiceFailure),
    /// The link is over; whether the call was done is not known.
    Away,
    /// The call cannot be said at all.
    Frame(FrameError),
}

/// A link. Clones are the same one.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    control: Mutex<Option<mpsc::Sender<Bytes>>>,
    calls: mpsc::Sender<Bytes>,
    pending: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    next_call: AtomicU64,
    places: Semaphore,
    over: watch::Sender<Option<String>>,
    /// It is this node that goes.
    leaving: AtomicBool,
    doubt: Arc<Notify>,
    address: SocketAddr,
    since: Instant,
}

/// What comes over the control stream.
pub type Frames = FrameReader<Incoming>;

impl Link {
    /// Opens both streams. `doubt` is told when a call waits for too long.
    pub async fn open(
        mut connection: Connection,
        hello: NodeHello,
        doubt: Arc<Notify>,
    ) -> Result<(Self, Frames), AskError> {
        let (control, frames) = mpsc::channel(CONTROL_FRAMES_MAX);
        let hello = encode(&FromNode::Hello(hello)).map_err(|error| AskError::Answer(error.to_string()))?;
        control.try_send(hello).expect("an empty queue has room");
        let response = connection.post(PATH_CONTROL, streamed(frames), ANSWER_MAX).await?;
        let (calls, frames) = mpsc::channel(CALLS_IN_FLIGHT_MAX);
        let replies = connection.post(PATH_CALLS, streamed(frames), ANSWER_MAX).await?;
        let link = Self(Arc::new(Inner {
            control: Mutex::new(Some(control)),
            calls,
            pending: Mutex::new(Some(HashMap::new())),
            next_call: AtomicU64::new(1),
            places: Semaphore::new(CALLS_IN_FLIGHT_MAX),
            over: watch::channel(None).0,
            leaving: AtomicBool::new(false),
            doubt,
            address: connection.address,
            since: Instant::now(),
        }));
        tokio::spawn(link.clone().take_replies(FrameReader::new(replies.into_body()), connection));
        Ok((link, FrameReader::new(response.into_body())))
    }

    /// Where it leads.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// For how long it has been open.
    pub fn age(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// Says something; waits while the appliance does not read.
    pub async fn say(&self, frame: &FromNode) -> Result<(), FrameError> {
        let bytes = encode(frame)?;
        let sender = self.control().clone();
        if let Some(sender) = sender {
            // That nobody takes it is seen where the link's end is.
            let _over = sender.send(bytes).await;
        }
        Ok(())
    }

    /// Asks, and waits for the answer for as long as it takes.
    pub async fn call(
        &self,
        caller: Caller,
        deadline: Duration,
        once: Option<Once>,
        request: ServiceRequest,
    ) -> Result<ServiceReply, CallError> {
        let _place = self.0.places.acquire().await.map_err(|_closed| CallError::Away)?;
        let id = self.0.next_call.fetch_add(1, Ordering::Relaxed);
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        let call = NodeCall { id, caller, deadline_ms, once, request };
        let bytes = encode(&call).map_err(CallError::Frame)?;
        let (sender, mut answered) = oneshot::channel();
        self.pending().as_mut().ok_or(CallError::Away)?.insert(id, sender);
        let _forget = Forget { link: self, id };
        self.0.calls.send(bytes).await.map_err(|_over| CallError::Away)?;
        let answer = match tokio::time::timeout(DOUBT_AFTER, &mut answered).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                self.0.doubt.notify_one();
                answered.await
            }
        };
        answer.map_err(|_over| CallError::Away)?.map_err(CallError::Failed)
    }

    /// This node goes: that the link ends then is what it wants.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether it is this node that goes.
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed)
    }

    /// Ends it: nothing more is sent, and nobody waits for an answer.
    pub fn end(&self, why: &str) {
        self.control().take();
        // Dropping the senders tells everybody who waits.
        self.pending().take();
        self.0.places.close();
        self.0.over.send_if_modified(|over| {
            let first = over.is_none();
            if first {
                *over = Some(why.to_owned());
            }
            first
        });
    }

    /// Says what is to be said last, and ends it once that is on its way.
    pub async fn goodbye(&self) {
        self.leave();
        // An error means that it is over already.
        let _said = self.say(&FromNode::Goodbye).await;
        let sender = self.control().take();
        if let Some(sender) = sender {
            let room = sender.max_capacity();
            // All places are free once everything that was put in was taken out.
            let _late = tokio::time::timeout(LAST_WORDS_MAX, sender.reserve_many(room)).await;
        }
        let _either = tokio::time::timeout(LAST_WORDS_MAX, self.over()).await;
        self.end("this node stops");
    }

    /// Says something if there is room for it right now. Answers whether there was.
    pub fn say_now(&self, frame: &FromNode) -> bool {
        let Ok(bytes) = encode(frame) else { return false };
        self.control().as_ref().is_some_and(|sender| sender.try_send(bytes).is_ok())
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.0.over.borrow().is_some()
    }

    /// Waits until it is over; answers why.
    pub async fn over(&self) -> String {
        let mut over = self.0.over.subscribe();
        let why = over.wait_for(Option::is_some).await;
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    async fn take_replies(self, mut replies: Frames, connection: Connection) {
        let why = loop {
            let reply = tokio::select! {
                reply = replies.next::<NodeReply>() => reply,
                _over = self.over() => break String::new(),
            };
            match reply {
                Ok(Some(NodeReply { id, result })) => {
                    let waiting = self.pending().as_mut().and_then(|pending| pending.remove(&id));
                    if let Some(waiting) = waiting {
                        let _gave_up = waiting.send(result);
                    }
                }
                Ok(None) => break "the appliance hung up".to_owned(),
                Err(error) => break why_lost(&error),
            }
        };
        self.end(&why);
        drop(connection);
    }

    fn control(&self) -> MutexGuard<'_, Option<mpsc::Sender<Bytes>>> {
        self.0.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a call whose caller stopped waiting.
struct Forget<'l> {
    link: &'l Link,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.link.pending().as_mut() {
            pending.remove(&self.id);
        }
    }
}
