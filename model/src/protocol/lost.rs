//! Runs that a worker's death ended.

use crate::clock::UnixMs;
use crate::ids::{AppId, ExecutionId};
use serde::{Deserialize, Serialize};

/// A run that was under way when its worker died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRun {
    /// The app.
    pub app: AppId,
    /// The script.
    pub script: String,
    /// Its version.
    pub version: i64,
    /// The run.
    pub execution_id: ExecutionId,
    /// What started it: `GET /hello`, `run`, …
    pub cause: String,
    /// When it started.
    pub started_at: UnixMs,
    /// The run that everything began with.
    pub root_execution_id: ExecutionId,
    /// How many runs away from that.
    pub trigger_depth: u32,
    /// The trigger that started it; empty for none.
    pub trigger: String,
    /// Counting from 1 for an event; 0 for a request.
    pub attempt: u32,
}
