//! The cluster with real processes on hosts of their own: what joins, what is cut off, what dies, what lies; and in each
//! case, where every acknowledged write and event is in the end.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod away;
mod chaos;
mod holder;
mod joining;
#[path = "../support/kill.rs"]
mod kill;
mod lab;
mod lan;
mod lost;
mod many;
mod placement;
mod postgres;
mod renewal;
#[expect(dead_code, reason = "of it, these tests need a server of their own and nothing else")]
#[path = "../../../store/tests/temp_pg/mod.rs"]
mod temp_pg;
mod trust;
mod world;
