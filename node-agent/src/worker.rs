//! The worker of this node: started once there is something to serve, told of every change, named anew when the node is.
//!
//! Changes are not queued but noted: whatever changes while the worker takes the ones before is told once, as it is then.

use crate::apps::{Apps, Changed};
use crate::cache::SnapshotFile;
use crate::config::Settings;
use crate::host::{Contents, NodeHost};
use crate::outgoing::Outgoing;
use crate::start::Given;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};
use picloud_model::ids::AppId;
use picloud_model::problem::{Code, Problem, with_sources};
use picloud_model::protocol::{AppSnapshot, RunRequest, RunResult, WorkerSettings};
use picloud_orchestrator::ingress_sockets::when_free;
use picloud_orchestrator::supervisor::{Supervisor, SupervisorConfig, SupervisorError, answer_until};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Pause before a worker that did not start is started again.
const START_PAUSE: Duration = Duration::from_secs(5);
/// How much longer than the run itself the worker may take to answer.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

/// This program's file, as the child finds it before it becomes its own: the same one, also where an update has put
/// another in its place.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What the worker is made of.
pub struct Parts {
    /// The settings.
    pub settings: Settings,
    /// Whom it runs as, where the agent is root.
    pub run_as: Option<(u32, u32)>,
    /// What the service manager gave.
    pub given: Given,
    /// What it asks.
    pub host: Arc<NodeHost>,
    /// What is served.
    pub apps: Arc<Apps>,
    /// Where that is kept.
    pub file: SnapshotFile,
    /// What that is made of.
    pub contents: Arc<Contents>,
    /// Whom it is told that a change is applied.
    pub outgoing: Arc<Outgoing>,
}

/// The worker, and what it has not been told yet.
pub struct Worker {
    parts: Parts,
    ingress: Vec<TcpListener>,
    /// Whether somebody else listens there, so that connections come in before there is something to serve.
    is_given: bool,
    addr: SocketAddr,
    supervisor: watch::Sender<Option<Supervisor>>,
    noted: Mutex<Noted>,
    wake: Notify,
    stopping: watch::Sender<bool>,
}

#[derive(Default)]
struct Noted {
    apps: BTreeSet<AppId>,
    keys: bool,
    revision: Option<u64>,
    fill: bool,
    name: String,
    draining: bool,
}

impl Worker {
    /// Takes the ingress address, unless it was given; nothing answers there until there is something to serve.
    pub fn new(mut parts: Parts, name: &str) -> std::io::Result<Arc<Self>> {
        let mut ingress = std::mem::take(&mut parts.given.ingress);
        let is_given = !ingress.is_empty();
        if !is_given {
            ingress.push(when_free(|| take(parts.settings.ingress_addr))?);
        }
        let addr = ingress[0].local_addr()?;
        Ok(Arc::new(Self {
            parts,
            ingress,
            is_given,
            addr,
            supervisor: watch::channel(None).0,
            noted: Mutex::new(Noted { name: name.to_owned(), ..Noted::default() }),
            wake: Notify::new(),
            stopping: watch::channel(false).0,
        }))
    }

    /// Where it answers; the port is the real one.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// All of it was given anew; this of it is another than before.
    pub fn changed(&self, changed: Changed, revision: u64) {
        self.note(|noted| {
            noted.apps.extend(changed.apps);
            noted.keys |= changed.keys;
            noted.revision = Some(revision);
            noted.fill = true;
        });
    }

    /// An app is new, changed or gone.
    pub fn app_changed(&self, app: AppId, revision: u64) {
        self.changed(Changed { apps: BTreeSet::from([app]), keys: false }, revision);
    }

    /// The keys are others.
    pub fn keys_changed(&self, revision: u64) {
        self.note(|noted| {
            noted.keys = true;
            noted.revision = Some(revision);
        });
    }

    /// The node is called so from now on.
    pub fn named(&self, name: &str) {
        self.note(|noted| name.clone_into(&mut noted.name));
    }

    /// Whoever asks for the health of this node is told that it is (not) to be sent requests.
    pub fn draining(&self, draining: bool) {
        self.note(|noted| noted.draining = draining);
    }

    /// Runs what an appliance asked for. Of the problems only [`Code::WorkerLost`] and [`Code::Deadline`] tell of a run
    /// that may have begun.
    pub async fn run(&self, run: RunRequest) -> Result<RunResult, Problem> {
        let Some(app) = self.parts.apps.app(run.app) else {
            return Err(Problem::new(Code::NodeAway, "this node does not know the app yet"));
        };
        let timeout = Duration::from_millis(app.limits.triggered_timeout_ms) + ANSWER_SLACK;
        let mut supervisor = self.supervisor.subscribe();
        let ready = tokio::time::timeout(timeout, supervisor.wait_for(Option::is_some)).await;
        let ready = ready.ok().and_then(Result::ok).and_then(|ready| ready.clone());
        let Some(supervisor) = ready else {
            return Err(Problem::new(Code::NodeAway, "no worker process starts on this node"));
        };
        supervisor.run(run, timeout).await
    }

    /// Whether the worker answers within that time, where there is something to serve; why it does not, otherwise.
    pub async fn answers(&self, within: Duration) -> Result<(), String> {
        if !self.parts.apps.known() {
            return Ok(());
        }
        let until = tokio::time::Instant::now() + within;
        let mut supervisor = self.supervisor.subscribe();
        let ready = tokio::time::timeout_at(until, supervisor.wait_for(Option::is_some)).await;
        match ready.ok().and_then(Result::ok).and_then(|ready| ready.clone()) {
            Some(supervisor) => supervisor.answers(until - tokio::time::Instant::now()).await,
            None => Err(format!("no worker process has started for {:.1} s", within.as_secs_f64())),
        }
    }

    /// Lets runs end, then ends the worker.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let supervisor = self.supervisor.borrow().clone();
        if let Some(supervisor) = supervisor {
            supervisor.stop().await;
        }
    }

    /// The worker's pid, if there is one.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor.borrow().as_ref().and_then(Supervisor::worker_pid)
    }

    /// Keeps the worker and tells it what changes, until it is told to stop.
    pub async fn keep(self: Arc<Self>) {
        let mut fill: Option<JoinHandle<()>> = None;
        let (mut name, mut draining) = (String::new(), false);
        let mut stopping = self.stopping.subscribe();
        let mut stand_in = self.stand_in();
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _stop = stopping.wait_for(|stop| *stop) => return,
            }
            if !self.parts.apps.known() {
                continue;
            }
            stand_in.shutdown().await;
            let noted = self.take();
            let current = self.supervisor.borrow().clone();
            let told = match current {
                Some(supervisor) if name == noted.name => self.tell(&supervisor, &noted).await,
                current => {
                    if let Some(supervisor) = current {
                        tracing::info!(name = noted.name, "this node has another name; its worker is started anew");
                        self.supervisor.send_replace(None);
                        supervisor.stop().await;
                    }
                    name.clone_from(&noted.name);
                    draining = false;
                    self.start(&noted.name).await
                }
            };
            if let Err(error) = told {
                tracing::error!("the worker is not there: {}", with_sources(&error));
                self.note(|again| again.merge(&noted));
                name.clear();
                let _either = tokio::time::timeout(START_PAUSE, stopping.wait_for(|stop| *stop)).await;
                continue;
            }
            if draining != noted.draining {
                draining = noted.draining;
                self.tell_draining(draining).await;
            }
            if let Some(revision) = noted.revision.filter(|revision| *revision > 0) {
                self.parts.outgoing.applied(revision);
            }
            if !noted.apps.is_empty() || noted.keys {
                self.save().await;
            }
            if noted.fill {
                if let Some(fill) = fill.take() {
                    fill.abort();
                }
                let contents = Arc::clone(&self.parts.contents);
                fill = Some(tokio::spawn(async move { contents.fill().await }));
            }
        }
    }

    /// Tells clients that there is nothing to serve yet, where somebody else listens: they would wait for nobody.
    fn stand_in(self: &Arc<Self>) -> JoinSet<()> {
        let mut task = JoinSet::new();
        if self.is_given && !self.parts.apps.known() {
            let worker = Arc::clone(self);
            task.spawn(async move {
                let problem = Problem::new(
                    Code::NodeAway,
                    "this node has nothing to serve yet: it belongs to no appliance",
                )
                .hint("approve it on the appliance: picloud nodes; or join it with a token: picloud-node join TOKEN")
                .retry_after_s(5);
                answer_until(std::future::pending(), &worker.ingress, &problem).await;
            });
        }
        task
    }

    async fn start(&self, name: &str) -> Result<(), SupervisorError> {
        let settings = &self.parts.settings;
        let ingress = self.ingress.iter().map(TcpListener::try_clone);
        let config = SupervisorConfig {
            executable: PathBuf::from(THIS_PROGRAM),
            ingress: ingress.collect::<std::io::Result<_>>().map_err(SupervisorError::Listen)?,
            settings: WorkerSettings {
                node: name.to_owned(),
                concurrency: settings.concurrency,
                module_cache_entries: settings.module_cache_size,
            },
            run_as: self.parts.run_as,
            log_priorities: self.parts.given.log_priorities,
        };
        let host = Arc::clone(&self.parts.host);
        let supervisor = Supervisor::start(config, host).await?;
        tracing::info!(node = name, addr = %self.addr, "requests are answered");
        self.supervisor.send_replace(Some(supervisor));
        Ok(())
    }

    /// Tells the worker how things are now, again until it has them: its successor has them anyway.
    async fn tell(&self, supervisor: &Supervisor, noted: &Noted) -> Result<(), SupervisorError> {
        for id in &noted.apps {
            loop {
                let told = match self.parts.apps.app(*id) {
                    Some(app) => supervisor.app_changed(AppSnapshot::clone(&app)).await,
                    None => supervisor.app_removed(*id).await,
                };
                if self.is_told(told)? {
                    break;
                }
            }
        }
        if noted.keys {
            while !self.is_told(supervisor.keys_changed(self.parts.apps.keys()).await)? {}
        }
        Ok(())
    }

    fn is_told(&self, told: Result<(), SupervisorError>) -> Result<bool, SupervisorError> {
        match told {
            Ok(()) => Ok(true),
            Err(SupervisorError::NotApplied) if !*self.stopping.borrow() => {
                tracing::warn!("the worker takes long to take a change");
                Ok(false)
            }
            // A change that cannot be said to it cannot be said again either.
            Err(SupervisorError::Frame(error)) => {
                tracing::error!(%error, "a change cannot be told to the worker");
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    async fn tell_draining(&self, draining: bool) {
        let supervisor = self.supervisor.borrow().clone();
        if let Some(supervisor) = supervisor {
            supervisor.set_draining(draining).await;
        }
    }

    async fn save(&self) {
        let (file, snapshot) = (self.parts.file.clone(), self.parts.apps.snapshot());
        let saved = tokio::task::spawn_blocking(move || file.write(&snapshot)).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, "what is served could not be kept: after a start without an appliance it is older");
        }
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.noted());
        self.wake.notify_one();
    }

    fn take(&self) -> Noted {
        let mut noted = self.noted();
        let (name, draining) = (noted.name.clone(), noted.draining);
        std::mem::replace(&mut *noted, Noted { name, draining, ..Noted::default() })
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an address without listening there: whoever connects before there is something to serve is refused rather than
/// kept waiting.
fn take(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let family = if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // As the standard library does: connections of before, which linger, are in nobody's way.
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(addr))?;
    Ok(TcpListener::from(socket))
}

impl Noted {
    /// With what was taken before and not told.
    fn merge(&mut self, before: &Self) {
        self.apps.extend(&before.apps);
        self.keys |= before.keys;
        self.fill |= before.fill;
        self.revision = self.revision.or(before.revision);
    }
}
