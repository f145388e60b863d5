//! A node that is connected, as whoever reads from it holds it.

use super::link::Link;
use super::{End, Feed, Hub, NoResult};
use picloud_model::ids::ExecutionId;
use picloud_model::node::{NodeId, NodeRecord};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::NodeHello;
use picloud_model::protocol::{RunResult, ServiceFailure};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest silence of a node that holds no work: two of its beats, nearly.
const IDLE_SILENCE_MAX: Duration = Duration::from_secs(75);

/// One connection of a node; the node is away when this is dropped, unless it is connected anew.
pub(crate) struct Attached {
    hub: Hub,
    /// The node.
    pub(crate) id: NodeId,
    number: u64,
    /// What is to be said to it.
    pub(crate) feed: Arc<Feed>,
}

impl Hub {
    /// A node has said who it is. Whatever other connection it has is cut.
    pub(crate) fn attach(&self, record: &NodeRecord, hello: NodeHello) -> Attached {
        let (id, now) = (record.id.clone(), Instant::now());
        let (back, number, feed) = {
            let mut state = self.lock();
            state.numbers += 1;
            let number = state.numbers;
            let back = state.leases.reconnected(&id, hello.incarnation, &hello.holding, now);
            let link = Link::new(number, record, hello, now);
            let feed = Arc::clone(&link.feed);
            feed.add(|due| due.taken.clone_from(&back.unknown));
            if state.is_closed {
                link.end(End::Cut);
            }
            if let Some(before) = state.links.insert(id.clone(), link) {
                before.end(End::Cut);
            }
            (back, number, feed)
        };
        let name = &record.name;
        let problem = |what: &str| Problem::new(Code::NodeAway, format!("node `{name}` {what}"));
        self.lose(&back.never_began, &NoResult::NotRun(problem("lost its connection before the run began there")));
        self.lose(&back.lost, &NoResult::Lost(problem("was started anew while it ran")));
        self.say_changed();
        Attached { hub: self.clone(), id, number, feed }
    }
}

impl Attached {
    /// Looks at the node's link, while this is its connection; anything came from it.
    fn heard<T>(&self, look: impl FnOnce(&mut Link) -> T) -> Option<T> {
        let mut state = self.hub.lock();
        let now = Instant::now();
        let link = state.links.get_mut(&self.id).filter(|link| link.number == self.number)?;
        link.heard = now;
        let looked = look(link);
        state.leases.heard(&self.id, now);
        Some(looked)
    }

    /// Whether this is still the node's connection.
    pub(crate) fn is_current(&self) -> bool {
        self.heard(|_link| ()).is_some()
    }

    /// How long it may be silent from now on.
    pub(crate) fn silence_max(&self) -> Duration {
        IDLE_SILENCE_MAX
    }

    /// It is there.
    pub(crate) fn beat(&self, number: u64, round_trip_ms: u32, spooled: u64) {
        let was_slow = self.heard(|link| {
            let before = link.round_trip_ms.replace(round_trip_ms);
            link.spooled = Some(spooled);
            link.feed.add(|due| due.beat = Some(number));
            before
        });
        // The first tells of a node what nobody knew.
        if was_slow == Some(None) {
            self.hub.say_changed();
        }
    }

    /// It answers from this revision.
    pub(crate) fn applied(&self, revision: u64) {
        let in_step = {
            let current = self.hub.lock().revision;
            self.heard(|link| {
                link.applied = link.applied.max(revision.min(current));
                link.applied == current
            })
        };
        self.hub.say_applied();
        if in_step == Some(true) {
            self.hub.say_changed();
        }
    }

    /// A run is over.
    pub(crate) fn run_done(&self, run: ExecutionId, result: Result<RunResult, ServiceFailure>) {
        if self.heard(|link| link.feed.add_taken(run)).is_some() {
            self.hub.ended(&self.id, run, result);
        }
    }

    /// A batch of executions has come; answers whether it came for the first time. It may be said again where our word
    /// that it is kept was lost.
    pub(crate) fn executions(&self, batch: u64) -> bool {
        let incarnation = self.heard(|link| {
            link.feed.add(|due| due.taken_executions = due.taken_executions.max(Some(batch)));
            link.hello.incarnation
        });
        let Some(incarnation) = incarnation else { return false };
        let mut state = self.hub.lock();
        let before = state.batches.insert(self.id.clone(), (incarnation, batch));
        let last = before.filter(|(of, _batch)| *of == incarnation).map_or(0, |(_of, last)| last);
        state.batches.insert(self.id.clone(), (incarnation, last.max(batch)));
        batch > last
    }

    /// It stops in an orderly way.
    pub(crate) fn goodbye(&self) {
        let (name, runs) = {
            let mut state = self.hub.lock();
            if state.links.get(&self.id).is_none_or(|link| link.number != self.number) {
                return;
            }
            let name = state.links.remove(&self.id).map_or_else(String::new, |link| link.name);
            (name, state.leases.gone(&self.id))
        };
        let problem = Problem::new(Code::NodeAway, format!("node `{name}` stopped before the run ended there"));
        self.hub.lose(&runs, &NoResult::NotRun(problem));
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if state.links.get(&self.id).is_some_and(|link| link.number == self.number) {
            state.links.remove(&self.id);
        }
        drop(state);
        self.hub.say_changed();
        self.hub.say_applied();
    }
}
