//! The dispatcher: claims deliveries that are due, runs them, and tells the store what became of each.
//!
//! One task, woken by the store's signal, by the next due time, and by deliveries that end; asleep otherwise. It claims
//! in batches and a little ahead, so that a slot that falls free is taken at once. What became of a delivery is told
//! beside the next runs, and many at once: the store's writer groups them.

mod attempt;
mod end;

pub use attempt::Parts;

use crate::schedules::Alarm;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::Delivery;
use picloud_orchestrator::run::gate::deliveries_under_way_max;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Deliveries whose run is over and that are being told of, for each run at once.
const ENDING_PER_RUN: usize = 8;
/// How long to wait before a store that refused a claim is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// The dispatcher's handle.
pub struct Dispatcher {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Dispatcher {
    /// Begins to dispatch to a worker of this `concurrency`.
    pub fn start(parts: Parts, concurrency: u32) -> Self {
        let runs_at_once = deliveries_under_way_max(concurrency);
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(run(Arc::new(parts), runs_at_once, stopping));
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Claims nothing more; what is under way goes on.
    pub fn stop_claiming(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until what was under way has ended and been told of, up to `wait_max`. What does not get that far runs
    /// again after the next start.
    pub async fn ended(&self, wait_max: Duration) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if tokio::time::timeout(wait_max, &mut task).await.is_err() {
            tracing::warn!("deliveries that were still under way are tried again after the next start");
            task.abort();
        }
    }
}

/// Everything that is under way.
struct State {
    parts: Arc<Parts>,
    runs_at_once: usize,
    /// Claimed, and waiting for a run to end.
    ready: VecDeque<Delivery>,
    /// Each runs, or is being told of.
    tasks: JoinSet<()>,
    /// How many of them run.
    running: Arc<attempt::Running>,
    /// When the next delivery is due.
    next_due: Option<UnixMs>,
    /// Whether there may be something to claim that was not there at the last claim.
    look: bool,
}

async fn run(parts: Arc<Parts>, runs_at_once: usize, mut stopping: watch::Receiver<bool>) {
    let alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return tracing::error!(%error, "no event starts a script: the kernel gives no timer"),
    };
    let mut signal = parts.store.delivery_signal();
    signal.mark_changed();
    let mut state = State {
        parts,
        runs_at_once,
        ready: VecDeque::new(),
        tasks: JoinSet::new(),
        running: Arc::default(),
        next_due: None,
        look: true,
    };
    loop {
        if !*stopping.borrow() {
            state.claim().await;
            state.begin();
        }
        let freed = state.running.freed.notified();
        let is_stopping = *stopping.borrow();
        if is_stopping {
            state.running.stop();
            if state.tasks.is_empty() {
                return;
            }
        }
        let due = if is_stopping || !state.has_room() { None } else { state.next_due };
        tokio::select! {
            // One that is stopped or gone wakes nobody twice.
            Ok(()) = stopping.changed(), if !is_stopping => {}
            Ok(()) = signal.changed(), if !is_stopping => state.look = true,
            Some(ended) = state.tasks.join_next() => state.joined(ended),
            () = freed => {}
            () = alarm.wait(due) => state.look = true,
        }
    }
}

impl State {
    /// Whether so much is free that a claim is worth it.
    fn has_room(&self) -> bool {
        let ending = self.tasks.len().saturating_sub(self.running.count());
        self.ready.is_empty() && ending < self.runs_at_once * ENDING_PER_RUN
    }

    /// Claims where there is room, and something to be had.
    async fn claim(&mut self) {
        if !self.look || !self.has_room() {
            return;
        }
        // As many again as may run, so that the next ones are at hand when these end.
        let room = (2 * self.runs_at_once).saturating_sub(self.running.count());
        let now = self.parts.clock.now_ms();
        match self.parts.store.claim_deliveries(u32::try_from(room).unwrap_or(u32::MAX), now).await {
            Ok(claimed) => {
                // More are due by now; where nothing came of it, it is not for us, and asking at once would be for nothing.
                let more = claimed.next_due.is_some_and(|at| at <= now);
                let none = claimed.deliveries.is_empty();
                self.look = more && !none;
                self.next_due = if more && none { Some(after(now, PAUSE)) } else { claimed.next_due };
                self.ready.extend(claimed.deliveries);
            }
            Err(error) => {
                tracing::warn!(%error, "due deliveries could not be claimed; trying again");
                self.next_due = Some(after(now, PAUSE));
                self.look = false;
            }
        }
    }

    /// Begins as many runs as there are places.
    fn begin(&mut self) {
        while self.running.count() < self.runs_at_once
            && let Some(delivery) = self.ready.pop_front()
        {
            let place = self.running.take();
            self.tasks.spawn(attempt::run(Arc::clone(&self.parts), delivery, place));
        }
    }

    /// Takes note of deliveries that were told of: others of their trigger may be claimed now.
    fn joined(&mut self, ended: Result<(), tokio::task::JoinError>) {
        let mut next = Some(ended);
        while let Some(ended) = next {
            if let Err(error) = ended {
                tracing::error!(%error, "a delivery was lost sight of; it runs again after the next start");
            }
            next = self.tasks.try_join_next();
        }
        self.look = true;
    }
}

fn after(now: UnixMs, pause: Duration) -> UnixMs {
    now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}
