//! A script that answers without touching anything, against an axum handler that gives the same answer.

use super::in_turn;
use crate::report::Row;
use crate::server::{Appliance, Server, data_folder, same_answer};
use crate::{Setup, apps};
use anyhow::Result;
use std::sync::Arc;

/// Connections that ask at once.
const CONNECTIONS: usize = 8;

/// `#{hello: "world"}`.
pub(crate) fn hello(setup: &Setup) -> Result<Vec<Row>> {
    compare(setup, "hello", &apps::hello_requests(), 1.5)
}

/// 1 KB of JSON in, a sum of 20 numbers out.
pub(crate) fn json(setup: &Setup) -> Result<Vec<Row>> {
    compare(setup, "json", &apps::sum_requests(), 2.2)
}

fn compare(setup: &Setup, name: &str, requests: &Arc<Vec<Vec<u8>>>, goal: f64) -> Result<Vec<Row>> {
    let folder = data_folder()?;
    let raw = Server::raw(folder.path(), None)?;
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    same_answer(&raw, &ours.server, &requests[0])?;
    let requests = [Arc::clone(requests), Arc::clone(requests)];
    let mut totals = in_turn(&[&raw, &ours.server], &requests, CONNECTIONS, setup)?;
    let (mut own, mut limit) = (totals.remove(1), totals.remove(0));
    Ok(vec![
        Row::ratio(&format!("{name}: CPU µs a request"), limit.cpu_us(), own.cpu_us(), goal),
        Row::shown(&format!("{name}: answers a second"), Some(limit.per_second()), own.per_second()),
        Row::shown(&format!("{name}: p50 ms"), Some(limit.seen.latency_ms(0.5)), own.seen.latency_ms(0.5)),
        Row::shown(&format!("{name}: p99 ms"), Some(limit.seen.latency_ms(0.99)), own.seen.latency_ms(0.99)),
    ])
}
