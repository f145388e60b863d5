//! What a worker and its parent say to each other over their one socket.
//!
//! Both ends are the same binary, so the form is compact and without names (postcard) and there is one
//! version of it. A frame is a 4-byte little-endian length and then one [`ToParent`] or [`ToWorker`].
//! The parent answers every [`ToParent::Call`] with one [`ToWorker::Reply`] of the same `id`, in any order.

mod counts;
mod lost;
pub mod node;
mod run;
mod services;
mod snapshot;

pub use counts::{Counts, DURATION_BUCKETS_US, Refusal, RunsNow, ScriptCounts};
pub use lost::LostRun;
pub use run::{RunHttp, RunInput, RunRequest, RunResult, Verdict};
pub use services::{
    Caller, Forward, Forwarded, STATIC_CHUNK_BYTES_MAX, ServiceFailure, ServiceReply, ServiceRequest, SignedReply,
    SignedRequest, VersionEntry,
};
pub use snapshot::{AppSnapshot, KeyEntry, RouteEntry, ScriptEntry, Snapshot, StaticEntry};

use crate::execution::Execution;
use crate::ids::AppId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Largest frame; a longer length is garbage and ends the connection. Room for a 64 MiB body and a head.
pub const FRAME_BYTES_MAX: usize = 80 * 1024 * 1024;

/// What the worker sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one is in hand at a time, on its way to or from a frame")]
pub enum ToParent {
    /// It has confined itself and waits for its first snapshot.
    Hello {
        /// What could not be confined on this kernel, for one line of log each.
        unconfined: Vec<String>,
    },
    /// Requests are answered from this revision on.
    Applied {
        /// [`Snapshot::revision`].
        revision: u64,
    },
    /// An effect or a look-up.
    Call {
        /// Chosen by the worker, unique among those without an answer.
        id: u64,
        /// For whom.
        caller: Caller,
        /// How long the answer is worth anything, in milliseconds from now.
        deadline_ms: u32,
        /// What is asked.
        request: ServiceRequest,
    },
    /// Runs that ended and are to be kept or shown.
    Executions(Vec<Execution>),
    /// What was counted since the last of these; sent at most once a second and only when there is something.
    Counts(Counts),
    /// All that was counted before [`ToWorker::Count`] came has been told.
    Counted {
        /// [`ToWorker::Count`]'s.
        id: u64,
        /// The runs of that moment.
        runs: RunsNow,
    },
    /// The answer to [`ToWorker::Run`].
    RunDone {
        /// [`ToWorker::Run`]'s.
        id: u64,
        /// What came of it.
        result: RunResult,
    },
}

/// What the parent sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// Settings; the first frame.
    Start(WorkerSettings),
    /// All of it.
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
    /// The answer to [`ToParent::Call`].
    Reply {
        /// [`ToParent::Call`]'s.
        id: u64,
        /// The answer.
        result: Result<ServiceReply, ServiceFailure>,
    },
    /// Run a script that no request asked for (`scripts run`, later deliveries).
    Run {
        /// Chosen by the parent.
        id: u64,
        /// What to run.
        run: Box<RunRequest>,
    },
    /// Take no new requests, finish those under way, exit.
    Drain,
    /// Tell now what was counted, then answer with [`ToParent::Counted`]; of several that wait only the last is answered.
    Count {
        /// Grows with every one of these.
        id: u64,
    },
    /// Answer whoever asks for the health of this machine that it is (not) to be sent requests; go on answering them.
    Draining(bool),
}

/// Settings of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// This machine's name, for `ctx.node`.
    pub node: String,
    /// Runs at once.
    pub concurrency: u32,
    /// Compiled modules kept.
    pub module_cache_entries: u32,
}
