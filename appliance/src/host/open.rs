//! Opens everything that workers ask for: the store, the folder of files, and what is kept in memory beside them.

use super::{Causes, StoreHost};
use crate::activity::Live;
use crate::appliance::StartError;
use crate::backup;
use crate::config::Settings;
use crate::files::Signed;
use crate::keys::KeyRing;
use crate::logs::Tail;
use crate::metrics::Metrics;
use crate::nodes::hub::Hub;
use crate::registry::Registry;
use crate::secrets::Vault;
use crate::tasks::history::{History, Watcher};
use crate::tasks::kv_expiry::ExpirySignal;
use crate::tasks::refusals::Refusals;
use crate::topics::Topics;
use picloud_model::clock::{Clock, SystemClock};
use picloud_store::OpenSettings;
use picloud_store::blobs::Blobs;
use std::sync::Arc;

impl StoreHost {
    /// Opens the data of an appliance; what scripts log goes to `tail`, and every finished run to `watcher`.
    pub async fn open(
        settings: &Settings,
        node: String,
        tail: Tail,
        watcher: Option<Watcher>,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let at = OpenSettings::new(&settings.data_dir).with_database(settings.database_url.clone());
        let store = picloud_store::open(at, Arc::clone(&clock)).await?;
        backup::contents::remove_leftovers(&settings.data_dir);
        let files_dir = settings.files_dir();
        let blobs =
            if settings.database_url.is_some() { Blobs::open_shared(&files_dir) } else { Blobs::open(&files_dir) }?;
        blobs.belong_to(store.as_ref()).await?;
        crate::upgrade::settle(store.as_ref(), &blobs, &settings.data_dir, &node).await?;
        let hub = Hub::default();
        let activity = Live::new(clock.now_ms());
        let vault = Arc::new(Vault::new(Arc::clone(&store), &settings.data_dir, hub.clone()));
        let labels = Arc::new(crate::nodes::own_labels(&node));
        Ok(Self {
            blobs,
            signed: Arc::new(Signed::of(&settings.data_dir)),
            clock,
            registry: Arc::new(Registry::new(Arc::clone(&store), hub.clone(), labels)),
            history: History::new(Arc::clone(&store), Arc::clone(&vault), tail, activity.clone(), watcher),
            vault,
            activity,
            metrics: Arc::new(Metrics::default()),
            expiry: ExpirySignal::default(),
            keys: Arc::new(KeyRing::default()),
            refusals: Refusals::default(),
            topics: Topics::default(),
            causes: Causes::default(),
            outbound: Arc::default(),
            hub,
            node,
            store,
        })
    }
}
