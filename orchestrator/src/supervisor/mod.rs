//! The parent's side of the worker: start it, feed it, watch it, start it again.
//!
//! The parent keeps the ingress socket open, so that while a worker is dead connections wait in the backlog instead
//! of being refused. Nothing here runs a script or reads a store: what the worker asks goes to the [`Host`].

mod last_answer;
mod launch;
mod session;
mod stand_in;

pub(crate) use launch::IN_FLIGHT_FD;

use crate::channel::FrameError;
pub use crate::inflight::LostRun;
pub use crate::ingress_sockets::INGRESSES_MAX;
use nix::sys::socket::{Backlog, listen};
use picloud_model::execution::Execution;
use picloud_model::protocol::{
    AppSnapshot, Caller, Counts, KeyEntry, RunRequest, RunResult, RunsNow, ServiceFailure, ServiceReply,
    ServiceRequest, Snapshot, ToWorker, WorkerSettings,
};
use picloud_model::{AppId, Code, Problem};
use session::{Ended, Session};
pub use stand_in::answer_until;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinHandle;

/// Connections that wait for the worker to accept them, also while it is being started again.
const INGRESS_BACKLOG: i32 = 1024;
/// Longest wait until a worker answers from a change.
const APPLY_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a worker to tell what it has counted.
const COUNT_MAX: Duration = Duration::from_millis(200);
/// Longest time for runs under way to end when the worker is to stop.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Starts that may fail in a row before the very first worker is given up.
const FIRST_STARTS_MAX: u32 = 3;
/// Starts that may fail in a row before clients are told rather than kept waiting.
const STAND_IN_AFTER_STARTS: u32 = 3;
/// Pause after the second start in a row that failed; doubles from there.
const BACKOFF_BASE: Duration = Duration::from_millis(100);
/// Longest pause between starts.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How to start workers.
#[derive(Debug)]
pub struct SupervisorConfig {
    /// The program, started with the argument `worker`.
    pub executable: PathBuf,
    /// Where scripts answer; bound already. At least one, and no more than [`INGRESSES_MAX`].
    pub ingress: Vec<TcpListener>,
    /// What the worker is told first.
    pub settings: WorkerSettings,
    /// User and group to run scripts as; needs root. Where absent, root's workers become `nobody`.
    pub run_as: Option<(u32, u32)>,
    /// Whether each line of the worker's log begins with its priority, as journald reads it.
    pub log_priorities: bool,
}

/// Why the host could not make a snapshot.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// Why there is no worker, or not one that answers from a change.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The ingress socket cannot be listened on.
    #[error("listen on the ingress socket: {0}")]
    Listen(std::io::Error),
    /// No worker ever answered.
    #[error("the worker did not start, tried {attempts} times: {reason}")]
    NeverReady {
        /// How often it was tried.
        attempts: u32,
        /// What ended the last one.
        reason: String,
    },
    /// The worker did not confirm a change in time; it will have it once it is back.
    #[error("no worker confirmed the change within {} ms", APPLY_MAX.as_millis())]
    NotApplied,
    /// The frame cannot be sent at all.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// There will be no worker any more.
    #[error("the supervisor has stopped")]
    Stopped,
}

/// Whom workers ask; answered from the store (appliance) or from an appliance (node).
#[async_trait::async_trait]
pub trait Host: Send + Sync {
    /// Answers one call of a run. It is given up when `deadline` is over; one that asks further passes the time on.
    async fn call(
        &self,
        caller: Caller,
        deadline: Duration,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure>;

    /// All apps as they are now; asked at every start of a worker.
    async fn snapshot(&self) -> Result<Snapshot, HostError>;

    /// Takes executions to be kept. Must not block; bounded inside.
    fn executions(&self, executions: Vec<Execution>);

    /// Takes what a worker counted. Must not block.
    fn counts(&self, counts: Counts);

    /// Takes the runs that were under way when a worker died. The next worker starts meanwhile, so a quarantine that
    /// comes of it is to be told with [`Supervisor::app_changed`].
    async fn worker_lost(&self, runs: Vec<LostRun>);
}

/// Keeps one worker alive. Clones are the same supervisor.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

/// What the supervisor and the task that keeps the worker share.
struct Shared {
    config: SupervisorConfig,
    host: Arc<dyn Host>,
    state: watch::Sender<State>,
    stopping: watch::Sender<bool>,
    /// The revision given last. Held while a change is sent, so that revisions arrive in their order.
    revision: Mutex<u64>,
    /// The pid of the worker process, 0 for none.
    pid: AtomicU32,
    /// Whether the machine drains.
    is_draining: AtomicBool,
    /// Held while a worker is told of it, so that none is left with what was said before.
    draining: Mutex<()>,
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Session>),
    Stopped,
}

impl Supervisor {
    /// Starts the first worker; returns once it answers requests from its first snapshot.
    pub async fn start(config: SupervisorConfig, host: Arc<dyn Host>) -> Result<Self, SupervisorError> {
        let backlog = Backlog::new(INGRESS_BACKLOG).expect("the backlog is within the kernel's range");
        for ingress in &config.ingress {
            listen(ingress, backlog).map_err(|errno| SupervisorError::Listen(errno.into()))?;
        }
        let shared = Arc::new(Shared {
            config,
            host,
            state: watch::channel(State::Starting).0,
            stopping: watch::channel(false).0,
            revision: Mutex::new(0),
            pid: AtomicU32::new(0),
            is_draining: AtomicBool::new(false),
            draining: Mutex::default(),
        });
        let (first, started) = oneshot::channel();
        tokio::spawn(keep(Arc::clone(&shared), first));
        started.await.map_err(|_task_gone| SupervisorError::Stopped)??;
        Ok(Self { shared })
    }

    /// Tells the worker that an app is new or changed; returns once it answers from it. Changes of one app are to be
    /// made one after the other.
    pub async fn app_changed(&self, app: AppSnapshot) -> Result<(), SupervisorError> {
        let app = Arc::new(app);
        self.change(|revision| ToWorker::AppChanged { revision, app: Arc::clone(&app) }).await
    }

    /// Tells the worker that an app is gone; returns once it does not answer for it.
    pub async fn app_removed(&self, app: AppId) -> Result<(), SupervisorError> {
        self.change(|revision| ToWorker::AppRemoved { revision, app }).await
    }

    /// Tells the worker all API keys; returns once it goes by them. A key that is not among them is refused from then on.
    pub async fn keys_changed(&self, keys: Arc<Vec<KeyEntry>>) -> Result<(), SupervisorError> {
        self.change(|revision| ToWorker::Keys { revision, keys: Arc::clone(&keys) }).await
    }

    /// Has the worker, and those that follow it, say that this machine is (not) to be sent requests. They go on answering
    /// them.
    pub async fn set_draining(&self, draining: bool) {
        let _one_at_a_time = self.shared.draining.lock().await;
        self.shared.is_draining.store(draining, Ordering::Relaxed);
        let State::Ready(session) = self.shared.state.borrow().clone() else { return };
        if let Err(error) = session.send(&ToWorker::Draining(draining)).await {
            tracing::debug!(%error, "the worker could not be told whether it drains; its successor is");
        }
    }

    /// Whether this machine is (not) to be sent requests, as it was told last.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining.load(Ordering::Relaxed)
    }

    /// Runs a script that no request asked for. Of the problems only [`Code::WorkerLost`] and [`Code::Deadline`] tell of
    /// a run that may have begun; with the others none has, or this side ended it.
    pub async fn run(&self, run: RunRequest, timeout: Duration) -> Result<RunResult, Problem> {
        self.run_boxed(Box::new(run), timeout).await
    }

    /// The same. Boxed, since every future that a request is moved through grows by its size.
    async fn run_boxed(&self, run: Box<RunRequest>, timeout: Duration) -> Result<RunResult, Problem> {
        let script = run.script.clone();
        let result = tokio::time::timeout(timeout, async {
            let session = self.ready().await.map_err(|error| Problem::new(Code::NodeAway, error.to_string()))?;
            match session.run(run).await {
                // Not the script's doing: this side ended the worker.
                Err(problem) if problem.code == Code::WorkerLost && *self.shared.stopping.borrow() => {
                    Err(Problem::new(Code::NodeAway, "the appliance stopped before the run ended"))
                }
                result => result,
            }
        });
        result.await.unwrap_or_else(|_elapsed| {
            let ms = timeout.as_millis();
            Err(Problem::new(Code::Deadline, format!("script `{script}` gave no result within {ms} ms")))
        })
    }

    /// Has the worker tell the host at once what it has counted, and answers with the runs of this moment; `None` where
    /// no worker tells in time.
    pub async fn count(&self) -> Option<RunsNow> {
        let State::Ready(session) = self.shared.state.borrow().clone() else { return None };
        tokio::time::timeout(COUNT_MAX, session.count()).await.ok()?
    }

    /// Whether a worker answers within that time, from the threads that serve requests; one that is being started again
    /// has the time to come back. Why it does not, otherwise.
    pub async fn answers(&self, within: Duration) -> Result<(), String> {
        let answers = async {
            loop {
                let session = self.ready().await.map_err(|error| error.to_string())?;
                match session.count().await {
                    Some(_runs) => return Ok(()),
                    None => session.gone().await,
                }
            }
        };
        let waited = tokio::time::timeout(within, answers).await;
        waited
            .unwrap_or_else(|_elapsed| Err(format!("it was asked and said nothing for {:.1} s", within.as_secs_f64())))
    }

    /// Lets the runs under way end, then ends the worker; returns once it is gone.
    pub async fn stop(&self) {
        self.shared.stopping.send_replace(true);
        let mut state = self.shared.state.subscribe();
        // An error means that the task that would say so is gone, and the worker with it.
        let _gone = state.wait_for(|state| matches!(state, State::Stopped)).await;
    }

    /// The pid of the worker process, if there is one.
    pub fn worker_pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    async fn ready(&self) -> Result<Arc<Session>, SupervisorError> {
        let mut state = self.shared.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, State::Starting)).await;
        match settled.as_deref() {
            Ok(State::Ready(session)) => Ok(Arc::clone(session)),
            Ok(State::Starting | State::Stopped) | Err(_) => Err(SupervisorError::Stopped),
        }
    }

    async fn change(&self, frame: impl Fn(u64) -> ToWorker) -> Result<(), SupervisorError> {
        let applied = async {
            loop {
                let session = self.ready().await?;
                let mut last = self.shared.revision.lock().await;
                *last += 1;
                let revision = *last;
                let sent = session.send(&frame(revision)).await;
                drop(last);
                match sent {
                    // The worker died meanwhile: its successor's snapshot may be older than the change, so tell it too.
                    Err(FrameError::Closed) => session.gone().await,
                    Err(error) => return Err(error.into()),
                    Ok(()) if session.applied(revision).await => return Ok(()),
                    Ok(()) => {}
                }
            }
        };
        tokio::time::timeout(APPLY_MAX, applied).await.unwrap_or(Err(SupervisorError::NotApplied))
    }
}

/// Starts worker after worker until told to stop.
async fn keep(shared: Arc<Shared>, first: oneshot::Sender<Result<(), SupervisorError>>) {
    let mut first = Some(first);
    let mut failed_starts: u32 = 0;
    let mut announce_inline = false;
    let mut stand_in: Option<JoinHandle<()>> = None;
    let mut stopping = shared.stopping.subscribe();
    while !*stopping.borrow() {
        let began = Instant::now();
        let Ended { was_ready, how, lost, clients } = session::live(&shared, announce_inline, &mut first).await;
        if *stopping.borrow() {
            break;
        }
        tracing::error!(runs = lost.len(), after_ms = began.elapsed().as_millis(), "the worker ended: {how}");
        failed_starts = if was_ready { 0 } else { failed_starts + 1 };
        announce_inline |= was_ready && lost.is_empty();
        if !clients.is_empty() {
            tokio::spawn(last_answer::give(last_answer::due(&lost, clients)));
        }
        if !lost.is_empty() {
            // Beside the restart, not before it: the host writes to its store, and requests wait for the worker.
            let host = Arc::clone(&shared.host);
            tokio::spawn(async move { host.worker_lost(lost).await });
        }
        if failed_starts >= FIRST_STARTS_MAX
            && let Some(first) = first.take()
        {
            let _starter_gone = first.send(Err(SupervisorError::NeverReady { attempts: failed_starts, reason: how }));
            break;
        }
        if failed_starts >= STAND_IN_AFTER_STARTS && stand_in.as_ref().is_none_or(JoinHandle::is_finished) {
            stand_in = Some(tokio::spawn(stand_in::answer(Arc::clone(&shared))));
        }
        if let Some(pause) = pause_before(failed_starts) {
            tracing::warn!(pause_ms = pause.as_millis(), "the worker does not start; trying again");
            let _either = tokio::time::timeout(pause, stopping.wait_for(|stop| *stop)).await;
        }
    }
    shared.state.send_replace(State::Stopped);
}

/// None for a worker that had been ready and for the first that was not: those are started again at once.
fn pause_before(failed_starts: u32) -> Option<Duration> {
    let doublings = failed_starts.checked_sub(2)?;
    Some(BACKOFF_BASE.saturating_mul(1 << doublings.min(16)).min(BACKOFF_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_was_ready_is_back_at_once_and_one_that_never_is_waits_longer_each_time() {
        let pauses = [0, 1, 2, 3, 4, 7, 8, 1000].map(|n| pause_before(n).map(|pause| pause.as_millis()));
        let expected = [None, None, Some(100), Some(200), Some(400), Some(3200), Some(5000), Some(5000)];
        assert_eq!(pauses, expected);
    }
}
