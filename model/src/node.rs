//! Nodes: machines that run scripts. A node is its key: whatever it is called, and wherever it stands.

use crate::clock::UnixMs;
use crate::placement::Labels;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node's id: the first [`NODE_ID_DIGITS`] hexadecimal digits of the SHA-256 of its public key
/// (SubjectPublicKeyInfo, DER).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(pattern = "^[0-9a-f]{20}$")]
pub struct NodeId(String);

/// Digits of a [`NodeId`]: 80 bits, too many for a second key with the same to be found.
pub const NODE_ID_DIGITS: usize = 20;

impl NodeId {
    /// The id of the key with this fingerprint.
    pub fn of(fingerprint: &crate::hash::ContentHash) -> Self {
        Self(fingerprint.to_string()[..NODE_ID_DIGITS].to_owned())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no node's id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node's id has {NODE_ID_DIGITS} digits from 0 to f")]
pub struct BadNodeId;

impl std::str::FromStr for NodeId {
    type Err = BadNodeId;

    fn from_str(text: &str) -> Result<Self, BadNodeId> {
        let fits =
            text.len() == NODE_ID_DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadNodeId) }
    }
}

/// What a node is right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// A stranger that asks to join, or was seen on the network: nobody has approved it.
    Waiting,
    /// Connected, and answers in time.
    Up,
    /// Connected, but its last beat is late or took long.
    Slow,
    /// Not heard of for [`AWAY_AFTER_MS`], or its connection is closed. It may be serving by itself.
    Away,
    /// Connected, and takes no new work.
    Draining,
    /// Away for [`LOST_AFTER_MS`].
    Lost,
    /// Removed: it is not let in again.
    Retired,
}

impl NodeState {
    /// All of them, in the order of the documentation.
    pub const ALL: &[Self] =
        &[Self::Waiting, Self::Up, Self::Slow, Self::Away, Self::Draining, Self::Lost, Self::Retired];

    /// The word in answers and on terminals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Up => "up",
            Self::Slow => "slow",
            Self::Away => "away",
            Self::Draining => "draining",
            Self::Lost => "lost",
            Self::Retired => "retired",
        }
    }
}

/// How long a node may be silent before it counts as away, and what it was running runs elsewhere.
pub const AWAY_AFTER_MS: i64 = 30_000;
/// How long a node may be away before it counts as lost.
pub const LOST_AFTER_MS: i64 = 24 * 60 * 60 * 1000;
/// Most nodes that may join.
pub const NODES_MAX: u32 = 1_000;

/// Whether a node is one that joined, or the appliance itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A control plane, which runs scripts, too.
    Appliance,
    /// A machine with the agent.
    Node,
}

/// A node as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its id.
    pub id: NodeId,
    /// What it is called; unique among those that are not retired.
    pub name: String,
    /// SHA-256 of its public key.
    pub fingerprint: crate::hash::ContentHash,
    /// What a person labelled it with.
    pub labels: Labels,
    /// What it says of itself: `arch`, `os`, `model`, `memory`, devices.
    pub facts: Labels,
    /// Takes no new work.
    pub draining: bool,
    /// Removed: when.
    pub retired_at: Option<UnixMs>,
    /// When it was let in.
    pub joined_at: UnixMs,
    /// When it was last seen to come or go.
    pub last_seen_at: Option<UnixMs>,
    /// When its certificate ends.
    pub certificate_expires_at: Option<UnixMs>,
    /// Counts its changes by people; the ETag.
    pub version: i64,
}

impl NodeRecord {
    /// What it is placed by: what it says of itself, its `name`, and above both what a person said.
    pub fn effective_labels(&self) -> Labels {
        let mut labels = self.facts.clone();
        labels.insert("name".to_owned(), self.name.clone());
        labels.extend(self.labels.clone());
        labels
    }
}

/// A node as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// What it is called.
    pub name: String,
    /// Node or appliance.
    pub kind: NodeKind,
    /// What it is right now.
    pub state: NodeState,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<UnixMs>,
    /// Its key's fingerprint, as its console shows it: to be compared before it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What a person labelled it with.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// What it says of itself.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub facts: Labels,
    /// The program's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it answers requests: `http://192.168.1.20:8080`.
    pub urls: Vec<String>,
    /// Whether it answers from all that was deployed; absent while it is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_step: Option<bool>,
    /// The change it answers from, counted since its appliance started; absent while it is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_revision: Option<u64>,
    /// The newest change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Deliveries it is running.
    pub running: u32,
    /// Deliveries it takes at once; absent while it is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<u32>,
    /// Publishes that wait on it to be forwarded, as it last said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spooled: Option<u64>,
    /// How long its last beat took to be answered, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    /// The appliance it is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appliance: Option<String>,
    /// When it was let in.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub joined_at: Option<UnixMs>,
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<UnixMs>,
    /// When its certificate ends; it renews it by itself long before.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub certificate_expires_at: Option<UnixMs>,
    /// Counts its changes by people; the ETag. 0 of one that waits.
    pub revision_of_record: i64,
}

/// A change of a node: what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodePatch {
    /// What it is to be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All of its own labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub labels: Option<Labels>,
}

/// What letting a stranger in may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveInput {
    /// What it is to be called; what it calls itself where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its labels.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// The fingerprint that was compared: where given, another is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The node whose place it takes, by id or name: its name and labels become its own, and that one is retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// What is wrong with a node's name, if anything: `[a-z0-9][a-z0-9-]{0,62}`, and no id.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || name.starts_with('-') || !name.bytes().all(fits) {
        return Err(format!("{name:?} is no name of a node: 1 to 63 of a-z, 0-9 and `-`, and no `-` at the beginning"));
    }
    if name.parse::<NodeId>().is_ok() {
        return Err(format!("{name:?} looks like a node's id; choose another name"));
    }
    Ok(())
}
