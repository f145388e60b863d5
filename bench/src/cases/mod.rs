//! One file a bench; the header of each says what it measures and against what.

pub(crate) mod answer;
pub(crate) mod backup;
pub(crate) mod cluster;
pub(crate) mod counter;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod history_rows;
pub(crate) mod idle;
pub(crate) mod keys;
pub(crate) mod mix;
pub(crate) mod restart;
pub(crate) mod routes;
pub(crate) mod schedules;
pub(crate) mod start;
pub(crate) mod watch;

use crate::load::{self, Load, Seen};
use crate::process::{self, Cost};
use crate::server::Server;
use anyhow::{Result, ensure};
use std::sync::Arc;
use std::time::Duration;

/// What one server was seen to do over its rounds.
#[derive(Default)]
struct Total {
    seen: Seen,
    cpu: Duration,
    written_bytes: u64,
    rounds: u32,
    rate_sum: f64,
}

impl Total {
    fn add(&mut self, seen: Seen, cost: Cost) {
        self.rate_sum += seen.per_second();
        self.rounds += 1;
        self.cpu += cost.cpu;
        self.written_bytes += cost.written_bytes;
        self.seen.add(seen);
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.seen.requests as f64
    }

    fn per_second(&self) -> f64 {
        self.rate_sum / f64::from(self.rounds)
    }

    fn written_bytes_each(&self) -> f64 {
        self.written_bytes as f64 / self.seen.requests as f64
    }
}

/// Puts the same load on each server in turn, `rounds` times, after a round that only warms them up.
fn in_turn(
    servers: &[&Server],
    requests: &[Arc<Vec<Vec<u8>>>],
    connections: usize,
    setup: &crate::Setup,
) -> Result<Vec<Total>> {
    ensure!(servers.len() == requests.len(), "each server has its requests");
    let mut totals: Vec<Total> = servers.iter().map(|_| Total::default()).collect();
    for round in 0..=setup.rounds {
        for (index, server) in servers.iter().enumerate() {
            let duration = if round == 0 { Duration::from_secs(1) } else { Duration::from_secs(setup.round_s) };
            let load = Load { address: server.address, connections, requests: Arc::clone(&requests[index]), duration };
            let before = process::cost(server.pid())?;
            let seen = load::run(&[load])?.remove(0);
            let cost = process::cost(server.pid())?.since(before);
            if round > 0 {
                totals[index].add(seen, cost);
            }
        }
    }
    Ok(totals)
}
