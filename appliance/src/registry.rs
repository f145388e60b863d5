//! The apps as the worker sees them: what is published, in which order, and from when on.
//!
//! Nodes are told beside the worker, each as it may run what was changed.
//!
//! Kept in memory so that a starting worker is fed, a deploy is checked against all other apps, and an
//! effect is checked against its app's limits, without asking the store.

use crate::nodes::hub::Hub;
use picloud_model::ids::AppId;
use picloud_model::placement::Labels;
use picloud_model::protocol::AppSnapshot;
use picloud_orchestrator::supervisor::Supervisor;
use picloud_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often a changed app is read from a store that refuses.
const READS_MAX: u32 = 5;
/// How long to wait before it is read again.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// All live apps.
pub struct Registry {
    store: Arc<dyn Store>,
    apps: RwLock<BTreeMap<AppId, Arc<AppSnapshot>>>,
    /// Set once the first worker runs; a change before that is in the snapshot the worker starts with.
    supervisor: OnceLock<Supervisor>,
    /// Set once the store has been read at the start: whether it could be.
    loaded: tokio::sync::SetOnce<bool>,
    hub: Hub,
    /// What this machine's own worker is placed by.
    labels: Arc<Labels>,
    /// Counts published changes.
    changes: watch::Sender<u64>,
    /// Held while one change goes out, so that the worker gets changes of one app in the store's order.
    publishing: tokio::sync::Mutex<()>,
}

impl Registry {
    /// No apps yet: [`Registry::load`] brings them.
    pub fn new(store: Arc<dyn Store>, hub: Hub, labels: Arc<Labels>) -> Self {
        Self {
            store,
            hub,
            labels,
            apps: RwLock::default(),
            supervisor: OnceLock::new(),
            loaded: tokio::sync::SetOnce::new(),
            changes: watch::Sender::new(0),
            publishing: tokio::sync::Mutex::new(()),
        }
    }

    /// Reads all apps from the store; to be called once.
    pub async fn load(&self) -> Result<(), StoreError> {
        let read = self.store.snapshot().await.map(|apps| {
            let apps = apps.into_iter().map(|app| (app.id, Arc::new(app))).collect();
            *self.apps.write().unwrap_or_else(PoisonError::into_inner) = apps;
        });
        let told = self.loaded.set(read.is_ok());
        debug_assert!(told.is_ok(), "the registry is loaded once");
        read
    }

    /// Waits until the apps have been read; false when they could not be.
    pub async fn loaded(&self) -> bool {
        *self.loaded.wait().await
    }

    /// From now on, changes go to this worker's parent side.
    pub fn attach(&self, supervisor: Supervisor) {
        let attached = self.supervisor.set(supervisor);
        debug_assert!(attached.is_ok(), "there is one supervisor");
    }

    /// The worker's parent side, once there is one.
    pub(crate) fn supervisor(&self) -> Option<&Supervisor> {
        self.supervisor.get()
    }

    /// What this machine's own worker is placed by.
    pub fn own_labels(&self) -> &Arc<Labels> {
        &self.labels
    }

    /// The app as this machine's own worker is to serve it.
    pub fn placed_here(&self, app: &Arc<AppSnapshot>) -> Arc<AppSnapshot> {
        app.placed_on(&self.labels)
    }

    /// Changes whenever an app is published anew, or gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The app as it is published.
    pub fn app(&self, id: AppId) -> Option<Arc<AppSnapshot>> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// All apps as they are published.
    pub fn all(&self) -> Vec<Arc<AppSnapshot>> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Takes the app from the store and hands it to the worker and to nodes; returns once requests are answered from it,
    /// by nodes that are in step where that is soon.
    ///
    /// A worker that does not take it is not the caller's failure: what was committed stays committed, and
    /// the worker's successor starts with it.
    pub async fn publish(&self, id: AppId) -> Result<(), StoreError> {
        let _in_order = self.publishing.lock().await;
        let snapshot = self.read(id).await?.map(Arc::new);
        {
            let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
            match &snapshot {
                Some(app) => apps.insert(id, Arc::clone(app)),
                None => apps.remove(&id),
            };
        }
        let worker = async {
            let Some(supervisor) = self.supervisor.get() else { return };
            let told = match snapshot {
                Some(app) => supervisor.app_changed(AppSnapshot::clone(&self.placed_here(&app))).await,
                None => supervisor.app_removed(id).await,
            };
            if let Err(error) = told {
                tracing::warn!(app.id = %id, %error, "the worker did not take a change in time; its successor will");
            }
        };
        tokio::join!(worker, self.hub.app_changed(id));
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// Reads the app, more than once if need be: what was committed must go out.
    async fn read(&self, id: AppId) -> Result<Option<AppSnapshot>, StoreError> {
        let mut reads = 1;
        loop {
            match self.store.app_snapshot(id).await {
                Err(error) if reads < READS_MAX => {
                    tracing::warn!(app.id = %id, %error, "a changed app could not be read; trying again");
                    tokio::time::sleep(READ_PAUSE).await;
                    reads += 1;
                }
                read => return read,
            }
        }
    }
}
