//! Deliveries: one event for one trigger, from the moment it is committed until it is done or dead.

use crate::async_request::AsyncAnswer;
use crate::clock::UnixMs;
use crate::event::Event;
use crate::ids::{AppId, DeliveryId, ExecutionId, TriggerId};
use crate::problem::Problem;
use crate::trigger::Retry;
use serde::{Deserialize, Serialize};

/// A delivery that was claimed: to be run now, and then to be told of.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The app.
    pub app: AppId,
    /// The trigger and its name; `None` for timers and requests.
    pub trigger: Option<(TriggerId, String)>,
    /// The endpoint to run.
    pub script: String,
    /// The version to run where a person chose one; else the live one.
    pub version: Option<i64>,
    /// The event.
    pub event: Event,
    /// Counting from 1: attempts that failed, and this one.
    pub attempt: u32,
    /// How failures are tried again.
    pub retry: Retry,
    /// From when on it is not tried any more.
    pub expires_at: Option<UnixMs>,
    /// Where its trigger has it run.
    pub placement: crate::placement::Placement,
}

/// One attempt that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attempt {
    /// Counting from 1.
    pub attempt: u32,
    /// When it ended.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMs,
    /// The run, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<ExecutionId>,
    /// The script's version.
    pub version: i64,
    /// The machine.
    pub node: String,
    /// Why.
    pub error: Problem,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug)]
pub enum DeliveryEnd {
    /// It is done, and gone. A request that is answered later has its answer.
    Done(Option<AsyncAnswer>),
    /// It failed and is tried again.
    Retry {
        /// How.
        attempt: Attempt,
        /// When.
        due_at: UnixMs,
    },
    /// It failed and is not tried again: a dead letter, in the same transaction.
    Dead(Attempt),
    /// It was not run, which is no attempt: overload, shutdown, no worker.
    NotRun {
        /// When to try.
        due_at: UnixMs,
    },
}

/// What came of telling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The dead letter it became.
    pub dead_letter: Option<crate::ids::DeadLetterId>,
    /// The trigger that was paused for it, with the dead letters in a row.
    pub paused: Option<(String, u32)>,
}
