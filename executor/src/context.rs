//! What one call knows: who, what, for how long. The only source of app identity there is.

use crate::services::{AppView, Handover, LogSink};
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::limits::Limits;
use picloud_model::principal::Principal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a run may take, and which limit says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// The limit's name.
    pub limit: &'static str,
    /// Its value.
    pub ms: u64,
}

impl Timeout {
    /// Of a run that somebody waits for.
    pub fn of_request(limits: &Limits) -> Self {
        Self { limit: "timeout_ms", ms: limits.timeout_ms }
    }

    /// Of a run that an event started, or that is to be answered later.
    pub fn of_triggered(limits: &Limits) -> Self {
        Self { limit: "triggered_timeout_ms", ms: limits.triggered_timeout_ms }
    }

    /// The moment it is over, from `began`.
    pub fn from(self, began: Instant) -> Instant {
        began + Duration::from_millis(self.ms)
    }
}

/// One call of one script. Made by the orchestrator, never by a script, and the same for everything the
/// call does, also in modules and in `scripts::call` (which changes `script`, `version` and `trigger_depth`).
#[derive(Clone)]
pub struct CallContext {
    /// The app: every port answers for this one alone.
    pub app_id: AppId,
    /// Its name.
    pub app: Arc<str>,
    /// The script under way.
    pub script: Arc<str>,
    /// Its version.
    pub version: i64,
    /// This machine.
    pub node: Arc<str>,
    /// This run.
    pub execution_id: ExecutionId,
    /// The run everything began with.
    pub root_execution_id: ExecutionId,
    /// How many runs this one is away from that.
    pub trigger_depth: u32,
    /// Who asks, if known.
    pub principal: Option<Principal>,
    /// When the run ends, whatever it does.
    pub deadline: Instant,
    /// What the deadline was made of.
    pub timeout: Timeout,
    /// What holds for the app.
    pub limits: Arc<Limits>,
    /// The app's scripts, modules and values at the moment the call began.
    pub view: Arc<dyn AppView>,
    /// Where its log lines go.
    pub log: Arc<dyn LogSink>,
    /// Whom to tell when the call stops being short.
    pub handover: Option<Arc<dyn Handover>>,
}
