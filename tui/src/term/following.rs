//! Streams of events: followed over lost connections, and kept until the next frame.

use super::asking::Line;
use super::clock::Ticks;
use crate::app::{Msg, Owner, StreamEvent, StreamState};
use crate::client::{Event, Events, may_pass};
use crate::failure::Failure;
use crate::path::ApiPath;
use serde_json::json;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// How long until the first new attempt; each further wait is twice as long.
const WAIT_MIN: Duration = Duration::from_millis(500);
/// The longest wait between attempts.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A connection that held so long was a good one: the next wait is short again.
const GOOD_AFTER: Duration = Duration::from_secs(5);
/// Events of one stream that wait for a frame; older ones are skipped and counted.
const WAITING_EVENTS_MAX: usize = 5000;
/// The same in bytes.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What waits for the next frame.
#[derive(Clone, Default)]
pub(super) struct Waiting(Rc<Shared>);

#[derive(Default)]
struct Shared {
    streams: RefCell<HashMap<Owner, Stream>>,
    news: Notify,
}

#[derive(Default)]
struct Stream {
    generation: u64,
    events: VecDeque<(usize, StreamEvent)>,
    bytes: usize,
    skipped: u64,
}

impl Waiting {
    /// Something waits, or waited already.
    pub(super) async fn news(&self) {
        self.0.news.notified().await;
    }

    /// All that came, one message a stream.
    pub(super) fn take(&self) -> Vec<Msg> {
        let mut streams = self.0.streams.borrow_mut();
        streams.drain().map(|(owner, stream)| stream.into_message(owner)).collect()
    }

    /// Nobody wants to know any more.
    pub(super) fn forget(&self, owner: &Owner) {
        self.0.streams.borrow_mut().remove(owner);
    }

    fn push(&self, owner: &Owner, generation: u64, event: Event) {
        // What is no JSON is of another version; it is passed over.
        let Ok(data) = serde_json::from_str(&event.data) else { return };
        let mut streams = self.0.streams.borrow_mut();
        let stream = streams.entry(owner.clone()).or_default();
        if stream.generation != generation {
            *stream = Stream { generation, ..Stream::default() };
        }
        stream.push(event.data.len(), StreamEvent { name: event.name, data });
        self.0.news.notify_one();
    }
}

impl Stream {
    fn push(&mut self, bytes: usize, event: StreamEvent) {
        self.events.push_back((bytes, event));
        self.bytes += bytes;
        while self.events.len() > WAITING_EVENTS_MAX || (self.bytes > WAITING_BYTES_MAX && self.events.len() > 1) {
            if let Some((bytes, _oldest)) = self.events.pop_front() {
                self.bytes -= bytes;
                self.skipped += 1;
            }
        }
    }

    fn into_message(self, owner: Owner) -> Msg {
        let mut events: Vec<StreamEvent> = Vec::with_capacity(self.events.len() + 1);
        if self.skipped > 0 {
            // Changes that were skipped are read anew, as those that the appliance has forgotten.
            let are_changes = self.events.iter().any(|(_, event)| event.name == "change");
            let name = if are_changes { "gap" } else { "dropped" };
            events.push(StreamEvent { name: name.to_owned(), data: json!({ "lines": self.skipped }) });
        }
        events.extend(self.events.into_iter().map(|(_, event)| event));
        Msg::Streamed { owner, generation: self.generation, events }
    }
}

/// One stream, for as long as somebody wants it.
pub(super) struct Following {
    pub(super) line: Line,
    pub(super) ticks: Ticks,
    pub(super) owner: Owner,
    pub(super) generation: u64,
    pub(super) path: ApiPath,
    pub(super) waiting: Waiting,
    pub(super) results: mpsc::Sender<Msg>,
}

impl Following {
    /// Follows, and connects again; ends only where asking again would not help.
    pub(super) async fn run(self) {
        let mut last_id = None;
        let mut wait = WAIT_MIN;
        loop {
            let failure = match self.line.client().events(self.path.clone(), last_id.as_deref()).await {
                Ok(mut events) => {
                    self.tell(StreamState::Live).await;
                    let since = Instant::now();
                    let ended = self.read(&mut events, &mut last_id).await;
                    if since.elapsed() >= GOOD_AFTER {
                        wait = WAIT_MIN;
                    }
                    ended
                }
                Err(failure) if !may_pass(&failure) => {
                    return self.tell(StreamState::Refused { why: failure.problem().detail }).await;
                }
                Err(failure) => failure,
            };
            let pause = jittered(wait);
            let retry_at_ms = self.ticks.mono_ms() + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            self.tell(StreamState::Lost { why: failure.problem().detail, retry_at_ms }).await;
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    async fn tell(&self, state: StreamState) {
        let told = Msg::StreamState { owner: self.owner.clone(), generation: self.generation, state };
        // Nobody listens any more where the program ends.
        let _ending = self.results.send(told).await;
    }

    /// Reads until the connection is lost; answers why it was.
    async fn read(&self, events: &mut Events, last_id: &mut Option<String>) -> Failure {
        loop {
            match events.next().await {
                Ok(Some(mut event)) => {
                    *last_id = event.id.take().or(last_id.take());
                    self.waiting.push(&self.owner, self.generation, event);
                }
                Ok(None) => return Failure::other("the appliance ended the connection", None),
                Err(failure) => return failure,
            }
        }
    }
}

/// Between half of it and all of it: those that were cut off together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let part = u32::try_from(random % 512).unwrap_or_default();
    wait / 2 + wait * part / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn owner() -> Owner {
        Owner { screen: None, slot: "logs".into() }
    }

    fn event(name: &str, data: impl ToString) -> Event {
        Event { id: None, name: name.to_owned(), data: data.to_string() }
    }

    fn taken(waiting: &Waiting) -> (u64, Vec<StreamEvent>) {
        let [Msg::Streamed { generation, events, .. }] = &waiting.take()[..] else { panic!("one stream") };
        (*generation, events.clone())
    }

    #[test]
    fn events_of_a_frame_are_one_message_in_their_order() {
        let waiting = Waiting::default();
        for number in 0..3 {
            waiting.push(&owner(), 7, event("log", number));
        }
        waiting.push(&owner(), 7, event("log", "{no json"));
        let (generation, events) = taken(&waiting);
        let numbers: Vec<&Value> = events.iter().map(|event| &event.data).collect();
        assert_eq!((generation, numbers), (7, vec![&json!(0), &json!(1), &json!(2)]));
        assert!(waiting.take().is_empty(), "nothing is told twice");
    }

    #[test]
    fn what_comes_faster_than_it_is_taken_is_skipped_from_the_oldest_and_counted() {
        for (name, told) in [("log", "dropped"), ("change", "gap")] {
            let waiting = Waiting::default();
            for number in 0..WAITING_EVENTS_MAX + 3 {
                waiting.push(&owner(), 1, event(name, number));
            }
            let (_, events) = taken(&waiting);
            assert_eq!(events.len(), WAITING_EVENTS_MAX + 1);
            assert_eq!((events[0].name.as_str(), &events[0].data), (told, &json!({ "lines": 3 })));
            assert_eq!(events[1].data, json!(3));
        }
    }

    #[test]
    fn large_events_are_bounded_by_their_bytes() {
        let waiting = Waiting::default();
        let large = json!("x".repeat(WAITING_BYTES_MAX / 3));
        for _ in 0..5 {
            waiting.push(&owner(), 1, event("log", &large));
        }
        let (_, events) = taken(&waiting);
        assert_eq!(events.len(), 1 + 2, "the note, and two thirds");
    }

    #[test]
    fn a_newer_stream_of_the_owner_does_not_tell_of_the_older() {
        let waiting = Waiting::default();
        waiting.push(&owner(), 1, event("log", 1));
        waiting.push(&owner(), 2, event("log", 2));
        assert_eq!(taken(&waiting), (2, vec![StreamEvent { name: "log".to_owned(), data: json!(2) }]));
    }

    #[test]
    fn a_wait_is_never_longer_than_it_says_nor_shorter_than_half() {
        for _ in 0..200 {
            let pause = jittered(WAIT_MAX);
            assert!(pause >= WAIT_MAX / 2 && pause <= WAIT_MAX, "{pause:?}");
        }
    }
}
