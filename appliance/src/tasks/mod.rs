//! What goes on without anybody asking: idempotent, without input, woken by signal or due time.
//!
//! To add a task: a file here with a `run`, and a line in `Appliance::start`.

pub mod history;
pub mod kv_expiry;
pub mod retention;
