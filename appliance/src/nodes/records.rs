//! The nodes that were let in, in memory: what every request of a node is checked against.

use super::Cluster;
use crate::admin::from_store;
use picloud_cluster::identity::Peer;
use picloud_model::clock::UnixMs;
use picloud_model::node::{NodeId, NodeRecord};
use picloud_model::placement::Labels;
use picloud_model::problem::{Code, Problem};
use picloud_store::{NodeSeen, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// What was seen of nodes and is not written yet; beyond it the oldest is forgotten.
const UNWRITTEN_MAX: usize = 4_096;

impl Cluster {
    /// Reads all nodes from the store; those that are connected hear of what changed about them.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let _in_order = self.shared.reading.lock().await;
        let read = self.shared.store.nodes().await?;
        let now: BTreeMap<NodeId, Arc<NodeRecord>> =
            read.into_iter().map(|record| (record.id.clone(), Arc::new(record))).collect();
        let before = {
            let mut records = self.shared.records.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *records, now.clone())
        };
        for record in now.values() {
            let changed = before.get(&record.id).is_none_or(|before| {
                before.version != record.version
                    || before.draining != record.draining
                    || before.retired_at != record.retired_at
            });
            if changed {
                self.hub.record_changed(record);
            }
        }
        Ok(())
    }

    /// A node that was let in and not removed.
    pub(crate) fn record(&self, id: &NodeId) -> Option<Arc<NodeRecord>> {
        let records = self.shared.records.read().unwrap_or_else(PoisonError::into_inner);
        records.get(id).filter(|record| record.retired_at.is_none()).cloned()
    }

    /// All that were ever let in.
    pub(super) fn all_records(&self) -> Vec<Arc<NodeRecord>> {
        let records = self.shared.records.read().unwrap_or_else(PoisonError::into_inner);
        records.values().cloned().collect()
    }

    /// Whether it was ever let in.
    pub(super) fn knows(&self, id: &NodeId) -> bool {
        self.shared.records.read().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    /// Whether it is in.
    pub(crate) fn is_admitted(&self, id: &NodeId) -> bool {
        self.record(id).is_some()
    }

    /// What it is called.
    pub(crate) fn name_of(&self, id: &NodeId) -> Option<String> {
        let records = self.shared.records.read().unwrap_or_else(PoisonError::into_inner);
        records.get(id).map(|record| record.name.clone())
    }

    /// The node, `None` for a stranger; one that was removed is refused.
    pub(super) async fn look_up(&self, id: &NodeId) -> Result<Option<Arc<NodeRecord>>, Problem> {
        // Another appliance may have let it in just now.
        if !self.knows(id) && self.shared.store.node(id).await.map_err(from_store)?.is_some() {
            self.reload().await.map_err(from_store)?;
        }
        match self.record(id) {
            Some(record) => Ok(Some(record)),
            None if self.knows(id) => Err(Problem::new(Code::Gone, format!("node {id} was removed"))
                .hint("`picloud-node reset` makes it another node, which may ask to be let in")),
            None => Ok(None),
        }
    }

    /// The node whose certificate this is, where it may come in.
    pub(super) async fn admitted(&self, peer: &Peer) -> Result<Arc<NodeRecord>, Problem> {
        let refused = |what: &str| {
            Problem::new(Code::Forbidden, what.to_owned()).hint("the node asks to be let in again, with the same key")
        };
        let Some(record) = self.look_up(&peer.id).await? else {
            return Err(refused("this appliance does not know the node"));
        };
        if record.fingerprint != peer.fingerprint {
            return Err(refused("the certificate is for another key than the node's"));
        }
        // TLS has looked at it when the connection was opened, and that may be long ago.
        if peer.not_after <= self.shared.clock.now_ms() {
            return Err(refused("the node's certificate has expired"));
        }
        Ok(record)
    }

    /// A node came, with what it says of itself.
    pub(super) fn came(&self, id: &NodeId, facts: &Labels) {
        let facts = Some(facts.clone());
        self.note(NodeSeen { facts, connected: Some(true), ..self.seen(id) });
    }

    /// A node's connection is over, and where it has no newer one, it went.
    pub(super) fn went(&self, id: &NodeId) {
        if self.hub.is_connected(id) {
            return;
        }
        self.note(NodeSeen { connected: Some(false), ..self.seen(id) });
    }

    /// A node was heard of now.
    fn seen(&self, id: &NodeId) -> NodeSeen {
        let at = self.shared.clock.now_ms();
        NodeSeen { id: id.clone(), at, facts: None, certificate_expires_at: None, connected: None }
    }

    /// A node got a certificate that ends then.
    pub(super) fn certified(&self, id: &NodeId, ends_at: UnixMs) {
        self.note(NodeSeen { certificate_expires_at: Some(ends_at), ..self.seen(id) });
    }

    fn note(&self, seen: NodeSeen) {
        if let Some(record) = self.record(&seen.id) {
            let mut now = NodeRecord::clone(&record);
            now.last_seen_at = now.last_seen_at.max(Some(seen.at));
            now.certificate_expires_at = seen.certificate_expires_at.or(now.certificate_expires_at);
            if let Some(facts) = &seen.facts {
                now.facts.clone_from(facts);
            }
            let mut records = self.shared.records.write().unwrap_or_else(PoisonError::into_inner);
            records.entry(seen.id.clone()).and_modify(|record| {
                // What was read meanwhile is newer.
                if record.version == now.version && record.retired_at.is_none() {
                    *record = Arc::new(now);
                }
            });
        }
        {
            let mut unwritten = self.shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
            if unwritten.len() >= UNWRITTEN_MAX {
                unwritten.pop_front();
            }
            unwritten.push_back(seen);
            // Whoever comes to write the first takes all that is there by then.
            if unwritten.len() > 1 {
                return;
            }
        }
        // Nobody waits for it: it is for people to look at, and a node comes in also while the store is away.
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let _in_order = shared.writing.lock().await;
            let seen = std::mem::take(&mut *shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner));
            if let Err(error) = shared.store.nodes_seen(&Vec::from(seen)).await {
                tracing::debug!(%error, "that nodes were seen could not be written down");
            }
        });
    }
}
