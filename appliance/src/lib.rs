//! The appliance: control plane, store, admin API, and the parent of a worker that runs the scripts.
//!
//! Never runs a script itself: it compiles them to validate, and hands them to the worker.

pub mod config;

pub mod commands;

pub mod appliance;
pub mod deploy;
pub mod host;
pub mod kv;
pub mod registry;

pub mod admin;
pub mod tasks;
