//! Triggers: which events start which script, and how often it is tried.

use crate::clock::UnixMs;
use crate::ids::TriggerId;
use crate::placement::Placement;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a trigger listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// Keys of a collection.
    Kv,
    /// Files of a collection.
    Files,
    /// A schedule.
    Cron,
    /// A topic.
    Pubsub,
    /// Deliveries that were given up.
    DeadLetter,
}

impl TriggerKind {
    /// All of them, in the order of the documentation.
    pub const ALL: &[Self] = &[Self::Kv, Self::Files, Self::Cron, Self::Pubsub, Self::DeadLetter];

    /// The word in tables, app folders and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Files => "files",
            Self::Cron => "cron",
            Self::Pubsub => "pubsub",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// What happened to a key (`insert`, `update`, `delete`) or a file (`create`, `update`, `delete`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A key that was not there was set.
    Insert,
    /// A file was made.
    Create,
    /// A key that was there was set; a file changed.
    Update,
    /// It is gone.
    Delete,
}

impl Op {
    /// The word in app folders and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What becomes of schedule times that nobody was there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing.
    Skip,
    /// One run for all of them.
    #[default]
    Once,
    /// One run for each, up to [`MISSED_SLOTS_MAX`].
    All,
}

/// Most runs for missed times of one schedule.
pub const MISSED_SLOTS_MAX: u32 = 100;

/// What becomes of a schedule time while an earlier one is still under way or waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out, and that is written down.
    #[default]
    Skip,
    /// It waits until that is done.
    Queue,
    /// It runs beside.
    Allow,
}

/// How a failed delivery is tried again: after a random time between 0 and `base_ms · factorⁿ`, at most `max_ms`
/// (full jitter, as in "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts, the first one included.
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: u32,
    /// The bound after the first failure.
    #[schema(minimum = 1, maximum = 86_400_000)]
    pub base_ms: u64,
    /// What the bound grows by at each further one.
    #[schema(minimum = 1, maximum = 100)]
    pub factor: f64,
    /// The bound's own bound.
    #[schema(minimum = 1, maximum = 604_800_000)]
    pub max_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 5, base_ms: 2_000, factor: 4.0, max_ms: 900_000 }
    }
}

impl Retry {
    /// How long to wait after attempt `attempt` (from 1) failed; `chance` is from 0 to 1.
    pub fn delay_ms(&self, attempt: u32, chance: f64) -> u64 {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let bound = (self.base_ms as f64 * self.factor.powi(exponent)).min(self.max_ms as f64);
        (bound * chance.clamp(0.0, 1.0)) as u64
    }
}

/// Dead letters in a row after which a trigger is paused, where it does not say.
pub const PAUSE_AFTER_DEFAULT: u32 = 10;

/// A trigger as the app folder and the admin API write it. Which fields a kind has is for [`TriggerSpec::check`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSpec {
    /// Its name within the app: `[a-z][a-z0-9_-]{0,62}`.
    #[schema(pattern = "^[a-z][a-z0-9_-]{0,62}$")]
    pub name: String,
    /// What it listens to.
    pub kind: TriggerKind,
    /// The endpoint it starts.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,62}$")]
    pub script: String,
    /// `kv`, `files`: the collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// `kv`, `files`: only keys or names that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `kv`, `files`: only these; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<Op>,
    /// `pubsub`: the topic; `+` stands for one segment, `#` at the end for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// `dead_letter`: only letters of this trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// `cron`: 5 or 6 fields, `@hourly`, `every 90s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// `cron`: an IANA time zone; UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// `cron`: `once` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
    /// `cron`: `skip` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// Only events whose fields are so: a path (`value.room`) → a value, or a table of conditions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", rename = "match")]
    #[schema(value_type = Object)]
    pub matches: BTreeMap<String, Value>,
    /// How failures are tried again; the defaults where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// At most so many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub concurrency: Option<u32>,
    /// A path (`key`, `value.device`): events with the same value there run one after the other, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering_key: Option<String>,
    /// An event older than this is not tried (again) but a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_age_ms: Option<u64>,
    /// Dead letters in a row after which it is paused, 0 for never; [`PAUSE_AFTER_DEFAULT`] where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10_000)]
    pub pause_after: Option<u32>,
    /// Only on nodes with all of these labels; beside what its script needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub needs: Vec<String>,
    /// On no node with any of these labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub avoid: Vec<String>,
    /// Rather on nodes with more of these labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub prefers: Vec<String>,
}

impl TriggerSpec {
    /// A trigger that says only this.
    pub fn new(name: &str, kind: TriggerKind, script: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            script: script.to_owned(),
            collection: None,
            prefix: None,
            ops: Vec::new(),
            topic: None,
            trigger: None,
            schedule: None,
            timezone: None,
            missed: None,
            overlap: None,
            matches: BTreeMap::new(),
            retry: None,
            concurrency: None,
            ordering_key: None,
            max_age_ms: None,
            pause_after: None,
            needs: Vec::new(),
            avoid: Vec::new(),
            prefers: Vec::new(),
        }
    }

    /// Where its runs may run.
    pub fn placement(&self) -> Placement {
        Placement { needs: self.needs.clone(), avoid: self.avoid.clone(), prefers: self.prefers.clone() }
    }

    /// How failures are tried again.
    pub fn retry(&self) -> Retry {
        self.retry.unwrap_or_default()
    }
}

/// A trigger as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trigger {
    /// Its id.
    pub id: TriggerId,
    /// What it says.
    #[serde(flatten)]
    pub spec: TriggerSpec,
    /// Counts its changes; the ETag.
    pub version: i64,
    /// Why it starts nothing now, if so; what happens meanwhile is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// Dead letters in a row.
    pub failures: u32,
    /// Deliveries that wait or are under way.
    pub queued: i64,
    /// Its dead letters.
    pub dead_letters: i64,
    /// `cron`: when it starts next.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<UnixMs>,
    /// When it was made.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMs,
    /// When it last changed.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMs,
}

/// Since when and why a trigger is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Paused {
    /// Since when.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: UnixMs,
    /// Who or what paused it.
    pub reason: String,
}
