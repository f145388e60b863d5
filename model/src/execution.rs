//! Executions: what is kept of one run of a script.

use crate::clock::UnixMs;
use crate::ids::{AppId, ExecutionId};
use crate::problem::Problem;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a value that was answered.
    Ok,
    /// With an error, a limit or the deadline; `error` says which.
    Failed,
    /// With the death of its worker process.
    WorkerLost,
}

impl Outcome {
    /// The word in tables and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::WorkerLost => "worker_lost",
        }
    }
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// What happened.
    Info,
    /// Somebody may want to look.
    Warn,
    /// Somebody must act.
    Error,
}

impl LogLevel {
    /// The word in answers and on terminals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line a script wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// When.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMs,
    /// How much it matters.
    pub level: LogLevel,
    /// The sentence.
    pub message: String,
    /// JSON of the fields; empty for none.
    #[serde(default)]
    pub fields: String,
}

/// What a run used of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Usage {
    /// Rhai operations.
    pub operations: u64,
    /// Most memory it held, in bytes.
    pub memory_bytes: u64,
    /// KV calls.
    pub kv_calls: u64,
    /// Secrets it asked for.
    pub secret_calls: u64,
    /// Publishes and timers.
    pub publish_calls: u64,
    /// File calls.
    pub file_calls: u64,
    /// HTTP calls.
    pub http_calls: u64,
}

/// What is kept of one run.
///
/// Between processes it travels without names (postcard), so no field of it is ever skipped there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// The run that everything began with; its own id for a request.
    pub root_id: ExecutionId,
    /// The app.
    pub app_id: AppId,
    /// The app's name at that time.
    #[serde(default)]
    pub app: String,
    /// The script.
    pub script: String,
    /// The script's version.
    #[serde(default)]
    pub version: i64,
    /// The machine.
    #[serde(default)]
    pub node: String,
    /// What started it: `GET /hello`, `run`, …
    #[serde(default)]
    pub cause: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The status it was answered with; 0 where nothing was answered.
    #[serde(default)]
    pub status: u16,
    /// When it started.
    #[serde(with = "crate::clock::as_rfc3339")]
    pub started_at: UnixMs,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub duration_us: u64,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
    /// Why it failed; JSON of a [`Problem`], empty where it did not fail.
    #[serde(default)]
    pub error_json: String,
    /// What it logged.
    #[serde(default)]
    pub logs: Vec<LogLine>,
    /// Log lines that were over `log_run_bytes` and are not in `logs`.
    #[serde(default)]
    pub logs_dropped: u64,
    /// How many runs it was away from the one that everything began with.
    #[serde(default)]
    pub trigger_depth: u32,
    /// The trigger that started it; empty for none.
    #[serde(default)]
    pub trigger: String,
    /// Counting from 1 for an event; 0 for a request.
    #[serde(default)]
    pub attempt: u32,
    /// Of a triggered run that went well: its value as JSON, up to [`RESULT_BYTES_MAX`]; else empty.
    #[serde(default)]
    pub result_json: String,
    /// What it saw, so that it can be run again: JSON of a [`KeptInput`], up to
    /// [`INPUT_BYTES_MAX`]; empty where it was larger.
    #[serde(default)]
    pub input_json: String,
}

/// Largest value of a triggered run that is kept.
pub const RESULT_BYTES_MAX: usize = 4 * 1024;
/// Largest request or event that is kept for running it again.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What a run saw, as it is kept: enough to run it again. Headers that carry credentials are kept without their value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptInput {
    /// A request.
    Request {
        /// `GET`, …
        method: String,
        /// With the query.
        path: String,
        /// Names in lower case.
        headers: Vec<(String, String)>,
        /// In base64.
        body: String,
    },
    /// An event: `ctx.event`.
    Event(serde_json::Value),
}

impl Execution {
    /// Why it failed, if it did.
    pub fn error(&self) -> Option<Problem> {
        serde_json::from_str(&self.error_json).ok()
    }
}

/// What to list of the executions, newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ExecutionQuery {
    /// Only of this script.
    #[serde(default)]
    pub script: Option<String>,
    /// Only with this outcome.
    #[serde(default)]
    #[param(inline)]
    pub outcome: Option<Outcome>,
    /// Only those that this trigger started.
    #[serde(default)]
    pub trigger: Option<String>,
    /// Only the run with this id and all that came of it.
    #[serde(default)]
    #[param(value_type = Option<String>, format = "uuid")]
    pub root_execution_id: Option<ExecutionId>,
    /// At most so many.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// Where the last page ended.
    #[serde(default)]
    #[param(min_length = 1)]
    pub cursor: Option<String>,
}
