//! The real `picloud` against the real `picloud-appliance`, as a person uses them: one command after the other.
//!
//! What single requests and answers look like is tested in `tui/tests/cli/`, against an admin API that says what it is told.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

#[path = "../support/program.rs"]
mod program;
mod world;

mod begin;
mod deploys;
mod doctor;
mod events;
mod exits;
mod files;
mod first_day;
mod flash;
mod guards;
mod keys;
mod kv;
mod nodes;
mod routes;
mod runs;
mod scripts;
mod secrets;
mod streams;
mod versions;
