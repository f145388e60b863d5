//! What is to be said to one node: not a queue of frames but what has changed, so that a node that reads slowly gets
//! the newest, once, and waiting takes no room.

use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::protocol::RunRequest;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What is to be said.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Who it is and what it is called.
    pub(crate) welcome: bool,
    /// All apps, keys and secrets.
    pub(crate) everything: bool,
    /// Apps that changed or are gone.
    pub(crate) apps: BTreeSet<AppId>,
    /// The keys.
    pub(crate) keys: bool,
    /// Apps whose secrets changed.
    pub(crate) secrets: BTreeSet<AppId>,
    /// Runs for it; as many as it has places.
    pub(crate) runs: Vec<RunRequest>,
    /// Runs whose results are kept.
    pub(crate) taken: Vec<ExecutionId>,
    /// The batch of executions up to which all are kept.
    pub(crate) taken_executions: Option<u64>,
    /// The beat to be answered.
    pub(crate) beat: Option<u64>,
    /// Whether it drains.
    pub(crate) drain: Option<bool>,
    /// Why the connection ends.
    pub(crate) end: Option<End>,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The node was removed.
    Retired,
    /// It was silent, is connected anew, or this appliance stops.
    Cut,
}

/// What is to be said to one node, and a bell for whoever says it.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    due: Mutex<Due>,
    bell: Notify,
}

impl Feed {
    /// Adds to it.
    pub(crate) fn add(&self, add: impl FnOnce(&mut Due)) {
        add(&mut self.lock());
        self.bell.notify_one();
    }

    /// Takes back a run that was not said yet; answers whether that was so.
    pub(crate) fn take_back(&self, run: ExecutionId) -> bool {
        let mut due = self.lock();
        let before = due.runs.len();
        due.runs.retain(|waiting| waiting.execution_id != run);
        due.runs.len() < before
    }

    /// All that is to be said, once there is something.
    pub(crate) async fn next(&self) -> Due {
        self.bell.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
