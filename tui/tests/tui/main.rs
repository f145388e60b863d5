//! The real terminal UI at a terminal of the test's, before a real appliance: what a person sees, and what it costs.
//!
//! What each screen looks like is tested beside the screens, without a terminal.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

#[path = "../support/program.rs"]
mod program;
mod sequences;
mod terminal;
#[path = "../real/world.rs"]
#[expect(dead_code, reason = "commands are tested elsewhere")]
mod world;

mod budgets;
mod exports;
mod lines;
mod old;
mod ssh;
mod stays;
