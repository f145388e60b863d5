//! The running appliance: what is started, in which order, and how it ends.

use crate::activity::Live;
use crate::admin;
use crate::backup;
use crate::caddy;
use crate::config::Config;
use crate::dispatcher::{self, Dispatcher};
use crate::doors;
use crate::host::StoreHost;
use crate::keys::{self, KeyRing};
use crate::logs::Tail;
use crate::metrics::{Gauges, Metrics, NodesNow, ProcessUsage, Queue};
use crate::nodes::{self, Cluster, discovery};
use crate::own_worker;
use crate::registry::Registry;
use crate::schedules;
use crate::secrets::{self, Vault};
pub use crate::start_error::StartError;
use crate::tasks::{blob_sweep, history, kv_expiry, letters, refusals, retention, waiting_apps};
use crate::topics::Topics;
use crate::upgrade;
use crate::watch;
use picloud_cluster::lan::Lan;
use picloud_model::audit::{Act, RefusedAct};
use picloud_model::backoff::Backoff;
use picloud_model::clock::Clock;
use picloud_model::execution::Execution;
use picloud_model::ids::AppId;
use picloud_model::principal::Principal;
pub(crate) use picloud_model::problem::with_sources;
use picloud_orchestrator::supervisor::Supervisor;
use picloud_store::blobs::Blobs;
use picloud_store::{Store, StoreError};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long deliveries may go on after the end was asked for, here and on nodes; requests are answered meanwhile.
const DELIVERIES_DRAIN: Duration = Duration::from_secs(5);
/// How long requests that were forwarded to nodes may go on after that.
const FORWARDED_DRAIN: Duration = Duration::from_secs(1);
/// How long requests of the admin API may go on after that.
const ADMIN_DRAIN: Duration = Duration::from_secs(2);
/// How long what ended with the worker may take to be told to the store.
const DISPATCH_DRAIN: Duration = Duration::from_secs(5);

/// How to start.
pub struct Start {
    /// The settings.
    pub config: Config,
    /// Whether it serves a folder that somebody works in.
    pub dev: bool,
    /// Sees every finished run that is kept.
    pub on_executions: Option<history::Watcher>,
    /// Where routes are answered, where somebody has bound that already.
    pub ingress: Vec<TcpListener>,
    /// Whether lines of the worker's log begin with their priority.
    pub log_priorities: bool,
}

/// What every request of the admin API has at hand.
pub struct Appliance {
    /// Everything durable.
    pub store: Arc<dyn Store>,
    /// The bytes of files.
    pub blobs: Blobs,
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
    /// The API keys.
    pub keys: Arc<KeyRing>,
    /// Who showed wrong keys, and has to wait.
    pub backoff: Mutex<Backoff>,
    /// The apps' secrets.
    pub vault: Arc<Vault>,
    /// Finished runs.
    pub history: history::History,
    /// What scripts log.
    pub tail: Tail,
    /// Whoever listens to topics right now.
    pub topics: Topics,
    /// What happened of late, and how everything is.
    pub activity: Live,
    /// What changes.
    pub watch: watch::Hub,
    /// Answers that go on.
    pub streams: watch::Streams,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// One backup at a time.
    pub backups: backup::contents::Turn,
    /// The nodes.
    pub cluster: Cluster,
    /// What nodes ask, answered as the own worker's questions are.
    pub(crate) host: Arc<StoreHost>,
    /// This machine's name.
    pub node: String,
    config: Config,
    ingress_addr: SocketAddr,
    started: Instant,
    admin: admin::Listening,
    https: Option<Arc<admin::Https>>,
    /// This appliance on the local network.
    lan: Option<Arc<Lan>>,
    refusals: refusals::Refusals,
    dispatcher: Dispatcher,
    tasks: Mutex<JoinSet<()>>,
}

impl Appliance {
    /// Opens the store, binds both doors, starts the worker, then answers.
    pub async fn start(start: Start) -> Result<Arc<Self>, StartError> {
        let Start { config, dev, on_executions, ingress, log_priorities } = start;
        let settings = &config.settings;
        let (node, tail) = (node_name(), Tail::default());
        let host = Arc::new(StoreHost::open(settings, node.clone(), tail.clone(), on_executions).await?);
        let (ingress, ingress_addrs): (Vec<_>, Vec<_>) =
            doors::ingress(settings.ingress_addr, ingress)?.into_iter().unzip();
        let ingress_addr = ingress_addrs[0];
        let socket = admin::bind(&settings.admin_socket, dev)?;
        let https = doors::https(&config, dev, &host).await?.map(Arc::new);
        host.keys.load(host.store.as_ref()).await.map_err(StartError::Store)?;

        let supervisor = own_worker::started(&config, ingress, log_priorities, &node)?;
        let workers_host = Arc::clone(&host);
        // The apps are read while the worker's process comes up.
        let (read, started) = tokio::join!(host.registry.load(), Supervisor::start(supervisor, workers_host));
        read.map_err(StartError::Store)?;
        let supervisor = started.map_err(StartError::Worker)?;
        host.registry.attach(supervisor.clone());

        let own = nodes::Own { ingress_addr, concurrency: settings.concurrency };
        let cluster = Cluster::new(&host, https.clone(), own);
        cluster.reload().await.map_err(StartError::Store)?;
        let lan = https.as_deref().filter(|_https| settings.mdns);
        let lan = lan.and_then(|https| discovery::open(&host.node, https, ingress_addr, &settings.data_dir));
        let parts = dispatcher::Parts::of(&host, supervisor.clone());
        let dispatcher = Dispatcher::start(parts, settings.concurrency);
        let appliance = Arc::new(Self {
            store: Arc::clone(&host.store),
            blobs: host.blobs.clone(),
            clock: Arc::clone(&host.clock),
            registry: Arc::clone(&host.registry),
            supervisor,
            changes: tokio::sync::Mutex::new(()),
            expiry: host.expiry.clone(),
            keys: Arc::clone(&host.keys),
            backoff: Mutex::default(),
            vault: Arc::clone(&host.vault),
            history: host.history.clone(),
            tail,
            topics: host.topics.clone(),
            activity: host.activity.clone(),
            watch: watch::Hub::new(Arc::clone(&host.store)),
            streams: watch::Streams::default(),
            metrics: Arc::clone(&host.metrics),
            backups: backup::contents::Turn::default(),
            cluster,
            node,
            config,
            ingress_addr,
            started: Instant::now(),
            admin: admin::Listening::default(),
            https,
            lan,
            refusals: host.refusals.clone(),
            dispatcher,
            tasks: Mutex::default(),
            host,
        });
        appliance.begin_tasks();
        appliance.admin.serve(socket, appliance.https.clone(), &appliance);
        Ok(appliance)
    }

    /// Begins what goes on without anybody asking.
    fn begin_tasks(self: &Arc<Self>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let (store, clock) = (|| Arc::clone(&self.store), || Arc::clone(&self.clock));
        tasks.spawn(history::run(self.history.clone()));
        tasks.spawn(watch::run(self.watch.clone()));
        tasks.spawn(secrets::check(Arc::clone(&self.vault), Arc::clone(&self.registry)));
        tasks.spawn(blob_sweep::run(store(), self.blobs.clone()));
        tasks.spawn(upgrade::run(store(), clock(), self.blobs.clone(), self.data_dir().to_owned()));
        tasks.spawn(kv_expiry::run(store(), clock(), self.expiry.clone()));
        tasks.spawn(retention::run(store(), clock(), self.config.settings.versions_kept()));
        tasks.spawn(letters::run(store(), clock(), self.node.clone(), self.config.settings.letters_kept()));
        tasks.spawn(schedules::run(store(), clock(), Arc::clone(&self.metrics)));
        tasks.spawn(refusals::run(self.refusals.clone(), store()));
        tasks.spawn(keys::flush_hourly(Arc::clone(&self.keys), store()));
        tasks.spawn(self.cluster.hub.clone().watch_leases());
        if let Some(lan) = &self.lan {
            tasks.spawn(discovery::see(Arc::clone(lan), self.cluster.clone()));
        }
        tasks.spawn(nodes::others::run(Arc::clone(self)));
        tasks.spawn(waiting_apps::run(Arc::clone(self), self.lan.clone()));
        if let Some(caddy) = self.config.settings.caddy() {
            tasks.spawn(caddy::run(caddy, self.cluster.clone(), self.watch.clone()));
        }
    }

    /// Where routes are answered; the port is the real one, also where 0 was asked for.
    pub fn ingress_addr(&self) -> SocketAddr {
        self.ingress_addr
    }

    /// Where the admin API listens.
    pub fn admin_socket(&self) -> &Path {
        &self.config.settings.admin_socket
    }

    /// The admin API over the network, where it is on.
    pub fn https(&self) -> Option<&admin::Https> {
        self.https.as_deref()
    }

    /// Ends when the appliance stops, for answers that go on for long.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.admin.ended()
    }

    /// The keys have changed in the store: from now on, everybody goes by them.
    pub async fn keys_changed(&self) -> Result<(), StoreError> {
        let read = self.keys.load(self.store.as_ref()).await;
        // Also where they could not be read: what was revoked is gone from memory already.
        let (worker, ()) =
            tokio::join!(self.supervisor.keys_changed(self.keys.for_workers()), self.cluster.hub.keys_changed());
        if let Err(error) = worker {
            tracing::warn!(%error, "the worker did not take the changed API keys in time; its successor will");
        }
        read
    }

    /// Where data lives.
    pub fn data_dir(&self) -> &Path {
        &self.config.settings.data_dir
    }

    /// Copies everything for a backup, and writes that down.
    pub async fn back_up(&self, act: &Act) -> Result<backup::contents::Contents, backup::BackupError> {
        let source = backup::contents::Source::of(&self.config.settings, &self.node, Some(&self.blobs));
        backup::contents::Contents::gather(source, self.store.as_ref(), &self.backups, act).await
    }

    /// What the data is kept in: `sqlite` or `postgres`.
    pub fn store_kind(&self) -> &'static str {
        if self.config.settings.database_url.is_some() { "postgres" } else { "sqlite" }
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// What `who` does now, from `from`.
    pub fn act(&self, who: Principal, from: &str) -> Act {
        Act { who, from: from.to_owned(), at: self.clock.now_ms(), message: None }
    }

    /// Writes down that something was refused, soon.
    pub fn refused(&self, refused: RefusedAct) {
        tracing::debug!(who = %refused.act.who.name, from = %refused.act.from, action = %refused.action, "refused");
        self.metrics.refused();
        self.refusals.push(refused);
    }

    /// Writes down now what was refused, for whoever reads the audit log.
    pub async fn refused_now(&self) {
        // What the worker refused and has not told yet belongs to it as well.
        self.supervisor.count().await;
        self.refusals.flush(self.store.as_ref(), false).await;
    }

    /// Keeps finished runs, soon.
    pub fn keep(&self, executions: Vec<Execution>) {
        self.history.push_kept(executions);
    }

    /// Bytes that the disk had to write since the start, for this process and its worker's.
    pub fn bytes_written(&self) -> u64 {
        let pids = [Some(std::process::id()), self.supervisor.worker_pid()];
        pids.into_iter().flatten().filter_map(|pid| ProcessUsage::of(pid).written_bytes).sum()
    }

    /// Where backups go, one after the other.
    pub fn backup_repository(&self) -> Option<String> {
        self.config.settings.backup_repository.as_ref().map(ToString::to_string)
    }

    /// What is as it is now, for the metrics; what the worker has counted is told first.
    pub async fn gauges(&self) -> Gauges {
        let runs = self.supervisor.count().await;
        let apps = self.registry.all();
        let scripts = || apps.iter().flat_map(|app| &app.scripts);
        Gauges {
            uptime_s: self.uptime().as_secs(),
            history_waiting: self.history.waiting() as u64,
            history_dropped: self.history.dropped(),
            streams: self.streams.count() as u64,
            audit_entries: u64::try_from(self.watch.newest()).unwrap_or(0),
            apps: apps.len() as u64,
            scripts: scripts().count() as u64,
            quarantined: scripts().filter(|script| script.quarantined_after_crashes.is_some()).count() as u64,
            keys: self.keys.count() as u64,
            runs,
            queues: self.queues().await,
            nodes: NodesNow::of(self.cluster.nodes().await.unwrap_or_default(), self.cluster.hub.counts()),
            backups: crate::repository::Outcomes::read(self.data_dir()),
        }
    }

    /// The machines that run a script themselves, at its live version, by name.
    pub fn served_by(&self, app: AppId, script: &str) -> Vec<String> {
        let Some(app) = self.registry.app(app) else { return Vec::new() };
        let Some(script) = app.script(script) else { return Vec::new() };
        let is_here = script.placement.allows(self.registry.own_labels());
        let nodes = self.cluster.hub.live();
        let nodes = nodes.iter().filter(|node| node.in_step && script.placement.allows(&node.labels));
        let mut names: Vec<String> = nodes.map(|node| node.name.clone()).collect();
        names.extend(is_here.then(|| self.node.clone()));
        names.sort_unstable();
        names
    }

    /// What waits in each app; apps that cannot be asked are left out.
    pub async fn queues(&self) -> Vec<Queue> {
        /// Apps that are told of; the metrics of more would be too large.
        const APPS_MAX: usize = 100;
        let now = self.clock.now_ms();
        let mut queues = Vec::new();
        for app in self.registry.all().iter().take(APPS_MAX) {
            match self.store.queued(app.id).await {
                Ok(queued) => queues.push(Queue {
                    app: app.name.clone(),
                    deliveries: u64::try_from(queued.deliveries).unwrap_or(0),
                    oldest_due_ms: queued.oldest_due_at.map_or(0, |at| u64::try_from(now - at).unwrap_or(0)),
                    waiting_for_node: self.dispatcher.waiting_for_node(app.id),
                    dead_letters: u64::try_from(queued.dead_letters).unwrap_or(0),
                }),
                Err(error) => tracing::debug!(app = %app.name, %error, "what waits in an app could not be counted"),
            }
        }
        queues
    }

    /// Takes nothing new, finishes what is under way, stores what waits.
    pub async fn stop(&self) {
        self.dispatcher.stop_claiming();
        let _ended_or_late = self.dispatcher.ended(DELIVERIES_DRAIN).await;
        self.cluster.hub.stop_giving(FORWARDED_DRAIN).await;
        self.cluster.hub.close();
        if let Some(lan) = &self.lan {
            lan.stop().await;
        }
        if tokio::time::timeout(ADMIN_DRAIN, self.admin.stop()).await.is_err() {
            tracing::warn!("admin requests that were still under way were cut off");
        }
        self.supervisor.stop().await;
        self.dispatcher.end(DISPATCH_DRAIN).await;
        // Before its task is ended: what that has in hand would be lost.
        self.history.flush().await;
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.refusals.flush(self.store.as_ref(), true).await;
        self.keys.flush(self.store.as_ref()).await;
        // A socket file without a listener would only puzzle the next start.
        if let Err(error) = std::fs::remove_file(self.admin_socket()) {
            tracing::debug!(%error, "the admin socket's file could not be removed");
        }
    }
}

/// This machine's name.
pub(crate) fn node_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "appliance".to_owned())
}
