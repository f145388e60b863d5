//! The appliance: control plane, store, admin API, and the parent of a worker that runs the scripts.
//!
//! Never runs a script itself: it compiles them to validate, and hands them to the worker.

pub mod config;

pub mod commands;

pub mod appliance;
pub mod backup;
pub mod deploy;
mod doors;
pub mod host;
pub mod keys;
pub mod kv;
pub mod logs;
pub mod metrics;
pub mod private_file;
pub mod registry;
pub mod secrets;
pub mod watch;

pub mod admin;
pub mod tasks;
