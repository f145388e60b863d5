//! The nouns of PiCloud and how they look on every wire: ids, resources, limits, problems, frames.
//!
//! No I/O, and no other crate of ours below this one. One noun, one file; a noun has the same name
//! here, in its table, in its URL, on its screen and in the logs.

pub mod ids;

pub mod activity;
pub mod allowed_host;
pub mod app;
pub mod app_folder;
pub mod async_request;
pub mod audit;
pub mod boot_file;
pub mod bundle;
mod bytes_as;
pub mod dead_letter;
pub mod delivery;
pub mod effect;
pub mod event;
pub mod execution;
pub mod file;
pub mod http_call;
pub mod join_token;
pub mod key;
pub mod kv;
pub mod name;
pub mod node;
pub mod placement;
pub mod principal;
pub mod publish;
pub mod route;
pub mod schema;
pub mod scope;
pub mod script;
pub mod secret;
pub mod timer;
pub mod trigger;
pub mod trigger_check;
pub mod version;

pub mod backoff;
pub mod redact;

pub mod clock;
pub mod hash;
pub mod limits;
pub mod page;
pub mod problem;
pub mod protocol;

pub use clock::{Clock, ManualClock, SystemClock};
pub use hash::ContentHash;
pub use ids::{
    AppId, AsyncRequestId, DeadLetterId, DeliveryId, EventId, ExecutionId, FileId, KeyId, RouteId, ScriptId, TimerId,
    TriggerId,
};
pub use node::NodeId;
pub use problem::{Code, Problem};
