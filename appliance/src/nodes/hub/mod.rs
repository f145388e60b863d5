//! The nodes that are connected right now: what each is and has room for, and runs on them.
//!
//! The hub keeps no store and speaks to no socket: `control` reads what a node says into it, and writes what it finds
//! in the node's feed. A run that was given to a node is under a lease (`picloud_cluster::leases`).

mod attached;
mod feed;
mod link;
mod runs;
#[cfg(test)]
mod tests;
mod told;

pub(crate) use attached::Attached;
pub(crate) use feed::{Due, End, Feed};
pub use told::Shown;

use link::Link;
use picloud_cluster::leases::Leases;
use picloud_model::ids::ExecutionId;
use picloud_model::node::NodeId;
use picloud_model::placement::Labels;
use picloud_model::problem::Problem;
use picloud_model::protocol::RunResult;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, oneshot, watch};

/// A node that is connected.
#[derive(Clone, Debug)]
pub struct LiveNode {
    /// Its id.
    pub id: NodeId,
    /// What it is called.
    pub name: String,
    /// What it is placed by.
    pub labels: Arc<Labels>,
    /// Deliveries it takes at once.
    pub places: u32,
    /// Deliveries it holds.
    pub running: u32,
    /// It takes no new work.
    pub draining: bool,
    /// Its last beat is late or took long: others go first.
    pub slow: bool,
    /// It answers from all that was deployed.
    pub in_step: bool,
    /// Where it answers requests.
    pub urls: Vec<String>,
}

/// Why a run on a node gave no result.
#[derive(Clone, Debug)]
pub enum NoResult {
    /// It has not begun, or was refused: no attempt.
    NotRun(Problem),
    /// It was on its way when the node was lost, or ended badly: an attempt. It may have run.
    Lost(Problem),
}

/// The nodes that are connected. Cheap to clone.
#[derive(Clone, Default)]
pub struct Hub(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// Changes when a node answers from a newer revision, or goes.
    applied: watch::Sender<u64>,
    /// There are leases where there were none.
    leased: Notify,
    /// A run has ended, while nothing is given any more.
    ended: Notify,
    calls: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            // A node that has not answered from anything is at 0, and so not in step.
            state: Mutex::new(State { revision: 1, ..State::default() }),
            changed: watch::Sender::new(0),
            applied: watch::Sender::new(0),
            leased: Notify::new(),
            ended: Notify::new(),
            calls: AtomicU64::new(0),
        }
    }
}

#[derive(Default)]
struct State {
    /// Counts the changes of apps and keys since the start.
    revision: u64,
    links: HashMap<NodeId, Link>,
    /// How many connections there ever were.
    numbers: u64,
    leases: Leases,
    /// Whoever waits for a run to end.
    waiting: HashMap<ExecutionId, oneshot::Sender<Result<RunResult, NoResult>>>,
    /// The last batch of executions of each node, and of which start of its agent it was.
    batches: HashMap<NodeId, (u64, u64)>,
    /// Nothing is given any more: the appliance stops, …
    gives_nothing: bool,
    /// … and whoever is connected now is cut off.
    is_closed: bool,
}

/// What is counted of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubCounts {
    /// Runs that nodes hold.
    pub leases: u64,
    /// Calls of nodes that were answered since the start.
    pub calls: u64,
}

impl Hub {
    /// All of them.
    pub fn live(&self) -> Vec<Arc<LiveNode>> {
        let (state, now) = (self.lock(), Instant::now());
        let live =
            |(id, link): (&NodeId, &Link)| Arc::new(link.live(id, state.leases.held_by(id), state.revision, now));
        state.links.iter().map(live).collect()
    }

    /// Whether a node has a connection here.
    pub(crate) fn is_connected(&self, id: &NodeId) -> bool {
        self.lock().links.contains_key(id)
    }

    /// What a node is placed by; nothing where it is not connected.
    pub(crate) fn labels(&self, id: &NodeId) -> Arc<Labels> {
        self.lock().links.get(id).map(|link| Arc::clone(&link.labels)).unwrap_or_default()
    }

    /// Changes when a node comes, goes, drains, is labelled, or gets room.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// What is counted.
    pub fn counts(&self) -> HubCounts {
        HubCounts { leases: self.lock().leases.len() as u64, calls: self.0.calls.load(Ordering::Relaxed) }
    }

    /// So many calls of a node were answered.
    pub(crate) fn calls_answered(&self, calls: u64) {
        self.0.calls.fetch_add(calls, Ordering::Relaxed);
    }

    fn say_changed(&self) {
        self.0.changed.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
