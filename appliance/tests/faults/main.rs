//! Faults: the program is killed, its disk runs full, its disk fails. What was acknowledged is there afterwards.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod backlog;
mod client;
mod full_disk;
mod io_errors;
mod kill;
#[expect(dead_code, reason = "other tests hand sockets down")]
#[path = "../support/managed.rs"]
mod managed;
mod stuck_store;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../support/mod.rs"]
mod support;
mod work;
