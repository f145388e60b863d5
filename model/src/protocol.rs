//! What a worker and its parent say to each other over their one socket.
//!
//! Both ends are the same binary, so the form is compact and without names (postcard) and there is one
//! version of it. A frame is a 4-byte little-endian length and then one [`ToParent`] or [`ToWorker`].
//! The parent answers every [`ToParent::Call`] with one [`ToWorker::Reply`] of the same `id`, in any order.

use crate::execution::Execution;
use crate::hash::ContentHash;
use crate::ids::{AppId, ExecutionId, KeyId};
use crate::kv::{KvReply, KvRequest};
use crate::limits::Limits;
use crate::problem::Code;
use crate::route::{Route, RouteAuth};
use crate::scope::Grant;
use crate::script::{ModuleVersion, ScriptKind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Largest frame; a longer length is garbage and ends the connection. Room for a 64 MiB body and a head.
pub const FRAME_BYTES_MAX: usize = 80 * 1024 * 1024;

/// What the worker sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
}

/// How many runs there are in one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsNow {
    /// Runs under way.
    pub in_flight: u64,
    /// Requests that wait for one of them to end.
    pub waiting: u64,
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

/// For whom a call is made: the parent checks that the script belongs to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The app of the run.
    pub app: AppId,
    /// The run.
    pub execution_id: ExecutionId,
}

/// What a worker may ask for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ServiceRequest {
    /// KV.
    Kv(KvRequest),
    /// The text of a source by content hash; answered with [`ServiceReply::Source`].
    Source(ContentHash),
    /// Part of a static file by content hash; answered with [`ServiceReply::Bytes`].
    Static {
        /// The file's content.
        hash: ContentHash,
        /// From this byte.
        offset: u64,
        /// So many bytes, at most [`STATIC_CHUNK_BYTES_MAX`].
        len: u32,
    },
    /// The value of a secret; answered with [`ServiceReply::Secret`].
    Secret {
        /// The script that asks: secrets are granted one by one.
        script: String,
        /// The secret.
        name: String,
    },
    /// A version that may not be live; answered with [`ServiceReply::Version`].
    Version {
        /// The script.
        script: String,
        /// The version.
        version: i64,
    },
}

/// Largest part of a static file in one answer.
pub const STATIC_CHUNK_BYTES_MAX: u32 = 256 * 1024;

/// What it is answered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ServiceReply {
    /// To KV.
    Kv(KvReply),
    /// The text; `None` if no version has that hash any more.
    Source(Option<String>),
    /// The bytes.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// To Secret: the value; a secret that is not there or not granted is a failure.
    Secret(String),
    /// To Version; `None` where it does not exist (any more).
    Version(Option<VersionEntry>),
}

/// One version of a script with the modules it was saved with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Endpoint or module, at that version.
    pub kind: ScriptKind,
    /// Its content.
    pub hash: ContentHash,
    /// The modules it reaches, each at the version it was saved with.
    pub modules: Vec<ModuleVersion>,
    /// How often it took its worker down, once it is not run any more for it.
    pub quarantined_after_crashes: Option<u32>,
}

/// An API key as a worker needs it: enough to know one that is shown to it, too little to make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Its id, for telling when it was used.
    pub id: KeyId,
    /// Its name, for `ctx.principal`.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: ContentHash,
    /// What it may do.
    pub scopes: Vec<Grant>,
    /// From when on it is refused.
    pub expires_at: Option<i64>,
}

/// Bounds of the duration buckets in microseconds; the last bucket has none. The usual ones of Prometheus, with two
/// more below a millisecond, where most scripts are.
pub const DURATION_BUCKETS_US: [u64; 12] =
    [100, 500, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000];

/// What a worker counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Runs, by script.
    pub scripts: Vec<ScriptCounts>,
    /// Requests answered without a run, by status (`404` → 3, …): files, no route, refused, overloaded.
    pub statuses: Vec<(u16, u64)>,
    /// Keys that were shown and let in.
    pub keys_used: Vec<KeyId>,
    /// Who was not let in; equal ones are one.
    pub refusals: Vec<Refusal>,
    /// The last of those that were too many to be told apart, of keys and of strangers: `times` is how many they were.
    pub other_refusals: Vec<Refusal>,
}

/// Somebody asked for what needs a key and was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The key's name, where it is one that is known and holds.
    pub key: Option<String>,
    /// The client's address.
    pub from: String,
    /// The app's name.
    pub app: String,
    /// The route's path.
    pub route: String,
    /// Why.
    pub code: Code,
    /// Why, as a sentence.
    pub detail: String,
    /// How often it came.
    pub times: u64,
}

/// The runs of one script since the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptCounts {
    /// The app.
    pub app: AppId,
    /// The script.
    pub script: String,
    /// Runs that went well.
    pub ok: u64,
    /// Runs that failed.
    pub failed: u64,
    /// All their durations, in microseconds.
    pub duration_us: u64,
    /// Runs by duration: one number per bound of [`DURATION_BUCKETS_US`] and one above; not cumulative.
    pub buckets: Vec<u64>,
    /// Most memory one of them held, in bytes.
    pub memory_bytes_max: u64,
}

/// Why a call failed; becomes a catchable error map in the script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceFailure {
    /// The problem's code.
    pub code: Code,
    /// A sentence.
    pub message: String,
}

/// Everything a worker needs to answer requests, but for the sources themselves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows with every change.
    pub revision: u64,
    /// The apps.
    pub apps: Vec<Arc<AppSnapshot>>,
    /// The API keys that may call routes.
    pub keys: Arc<Vec<KeyEntry>>,
}

/// One app in a [`Snapshot`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppSnapshot {
    /// Its id.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// Its plain values.
    pub env: Vec<(String, String)>,
    /// The limits that hold for it.
    pub limits: Limits,
    /// Its routes.
    pub routes: Vec<RouteEntry>,
    /// Its scripts and modules, sorted by name.
    pub scripts: Vec<ScriptEntry>,
    /// Its static files, sorted by path.
    pub static_files: Vec<StaticEntry>,
}

impl AppSnapshot {
    /// The script or module called `name`.
    pub fn script(&self, name: &str) -> Option<&ScriptEntry> {
        self.scripts.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok().map(|index| &self.scripts[index])
    }
}

/// A route between processes, where no field may be skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteEntry {
    /// Its id.
    pub id: i64,
    /// Upper-case; empty means every method.
    pub methods: Vec<String>,
    /// As written.
    pub path: String,
    /// The endpoint.
    pub script: String,
    /// Who may call it.
    pub auth: RouteAuth,
}

impl From<&Route> for RouteEntry {
    fn from(route: &Route) -> Self {
        let spec = &route.spec;
        Self {
            id: route.id.0,
            methods: spec.methods.clone(),
            path: spec.path.clone(),
            script: spec.script.clone(),
            auth: spec.auth,
        }
    }
}

/// A script or module in an [`AppSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptEntry {
    /// Its name.
    pub name: String,
    /// Endpoint or module.
    pub kind: ScriptKind,
    /// The live version.
    pub version: i64,
    /// Its content.
    pub hash: ContentHash,
    /// How often this version took its worker down, once it is not run any more for it.
    pub quarantined_after_crashes: Option<u32>,
}

/// A static file in an [`AppSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticEntry {
    /// Below `static/`, with `/` between segments.
    pub path: String,
    /// Its content; also its ETag.
    pub hash: ContentHash,
    /// Its size.
    pub size_bytes: u64,
    /// When it was deployed.
    pub updated_at: i64,
}

/// A run that no request asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRequest {
    /// The app.
    pub app: AppId,
    /// The script.
    pub script: String,
    /// A source to run in its place; not saved.
    pub source: Option<String>,
    /// The request it is to see.
    pub request: RunHttp,
    /// JSON of the principal that asked, empty for none.
    pub principal: Option<crate::principal::Principal>,
}

/// The request of a [`RunRequest`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunHttp {
    /// `GET`, …
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "serde_bytes")]
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
}
