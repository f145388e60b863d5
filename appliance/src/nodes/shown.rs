//! Nodes as people see them.

use super::Cluster;
use super::strangers::Stranger;
use picloud_cluster::identity::whole_fingerprint_groups;
use picloud_model::hash::ContentHash;
use picloud_model::node::{LOST_AFTER_MS, Node, NodeId, NodeKind, NodeRecord, NodeState};
use picloud_model::placement::Labels;
use picloud_model::problem::{Code, Problem};
use std::sync::{Arc, PoisonError};

/// Fewest digits by which a stranger's fingerprint is recognised.
const FINGERPRINT_DIGITS_MIN: usize = 8;

/// Whom a word means.
pub(super) enum Found {
    /// An appliance: this one or another.
    Appliance(Box<Node>),
    /// One that was let in, or was removed.
    Record(Arc<NodeRecord>),
    /// One that waits.
    Stranger(Box<Stranger>),
}

impl Cluster {
    /// All nodes: this appliance, others on its database, those that joined, strangers that wait; by name.
    pub async fn nodes(&self) -> Result<Vec<Node>, Problem> {
        self.freshen().await;
        let records = self.all_records();
        let mut nodes = self.appliances();
        nodes.extend(records.iter().map(|record| self.shown(record)));
        let strangers = self.strangers().all(self.shared.clock.now_ms());
        if strangers.iter().any(|stranger| !stranger.has_asked) {
            self.shared.looked.notify_one();
        }
        nodes.extend(strangers.into_iter().map(waiting));
        // Those that are no more come last.
        nodes.sort_by(|a, b| {
            let key = |node: &Node| (node.state == NodeState::Retired, node.name.clone(), node.id.clone());
            key(a).cmp(&key(b))
        });
        Ok(nodes)
    }

    /// Waits until somebody looks at strangers of whom one was only seen.
    pub(super) async fn looked_at_strangers(&self) {
        self.shared.looked.notified().await;
    }

    /// Strangers that have not asked.
    pub(super) fn strangers_that_were_only_seen(&self) -> Vec<NodeId> {
        let strangers = self.strangers().all(self.shared.clock.now_ms());
        strangers.into_iter().filter(|stranger| !stranger.has_asked).map(|stranger| stranger.id).collect()
    }

    /// One of them, by id or by name (an id goes first; a stranger by the beginning of its fingerprint, too).
    pub async fn node(&self, node: &str) -> Result<Node, Problem> {
        self.freshen().await;
        Ok(match self.find(node)? {
            Found::Appliance(node) => *node,
            Found::Record(record) => self.shown(&record),
            Found::Stranger(stranger) => waiting(*stranger),
        })
    }

    /// What nodes of other appliances were seen with stands in the store; where it does not answer, what was known is.
    async fn freshen(&self) {
        if self.other_addresses().is_empty() {
            return;
        }
        let read = async {
            self.reload().await?;
            self.shared.store.connected_elsewhere().await
        };
        match read.await {
            Ok(elsewhere) => {
                *self.shared.elsewhere.write().unwrap_or_else(PoisonError::into_inner) =
                    elsewhere.into_iter().collect();
            }
            Err(error) => tracing::debug!(%error, "nodes could not be read anew"),
        }
    }

    /// Whom `word` means.
    pub(super) fn find(&self, word: &str) -> Result<Found, Problem> {
        let records = self.all_records();
        let strangers = self.strangers().all(self.shared.clock.now_ms());
        if let Ok(id) = word.parse::<NodeId>() {
            if let Some(record) = records.iter().find(|record| record.id == id) {
                return Ok(Found::Record(Arc::clone(record)));
            }
            if let Some(stranger) = strangers.iter().find(|stranger| stranger.id == id) {
                return Ok(Found::Stranger(Box::new(stranger.clone())));
            }
        }
        let mut appliances = self.appliances();
        if let Some(at) = appliances.iter().position(|node| node.name == word || node.id.as_str() == word) {
            return Ok(Found::Appliance(Box::new(appliances.swap_remove(at))));
        }
        let named =
            |retired| move |record: &&Arc<NodeRecord>| record.name == word && record.retired_at.is_some() == retired;
        if let Some(record) = records.iter().find(named(false)) {
            return Ok(Found::Record(Arc::clone(record)));
        }
        let digits: String =
            word.chars().filter(|c| !c.is_whitespace() && *c != ':').map(|c| c.to_ascii_lowercase()).collect();
        let is_meant = |stranger: &&Stranger| {
            let by_fingerprint =
                digits.len() >= FINGERPRINT_DIGITS_MIN && stranger.fingerprint.to_string().starts_with(&digits);
            stranger.name == word || by_fingerprint
        };
        let mut meant: Vec<&Stranger> = strangers.iter().filter(is_meant).collect();
        match (meant.pop(), meant.len()) {
            (Some(stranger), 0) => return Ok(Found::Stranger(Box::new(stranger.clone()))),
            (Some(_), others) => {
                let detail = format!("{} machines that wait are called `{word}`", others + 1);
                let ids = strangers.iter().filter(is_meant).map(|stranger| stranger.id.to_string()).collect();
                return Err(Problem::new(Code::Conflict, detail).hint("say which, by its id").conflicts(ids));
            }
            (None, _) => {}
        }
        let retired = records.iter().find(named(true));
        retired.cloned().map(Found::Record).ok_or_else(|| {
            Problem::not_found("node", word).hint("`picloud nodes` lists those that joined and those that wait")
        })
    }

    /// This appliance, and others on its database.
    fn appliances(&self) -> Vec<Node> {
        let own = &self.shared.own;
        let mut ingress = own.ingress_addr;
        if ingress.ip().is_unspecified()
            && let Some(ip) = crate::admin::main_address()
        {
            ingress.set_ip(ip);
        }
        let revision = self.hub.revision();
        let others = self.shared.others.read().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |name: &str| Node { kind: NodeKind::Appliance, ..blank(name, NodeState::Up) };
        let this = Node {
            fingerprint: self.ca_fingerprint().map(|ca| whole_fingerprint_groups(&ca)),
            facts: Labels::clone(self.shared.registry.own_labels()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            urls: vec![format!("http://{ingress}")],
            in_step: Some(true),
            applied_revision: Some(revision),
            revision: Some(revision),
            places: Some(own.concurrency),
            ..of(&self.shared.node)
        };
        // Two may be called the same: where they are reached tells them apart.
        let others = others.iter().map(|(name, addr)| Node { id: id_of(&[name, addr]), ..of(name) });
        std::iter::once(this).chain(others).collect()
    }

    /// One that was let in.
    pub(super) fn shown(&self, record: &NodeRecord) -> Node {
        let now = self.shared.clock.now_ms();
        let ms = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let mut node = Node {
            id: record.id.clone(),
            fingerprint: Some(whole_fingerprint_groups(&record.fingerprint)),
            labels: record.labels.clone(),
            facts: record.facts.clone(),
            joined_at: Some(record.joined_at),
            last_seen_at: record.last_seen_at,
            certificate_expires_at: record.certificate_expires_at,
            revision_of_record: record.version,
            ..blank(&record.name, NodeState::Away)
        };
        if let Some(at) = record.retired_at {
            return Node { state: NodeState::Retired, since: Some(at), ..node };
        }
        let Some(live) = self.hub.shown(&record.id) else {
            let since = record.last_seen_at.unwrap_or(record.joined_at);
            let elsewhere =
                self.shared.elsewhere.read().unwrap_or_else(PoisonError::into_inner).get(&record.id).cloned();
            if elsewhere.is_some() {
                let state = if record.draining { NodeState::Draining } else { NodeState::Up };
                return Node { state, since: Some(since), appliance: elsewhere, ..node };
            }
            let is_lost = now.saturating_sub(since) >= LOST_AFTER_MS;
            node.state = if is_lost { NodeState::Lost } else { NodeState::Away };
            return Node { since: Some(since), ..node };
        };
        let state = match (record.draining, live.slow) {
            (true, _) => NodeState::Draining,
            (false, true) => NodeState::Slow,
            (false, false) => NodeState::Up,
        };
        Node {
            state,
            since: Some(now.saturating_sub(ms(live.connected))),
            facts: live.hello.facts,
            version: Some(live.hello.version),
            urls: live.hello.urls,
            in_step: Some(live.applied == live.revision),
            applied_revision: Some(live.applied),
            revision: Some(live.revision),
            running: live.running,
            places: Some(live.hello.places),
            spooled: live.spooled,
            round_trip_ms: live.round_trip_ms,
            appliance: Some(self.shared.node.clone()),
            last_seen_at: Some(now.saturating_sub(ms(live.heard))),
            ..node
        }
    }
}

/// One that waits.
fn waiting(stranger: Stranger) -> Node {
    Node {
        id: stranger.id,
        since: Some(stranger.first_at),
        fingerprint: Some(whole_fingerprint_groups(&stranger.fingerprint)),
        facts: stranger.facts,
        version: stranger.version,
        urls: Vec::new(),
        last_seen_at: Some(stranger.last_at),
        ..blank(&stranger.name, NodeState::Waiting)
    }
}

fn blank(name: &str, state: NodeState) -> Node {
    Node {
        id: id_of(&[name]),
        name: name.to_owned(),
        kind: NodeKind::Node,
        state,
        since: None,
        fingerprint: None,
        labels: Labels::new(),
        facts: Labels::new(),
        version: None,
        urls: Vec::new(),
        in_step: None,
        applied_revision: None,
        revision: None,
        running: 0,
        places: None,
        spooled: None,
        round_trip_ms: None,
        appliance: None,
        joined_at: None,
        last_seen_at: None,
        certificate_expires_at: None,
        revision_of_record: 0,
    }
}

/// The id of an appliance, which has no key of a node.
fn id_of(words: &[&str]) -> NodeId {
    NodeId::of(&ContentHash::of(format!("appliance {}", words.join(" ")).as_bytes()))
}
