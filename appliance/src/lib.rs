//! The appliance: control plane, store, admin API, and the parent of a worker that runs the scripts.
//!
//! Never runs a script itself: it compiles them to validate, and hands them to the worker.

pub mod config;

pub mod commands;

pub mod activity;
pub mod appliance;
pub mod backup;
pub mod caddy;
pub mod deploy;
pub mod dispatcher;
mod doors;
pub mod files;
mod health;
pub mod host;
pub mod keys;
pub mod kv;
pub mod logs;
pub mod metrics;
pub mod nodes;
mod own_worker;
mod registry;
pub mod repository;
pub mod schedules;
pub mod secrets;
mod start_error;
pub mod topics;
mod upgrade;
pub mod watch;

pub mod admin;
pub mod tasks;

#[cfg(test)]
mod documents;
