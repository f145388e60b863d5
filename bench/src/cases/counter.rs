//! A durable counter: a script that calls `incr`, against an axum handler on the same store in one process.

use super::in_turn;
use crate::report::Row;
use crate::server::{Appliance, Server, data_folder, same_answer};
use crate::{Setup, apps};
use anyhow::Result;
use std::sync::Arc;

/// Callers at once; group commit shares one sync among them.
const CALLERS: usize = 16;

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let folder = data_folder()?;
    let raw = Server::raw(folder.path(), Some(folder.path()))?;
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    let requests = apps::count_requests();
    same_answer(&raw, &ours.server, &requests[0])?;
    let mut totals = in_turn(&[&raw, &ours.server], &[Arc::clone(&requests), requests], CALLERS, setup)?;
    let (mut own, mut limit) = (totals.remove(1), totals.remove(0));
    Ok(vec![
        Row::ratio("counter: CPU µs a request", limit.cpu_us(), own.cpu_us(), 2.5),
        Row::at_most("counter: bytes written an increment", own.written_bytes_each(), 1500.0),
        Row::shown("counter: bytes written, raw too", Some(limit.written_bytes_each()), own.written_bytes_each()),
        Row::shown("counter: answers a second", Some(limit.per_second()), own.per_second()),
        Row::shown("counter: p99 ms", Some(limit.seen.latency_ms(0.99)), own.seen.latency_ms(0.99)),
    ])
}
