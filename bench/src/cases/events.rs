//! A request publishes, is answered once that is on the disk, and the event's handler makes a durable change: against an
//! axum program that does the same on the same store in one process.

use crate::load::{self, Load};
use crate::process::{self, Cost};
use crate::report::Row;
use crate::server::{Appliance, Server, admin_socket, data_folder, same_answer};
use crate::{Setup, admin, apps};
use anyhow::{Context, Result, ensure};
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Callers at once.
const CALLERS: usize = 16;
/// Lone events whose time from the request to the effect is taken.
const LONE_EVENTS: u32 = 300;
/// Between two looks at how many effects there are: adding them up is work for the server, too.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest wait for the effects of a round.
const EFFECTS_WAIT: Duration = Duration::from_secs(120);

/// What a server did over its rounds.
#[derive(Default)]
pub(super) struct Total {
    pub(super) events: u64,
    elapsed: Duration,
    cost: Cost,
    /// Those of the warm-up.
    pub(super) before: u64,
}

impl Total {
    pub(super) fn per_second(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64()
    }

    pub(super) fn cpu_us(&self) -> f64 {
        self.cost.cpu.as_secs_f64() * 1e6 / self.events as f64
    }

    fn written_bytes_each(&self) -> f64 {
        self.cost.written_bytes as f64 / self.events as f64
    }
}

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let folder = data_folder()?;
    let raw = Server::raw(folder.path(), Some(folder.path()))?;
    let ours = Appliance::with(&setup.appliance, &[apps::events()])?;
    same_answer(&raw, &ours.server, &apps::event_requests()[0])?;
    let mut totals = [Total::default(), Total::default()];
    for (total, server) in totals.iter_mut().zip([&raw, &ours.server]) {
        // The first answer's, and a second to warm up.
        let warm = burst(server, Duration::from_secs(1))?;
        total.before = 1 + warm;
        wait_for(server, total.before)?;
    }
    for _round in 0..setup.rounds {
        for (total, server) in totals.iter_mut().zip([&raw, &ours.server]) {
            round(server, total, Duration::from_secs(setup.round_s), false)?;
        }
    }
    let [limit, own] = totals;
    let mut lone = lone_events(&ours)?;
    lone.sort_unstable();
    let ms = |share: f64| lone[(lone.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    Ok(vec![
        Row::share("events: a second, to the last effect", limit.per_second(), own.per_second(), 0.4),
        Row::shown("events: CPU µs an event", Some(limit.cpu_us()), own.cpu_us()),
        Row::at_most("events: bytes written an event", own.written_bytes_each(), 6000.0),
        Row::shown("events: bytes written, raw too", Some(limit.written_bytes_each()), own.written_bytes_each()),
        Row::at_most("events: ms from a lone request to its effect, p50", ms(0.5), 2.0),
        Row::shown("events: ms from a lone request to its effect, p99", None, ms(0.99)),
    ])
}

/// One burst, to its last effect; a warm-up only counts its events.
pub(super) fn round(server: &Server, total: &mut Total, duration: Duration, is_warm_up: bool) -> Result<()> {
    let (before, start) = (process::cost(server.pid())?, Instant::now());
    let events = burst(server, duration)?;
    if is_warm_up {
        total.before += events;
    } else {
        total.events += events;
    }
    wait_for(server, total.before + total.events)?;
    if !is_warm_up {
        total.elapsed += start.elapsed();
        let cost = process::cost(server.pid())?.since(before);
        total.cost.cpu += cost.cpu;
        total.cost.written_bytes += cost.written_bytes;
    }
    Ok(())
}

/// Publishes for `duration`; answers how many events there were.
fn burst(server: &Server, duration: Duration) -> Result<u64> {
    let load = Load { address: server.address, connections: CALLERS, requests: apps::event_requests(), duration };
    Ok(load::run(&[load])?.remove(0).requests)
}

/// Waits until there are so many effects.
pub(super) fn wait_for(server: &Server, effects: u64) -> Result<()> {
    let expected = format!("{{\"effects\":{effects}}}");
    let start = Instant::now();
    loop {
        let answer = load::once(server.address, &load::request("GET", "/effects", b""))?;
        if answer == expected {
            return Ok(());
        }
        ensure!(start.elapsed() < EFFECTS_WAIT, "{answer} after {EFFECTS_WAIT:?}, not {expected}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The time from the request to its effect, told by the handler once the effect is on the disk.
fn lone_events(ours: &Appliance) -> Result<Vec<Duration>> {
    let mut told = admin::listen(&admin_socket(ours.data.path()), "told")?;
    let mut times = Vec::new();
    for number in 0..LONE_EVENTS {
        let start = Instant::now();
        load::once(ours.server.address, &load::request("POST", &format!("/ask/lone{number}"), b""))?;
        read_until(&mut told, &format!("lone{number}\""))?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn read_until(stream: &mut UnixStream, word: &str) -> Result<()> {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(word) {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).with_context(|| format!("wait for `{word}`"))?;
        ensure!(read > 0, "the stream ended");
        seen.extend_from_slice(&bytes[..read]);
    }
    Ok(())
}
