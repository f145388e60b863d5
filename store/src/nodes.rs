//! The traits of a cluster: nodes, the tokens they join with, what is kept under a name, and news from other appliances
//! on the same database.

use crate::Result;
#[expect(unused_imports, reason = "documentation names it")]
use crate::StoreError;
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::join_token::JoinToken;
use picloud_model::node::{NodeId, NodePatch, NodeRecord};
use picloud_model::page::{Page, PageRequest};
use picloud_model::placement::Labels;
use picloud_model::protocol::node::Once;
use picloud_model::publish::{Publish, Published};

/// A node to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeWrite {
    /// SHA-256 of its public key; its id comes from it.
    pub fingerprint: ContentHash,
    /// What it is to be called.
    pub name: String,
    /// What a person labelled it with.
    pub labels: Labels,
    /// What it says of itself.
    pub facts: Labels,
}

/// What came of a try to join with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenJoin {
    /// It is in.
    Joined(NodeRecord),
    /// There is no such token with this secret, it has expired, or it has no uses left; nothing changed.
    Refused,
}

/// What a node was seen with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// Which.
    pub id: NodeId,
    /// When.
    pub at: UnixMs,
    /// What it says of itself, where that is known.
    pub facts: Option<Labels>,
    /// When the certificate that it was given now ends, where it was given one.
    pub certificate_expires_at: Option<UnixMs>,
    /// Whether it is connected to this appliance from now on, or is not any more; `None` where neither changed.
    pub connected: Option<bool>,
}

/// A token to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinTokenWrite {
    /// SHA-256 of its secret.
    pub hash: ContentHash,
    /// The labels of nodes that join with it.
    pub labels: Labels,
    /// How many nodes it lets in.
    pub uses: u32,
    /// From when on it is refused.
    pub expires_at: UnixMs,
}

/// Nodes that joined. What they are doing right now is not here: it is known to the appliance they are connected to.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// All that were let in, retired ones last, by name.
    async fn nodes(&self) -> Result<Vec<NodeRecord>>;
    /// One of them.
    async fn node(&self, id: &NodeId) -> Result<Option<NodeRecord>>;
    /// Lets one in. One with this key that is in already is answered as it is; one that is retired, a taken name, and one
    /// more than [`picloud_model::node::NODES_MAX`] are a [`StoreError::Conflict`].
    async fn admit_node(&self, node: &NodeWrite, act: &Act) -> Result<NodeRecord>;
    /// Lets one in that takes the place of `old`: its name and its own labels; `old` is retired, in one transaction. `None`
    /// where there is no `old` (any more).
    async fn replace_node(&self, old: &NodeId, node: &NodeWrite, act: &Act) -> Result<Option<NodeRecord>>;
    /// Changes what `patch` names; `expected` is the version it must be at. [`StoreError::Conflict`] where the name is
    /// taken.
    async fn change_node(
        &self,
        id: &NodeId,
        patch: &NodePatch,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Option<NodeRecord>>;
    /// Has it take no new work, or take it again. No entry in the audit log where that is so already.
    async fn drain_node(&self, id: &NodeId, draining: bool, act: &Act) -> Result<Option<NodeRecord>>;
    /// Removes it: it is not let in again. Answers whether it was there and not retired.
    async fn retire_node(&self, id: &NodeId, expected: Option<i64>, act: &Act) -> Result<bool>;
    /// Notes what nodes were seen with; later ones only.
    async fn nodes_seen(&self, seen: &[NodeSeen]) -> Result<()>;
    /// Tokens, newest first, also those that do not hold any more and have not been dropped yet.
    async fn join_tokens(&self, page: &PageRequest) -> Result<Page<JoinToken>>;
    /// Makes one.
    async fn create_join_token(&self, token: &JoinTokenWrite, act: &Act) -> Result<JoinToken>;
    /// Removes one. Answers whether it was there.
    async fn delete_join_token(&self, id: i64, act: &Act) -> Result<bool>;
    /// Lets one in by token `id` with the secret of this hash, and counts that against the token, in one transaction. The
    /// token's labels become its own. A node that is in already uses nothing up. A taken name gets `-2`, `-3`, ….
    async fn admit_by_token(&self, id: i64, hash: ContentHash, node: &NodeWrite, act: &Act) -> Result<TokenJoin>;
    /// Drops up to `rows_max` tokens that ended before `now`; answers how many.
    async fn expire_join_tokens(&self, now: UnixMs, rows_max: u32) -> Result<u64>;
    /// What [`crate::Events::publish`] does, once for this number of this node: a second time answers as if it had been done
    /// just now, and does nothing. Forgets the node's numbers below [`Once::settled_below`].
    async fn publish_once(
        &self,
        app: AppId,
        publish: Publish,
        cause: &Cause,
        node: &NodeId,
        once: Once,
    ) -> Result<Published>;
}

/// What is kept under a name, for all appliances on one database.
#[async_trait]
pub trait Kept: Send + Sync {
    /// What is kept under `name`.
    async fn kept(&self, name: &str) -> Result<Option<Vec<u8>>>;
    /// Keeps `bytes` under `name` unless something is there already, and answers what is there then.
    async fn keep(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>>;
    /// Replaces what is kept under `name` where it is `expected`; answers whether it was.
    async fn replace_kept(&self, name: &str, expected: &[u8], bytes: &[u8]) -> Result<bool>;
}

/// Appliances that share a database.
#[async_trait]
pub trait Others: Send + Sync {
    /// Changes whenever another appliance may have changed apps, keys, secrets or nodes. Never on SQLite, which has one.
    fn others_signal(&self) -> tokio::sync::watch::Receiver<u64>;
    /// Every app's id and revision.
    async fn revisions(&self) -> Result<Vec<(AppId, i64)>>;
    /// Says that this appliance is there, and where it answers nodes (`host:port`); said again whenever that changes.
    async fn say_here(&self, name: &str, admin_addr: &str) -> Result<()>;
    /// Names and addresses of the other appliances that were there lately.
    async fn others(&self) -> Result<Vec<(String, String)>>;
    /// Nodes that are connected to another appliance which is there, each with that appliance's name.
    async fn connected_elsewhere(&self) -> Result<Vec<(NodeId, String)>>;
}
