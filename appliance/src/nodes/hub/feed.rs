//! What is to be said to one node: not a queue of frames but what has changed, so that a node that reads slowly gets
//! the newest, once, and waiting takes no room.

use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::protocol::RunRequest;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long the word that results are kept may wait for something else to go out with. Nobody waits for it, and on a
/// busy node the next run is sooner: said alone it would cost a fifth of all that is said for a run.
const TAKEN_WAIT: Duration = Duration::from_millis(20);

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
    /// There are results of which it is to be said that they are kept, where there were none.
    kept: Notify,
}

impl Feed {
    /// Adds to it.
    pub(crate) fn add(&self, add: impl FnOnce(&mut Due)) {
        add(&mut self.lock());
        self.bell.notify_one();
    }

    /// The result of a run is kept; said with the next word, or soon.
    pub(crate) fn add_taken(&self, run: ExecutionId) {
        let mut due = self.lock();
        due.taken.push(run);
        if due.taken.len() == 1 {
            self.kept.notify_one();
        }
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
        loop {
            tokio::select! {
                () = self.bell.notified() => return std::mem::take(&mut *self.lock()),
                () = self.kept.notified() => {}
            }
            // What went out meanwhile has taken them along.
            if tokio::time::timeout(TAKEN_WAIT, self.bell.notified()).await.is_ok() || !self.lock().taken.is_empty() {
                return std::mem::take(&mut *self.lock());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
