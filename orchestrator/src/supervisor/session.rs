//! One worker from its start to its death, as its parent sees it.

use super::launch::{Launched, launch};
use super::{DRAIN_MAX, Host, Shared, State, SupervisorError};
use crate::channel::FrameError;
use crate::channel::parent_end::{Answerer, Outgoing, open};
use crate::inflight::LostRun;
use crate::parking::ParkedClient;
use nix::sys::signal::Signal;
use picloud_model::protocol::{
    Caller, RunRequest, RunResult, RunsNow, ServiceFailure, ServiceReply, ServiceRequest, ToParent, ToWorker,
};
use picloud_model::{Code, Problem};
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Longest time from a worker's start to its first applied snapshot.
const READY_MAX: Duration = Duration::from_secs(20);
/// How long a worker whose channel is over may take to end by itself before it is killed.
const EXIT_GRACE: Duration = Duration::from_millis(20);

/// How a worker's life ended.
pub(super) struct Ended {
    pub(super) was_ready: bool,
    /// For people.
    pub(super) how: String,
    pub(super) lost: Vec<LostRun>,
    /// Clients of these, and perhaps of runs that were just over.
    pub(super) clients: Vec<ParkedClient>,
}

/// One worker that is alive, or was.
pub(super) struct Session {
    outgoing: Outgoing,
    said: watch::Sender<Said>,
    runs: Mutex<Option<HashMap<u64, oneshot::Sender<RunResult>>>>,
    next_run: AtomicU64,
    /// The last answer to [`ToWorker::Count`].
    counted: watch::Sender<(u64, RunsNow)>,
    next_count: AtomicU64,
}

/// How far a worker has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Hello,
    Applied(u64),
    Gone,
}

impl Session {
    pub(super) async fn send(&self, frame: &ToWorker) -> Result<(), FrameError> {
        self.outgoing.send(frame).await
    }

    /// True once the worker answers from `revision`, false when it is gone.
    pub(super) async fn applied(&self, revision: u64) -> bool {
        self.reached(Said::Applied(revision)).await != Said::Gone
    }

    pub(super) async fn gone(&self) {
        self.reached(Said::Gone).await;
    }

    async fn reached(&self, least: Said) -> Said {
        let mut said = self.said.subscribe();
        let reached = said.wait_for(|said| *said >= least).await;
        reached.map_or(Said::Gone, |said| said.clone())
    }

    pub(super) async fn run(&self, run: Box<RunRequest>) -> Result<RunResult, Problem> {
        let script = run.script.clone();
        let lost = || {
            Problem::new(Code::WorkerLost, format!("the worker process died while script `{script}` ran"))
                .hint("run it again; a script that does this repeatedly is quarantined")
        };
        let (sender, receiver) = oneshot::channel();
        let id = self.next_run.fetch_add(1, Ordering::Relaxed);
        match self.lock_runs().as_mut() {
            Some(runs) => drop(runs.insert(id, sender)),
            None => return Err(lost()),
        }
        let _forget = Forget { session: self, id };
        match self.outgoing.send(&ToWorker::Run { id, run }).await {
            Ok(()) => receiver.await.map_err(|_worker_gone| lost()),
            Err(FrameError::Closed) => Err(lost()),
            Err(error) => Err(Problem::new(Code::TooLarge, error.to_string())),
        }
    }

    /// Has the worker tell what it has counted, and waits until it has; `None` when it cannot be asked.
    pub(super) async fn count(&self) -> Option<RunsNow> {
        let mut counted = self.counted.subscribe();
        let id = self.next_count.fetch_add(1, Ordering::Relaxed);
        self.outgoing.send(&ToWorker::Count { id }).await.ok()?;
        // A later answer is as good. That the worker is gone is for whoever waits to see by the time.
        let counted = counted.wait_for(|(answered, _runs)| *answered >= id).await;
        counted.ok().map(|counted| counted.1)
    }

    fn lock_runs(&self) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<RunResult>>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.said.send_replace(Said::Gone);
        // Dropping the senders tells everybody who waits that the worker is lost.
        self.lock_runs().take();
    }
}

/// Forgets a run whose caller stopped waiting.
struct Forget<'s> {
    session: &'s Session,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(runs) = self.session.lock_runs().as_mut() {
            runs.remove(&self.id);
        }
    }
}

/// What takes a worker's frames: calls go to the host, the rest moves the session on.
struct Listener {
    host: Arc<dyn Host>,
    said: watch::Sender<Said>,
    session: std::sync::Weak<Session>,
}

#[async_trait::async_trait]
impl Answerer for Listener {
    async fn call(
        &self,
        caller: Caller,
        deadline: Duration,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        self.host.call(caller, deadline, request).await
    }

    fn take(&self, frame: ToParent) {
        match frame {
            ToParent::Hello { unconfined } => {
                for what in unconfined {
                    tracing::warn!("scripts run less confined than they could be: {what}");
                }
                self.said.send_replace(Said::Hello);
            }
            ToParent::Applied { revision } => drop(self.said.send_replace(Said::Applied(revision))),
            ToParent::Executions(executions) => self.host.executions(executions),
            ToParent::Counts(counts) => self.host.counts(counts),
            ToParent::Counted { id, runs } => {
                if let Some(session) = self.session.upgrade() {
                    session.counted.send_replace((id, runs));
                }
            }
            ToParent::RunDone { id, result } => {
                if let Some(session) = self.session.upgrade()
                    && let Some(waiting) = session.lock_runs().as_mut().and_then(|runs| runs.remove(&id))
                {
                    let _caller_gone = waiting.send(result);
                }
            }
            ToParent::Call { .. } => unreachable!("calls are answered, not taken"),
        }
    }
}

/// Starts a worker and stays with it until it is dead.
pub(super) async fn live(
    shared: &Shared,
    announce_inline: bool,
    first: &mut Option<oneshot::Sender<Result<(), SupervisorError>>>,
) -> Ended {
    let Launched { mut child, channel, in_flight, parked } = match launch(&shared.config, announce_inline) {
        Ok(launched) => launched,
        Err(error) => {
            let how = format!("start {}: {error}", shared.config.executable.display());
            return Ended { was_ready: false, how, lost: Vec::new(), clients: Vec::new() };
        }
    };
    shared.pid.store(child.id().unwrap_or(0), Ordering::Relaxed);
    let said = watch::channel(Said::Nothing).0;
    let mut serve = None;
    let session = Arc::new_cyclic(|session| {
        let listener = Listener { host: Arc::clone(&shared.host), said: said.clone(), session: session.clone() };
        let (outgoing, serving) = open(channel, listener);
        serve = Some(serving);
        Session {
            outgoing,
            said,
            runs: Mutex::new(Some(HashMap::new())),
            next_run: AtomicU64::new(1),
            counted: watch::channel((0, RunsNow::default())).0,
            next_count: AtomicU64::new(1),
        }
    });
    let serve = serve.expect("set in the closure above");
    let how = tokio::select! {
        error = serve => after_channel(&mut child, &error).await,
        status = child.wait() => status.map_or_else(|error| error.to_string(), describe),
        reason = guide(shared, &session, first) => {
            // Killing twice is no error, and a worker that cannot be killed is one that is gone.
            let _gone = child.kill().await;
            reason
        }
    };
    let was_ready = matches!(&*shared.state.borrow(), State::Ready(_));
    shared.pid.store(0, Ordering::Relaxed);
    shared.state.send_replace(State::Starting);
    session.close();
    Ended { was_ready, how, lost: in_flight.read(), clients: parked.take() }
}

/// Brings the worker to its first snapshot, then waits until it is told to stop; the value says why it must end.
async fn guide(
    shared: &Shared,
    session: &Arc<Session>,
    first: &mut Option<oneshot::Sender<Result<(), SupervisorError>>>,
) -> String {
    match tokio::time::timeout(READY_MAX, make_ready(shared, session)).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return reason,
        Err(_elapsed) => return format!("it was not ready after {} s", READY_MAX.as_secs()),
    }
    let draining = shared.draining.lock().await;
    if shared.is_draining.load(Ordering::Relaxed) && session.send(&ToWorker::Draining(true)).await.is_err() {
        return "it ended before it was told that this machine drains".to_owned();
    }
    shared.state.send_replace(State::Ready(Arc::clone(session)));
    drop(draining);
    if let Some(first) = first.take() {
        let _starter_gone = first.send(Ok(()));
    }
    // An error means that no supervisor is left that could tell to stop.
    let mut stopping = shared.stopping.subscribe();
    drop(stopping.wait_for(|stop| *stop).await);
    if session.send(&ToWorker::Drain).await.is_ok() {
        let _ended_or_late = tokio::time::timeout(DRAIN_MAX, session.gone()).await;
    }
    "it was told to stop and did not within the time it had".to_owned()
}

async fn make_ready(shared: &Shared, session: &Session) -> Result<(), String> {
    if session.reached(Said::Hello).await == Said::Gone {
        return Err("it ended before it said hello".to_owned());
    }
    let text = |error: FrameError| error.to_string();
    session.send(&ToWorker::Start(shared.config.settings.clone())).await.map_err(text)?;
    let mut snapshot = shared.host.snapshot().await.map_err(|error| format!("no snapshot for it: {error}"))?;
    let mut last = shared.revision.lock().await;
    *last = (*last).max(snapshot.revision) + 1;
    let revision = *last;
    drop(last);
    snapshot.revision = revision;
    session.send(&ToWorker::Snapshot(snapshot)).await.map_err(text)?;
    if session.applied(revision).await { Ok(()) } else { Err("it ended before it applied its snapshot".to_owned()) }
}

/// The channel is over: nearly always because the process is; else it is made to be.
async fn after_channel(child: &mut tokio::process::Child, error: &FrameError) -> String {
    match tokio::time::timeout(EXIT_GRACE, child.wait()).await {
        Ok(Ok(status)) => match error {
            FrameError::Closed => describe(status),
            error => format!("{error}; {}", describe(status)),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_still_there) => {
            let _gone = child.kill().await;
            format!("{error}; it was killed for that")
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(number) => {
            let name = Signal::try_from(number).map_or("unknown", Signal::as_str);
            format!("killed by signal {number} ({name})")
        }
        None => format!("exit code {}", status.code().unwrap_or(-1)),
    }
}
