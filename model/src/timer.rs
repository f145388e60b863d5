//! Timers: a script asks for a run of another script at a later time.

use crate::clock::UnixMs;
use crate::ids::TimerId;
use serde::{Deserialize, Serialize};

/// A timer to be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTimer {
    /// Its id, chosen by whoever sets it.
    pub id: TimerId,
    /// The endpoint to run.
    pub script: String,
    /// When.
    pub due_at: UnixMs,
    /// JSON: `ctx.event.value`.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// What a script asks of timers. Times to come are worked out by the appliance, whose clock counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TimerRequest {
    /// Answered with [`TimerReply::Set`].
    After {
        /// From now.
        ms: u64,
        /// The endpoint to run.
        script: String,
        /// JSON.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
    },
    /// Answered with [`TimerReply::Set`]. A time that is over is due at once.
    At {
        /// When.
        at: UnixMs,
        /// The endpoint to run.
        script: String,
        /// JSON.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
    },
    /// Answered with [`TimerReply::Cancelled`].
    Cancel(TimerId),
}

/// What it is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimerReply {
    /// It is set.
    Set(TimerId),
    /// Whether it had been set and had not fired.
    Cancelled(bool),
}

/// A timer that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Timer {
    /// Its id.
    pub id: TimerId,
    /// The endpoint it runs.
    pub script: String,
    /// When.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub due_at: UnixMs,
    /// Attempts that failed.
    pub attempts: u32,
}
