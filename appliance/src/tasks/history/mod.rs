//! Takes finished runs: takes secrets out of them, shows them to whoever follows, and keeps them.
//!
//! What somebody may want to look at later goes to the disk in batches: failures, runs that logged, runs that a person
//! asked for, and one plain success per script and minute. All other plain successes stay in memory, in a [`Ring`],
//! and lists show both as one.

mod ring;

use crate::activity::Live;
use crate::logs::Tail;
use crate::secrets::Vault;
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, ExecutionQuery, Outcome};
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::limits::LIMITS;
use picloud_model::page::Page;
use picloud_store::{Store, StoreError, execution_cursor, execution_of_cursor};
use ring::Ring;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Most runs that wait to be looked at or stored; beyond it the oldest are dropped and counted.
const WAITING_RUNS_MAX: usize = 4_096;
/// How long the first run of a batch waits for company.
const BATCH_WINDOW: Duration = Duration::from_millis(200);
/// One plain success per script goes to the disk in this time.
const SAMPLE_EVERY_MS: i64 = 60_000;
/// Scripts whose last sample is remembered; beyond it all are forgotten, which costs a sample more each.
const SAMPLED_SCRIPTS_MAX: usize = 10_000;

/// Called with every batch as it arrives (`dev` prints logs).
pub type Watcher = Box<dyn Fn(&[Execution]) + Send + Sync>;

/// The runs that wait, and those of late. Cheap to clone.
#[derive(Clone)]
pub struct History(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    tail: Tail,
    activity: Live,
    watcher: Option<Watcher>,
    /// As they came, and whether they are kept in any case.
    arrived: Mutex<VecDeque<(Execution, bool)>>,
    arrival: Notify,
    /// Held while arrivals are looked at or stored, so that they stay in their order.
    handling: tokio::sync::Mutex<()>,
    /// For the disk.
    waiting: Mutex<VecDeque<Execution>>,
    live: Mutex<Ring>,
    /// When a plain success of each script last went to the disk.
    sampled: Mutex<HashMap<(AppId, String), UnixMs>>,
    dropped: AtomicU64,
    /// How many of these the log has been told of.
    told_dropped: AtomicU64,
}

impl History {
    /// An empty one; `watcher` sees every run.
    pub fn new(store: Arc<dyn Store>, vault: Arc<Vault>, tail: Tail, activity: Live, watcher: Option<Watcher>) -> Self {
        Self(Arc::new(Shared {
            store,
            vault,
            tail,
            activity,
            watcher,
            arrived: Mutex::default(),
            arrival: Notify::new(),
            handling: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            live: Mutex::default(),
            sampled: Mutex::default(),
            dropped: AtomicU64::new(0),
            told_dropped: AtomicU64::new(0),
        }))
    }

    /// Takes runs as they ended. Never blocks; what does not fit pushes the oldest out.
    pub fn push(&self, executions: Vec<Execution>) {
        self.take(executions, false);
    }

    /// Takes runs that go to the disk in any case.
    pub fn push_kept(&self, executions: Vec<Execution>) {
        self.take(executions, true);
    }

    fn take(&self, executions: Vec<Execution>, kept: bool) {
        let mut arrived = lock(&self.0.arrived);
        arrived.extend(executions.into_iter().map(|execution| (execution, kept)));
        self.drop_oldest(&mut arrived);
        drop(arrived);
        self.0.arrival.notify_one();
    }

    fn drop_oldest<T>(&self, runs: &mut VecDeque<T>) {
        let over = runs.len().saturating_sub(WAITING_RUNS_MAX);
        if over > 0 {
            runs.drain(..over);
            self.0.dropped.fetch_add(over as u64, Ordering::Relaxed);
        }
    }

    /// Runs that wait to be looked at or stored.
    pub fn waiting(&self) -> usize {
        lock(&self.0.arrived).len() + lock(&self.0.waiting).len()
    }

    /// Runs that came faster than they could be kept, since the start.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Stores all that waits now. Goes on to its end also where nobody waits for it any more: what was taken in hand
    /// must not be lost with a client that went away.
    pub async fn flush(&self) {
        let history = self.clone();
        // It ends early only together with the runtime.
        let _ended = tokio::spawn(async move { history.flush_here().await }).await;
    }

    async fn flush_here(&self) {
        let _in_order = self.0.handling.lock().await;
        self.look_at_arrivals().await;
        let dropped = self.dropped();
        let told = self.0.told_dropped.swap(dropped, Ordering::Relaxed);
        if dropped > told {
            tracing::warn!(
                runs = dropped - told,
                "finished runs came faster than they could be kept; the oldest are lost"
            );
        }
        let runs: Vec<Execution> = std::mem::take(&mut *lock(&self.0.waiting)).into();
        if runs.is_empty() {
            return;
        }
        let count = runs.len();
        if let Err(error) = self.0.store.add_executions(runs).await {
            // History is worth less than what it tells of: a full disk must not stop anything else.
            tracing::warn!(runs = count, %error, "finished runs could not be kept");
            self.0.dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Shows what arrived to whoever follows, without any secret, and sorts it.
    async fn look_at_arrivals(&self) {
        let arrived = std::mem::take(&mut *lock(&self.0.arrived));
        if arrived.is_empty() {
            return;
        }
        let (mut runs, kept): (Vec<Execution>, Vec<bool>) = arrived.into_iter().unzip();
        self.0.vault.redact(&mut runs).await;
        if let Some(watcher) = &self.0.watcher {
            watcher(&runs);
        }
        self.0.tail.push(&runs);
        self.0.activity.ran(&runs);
        for (run, kept) in runs.into_iter().zip(kept) {
            if kept || !is_plain(&run) || self.is_sample(&run) {
                lock(&self.0.waiting).push_back(run);
            } else {
                lock(&self.0.live).push(run);
            }
        }
        self.drop_oldest(&mut lock(&self.0.waiting));
    }

    fn is_sample(&self, run: &Execution) -> bool {
        let mut sampled = lock(&self.0.sampled);
        let last = sampled.get(&(run.app_id, run.script.clone())).copied();
        // A clock that went back makes a sample, too.
        if last.is_some_and(|last| (last..last + SAMPLE_EVERY_MS).contains(&run.started_at)) {
            return false;
        }
        if sampled.len() >= SAMPLED_SCRIPTS_MAX {
            sampled.clear();
        }
        sampled.insert((run.app_id, run.script.clone()), run.started_at);
        true
    }

    /// The app's runs, newest first: those on the disk and those in memory, as one list.
    pub async fn page(&self, app: AppId, query: &ExecutionQuery) -> Result<Page<Execution>, StoreError> {
        self.page_of_apps(Some(&[app]), query).await
    }

    /// The same for these apps, or for all there ever were.
    pub async fn page_of_apps(
        &self,
        apps: Option<&[AppId]>,
        query: &ExecutionQuery,
    ) -> Result<Page<Execution>, StoreError> {
        // Whoever lists right after a run looks for that run.
        self.flush().await;
        let before = query.cursor.as_deref().map(execution_of_cursor).transpose()?;
        let stored = self.0.store.executions_of_apps(apps, query).await?;
        // The store may have looked no further back than this.
        let from = stored.cursor.as_deref().map(execution_of_cursor).transpose()?;
        let mut items = stored.items;
        let live = lock(&self.0.live);
        let fits = |run: &&Execution| before.is_none_or(|at| run.id < at) && from.is_none_or(|at| run.id >= at);
        items.extend(live.of(apps, query).filter(fits).cloned());
        drop(live);
        items.sort_unstable_by_key(|run| std::cmp::Reverse(run.id));
        items.dedup_by(|a, b| a.id == b.id);
        let limit = page_items(query.limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let cursor = if more { items.last().map(|last| execution_cursor(last.id)) } else { stored.cursor };
        Ok(Page { items, cursor })
    }

    /// One of the app's runs, wherever it is.
    pub async fn get(&self, app: AppId, id: ExecutionId) -> Result<Option<Execution>, StoreError> {
        self.flush().await;
        let live = lock(&self.0.live).get(app, id).cloned();
        match live {
            Some(run) => Ok(Some(run)),
            None => self.0.store.execution(app, id).await,
        }
    }
}

/// Nobody has to look at it.
fn is_plain(run: &Execution) -> bool {
    run.outcome == Outcome::Ok && run.logs.is_empty() && run.logs_dropped == 0
}

fn page_items(limit: Option<u32>) -> usize {
    let row = LIMITS.iter().find(|row| row.name == "list_page").expect("the table has this limit");
    usize::try_from(limit.map_or(row.default, u64::from).clamp(1, row.ceiling)).expect("a page is small")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows arrivals at once and stores them in batches, for ever; asleep while nothing runs.
pub async fn run(history: History) {
    let mut store_at: Option<Instant> = None;
    loop {
        let due = async {
            match store_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = history.0.arrival.notified() => {
                let in_order = history.0.handling.lock().await;
                history.look_at_arrivals().await;
                drop(in_order);
                if store_at.is_none() && !lock(&history.0.waiting).is_empty() {
                    store_at = Some(Instant::now() + BATCH_WINDOW);
                }
            }
            () = due => {
                store_at = None;
                history.flush_here().await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
