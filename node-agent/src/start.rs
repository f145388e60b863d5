//! Starting the agent: what is opened, in which order, and what is in the way.

use crate::agent::{self, Agent, Ended, Event};
use crate::announce;
use crate::apps::Apps;
use crate::cache::{CACHE_BYTES_MAX, Content, SnapshotFile};
use crate::config::Settings;
use crate::context::Context;
use crate::health::Watched;
use crate::host::{Contents, NodeHost};
use crate::identity::{Belonging, IdentityFileError, IdentityFiles};
use crate::outgoing::Outgoing;
use crate::slot::Slot;
use crate::spool::{Spool, SpoolError};
use crate::status;
use crate::worker::{self, Worker};
use picloud_cluster::device;
use picloud_cluster::first_boot::setup_trouble;
use picloud_cluster::identity::fingerprint_groups;
use picloud_cluster::private_file;
use picloud_model::clock::{Clock, SystemClock};
use picloud_model::placement::Labels;
use picloud_orchestrator::outbound::Outbound;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, mpsc, watch};

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("use the data folder `{}`: {source}\nhint: it must belong to the user that runs picloud-node, or choose another: --data-dir", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another agent works there.
    #[error("another picloud-node runs with the data folder `{}`\nhint: end it first (`systemctl stop picloud-node.socket picloud-node`), or choose another folder: --data-dir", .0.display())]
    Busy(PathBuf),
    /// Who this node is, is not known.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// It was removed.
    #[error(
        "this node was removed from its appliance ({appliance}), and is not let in again\nhint: `picloud-node reset` makes it a new node, which can join anew"
    )]
    Retired {
        /// Who said so.
        appliance: String,
    },
    /// The ingress address is taken or not ours.
    #[error(
        "listen for requests on {addr}: {source}\nhint: choose another address of this machine: --ingress-addr 0.0.0.0:8080"
    )]
    Ingress {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Workers cannot run as that user.
    #[error("worker_user `{0}` is no user of this machine\nhint: create it, or leave the setting out")]
    NoSuchUser(String),
}

/// An agent that was started.
pub struct Running {
    agent: Agent,
    happens: mpsc::Receiver<Event>,
    events: mpsc::Sender<Event>,
    listener: tokio::net::UnixListener,
    context: Arc<Context>,
    /// Held as long as this agent lives.
    _lock: File,
}

/// Takes the data folder for this process alone.
pub fn lock(data_dir: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::DataDir { path: data_dir.to_owned(), source };
    private_file::folder(data_dir).map_err(failed)?;
    let path = data_dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartError::Busy(data_dir.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// What the service manager gave to the agent.
#[derive(Debug, Default)]
pub struct Given {
    /// Where routes are answered, where somebody has bound that already.
    pub ingress: Vec<TcpListener>,
    /// Whether lines of the worker's log begin with their priority.
    pub log_priorities: bool,
}

/// Opens everything. Nothing answers and nobody is dialled before [`Running::run`].
pub fn start(settings: Settings, given: Given) -> Result<Running, StartError> {
    let data_dir = settings.data_dir.clone();
    let failed = |source| StartError::DataDir { path: data_dir.clone(), source };
    let lock = lock(&data_dir)?;
    let files = IdentityFiles::of(&data_dir);
    let key = files.key()?;
    let belonging = files.belonging()?;
    if let Belonging::Retired { appliance, .. } = &belonging {
        return Err(StartError::Retired { appliance: appliance.clone() });
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now_ms();
    let spool = Spool::open(&data_dir, now)?;
    if spool.waiting() > 0 {
        tracing::info!(publishes = spool.waiting(), "publishes wait to be forwarded");
    }
    let cache = Arc::new(Content::open(&data_dir, CACHE_BYTES_MAX).map_err(failed)?);
    let snapshot = SnapshotFile::of(&data_dir);
    let apps = Arc::new(Apps::default());
    if matches!(belonging, Belonging::Member(_))
        && let Some(last) = snapshot.read()
    {
        apps.replace(picloud_model::protocol::Snapshot { revision: 0, ..last });
    }
    let (slot, outgoing) = (Slot::new(now), Arc::new(Outgoing::default()));
    let contents = Contents::new(Arc::clone(&cache), slot.clone(), Arc::clone(&apps));
    let host = Arc::new(NodeHost {
        apps: Arc::clone(&apps),
        slot: slot.clone(),
        contents: Arc::clone(&contents),
        spool: Arc::clone(&spool),
        outgoing: Arc::clone(&outgoing),
        outbound: Arc::new(Outbound::default()),
        clock: Arc::clone(&clock),
    });
    let context = Arc::new(Context {
        own_name: settings.name.clone().unwrap_or_else(device::host_name),
        key,
        files,
        facts: facts(&settings),
        clock,
        slot,
        apps: Arc::clone(&apps),
        outgoing: Arc::clone(&outgoing),
        belonging: watch::channel(belonging).0,
        told: Notify::new(),
        doubt: Arc::new(Notify::new()),
        asked: Mutex::default(),
        settings: settings.clone(),
    });
    let (addr, run_as) = (settings.ingress_addr, run_as(settings.worker_user.as_deref())?);
    let parts = worker::Parts { settings, run_as, given, host, apps, file: snapshot.clone(), contents, outgoing };
    let worker = Worker::new(parts, &context.name()).map_err(|source| StartError::Ingress { addr, source })?;
    let listener = status::listen(&data_dir).map_err(failed)?;
    let lan = announce::open(context.settings.mdns);
    let (events, happens) = agent::events();
    let parts = agent::Parts { context: Arc::clone(&context), worker, spool, lan, cache, snapshot };
    let agent = Agent::new(parts, events.clone());
    Ok(Running { agent, happens, events, listener, context, _lock: lock })
}

impl Running {
    /// What a person at the console is to know.
    pub fn says(&self) -> String {
        let (id, version) = (self.context.key.id(), env!("CARGO_PKG_VERSION"));
        match self.context.member() {
            Some(member) => format!("picloud-node {version}: node `{}` ({id})", member.name),
            None => format!(
                "picloud-node {version}: this machine ({id}) belongs to no appliance yet and asks to be let in\n\
                 fingerprint: {}\n\
                 compare it with what `picloud nodes` shows on the appliance, then: picloud nodes approve {}",
                fingerprint_groups(&self.context.key.fingerprint()),
                self.context.own_name,
            ),
        }
    }

    /// What the watchdog asks.
    pub(crate) fn watched(&self) -> Watched {
        let Agent { spool, worker, .. } = &self.agent;
        let (spool, worker) = (Arc::clone(spool), Arc::clone(worker));
        Watched { context: Arc::clone(&self.context), spool, worker, events: self.events.clone() }
    }

    /// Runs until `stop` says so, or the node is removed. Where `stop` says it a second time, nothing is waited for.
    pub async fn run(self, mut stop: mpsc::Receiver<()>) -> Ended {
        let (events, context) = (self.events.clone(), Arc::clone(&self.context));
        let serving = tokio::spawn(status::serve(self.listener, context, self.events));
        let stopping = tokio::spawn(async move {
            while stop.recv().await.is_some() {
                if events.send(Event::Stop).await.is_err() {
                    break;
                }
            }
        });
        let ended = self.agent.run(self.happens).await;
        serving.abort();
        stopping.abort();
        // A socket without a listener would only puzzle whoever asks.
        if let Err(error) = private_file::remove(&status::socket(&self.context.settings.data_dir)) {
            tracing::debug!(%error, "the status socket's file could not be removed");
        }
        ended
    }
}

/// What this machine is, what its settings call it, and what its first boot has to complain of.
fn facts(settings: &Settings) -> Labels {
    let mut facts = device::facts();
    facts.extend(settings.labels.clone());
    facts.extend(setup_trouble().map(|trouble| ("setup".to_owned(), trouble)));
    facts
}

fn run_as(user: Option<&str>) -> Result<Option<(u32, u32)>, StartError> {
    let Some(name) = user else { return Ok(None) };
    if !nix::unistd::geteuid().is_root() {
        tracing::warn!("`worker_user` has no effect: only an agent that runs as root can change users");
        return Ok(None);
    }
    let found = nix::unistd::User::from_name(name).ok().flatten();
    let user = found.ok_or_else(|| StartError::NoSuchUser(name.to_owned()))?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}
