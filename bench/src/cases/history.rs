//! What it costs that every run is counted and can be looked at: of plain successes, which are nearly all runs.
//!
//! The worker counts and sends once a second; what the appliance makes of it is work of a process of its own, so it
//! can be told from the answering. Written is one plain success a script and minute, and nothing for all the others.

use crate::load::{self, Load};
use crate::report::Row;
use crate::server::Appliance;
use crate::{Setup, apps, process};
use anyhow::Result;
use std::time::Duration;

/// Connections that ask at once.
const CONNECTIONS: usize = 8;
/// After the last answer, until what was counted is where it belongs.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    let (requests, pid) = (apps::hello_requests(), ours.server.pid());
    let warm = Load { address: ours.server.address, connections: CONNECTIONS, requests, duration: SETTLE };
    load::run(std::slice::from_ref(&warm))?;
    std::thread::sleep(SETTLE);
    let (before, own_before) = (process::cost(pid)?, process::own_cost(pid)?);
    let duration = Duration::from_secs(setup.round_s * u64::from(setup.rounds));
    let seen = load::run(&[Load { duration, ..warm }])?.remove(0);
    std::thread::sleep(SETTLE);
    let all = process::cost(pid)?.since(before);
    let own = process::own_cost(pid)?.since(own_before);
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / seen.requests as f64;
    let answering = each(all.cpu.saturating_sub(own.cpu));
    Ok(vec![
        Row::ratio("history: CPU µs a request, worker and all", answering, each(all.cpu), 1.1),
        Row::at_most("history: bytes written a plain success", all.written_bytes as f64 / seen.requests as f64, 1.0),
        Row::shown("history: KB written for all of them", None, all.written_bytes as f64 / 1e3),
        Row::shown("history: plain successes", None, seen.requests as f64),
    ])
}
