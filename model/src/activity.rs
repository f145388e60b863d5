//! Activity: how everything is at this moment, in one look. What a person who comes in wants to know first.

use crate::clock::UnixMs;
use crate::execution::Outcome;
use crate::ids::ExecutionId;
use crate::node::{NodeId, NodeKind, NodeState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Minutes that are told of, each with runs.
pub const ACTIVITY_MINUTES_MAX: usize = 60;
/// Runs that are told of.
pub const ACTIVITY_RUNS_MAX: usize = 20;
/// Nodes that are told of one by one.
pub const ACTIVITY_NODES_MAX: usize = 100;
/// Things that need a person that are told of, the gravest first.
pub const ACTIVITY_NEEDS_MAX: usize = 100;

/// How everything is, as far as whoever asks may see it: what is of apps, of those whose runs they may read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Activity {
    /// When.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMs,
    /// How many apps there are.
    pub apps: u64,
    /// Scripts and modules of all of these.
    pub scripts: u64,
    /// Appliances and nodes by name, up to 100: those first that are not well. Machines that wait are in `needs`.
    pub nodes: Vec<NodeGlance>,
    /// How many appliances and nodes are in each state; states without any are left out.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub nodes_by_state: BTreeMap<NodeState, u64>,
    /// The runs of the last hour by minute, oldest first; only minutes with runs.
    pub hour: Vec<MinuteCounts>,
    /// The runs of the last hour by what started them; only causes with runs.
    pub causes: Vec<CauseCount>,
    /// Since when every run is counted. Of the time before, when the appliance was not there, only those are counted
    /// that the history keeps.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub counted_since: UnixMs,
    /// The newest runs, newest first, up to 20.
    pub recent: Vec<RunGlance>,
    /// What needs a person, the gravest first; empty where all is well.
    pub needs: Vec<Need>,
}

/// A machine at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeGlance {
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
    /// Deliveries it is running.
    pub running: u32,
    /// Deliveries it takes at once; absent while it is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<u32>,
    /// Whether it answers from all that was deployed; absent while it is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_step: Option<bool>,
}

/// The runs of one minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MinuteCounts {
    /// When the minute began.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub minute: UnixMs,
    /// Runs that ended in it.
    pub runs: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// So many milliseconds or less took 95 of 100 of them, about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}

/// What starts runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// A request to a route, and a run that somebody asked for.
    Http,
    /// A schedule.
    Cron,
    /// A key.
    Kv,
    /// A file.
    Files,
    /// A publish.
    Pubsub,
    /// A dead letter.
    DeadLetter,
    /// A timer of a script.
    Timer,
    /// A request that is answered later.
    Later,
}

impl RunCause {
    /// All of them, in the order they are shown.
    pub const ALL: &[Self] =
        &[Self::Http, Self::Cron, Self::Kv, Self::Files, Self::Pubsub, Self::DeadLetter, Self::Timer, Self::Later];

    /// The word in answers and on terminals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Cron => "cron",
            Self::Kv => "kv",
            Self::Files => "files",
            Self::Pubsub => "pubsub",
            Self::DeadLetter => "dead_letter",
            Self::Timer => "timer",
            Self::Later => "later",
        }
    }
}

/// How many runs something started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CauseCount {
    /// What.
    pub cause: RunCause,
    /// How many.
    pub runs: u64,
}

/// A run at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunGlance {
    /// Its id.
    pub id: ExecutionId,
    /// The app.
    pub app: String,
    /// The script.
    pub script: String,
    /// What started it: `GET /hello`, `trigger on-widget`, `run`, …
    pub cause: String,
    /// The machine.
    pub node: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The status it was answered with; 0 where nothing was answered.
    pub status: u16,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// When it started.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: UnixMs,
    /// The first line of why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A backup that is older: a timer makes one a day, and three days without are no accident.
pub const BACKUP_OLD_MS: i64 = 3 * 24 * 60 * 60 * 1_000;

/// What kind of thing needs a person; the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeedKind {
    /// The disk with the data is full, or nearly.
    StoreFull,
    /// The history's file is damaged: nothing is kept of runs.
    HistoryDamaged,
    /// The last backup into the repository failed.
    BackupFailed,
    /// A machine asks to be let in.
    NodeWaiting,
    /// A node is away for a day or more.
    NodeLost,
    /// A node is away for ten minutes or more.
    NodeAway,
    /// A script that is not run any more, since it took its worker down.
    Quarantined,
    /// A trigger that paused itself after dead letters in a row.
    TriggerPaused,
    /// A script whose newest version has only failed so far.
    Failing,
    /// Dead letters.
    DeadLetters,
    /// A certificate that ends soon, and should have been renewed.
    CertificateEnding,
    /// The newest backup in the repository is three days old or older.
    BackupOld,
}

impl NeedKind {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StoreFull => "store_full",
            Self::HistoryDamaged => "history_damaged",
            Self::BackupFailed => "backup_failed",
            Self::NodeWaiting => "node_waiting",
            Self::NodeLost => "node_lost",
            Self::NodeAway => "node_away",
            Self::Quarantined => "quarantined",
            Self::TriggerPaused => "trigger_paused",
            Self::Failing => "failing",
            Self::DeadLetters => "dead_letters",
            Self::CertificateEnding => "certificate_ending",
            Self::BackupOld => "backup_old",
        }
    }
}

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Need {
    /// What kind of thing.
    pub kind: NeedKind,
    /// In which app, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// What it is about: the node's id, the script, the trigger (empty for letters of no trigger), the folder,
    /// the repository.
    pub target: String,
    /// How many: dead letters, failed runs, crashes; 1 where it is one thing.
    pub count: u64,
    /// A sentence, without what `target` says already.
    pub text: String,
    /// Since when, or when last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<UnixMs>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_answers() {
        for cause in RunCause::ALL {
            assert_eq!(serde_json::json!(cause), cause.as_str());
        }
        for kind in [NeedKind::StoreFull, NeedKind::BackupFailed, NeedKind::DeadLetters, NeedKind::BackupOld] {
            assert_eq!(serde_json::json!(kind), kind.as_str());
        }
    }
}
