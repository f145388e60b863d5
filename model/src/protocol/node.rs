//! What a node and an appliance say to each other, over two streams of one HTTP/2 connection with mutual TLS.
//!
//! The control stream (`POST /node/v1/control`) carries [`FromNode`] up and [`ToNode`] down for as long as both live;
//! the call stream (`POST /node/v1/calls`) carries [`NodeCall`] up and [`NodeReply`] down. Framing is that of the
//! worker's socket. Unlike there, the two ends may be of two versions: what stands here, and all it reaches, keeps its
//! form within one [`PROTOCOL`]; a new variant goes to the end and is sent only to whoever speaks the protocol that
//! brought it. `tests/node_protocol.rs` holds the bytes of every frame.

use super::counts::Counts;
use super::run::{RunRequest, RunResult};
use super::services::{Caller, ServiceFailure, ServiceReply, ServiceRequest};
use super::snapshot::{AppSnapshot, KeyEntry, Snapshot};
use crate::execution::Execution;
use crate::ids::{AppId, EventId, ExecutionId};
use crate::placement::Labels;
use crate::protocol::LostRun;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The protocol that this build speaks.
pub const PROTOCOL: u32 = 1;
/// The oldest that it speaks as well.
pub const PROTOCOL_OLDEST: u32 = 1;
/// The header of every request of a node, with the protocols it speaks: `1-2`; and of every answer, with the one chosen.
pub const PROTOCOL_HEADER: &str = "picloud-protocol";

/// Where a stranger asks to join; the answer comes when somebody has decided.
pub const PATH_ENROL: &str = "/node/v1/enrol";
/// Where a node gets its next certificate.
pub const PATH_RENEW: &str = "/node/v1/renew";
/// The control stream.
pub const PATH_CONTROL: &str = "/node/v1/control";
/// The call stream.
pub const PATH_CALLS: &str = "/node/v1/calls";
/// Longest body of [`PATH_ENROL`] and [`PATH_RENEW`].
pub const ENROL_BYTES_MAX: usize = 16 * 1024;

/// A node with work beats so often …
pub const BEAT_BUSY_MS: u64 = 5_000;
/// … and one without so often: two small packets and their acknowledgements a beat are under 1 MB a day.
pub const BEAT_IDLE_MS: u64 = 40_000;
/// A node whose last beat took longer to be answered is slow: it beats as a busy one, so that it is not slow for longer.
pub const SLOW_ROUND_TRIP_MS: u32 = 1_000;
/// Without an answer for so long after a beat, the appliance counts as away.
pub const BEAT_ANSWER_MS: u64 = 10_000;

/// Which protocol two speak, each given as `oldest-newest` in [`PROTOCOL_HEADER`]: the newest of both; or why none.
pub fn agree(ours: (u32, u32), theirs: &str) -> Result<u32, String> {
    let range = theirs.split_once('-').and_then(|(oldest, newest)| Some((oldest.parse().ok()?, newest.parse().ok()?)));
    let Some((oldest, newest)) = range.filter(|(oldest, newest): &(u32, u32)| oldest <= newest) else {
        return Err(format!("{theirs:?} is no range of protocols; one looks like `1-2`"));
    };
    let best = ours.1.min(newest);
    if best >= ours.0.max(oldest) {
        Ok(best)
    } else {
        let older = if newest < ours.0 { "that machine" } else { "this machine" };
        Err(format!(
            "one end speaks the node protocols {}-{}, the other {oldest}-{newest}: update PiCloud on {older}",
            ours.0, ours.1
        ))
    }
}

/// What a stranger says to be let in: JSON, for it comes before any protocol was agreed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enrol {
    /// A certificate request in PEM, signed with the node's key; of it only the key is taken.
    pub csr: String,
    /// What it calls itself.
    pub name: String,
    /// What it says of itself.
    pub facts: Labels,
    /// Its program's version.
    pub version: String,
    /// A join token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What it gets when it is let in: JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its certificate in PEM.
    pub certificate: String,
    /// The CA's in PEM.
    pub ca: String,
    /// What it is called from now on.
    pub name: String,
}

/// The first frame of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeHello {
    /// Its program's version.
    pub version: String,
    /// What it says of itself.
    pub facts: Labels,
    /// Where it answers requests.
    pub urls: Vec<String>,
    /// Deliveries it takes at once.
    pub places: u32,
    /// Runs that an appliance gave it and that are under way, or over and not yet taken note of.
    pub holding: Vec<ExecutionId>,
    /// A number that is another at each start of the agent.
    pub incarnation: u64,
}

/// What a node says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one is in hand at a time, on its way to or from a frame")]
pub enum FromNode {
    /// Who it is; the first frame.
    Hello(NodeHello),
    /// It is there. Answered with [`ToNode::Beat`].
    Beat {
        /// Counts up.
        number: u64,
        /// How long the last one took to be answered, in milliseconds; 0 for the first.
        round_trip_ms: u32,
        /// Publishes that wait to be forwarded.
        spooled: u64,
    },
    /// Requests are answered from this revision on.
    Applied {
        /// [`ToNode::Snapshot`]'s and its successors'.
        revision: u64,
    },
    /// A run is over. Said again after a reconnect, until [`ToNode::Taken`] names it.
    RunDone {
        /// The run.
        run: ExecutionId,
        /// What came of it; a failure where it did not run to its end.
        result: Result<RunResult, ServiceFailure>,
    },
    /// Runs that ended and are to be kept or shown. Said again after a reconnect, until [`ToNode::TakenExecutions`]
    /// names the batch.
    Executions {
        /// Counts up with every batch since the agent's start.
        batch: u64,
        /// The runs.
        executions: Vec<Execution>,
        /// Runs whose records were dropped since the last batch, for want of room.
        dropped: u64,
    },
    /// What was counted since the last of these.
    Counts(Counts),
    /// The worker died with these.
    WorkerLost(Vec<LostRun>),
    /// It stops in an orderly way: what it held and has not told of by now, it does not run.
    Goodbye,
}

/// What an appliance says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToNode {
    /// The answer to [`NodeHello`]; the first frame.
    Welcome {
        /// The appliance's name.
        appliance: String,
        /// The appliance's program's version.
        version: String,
        /// What the node is called: `ctx.node`.
        name: String,
        /// Where else appliances of this store answer (`host:port`), for when this one goes.
        others: Vec<String>,
    },
    /// All apps as this node is to serve them.
    Snapshot(Snapshot),
    /// One app is new or changed.
    AppChanged {
        /// The snapshot's new revision.
        revision: u64,
        /// The app, whole.
        app: Arc<AppSnapshot>,
    },
    /// One app is gone.
    AppRemoved {
        /// The snapshot's new revision.
        revision: u64,
        /// Which.
        app: AppId,
    },
    /// The API keys that may call routes, all of them.
    Keys {
        /// The snapshot's new revision.
        revision: u64,
        /// The keys.
        keys: Arc<Vec<KeyEntry>>,
    },
    /// An app's secrets, all of them. Kept in memory only.
    Secrets {
        /// The app.
        app: AppId,
        /// Each with who may read it.
        secrets: Vec<SecretEntry>,
    },
    /// Run these.
    Run(Vec<RunRequest>),
    /// The results of these are kept.
    Taken(Vec<ExecutionId>),
    /// The batches up to this one are kept.
    TakenExecutions {
        /// [`FromNode::Executions`]'s.
        batch: u64,
    },
    /// The answer to [`FromNode::Beat`].
    Beat {
        /// [`FromNode::Beat`]'s.
        number: u64,
    },
    /// Take no new work and say so to whoever asks for its health; or take it again.
    Drain(bool),
    /// It was removed: forget everything of this appliance, and end.
    Retired,
}

/// A secret as a node needs it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretEntry {
    /// Its name.
    pub name: String,
    /// The scripts that may read it; `*` for all.
    pub scripts: Vec<String>,
    /// Its value.
    pub value: String,
}

impl std::fmt::Debug for SecretEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One effect or look-up of a run on a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeCall {
    /// Chosen by the node, unique among those without an answer.
    pub id: u64,
    /// For whom.
    pub caller: Caller,
    /// How long the answer is worth anything, in milliseconds from now.
    pub deadline_ms: u32,
    /// Of a publish: what makes a second one of it none.
    pub once: Option<Once>,
    /// What is asked.
    pub request: ServiceRequest,
}

/// The answer to a [`NodeCall`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeReply {
    /// [`NodeCall`]'s.
    pub id: u64,
    /// The answer.
    pub result: Result<ServiceReply, ServiceFailure>,
}

/// What makes a publish of a node happen once, however often it is said.
///
/// A node numbers its publishes. The store keeps the numbers of a node that are not settled, in the transaction of the
/// publish, and forgets those below [`Once::settled_below`]: the node will not say them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// Its number; never given twice by one node.
    pub number: u64,
    /// All below this have been answered, or were never said.
    pub settled_below: u64,
    /// The event's id, chosen by the node, so that a script whose publish waits in the spool knows it.
    pub event: EventId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_versions_agree_on_the_newest_protocol_of_both_or_say_who_is_to_be_updated() {
        for (ours, theirs, agreed) in [
            ((1, 1), "1-1", Some(1)),
            ((1, 2), "1-1", Some(1)),
            ((1, 2), "2-3", Some(2)),
            ((2, 3), "1-1", None),
            ((1, 1), "2-3", None),
            ((1, 1), "2-1", None),
            ((1, 1), "", None),
            ((1, 1), "a-b", None),
        ] {
            assert_eq!(agree(ours, theirs).ok(), agreed, "{ours:?} {theirs:?}");
        }
        insta::assert_snapshot!(agree((2, 3), "1-1").unwrap_err(), @"one end speaks the node protocols 2-3, the other 1-1: update PiCloud on that machine");
    }
}
