//! How everything is, for whoever comes in and looks: nodes, the last hour, the runs of late, and what needs a person.
//!
//! What happened of late is noted as it happens, in memory and within bounds. All the rest is gathered only while
//! somebody looks, when something has changed, and at most once a second for all who do. No timer runs while nobody
//! looks; who looks at something that time alone will change is woken at that time.

mod glance;
mod hour;
mod needs;
mod recent;

pub(crate) use glance::Eye;

use crate::nodes::Cluster;
use crate::registry::Registry;
use glance::Known;
use hour::{HOUR_MS, Hour};
use picloud_model::clock::UnixMs;
use picloud_model::event::EventKind;
use picloud_model::execution::{Execution, ExecutionQuery, Outcome};
use picloud_model::ids::AppId;
use picloud_model::protocol::Counts;
use picloud_store::Store;
use recent::Recent;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OnceCell, watch};

/// Runs of the time before the start that are read at once, and how often: with what they saw, they may be large.
const FILL_PAGE_RUNS: u32 = 100;
const FILL_PAGES_MAX: u32 = 10;

/// What happened of late. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    /// Since when everything is noted.
    since: UnixMs,
    noted: Mutex<Noted>,
    /// Changes with every run.
    ran: watch::Sender<u64>,
    /// Changes with what may need a person.
    trouble: watch::Sender<u64>,
    /// Whether what happened before the start has been read.
    filled: OnceCell<()>,
    /// What was gathered last.
    known: tokio::sync::Mutex<Option<Known>>,
}

#[derive(Default)]
struct Noted {
    hour: Hour,
    recent: Recent,
}

impl Live {
    /// Nothing has happened yet.
    pub fn new(since: UnixMs) -> Self {
        Self(Arc::new(Shared {
            since,
            noted: Mutex::default(),
            ran: watch::Sender::new(0),
            trouble: watch::Sender::new(0),
            filled: OnceCell::new(),
            known: tokio::sync::Mutex::default(),
        }))
    }

    /// Runs ended; they have no secrets in them any more.
    pub(crate) fn ran(&self, runs: &[Execution]) {
        let mut noted = self.noted();
        for run in runs {
            noted.recent.add(run);
            // Its worker is gone, and with it what it counted.
            if run.outcome == Outcome::WorkerLost {
                noted.hour.add_run(end_of(run), &run.app, true, run.duration_us);
            }
        }
        drop(noted);
        say(&self.0.ran);
    }

    /// A worker tells how many runs there were; `app_name` names an app by its id.
    pub(crate) fn counted(&self, counts: &Counts, now: UnixMs, app_name: impl Fn(AppId) -> String) {
        if counts.scripts.is_empty() {
            return;
        }
        let mut noted = self.noted();
        for script in &counts.scripts {
            noted.hour.add(now, &app_name(script.app), script);
        }
        drop(noted);
        say(&self.0.ran);
    }

    /// An attempt of a delivery came to `word`: `done`, `retry`, `dead`, `not_run`.
    pub(crate) fn delivered(&self, app: &str, kind: EventKind, word: &str, now: UnixMs) {
        if word == "not_run" {
            return;
        }
        self.noted().hour.started_by(now, app, kind);
        say(if word == "dead" { &self.0.trouble } else { &self.0.ran });
    }

    /// Reads once what happened before the start.
    async fn fill(&self, store: &dyn Store) {
        self.0.filled.get_or_init(|| self.read_before(store)).await;
    }

    async fn read_before(&self, store: &dyn Store) {
        let since = self.0.since;
        let mut query = ExecutionQuery { limit: Some(FILL_PAGE_RUNS), ..ExecutionQuery::default() };
        for _page in 0..FILL_PAGES_MAX {
            let page = match store.executions_of_apps(None, &query).await {
                Ok(page) => page,
                Err(error) => return tracing::debug!(%error, "the runs before the start could not be read"),
            };
            let is_over = page.items.last().is_none_or(|run| run.started_at < since - HOUR_MS);
            let mut noted = self.noted();
            // Later ones have been noted as they ended.
            for run in page.items.iter().filter(|run| run.started_at < since) {
                noted.recent.add(run);
                if run.started_at >= since - HOUR_MS {
                    let failed = run.outcome != Outcome::Ok;
                    noted.hour.add_run(end_of(run), &run.app, failed, run.duration_us);
                }
            }
            drop(noted);
            query.cursor = page.cursor;
            if is_over || query.cursor.is_none() {
                return;
            }
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say(signal: &watch::Sender<u64>) {
    signal.send_modify(|times| *times = times.wrapping_add(1));
}

fn end_of(run: &Execution) -> UnixMs {
    run.started_at.saturating_add(i64::try_from(run.duration_us / 1_000).unwrap_or(0))
}

/// Everything that tells of a change of what is shown.
pub(crate) struct Ears {
    ran: watch::Receiver<u64>,
    trouble: watch::Receiver<u64>,
    nodes: watch::Receiver<u64>,
    strangers: watch::Receiver<u64>,
    apps: watch::Receiver<u64>,
    audit: watch::Receiver<i64>,
}

/// How often each has told of something, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    ran: u64,
    trouble: u64,
    nodes: u64,
    strangers: u64,
    apps: u64,
    audit: i64,
}

impl Ears {
    fn new(live: &Live, cluster: &Cluster, registry: &Registry, store: &dyn Store) -> Self {
        Self {
            ran: live.0.ran.subscribe(),
            trouble: live.0.trouble.subscribe(),
            nodes: cluster.hub.changed(),
            strangers: cluster.strangers_changed(),
            apps: registry.changes(),
            audit: store.audit_signal(),
        }
    }

    /// Waits until something has changed since [`Self::heard`].
    async fn hear(&mut self) {
        // None of them ends before the appliance does, and with it whoever waits here.
        tokio::select! {
            Ok(()) = self.ran.changed() => {}
            Ok(()) = self.trouble.changed() => {}
            Ok(()) = self.nodes.changed() => {}
            Ok(()) = self.strangers.changed() => {}
            Ok(()) = self.apps.changed() => {}
            Ok(()) = self.audit.changed() => {}
            else => std::future::pending().await,
        }
    }

    /// What has changed until now; from here on, what changes is waited for.
    fn heard(&mut self) -> Heard {
        Heard {
            ran: *self.ran.borrow_and_update(),
            trouble: *self.trouble.borrow_and_update(),
            nodes: *self.nodes.borrow_and_update(),
            strangers: *self.strangers.borrow_and_update(),
            apps: *self.apps.borrow_and_update(),
            audit: *self.audit.borrow_and_update(),
        }
    }
}
