//! The agent against a real appliance on this machine's own addresses: how it is let in, what it serves, what it does
//! while nobody answers, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod away;
mod backup;
mod joining;
#[path = "../support/kill.rs"]
mod kill;
mod life;
mod protocol;
mod service;
mod serving;
mod upgrade;
mod world;
