//! The cluster as this appliance sees it: strangers, nodes that joined, and those that are connected right now.
//!
//! [`Cluster`] is what the admin API and the command line stand on; [`hub::Hub`] is what the dispatcher stands on;
//! `node_api` is what nodes talk to. What a node is (name, labels, whether it may come in) is in the store, and in memory
//! here, where every request of a node looks; what it does right now is in the hub alone.

mod approval;
pub(crate) mod authority;
mod body;
mod calls;
mod changes;
mod control;
pub(crate) mod discovery;
mod enrolment;
pub mod hub;
pub(crate) mod node_api;
pub(crate) mod others;
mod own;
mod records;
mod shown;
mod strangers;
mod telling;
mod tokens;

pub(crate) use own::own_labels;

use crate::admin::{Https, Tls};
use crate::host::StoreHost;
use crate::registry::Registry;
use hub::Hub;
use picloud_model::clock::Clock;
use picloud_model::hash::ContentHash;
use picloud_model::node::{NodeId, NodeRecord, check_name};
use picloud_model::problem::{Code, Problem};
use picloud_store::{NodeSeen, Store};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use strangers::{Stranger, Strangers};

/// Addresses whose refusals the log was told of; beyond it all are forgotten, and told again.
const NEWS_MAX: usize = 1_000;
/// Digits of its id in the name of a node that has none.
const NAME_DIGITS: usize = 6;

/// Everything about nodes that somebody may ask for or do. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    /// The nodes that are connected.
    pub hub: Hub,
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    /// This machine's name.
    node: String,
    own: Own,
    https: Option<Arc<Https>>,
    /// All that were ever let in, those that were removed included.
    records: RwLock<BTreeMap<NodeId, Arc<NodeRecord>>>,
    /// Held while they are read, so that what was read last is what holds.
    reading: tokio::sync::Mutex<()>,
    /// What was seen of nodes, in the order in which it is to be written.
    unwritten: Mutex<VecDeque<NodeSeen>>,
    /// Held while it is written.
    writing: tokio::sync::Mutex<()>,
    strangers: Strangers,
    /// Told when somebody looks at one that was only seen.
    looked: tokio::sync::Notify,
    /// Other appliances on the same database, with where nodes reach them.
    others: RwLock<Vec<(String, String)>>,
    /// Nodes that are connected to one of these, and its name.
    elsewhere: RwLock<BTreeMap<NodeId, String>>,
    /// What the log was told of already.
    news: Mutex<HashSet<(IpAddr, Code)>>,
}

/// What this machine says of itself.
pub(crate) struct Own {
    /// Where routes are answered.
    pub(crate) ingress_addr: SocketAddr,
    /// Runs at once.
    pub(crate) concurrency: u32,
}

impl Cluster {
    /// Nothing is known yet: [`Self::reload`] reads it.
    pub(crate) fn new(host: &StoreHost, https: Option<Arc<Https>>, own: Own) -> Self {
        let shared = Shared {
            store: Arc::clone(&host.store),
            clock: Arc::clone(&host.clock),
            registry: Arc::clone(&host.registry),
            node: host.node.clone(),
            own,
            https,
            records: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            unwritten: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            strangers: Strangers::default(),
            looked: tokio::sync::Notify::new(),
            others: RwLock::default(),
            elsewhere: RwLock::default(),
            news: Mutex::default(),
        };
        Self { hub: host.hub.clone(), shared: Arc::new(shared) }
    }

    /// The certificates; nodes need the network.
    pub(crate) fn tls(&self) -> Result<&Tls, Problem> {
        let https = self.shared.https.as_deref().map(Https::tls);
        https.ok_or_else(|| {
            Problem::new(Code::Conflict, "this appliance does not listen on the network, so no node can join it")
                .hint("start it with --admin-addr 0.0.0.0:8443")
        })
    }

    /// SHA-256 of the CA's certificate, which nodes trust; `None` where the appliance does not listen on the network.
    pub fn ca_fingerprint(&self) -> Option<ContentHash> {
        self.tls().ok().map(Tls::ca_fingerprint)
    }

    fn strangers(&self) -> &Strangers {
        &self.shared.strangers
    }

    /// Changes when a machine comes that waits, asks for the first time, or goes.
    pub(crate) fn strangers_changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.strangers().changes()
    }

    /// A machine announces on the network that it has this key, and what its first boot complains of. Discovery only
    /// proposes: nothing of it is proved.
    pub fn seen_on_network(
        &self,
        fingerprint: ContentHash,
        name: &str,
        address: Option<IpAddr>,
        trouble: Option<String>,
    ) {
        let id = NodeId::of(&fingerprint);
        if self.knows(&id) {
            return;
        }
        let name = if check_name(name).is_ok() { name.to_owned() } else { name_for(&id) };
        let now = self.shared.clock.now_ms();
        self.shared.strangers.see(Stranger {
            id,
            fingerprint,
            name,
            facts: trouble.map(|trouble| ("setup".to_owned(), trouble)).into_iter().collect(),
            version: None,
            address,
            first_at: now,
            last_at: now,
            has_asked: false,
        });
    }

    /// A machine does not announce itself any more.
    pub fn gone_from_network(&self, id: &NodeId) {
        self.shared.strangers.unsee(id);
    }

    /// Whether the log has not been told yet that this address was refused so.
    pub(crate) fn is_news(&self, address: IpAddr, code: Code) -> bool {
        let mut news = self.shared.news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.len() >= NEWS_MAX {
            news.clear();
        }
        news.insert((address, code))
    }

    /// Where other appliances answer nodes.
    pub(crate) fn other_addresses(&self) -> Vec<String> {
        let others = self.shared.others.read().unwrap_or_else(PoisonError::into_inner);
        others.iter().map(|(_name, addr)| addr.clone()).collect()
    }

    /// Reads anew which other appliances there are.
    pub(crate) async fn read_others(&self) {
        match self.shared.store.others().await {
            Ok(others) => *self.shared.others.write().unwrap_or_else(PoisonError::into_inner) = others,
            Err(error) => tracing::debug!(%error, "other appliances could not be read"),
        }
    }
}

/// What a node is called that has no name of its own.
fn name_for(id: &NodeId) -> String {
    format!("node-{}", &id.as_str()[..NAME_DIGITS])
}
