//! Nodes over real TLS: joining, what they are told, what they ask, and every way to be refused.

pub(crate) mod client;
mod joining;
mod placement;
mod refused;
mod serving;
mod shared;

use tokio::runtime::Runtime;

/// A runtime for one test; what goes on beside it has a thread of its own.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
