//! The ports: every effect of a script goes through one of these traits, and none goes another way.
//!
//! They are synchronous, for Rhai is; an implementation that waits on something asynchronous blocks its
//! thread, and gives up when the call's deadline has passed. To add a port: a trait here, a field in
//! [`Services`], a namespace in `sdk/`, an implementation on both sides of the worker's socket.

use crate::context::CallContext;
use picloud_model::clock::Clock;
use picloud_model::execution::LogLine;
use picloud_model::file::{FilesReply, FilesRequest};
use picloud_model::hash::ContentHash;
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::protocol::ServiceFailure;
use picloud_model::publish::{Publish, Published};
use picloud_model::script::ScriptKind;
use picloud_model::timer::{TimerReply, TimerRequest};
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

/// Topics of the call's app.
pub trait PubSub: Send + Sync {
    /// Publishes, durably: on the disk, with its deliveries, when it returns.
    fn publish(&self, call: &CallContext, publish: Publish) -> Result<Published, ServiceFailure>;
    /// Tells whoever listens right now, JSON; nobody is told later.
    fn publish_ephemeral(&self, call: &CallContext, topic: &str, value: Vec<u8>) -> Result<(), ServiceFailure>;
}

/// Timers of the call's app.
pub trait Timers: Send + Sync {
    /// Sets one or takes one back.
    fn timer(&self, call: &CallContext, request: TimerRequest) -> Result<TimerReply, ServiceFailure>;
}

/// Files of the call's app.
pub trait Files: Send + Sync {
    /// Does one thing. Names and sizes were checked before; the far side checks them again.
    fn files(&self, call: &CallContext, request: FilesRequest) -> Result<FilesReply, ServiceFailure>;
}

/// Somebody else's servers.
pub trait Http: Send + Sync {
    /// Sends a request and waits for its answer. Addresses are checked on the far side.
    fn http(&self, call: &CallContext, request: HttpCall) -> Result<HttpAnswer, ServiceFailure>;
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
    /// It may not run on this machine.
    pub elsewhere: bool,
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
    /// Topics.
    pub pubsub: Arc<dyn PubSub>,
    /// Timers.
    pub timers: Arc<dyn Timers>,
    /// Files.
    pub files: Arc<dyn Files>,
    /// Outbound HTTP.
    pub http: Arc<dyn Http>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
}

impl Services {
    /// One thing behind all ports.
    pub fn of<P>(ports: Arc<P>, clock: Arc<dyn Clock>) -> Self
    where
        P: Kv + Sources + Secrets + PubSub + Timers + Files + Http + 'static,
    {
        Self {
            kv: ports.clone(),
            sources: ports.clone(),
            secrets: ports.clone(),
            pubsub: ports.clone(),
            timers: ports.clone(),
            files: ports.clone(),
            http: ports,
            clock,
        }
    }
}
