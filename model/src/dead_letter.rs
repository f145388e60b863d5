//! Dead letters: deliveries that will not be tried again, kept so that a person can read, mend and send them again.

use crate::clock::UnixMs;
use crate::delivery::Attempt;
use crate::event::{EventKind, Hop};
use crate::ids::{DeadLetterId, EventId, ExecutionId};
use crate::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A dead letter as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// The trigger; absent for timers and requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The endpoint.
    pub script: String,
    /// The version that failed last.
    pub version: i64,
    /// The event's kind.
    pub kind: EventKind,
    /// The event's id.
    pub event_id: EventId,
    /// Why it failed last.
    pub error: Problem,
    /// How often it was tried.
    pub attempts: u32,
    /// When the event happened.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub first_at: UnixMs,
    /// When it was given up.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub last_at: UnixMs,
    /// Whether it started no dead-letter trigger, because it came of one.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// One dead letter with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeadLetterDetail {
    /// As in lists.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// The event as the script saw it.
    #[schema(value_type = Object)]
    pub event: Value,
    /// The run that everything began with.
    pub root_execution_id: ExecutionId,
    /// How many runs away from that.
    pub trigger_depth: u32,
    /// Every attempt, oldest first, up to [`ATTEMPTS_KEPT_MAX`].
    pub tried: Vec<Attempt>,
    /// The runs that led to it.
    pub chain: Vec<Hop>,
}

/// Attempts of a delivery that are kept, the newest.
pub const ATTEMPTS_KEPT_MAX: usize = 20;

/// What to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterQuery {
    /// Only of this trigger.
    #[serde(default)]
    pub trigger: Option<String>,
    /// At most so many.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// Where the last page ended.
    #[serde(default)]
    #[param(min_length = 1)]
    pub cursor: Option<String>,
}

/// How one is sent again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryInput {
    /// Fields of the event to replace; its id, kind and time stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub event: Option<Value>,
    /// The version of the script to run; the live one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub version: Option<i64>,
}

/// How many letters are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LettersKept {
    /// Older ones go.
    pub age_ms_max: i64,
    /// More than so many of an app: the oldest go.
    pub per_app_max: u32,
}

impl Default for LettersKept {
    fn default() -> Self {
        Self { age_ms_max: 30 * 24 * 60 * 60 * 1000, per_app_max: 10_000 }
    }
}
