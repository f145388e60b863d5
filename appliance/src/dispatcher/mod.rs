//! The dispatcher: claims deliveries that are due, has each run here or on a node, and tells the store what became of it.
//!
//! One task, woken by the store's signal, by the next due time, by deliveries that end, and by nodes that come, go or
//! change; asleep otherwise. It claims in batches for all places together and a little ahead, so that a place that falls
//! free is taken at once. [`places`] says where a delivery is best run; what may not begin waits in [`held`]. What became
//! of a delivery is told beside the next runs, and many at once: the store's writer groups them.

mod attempt;
mod end;
mod held;
mod places;
mod running;
mod turn;

pub use attempt::Parts;
pub(crate) use places::{Candidate, Places};
pub(crate) use running::At;
pub(crate) use turn::nobody;

use held::{Held, Shown};
use picloud_model::ids::AppId;
use picloud_orchestrator::run::gate::deliveries_under_way_max;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The dispatcher's handle.
pub struct Dispatcher {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
    shown: Shown,
}

impl Dispatcher {
    /// Begins to dispatch to a worker of this `concurrency`.
    pub fn start(parts: Parts, concurrency: u32) -> Self {
        let runs_at_once = deliveries_under_way_max(concurrency);
        let (stop, stopping) = watch::channel(false);
        let shown = Shown::default();
        let task = tokio::spawn(turn::run(Arc::new(parts), runs_at_once, Held::new(shown.clone()), stopping));
        Self { stop, task: Mutex::new(Some(task)), shown }
    }

    /// How many deliveries of an app are claimed and wait for a node that may run them and has a place.
    pub fn waiting_for_node(&self, app: AppId) -> u64 {
        self.shown.of(app)
    }

    /// Claims nothing more; what is under way goes on.
    pub fn stop_claiming(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until what was under way has ended and been told of, up to `wait_max`; answers whether it has.
    pub async fn ended(&self, wait_max: Duration) -> bool {
        let Some(mut task) = self.task().take() else { return true };
        let in_time = tokio::time::timeout(wait_max, &mut task).await.is_ok();
        if !in_time {
            *self.task() = Some(task);
        }
        in_time
    }

    /// Waits the same way, and then no more: what does not get that far runs again after the next start.
    pub async fn end(&self, wait_max: Duration) {
        if self.ended(wait_max).await {
            return;
        }
        tracing::warn!("deliveries that were still under way are tried again after the next start");
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }

    fn task(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
