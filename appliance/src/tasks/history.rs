//! Takes finished runs from the worker and stores them in batches, for history is many small rows.

use picloud_model::execution::Execution;
use picloud_store::Store;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Most runs that wait to be stored; beyond it the oldest are dropped and counted.
const WAITING_RUNS_MAX: usize = 4_096;
/// How long the first run of a batch waits for company.
const BATCH_WINDOW: Duration = Duration::from_millis(200);

/// Called with every batch as it arrives (`dev` prints logs).
pub type Watcher = Box<dyn Fn(&[Execution]) + Send + Sync>;

/// The runs that wait to be stored. Cheap to clone.
#[derive(Clone)]
pub struct History(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    watcher: Option<Watcher>,
}

#[derive(Default)]
struct Waiting {
    runs: VecDeque<Execution>,
    dropped: u64,
}

impl History {
    /// An empty one; `watcher` sees every run.
    pub fn new(watcher: Option<Watcher>) -> Self {
        Self(Arc::new(Shared { waiting: Mutex::default(), arrived: Notify::new(), watcher }))
    }

    /// Takes runs. Never blocks; what does not fit pushes the oldest out.
    pub fn push(&self, executions: Vec<Execution>) {
        if let Some(watcher) = &self.0.watcher {
            watcher(&executions);
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.runs.extend(executions);
        while waiting.runs.len() > WAITING_RUNS_MAX {
            waiting.runs.pop_front();
            waiting.dropped += 1;
        }
        drop(waiting);
        self.0.arrived.notify_one();
    }

    /// Stores all that waits now.
    pub async fn flush(&self, store: &dyn Store) {
        let taken = std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.dropped > 0 {
            tracing::warn!(
                runs = taken.dropped,
                "finished runs came faster than they could be kept; the oldest are lost"
            );
        }
        if taken.runs.is_empty() {
            return;
        }
        let runs = taken.runs.len();
        if let Err(error) = store.add_executions(taken.runs.into()).await {
            // History is worth less than what it tells of: a full disk must not stop anything else.
            tracing::warn!(runs, %error, "finished runs could not be kept");
        }
    }
}

/// Stores batches for ever; asleep while nothing runs.
pub async fn run(history: History, store: Arc<dyn Store>) {
    loop {
        history.0.arrived.notified().await;
        tokio::time::sleep(BATCH_WINDOW).await;
        history.flush(store.as_ref()).await;
    }
}
