//! What goes on without anybody asking: idempotent, without input, woken by signal or due time.
//!
//! To add a task: a file here with a `run`, and a line in `Appliance::begin_tasks`.

pub mod blob_sweep;
pub mod history;
pub mod kv_expiry;
pub mod letters;
pub mod refusals;
pub mod retention;
pub(crate) mod waiting_apps;
