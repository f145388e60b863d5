//! Runs that the parent asks for, and what came of them.

use crate::async_request::NewAsyncRequest;
use crate::effect::Effect;
use crate::execution::Execution;
use crate::ids::{AppId, ExecutionId};
use serde::{Deserialize, Serialize};

/// A run that the parent asks for: a delivery, `scripts run`, a replay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRequest {
    /// The app.
    pub app: AppId,
    /// The script.
    pub script: String,
    /// A source to run in its place; not saved.
    pub source: Option<String>,
    /// A version to run in place of the live one, with the modules it was saved with.
    pub version: Option<i64>,
    /// What it is to see.
    pub input: RunInput,
    /// Who asked, if anybody.
    pub principal: Option<crate::principal::Principal>,
    /// The run's id, chosen by the parent, which knows from it on whose behalf calls come.
    pub execution_id: ExecutionId,
    /// The run that everything began with; its own id where it is the first.
    pub root_execution_id: ExecutionId,
    /// How many runs away from that.
    pub trigger_depth: u32,
    /// What starts it, for its record: `trigger on-widget`, `run GET /x`.
    pub cause: String,
    /// Do nothing to the world: reads are answered, writes are captured and seen by this run alone.
    pub dry_run: bool,
}

/// What a run that the parent asks for is to see.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RunInput {
    /// A request; its route is looked up from its path.
    Request(RunHttp),
    /// An event; the run's deadline is `triggered_timeout_ms`.
    Event {
        /// `ctx.event` as JSON.
        #[serde(with = "serde_bytes")]
        json: Vec<u8>,
        /// The trigger, for the record.
        trigger: Option<String>,
        /// Counting from 1, for the record.
        attempt: u32,
    },
    /// A request that a client does not wait for; the run's deadline is `triggered_timeout_ms`.
    Async {
        /// With everything that was known of it.
        request: Box<NewAsyncRequest>,
        /// Counting from 1, for the record.
        attempt: u32,
    },
    /// A request that a client waits for at another node; its route is looked up from its path.
    Forwarded {
        /// The request.
        request: RunHttp,
        /// The client's address.
        remote_addr: String,
    },
}

/// The request of a [`RunRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHttp {
    /// `GET`, …
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "crate::bytes_as")]
    pub body: Vec<u8>,
}

/// What came of a [`RunRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// The status the caller would have seen.
    pub status: u16,
    /// The headers the caller would have seen.
    pub headers: Vec<(String, String)>,
    /// The body the caller would have seen.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// The run.
    pub execution: Execution,
    /// How it ended, for whoever would try it again.
    pub verdict: Verdict,
    /// Of a dry run: what it would have done, up to [`crate::effect::EFFECTS_MAX`].
    pub effects: Vec<Effect>,
}

/// How a run ended, for whoever would try it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Well.
    Done,
    /// Badly; another attempt may go well: a throw, the deadline, a full store, a service that was away.
    Failed,
    /// Badly, and it would again: `terminal(…)`, a limit, an `http_error` of 4xx, a source that does not compile.
    Terminal,
    /// Badly: `retry_after(seconds, …)`.
    RetryAfter {
        /// When to try again.
        seconds: u32,
    },
    /// It was not run at all: overload, draining. No attempt.
    NotRun,
}
