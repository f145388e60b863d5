//! The running appliance: what is started, in which order, and how it ends.

use crate::admin;
use crate::config::Config;
use crate::host::StoreHost;
use crate::registry::Registry;
use crate::tasks::{history, kv_expiry, retention};
use picloud_model::clock::{Clock, SystemClock};
use picloud_model::execution::Execution;
use picloud_model::protocol::WorkerSettings;
use picloud_orchestrator::supervisor::{Supervisor, SupervisorConfig, SupervisorError};
use picloud_store::{OpenError, OpenSettings, Store, StoreError};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Connections that wait while the worker is restarted.
const INGRESS_BACKLOG: i32 = 1_024;
/// How long requests of the admin API may go on after the end was asked for.
const ADMIN_DRAIN: Duration = Duration::from_secs(2);

/// How to start.
pub struct Start {
    /// The settings.
    pub config: Config,
    /// Whether it serves a folder that somebody works in.
    pub dev: bool,
    /// Sees every finished run that is kept.
    pub on_executions: Option<history::Watcher>,
}

/// Why the appliance does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or the database.
    #[error("{}\nhint: {}", with_sources(.0), .0.hint())]
    Open(#[from] OpenError),
    /// The store opened, but does not answer.
    #[error("read all apps from the database: {}", with_sources(.0))]
    Store(StoreError),
    /// The ingress address is taken or not ours.
    #[error("listen for requests on {addr}: {source}\nhint: {hint}")]
    Ingress {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        hint: String,
    },
    /// The admin socket is taken or cannot be made.
    #[error(transparent)]
    Admin(#[from] admin::ListenError),
    /// Workers cannot run as that user.
    #[error("worker_user `{0}` is no user of this machine\nhint: create it, or leave the setting out")]
    NoSuchUser(String),
    /// The first worker did not come up.
    #[error("start the worker: {}", with_sources(.0))]
    Worker(SupervisorError),
    /// The path of this program is not known.
    #[error("find this program's own file: {0}")]
    Executable(#[source] std::io::Error),
}

/// What every request of the admin API has at hand.
pub struct Appliance {
    /// Everything durable.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The live apps.
    pub registry: Arc<Registry>,
    /// The worker's parent side.
    pub supervisor: Supervisor,
    /// Held by whoever changes scripts or routes, so that what was checked is what is committed.
    pub changes: tokio::sync::Mutex<()>,
    /// Woken when an entry gets a time to live.
    pub expiry: kv_expiry::ExpirySignal,
    /// This machine's name.
    pub node: String,
    config: Config,
    ingress_addr: SocketAddr,
    started: Instant,
    history: history::History,
    admin: admin::Listening,
    tasks: Mutex<JoinSet<()>>,
}

impl Appliance {
    /// Opens the store, binds both doors, starts the worker, then answers.
    pub async fn start(start: Start) -> Result<Arc<Self>, StartError> {
        let Start { config, dev, on_executions } = start;
        let settings = &config.settings;
        say_what_has_no_effect(&config);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = picloud_store::open(OpenSettings::new(&settings.data_dir), Arc::clone(&clock)).await?;
        let (ingress, ingress_addr) = bind_ingress(settings.ingress_addr)?;
        let socket = admin::bind(&settings.admin_socket, dev)?;

        let registry = Arc::new(Registry::new(Arc::clone(&store)));
        let history = history::History::new(on_executions);
        let expiry = kv_expiry::ExpirySignal::default();
        let node = node_name();
        let host = Arc::new(StoreHost {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            registry: Arc::clone(&registry),
            history: history.clone(),
            expiry: expiry.clone(),
            node: node.clone(),
        });
        let supervisor = SupervisorConfig {
            executable: std::env::current_exe().map_err(StartError::Executable)?,
            ingress,
            settings: WorkerSettings {
                node: node.clone(),
                concurrency: settings.concurrency,
                module_cache_entries: settings.module_cache_size,
            },
            run_as: run_as(settings.worker_user.as_deref())?,
        };
        // The apps are read while the worker's process comes up.
        let (read, started) = tokio::join!(registry.load(), Supervisor::start(supervisor, host));
        read.map_err(StartError::Store)?;
        let supervisor = started.map_err(StartError::Worker)?;
        registry.attach(supervisor.clone());

        let mut tasks = JoinSet::new();
        tasks.spawn(history::run(history.clone(), Arc::clone(&store)));
        tasks.spawn(kv_expiry::run(Arc::clone(&store), Arc::clone(&clock), expiry.clone()));
        tasks.spawn(retention::run(Arc::clone(&store), Arc::clone(&clock)));
        let appliance = Arc::new(Self {
            store,
            clock,
            registry,
            supervisor,
            changes: tokio::sync::Mutex::new(()),
            expiry,
            node,
            config,
            ingress_addr,
            started: Instant::now(),
            history,
            admin: admin::Listening::default(),
            tasks: Mutex::new(tasks),
        });
        appliance.admin.serve(socket, Arc::clone(&appliance));
        Ok(appliance)
    }

    /// Where routes are answered; the port is the real one, also where 0 was asked for.
    pub fn ingress_addr(&self) -> SocketAddr {
        self.ingress_addr
    }

    /// Where the admin API listens.
    pub fn admin_socket(&self) -> &Path {
        &self.config.settings.admin_socket
    }

    /// Where data lives.
    pub fn data_dir(&self) -> &Path {
        &self.config.settings.data_dir
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Keeps finished runs, soon.
    pub fn keep(&self, executions: Vec<Execution>) {
        self.history.push(executions);
    }

    /// Stores the finished runs that wait for company.
    pub async fn keep_now(&self) {
        self.history.flush(self.store.as_ref()).await;
    }

    /// Takes nothing new, finishes what is under way, stores what waits.
    pub async fn stop(&self) {
        if tokio::time::timeout(ADMIN_DRAIN, self.admin.stop()).await.is_err() {
            tracing::warn!("admin requests that were still under way were cut off");
        }
        self.supervisor.stop().await;
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.history.flush(self.store.as_ref()).await;
        // A socket file without a listener would only puzzle the next start.
        if let Err(error) = std::fs::remove_file(self.admin_socket()) {
            tracing::debug!(%error, "the admin socket's file could not be removed");
        }
    }
}

/// An error and what it comes from, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Settings that are accepted before what they set exists, so that a file can be written once.
fn say_what_has_no_effect(config: &Config) {
    for key in ["admin_addr", "mdns", "files_root"] {
        if config.origins.contains_key(key) {
            tracing::info!(from = %config.origin(key), "`{key}` takes effect in a later version");
        }
    }
}

fn bind_ingress(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refuse = |source: std::io::Error| {
        let hint = match source.kind() {
            std::io::ErrorKind::AddrInUse => {
                let other = SocketAddr::from(([127, 0, 0, 1], addr.port().checked_add(1).unwrap_or(0)));
                format!("another program listens there; end it, or choose another: --ingress-addr {other}")
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE; choose another: --ingress-addr 0.0.0.0:8080".to_owned()
            }
            _ => "choose an address of this machine: --ingress-addr 0.0.0.0:8080".to_owned(),
        };
        StartError::Ingress { addr, source, hint }
    };
    let listener = TcpListener::bind(addr).map_err(refuse)?;
    let backlog = nix::sys::socket::Backlog::new(INGRESS_BACKLOG).expect("it is below the system's greatest");
    // The standard library's own backlog is too short for the connections of one restart.
    nix::sys::socket::listen(&listener, backlog).map_err(|error| refuse(error.into()))?;
    let addr = listener.local_addr().map_err(refuse)?;
    Ok((listener, addr))
}

fn run_as(user: Option<&str>) -> Result<Option<(u32, u32)>, StartError> {
    let Some(name) = user else { return Ok(None) };
    if !nix::unistd::geteuid().is_root() {
        tracing::warn!("`worker_user` has no effect: only an appliance that runs as root can change users");
        return Ok(None);
    }
    let found = nix::unistd::User::from_name(name).ok().flatten();
    let user = found.ok_or_else(|| StartError::NoSuchUser(name.to_owned()))?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}

fn node_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "appliance".to_owned())
}
