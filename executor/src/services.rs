//! The ports: every effect of a script goes through one of these traits, and none goes another way.
//!
//! They are synchronous, for Rhai is; an implementation that waits on something asynchronous blocks its
//! thread, and gives up when the call's deadline has passed. To add a port: a trait here, a field in
//! [`Services`], a namespace in `sdk/`, an implementation on both sides of the worker's socket.

use crate::context::CallContext;
use picloud_model::clock::Clock;
use picloud_model::execution::LogLine;
use picloud_model::hash::ContentHash;
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::protocol::ServiceFailure;
use picloud_model::script::ScriptKind;
use std::sync::Arc;

/// Keys and values of the call's app.
pub trait Kv: Send + Sync {
    /// Does one thing. Names and sizes were checked before; the far side checks them again.
    fn kv(&self, call: &CallContext, request: KvRequest) -> Result<KvReply, ServiceFailure>;
}

/// Where sources come from, by content hash, which never changes what it means.
pub trait Sources: Send + Sync {
    /// The text with that hash, `None` when no version has it any more.
    fn source(&self, call: &CallContext, hash: ContentHash) -> Result<Option<Arc<str>>, ServiceFailure>;
}

/// The secrets of the call's app.
pub trait Secrets: Send + Sync {
    /// The value of `name`, as far as the call's script is granted it: [`Code::NotFound`](picloud_model::Code) where
    /// the app has no such secret, `Forbidden` where it is granted to others only.
    fn secret(&self, call: &CallContext, name: &str) -> Result<String, ServiceFailure>;
}

/// The scripts, modules and values of one app at one moment: a call sees one of these from its first
/// line to its last, so that it never sees half of a deploy.
pub trait AppView: Send + Sync {
    /// What stands behind a name now.
    fn script(&self, name: &str) -> Option<ScriptRef>;
    /// A plain value of the app.
    fn env(&self, name: &str) -> Option<String>;
    /// What an endpoint that is called from here sees, where that is not the same: a version that is not live runs
    /// with its own modules, those it calls with theirs.
    fn of_callees(&self) -> Option<Arc<dyn AppView>> {
        None
    }
}

/// A live script or module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptRef {
    /// Endpoint or module.
    pub kind: ScriptKind,
    /// The live version.
    pub version: i64,
    /// Its content.
    pub hash: ContentHash,
    /// How often this version took its worker down, once it is not run any more for it.
    pub quarantined_after_crashes: Option<u32>,
}

/// Where log lines of runs go. Bounds per line and per run are the executor's.
pub trait LogSink: Send + Sync {
    /// Takes one line.
    fn log(&self, call: &CallContext, line: LogLine);
}

/// Told when a run stops being short.
pub trait Handover: Send + Sync {
    /// Called at most once a run, on the run's thread: before its first call of a port that waits, or when it
    /// has run for longer than [`crate::engine::INLINE_BUDGET`]. After it returns, the run may block its thread.
    fn now_long(&self);
}

/// All ports; one of these a process.
#[derive(Clone)]
pub struct Services {
    /// KV.
    pub kv: Arc<dyn Kv>,
    /// Sources.
    pub sources: Arc<dyn Sources>,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
}
