//! The worker: the main of the child that answers requests and runs scripts.
//!
//! It holds no data and no keys. It starts with one thread, gives away what it could misuse ([`crate::confine`]), then
//! waits for settings and a first snapshot, and answers from it until its parent changes it, drains it or is gone.

use crate::capture::Capture;
use crate::channel::FrameError;
use crate::channel::worker_end::WorkerEnd;
use crate::confine::confine;
use crate::counting::Counting;
use crate::inflight::InFlight;
use crate::ingress::{Elsewhere, Ingress, IngressParts, IngressSettings, Later};
use crate::ingress_sockets;
use crate::live::Live;
use crate::parking::Parking;
use crate::previews::Versions;
use crate::run::gate::Gate;
use crate::run::handover::Takeovers;
use crate::run::{Runner, RunnerParts};
use crate::services::ChannelPorts;
use crate::static_files::{StaticBytes, StaticFiles};
use crate::supervisor::IN_FLIGHT_FD;
use crate::worker_log;
use arc_swap::ArcSwap;
use nix::sys::signal::{SigSet, Signal};
pub use picloud_executor::RunAllocator;
use picloud_executor::{Executor, ExecutorConfig, Services, stack_bytes_for};
use picloud_model::limits::Limits;
use picloud_model::protocol::{RunRequest, ToParent, ToWorker, WorkerSettings};
use picloud_model::{Code, Problem, SystemClock};
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// Frames from the parent that wait while one is being applied.
const INBOX_FRAMES_MAX: usize = 16;
/// Most threads that serve HTTP; scripts that take long have threads of their own.
const SCHEDULERS_MAX: usize = 4;
/// Longest wait for the last records to be on their way when the worker ends.
const FLUSH_MAX: Duration = Duration::from_millis(500);

/// What the parent says on the command line, before there is anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkerArguments {
    pub(crate) run_as: Option<(u32, u32)>,
    pub(crate) announce_inline: bool,
    pub(crate) log_priorities: bool,
}

/// Why a worker could not start.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("`{0}` is no argument of a worker; workers are started by `picloud-appliance`, not by hand")]
    Argument(String),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
    #[error(transparent)]
    Channel(#[from] FrameError),
    #[error("the parent's first frames are not settings and a snapshot")]
    NoStart,
}

impl WorkerArguments {
    pub(crate) fn to_args(self) -> Vec<String> {
        let mut args = vec!["worker".to_owned()];
        if let Some((uid, gid)) = self.run_as {
            args.push(format!("--run-as={uid}:{gid}"));
        }
        if self.announce_inline {
            args.push("--announce-inline".to_owned());
        }
        if self.log_priorities {
            args.push("--log-priorities".to_owned());
        }
        args
    }

    fn parse(args: impl Iterator<Item = String>) -> Result<Self, WorkerError> {
        let mut arguments = Self::default();
        for arg in args {
            let ids = arg.strip_prefix("--run-as=").and_then(|ids| ids.split_once(':'));
            match (arg.as_str(), ids.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))) {
                (_, Some(ids)) => arguments.run_as = Some(ids),
                ("--announce-inline", None) => arguments.announce_inline = true,
                ("--log-priorities", None) => arguments.log_priorities = true,
                _unknown => return Err(WorkerError::Argument(arg)),
            }
        }
        Ok(arguments)
    }
}

/// The program when its first argument is `worker`.
pub fn main() -> ExitCode {
    let arguments = WorkerArguments::parse(std::env::args().skip(2));
    worker_log::start(arguments.as_ref().is_ok_and(|arguments| arguments.log_priorities));
    match arguments.and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the worker cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: WorkerArguments) -> Result<(), WorkerError> {
    let schedulers = std::thread::available_parallelism().map_or(1, usize::from).min(SCHEDULERS_MAX);
    let Inherited { channel, ingress, in_flight, parking } = Inherited::take()?;
    leave_signals_to_the_parent();
    let unconfined = confine(arguments.run_as);
    let (sender, inbox) = mpsc::channel(INBOX_FRAMES_MAX);
    let desk = Arc::new(Desk { inbox: sender, on_their_way: AtomicUsize::new(0), asked: OnceLock::new() });
    let taking = Arc::clone(&desk);
    let others = move |frame| taking.take(frame);
    let channel = WorkerEnd::start(channel, others, |error| {
        if !matches!(error, FrameError::Closed) {
            tracing::error!("the worker ends: {error}");
        }
        std::process::exit(1);
    })?;
    channel.tell(&ToParent::Hello { unconfined });
    let takeovers = Arc::new(Takeovers::default());
    let (starting, idling) = (Arc::clone(&takeovers), Arc::clone(&takeovers));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(schedulers)
        // Runs go inline on these threads, so their stacks are those of runs.
        .thread_stack_size(stack_bytes_for(Limits::default().memory_bytes))
        .on_thread_start(move || starting.thread_started(schedulers))
        .on_thread_park(move || idling.schedules())
        .enable_all()
        .build()
        .map_err(|error| WorkerError::Io { what: "start the runtime", error })?;
    runtime.block_on(serve(Parts { channel, ingress, in_flight, parking, takeovers, arguments, desk }, inbox))?;
    // Not by dropping the runtime, which would wait for runs that outlast the drain.
    std::process::exit(0);
}

/// What a worker gets from its parent.
struct Inherited {
    channel: UnixStream,
    ingress: Vec<TcpListener>,
    in_flight: InFlight,
    parking: Parking,
}

impl Inherited {
    fn take() -> Result<Self, WorkerError> {
        let failed = |what| move |error| WorkerError::Io { what, error };
        let channel = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed("take the channel over"))?;
        let ingress = std::io::stdout().as_fd().try_clone_to_owned().map_err(failed("take the ingress over"))?;
        let path = format!("/proc/self/fd/{IN_FLIGHT_FD}");
        let file = File::options().read(true).write(true).open(path).map_err(failed("open the in-flight file"))?;
        let in_flight = InFlight::inherited(file).map_err(failed("read the in-flight file"))?;
        let channel = UnixStream::from(channel);
        let parking = Parking::take_over(&channel).map_err(failed("take the places of clients over"))?;
        let mut all = vec![TcpListener::from(ingress)];
        all.extend(ingress_sockets::take_over(&channel).map_err(failed("take more ingress sockets over"))?);
        let null = File::options().read(true).write(true).open("/dev/null").map_err(failed("open /dev/null"))?;
        nix::unistd::dup2_stdin(&null).map_err(|errno| failed("close standard input")(errno.into()))?;
        nix::unistd::dup2_stdout(&null).map_err(|errno| failed("close standard output")(errno.into()))?;
        Ok(Self { channel, ingress: all, in_flight, parking })
    }
}

/// A service manager signals every process of the service; the worker ends when its parent says so or is gone.
fn leave_signals_to_the_parent() {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    if let Err(errno) = signals.thread_block() {
        tracing::warn!("signals are not left to the parent: {errno}");
    }
}

struct Parts {
    channel: Arc<WorkerEnd>,
    ingress: Vec<TcpListener>,
    in_flight: InFlight,
    parking: Parking,
    takeovers: Arc<Takeovers>,
    arguments: WorkerArguments,
    desk: Arc<Desk>,
}

/// Where frames from the parent go. A run begins on the thread that read it, once all that came before it is done: two
/// threads less to wake than through the inbox.
struct Desk {
    inbox: mpsc::Sender<ToWorker>,
    /// Frames in the inbox, and the one that is being done. With [`ToWorker::Drain`] it stays above 0 for ever.
    on_their_way: AtomicUsize,
    asked: OnceLock<AskedRuns>,
}

impl Desk {
    /// Takes a frame, on the thread that read it.
    fn take(&self, frame: ToWorker) {
        match (frame, self.asked.get()) {
            (ToWorker::Run { id, run }, Some(asked)) if self.on_their_way.load(Ordering::Acquire) == 0 => {
                let begun = std::panic::catch_unwind(AssertUnwindSafe(|| asked.begin(id, *run)));
                if begun.is_err() {
                    // Nobody would read any more: a new process does better.
                    std::process::abort();
                }
            }
            (frame, _asked) => {
                self.on_their_way.fetch_add(1, Ordering::Relaxed);
                // The receiver ends only with the process.
                let _ending = self.inbox.blocking_send(frame);
            }
        }
    }

    /// The frame from the inbox is done.
    fn done(&self) {
        self.on_their_way.fetch_sub(1, Ordering::Release);
    }
}

async fn serve(parts: Parts, mut inbox: mpsc::Receiver<ToWorker>) -> Result<(), WorkerError> {
    let Some(ToWorker::Start(settings)) = inbox.recv().await else { return Err(WorkerError::NoStart) };
    parts.desk.done();
    let Some(ToWorker::Snapshot(snapshot)) = inbox.recv().await else { return Err(WorkerError::NoStart) };
    parts.desk.done();
    let revision = snapshot.revision;
    let live = Arc::new(ArcSwap::from_pointee(Live::of(snapshot)));
    let channel = Arc::clone(&parts.channel);
    let counting = Arc::new(Counting::default());
    let capture = Capture::start(Arc::clone(&channel), Arc::clone(&counting))
        .map_err(|error| WorkerError::Io { what: "start capture", error })?;
    let (drain, mut draining) = watch::channel(false);
    let gate = Gate::new(settings.concurrency as usize, parts.in_flight, parts.parking);
    let runner = Runner::new(RunnerParts {
        executor: executor(&channel, &settings),
        gate: Arc::clone(&gate),
        takeovers: parts.takeovers,
        versions: Arc::new(ChannelPorts(Arc::clone(&channel))),
        capture: Arc::clone(&capture),
        counting: Arc::clone(&counting),
        clock: Arc::new(SystemClock),
        node: Arc::from(settings.node.as_str()),
        announce_inline: parts.arguments.announce_inline,
    });
    let node_drains = Arc::new(AtomicBool::new(false));
    let ingress = Arc::new(ingress(&channel, &live, runner.clone(), counting, Arc::clone(&node_drains)));
    let ingress = tokio::spawn(ingress.serve(parts.ingress, async move {
        // An error means that nobody is left to drain for.
        let _drained = draining.wait_for(|drain| *drain).await;
    }));
    channel.tell(&ToParent::Applied { revision });
    let asked = parts.desk.asked.get_or_init(|| AskedRuns::of(&runner, &channel, &live));
    while let Some(frame) = inbox.recv().await {
        match frame {
            ToWorker::Snapshot(snapshot) => swap(&live, &channel, Live::of(snapshot)),
            ToWorker::AppChanged { revision, app } => {
                let changed = live.load().changed(revision, app);
                swap(&live, &channel, changed);
            }
            ToWorker::AppRemoved { revision, app } => {
                let removed = live.load().removed(revision, app);
                swap(&live, &channel, removed);
                runner.forget(app);
            }
            ToWorker::Keys { revision, keys } => {
                let changed = live.load().with_keys(revision, &keys);
                swap(&live, &channel, changed);
            }
            ToWorker::Run { id, run } => asked.begin(id, *run),
            ToWorker::Count { id } => {
                // From a thread that serves requests, so that who asks whether this worker lives hears of those.
                let (capture, gate) = (Arc::clone(&capture), Arc::clone(&gate));
                drop(tokio::spawn(async move { capture.tell_counts(id, gate.now()) }));
            }
            ToWorker::Draining(is_draining) => node_drains.store(is_draining, Ordering::Relaxed),
            ToWorker::Drain => break,
            ToWorker::Start(_) | ToWorker::Reply { .. } => tracing::warn!("a frame came at a time it means nothing"),
        }
        parts.desk.done();
    }
    drain.send_replace(true);
    tokio::select! {
        (served, ()) = async { tokio::join!(ingress, asked.drained()) } => match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the ingress ended badly: {error}"),
            Err(error) => tracing::error!("the ingress ended badly: {error}"),
        },
        () = asked.refuse(&mut inbox) => {}
    }
    capture.flush(FLUSH_MAX);
    Ok(())
}

/// The runs that the parent asked for.
struct AskedRuns {
    runner: Runner,
    channel: Arc<WorkerEnd>,
    live: Arc<ArcSwap<Live>>,
    under_way: watch::Sender<usize>,
    runtime: Handle,
}

impl AskedRuns {
    /// None yet. Called in the runtime.
    fn of(runner: &Runner, channel: &Arc<WorkerEnd>, live: &Arc<ArcSwap<Live>>) -> Self {
        let (runner, channel, live) = (runner.clone(), Arc::clone(channel), Arc::clone(live));
        Self { runner, channel, live, under_way: watch::channel(0).0, runtime: Handle::current() }
    }

    /// Runs `run` and tells the parent what came of it. Waits for nothing: what does not begin at once has a task.
    fn begin(&self, id: u64, run: RunRequest) {
        let _timers_are_there = self.runtime.enter();
        let (runner, channel, live) = (self.runner.clone(), Arc::clone(&self.channel), self.live.load_full());
        let under_way = UnderWay::begin(&self.under_way);
        let mut starting = Box::pin(async move {
            let tell = move |result| {
                channel.tell(&ToParent::RunDone { id, result });
                drop(under_way);
            };
            runner.run_asked(&live, run, tell).await;
        });
        // A task of its own polls again at once, so that nothing is missed.
        if starting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.runtime.spawn(starting);
        }
    }

    /// Waits until none is under way, at most as long as requests have to end.
    async fn drained(&self) {
        let mut under_way = self.under_way.subscribe();
        let none = under_way.wait_for(|runs| *runs == 0);
        // What takes longer is cut off: the parent knows that it was its own doing.
        let _cut_off = tokio::time::timeout(IngressSettings::default().drain, none).await;
    }

    /// Answers what is asked for now, while the worker ends: it is not run. Ends with the channel.
    async fn refuse(&self, inbox: &mut mpsc::Receiver<ToWorker>) {
        while let Some(frame) = inbox.recv().await {
            if let ToWorker::Run { id, run } = frame {
                let problem = Problem::new(Code::NodeAway, "the worker is ending").retry_after_s(1);
                self.channel.tell(&ToParent::RunDone { id, result: self.runner.not_run(*run, problem) });
            }
        }
    }
}

/// One more, until dropped.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn begin(runs: &watch::Sender<usize>) -> Self {
        runs.send_modify(|runs| *runs += 1);
        Self(runs.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|runs| *runs -= 1);
    }
}

fn swap(live: &ArcSwap<Live>, channel: &WorkerEnd, next: Live) {
    let revision = next.revision;
    live.store(Arc::new(next));
    channel.tell(&ToParent::Applied { revision });
}

fn ingress(
    channel: &Arc<WorkerEnd>,
    live: &Arc<ArcSwap<Live>>,
    runner: Runner,
    counting: Arc<Counting>,
    draining: Arc<AtomicBool>,
) -> Ingress<Runner> {
    let ports = Arc::new(ChannelPorts(Arc::clone(channel)));
    Ingress::new(IngressParts {
        live: Arc::clone(live),
        answer: runner,
        files: StaticFiles::new(Arc::clone(&ports) as Arc<dyn StaticBytes>),
        versions: Arc::clone(&ports) as Arc<dyn Versions>,
        later: Arc::clone(&ports) as Arc<dyn Later>,
        elsewhere: Arc::clone(&ports) as Arc<dyn Elsewhere>,
        signed: ports,
        draining,
        counting,
        clock: Arc::new(SystemClock),
        settings: IngressSettings::default(),
    })
}

fn executor(channel: &Arc<WorkerEnd>, settings: &WorkerSettings) -> Executor {
    let services = Services::of(Arc::new(ChannelPorts(Arc::clone(channel))), Arc::new(SystemClock));
    let module_cache_entries = settings.module_cache_entries as usize;
    Executor::new(ExecutorConfig { module_cache_entries, ..ExecutorConfig::default() }, services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_read_back_as_what_was_written_and_others_are_refused() {
        for run_as in [None, Some((65_534, 65_533))] {
            for (announce_inline, log_priorities) in [(false, false), (true, false), (false, true)] {
                let arguments = WorkerArguments { run_as, announce_inline, log_priorities };
                let read = WorkerArguments::parse(arguments.to_args().into_iter().skip(1)).unwrap();
                assert_eq!(read, arguments);
            }
        }
        for bad in ["--run-as=root", "--run-as=1", "serve"] {
            assert!(WorkerArguments::parse([bad.to_owned()].into_iter()).is_err(), "{bad}");
        }
    }
}
