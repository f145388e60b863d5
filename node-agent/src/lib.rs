//! `picloud-node`: the agent on each Pi. It finds and joins an appliance, runs the same worker as the appliance does, and
//! answers its services from there; while no appliance answers, from its cache and into its spool.

pub mod agent;
pub mod announce;
pub mod appliance;
pub mod apps;
pub mod archive;
pub mod cache;
pub mod candidates;
pub mod commands;
pub mod config;
mod connect;
pub mod context;
pub mod discover;
mod health;
pub mod host;
pub mod identity;
pub mod join;
pub mod outgoing;
pub mod slot;
pub mod spool;
pub mod start;
pub mod status;
pub mod urls;
pub mod worker;
