//! Nodes: the same work on a node and on the appliance, events over three nodes and over none, what a link costs while
//! nothing happens, and how long a node takes to be seen and a deploy to be served. All of them run on this machine.

use super::events::{Total, round};
use super::in_turn;
use crate::node::Node;
use crate::process;
use crate::report::Row;
use crate::server::{Appliance, admin_socket};
use crate::{Setup, admin, apps, load};
use anyhow::{Result, ensure};
use picloud_model::bundle::Bundle;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections of the load on scripts without data.
const CONNECTIONS: usize = 8;
/// Callers at once of the load on data.
const CALLERS: usize = 16;
/// Nodes that share the events.
const NODES: usize = 3;
/// Deploys whose way to the node is timed.
const DEPLOYS: usize = 20;
/// Longest wait for a node to be seen, or a deploy to be served.
const SEEN_WAIT: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const MS_PER_DAY: f64 = 86_400_000.0;

pub(crate) fn run(setup: &Setup, idle_s: u64) -> Result<Vec<Row>> {
    let mut rows = answers(setup)?;
    rows.extend(data(setup)?);
    rows.extend(events(setup)?);
    rows.extend(times(setup)?);
    rows.extend(idle(setup, idle_s)?);
    Ok(rows)
}

/// A script without data: no hop.
fn answers(setup: &Setup) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    let node = Node::joined(&setup.node, &ours, "one")?;
    let hello = apps::hello_requests();
    let totals = in_turn(&[&ours.server, &node.server], &[Arc::clone(&hello), hello], CONNECTIONS, setup)?;
    Ok(vec![Row::ratio(
        "cluster: CPU µs of hello, node against appliance",
        totals[0].cpu_us(),
        totals[1].cpu_us(),
        1.1,
    )])
}

/// A durable counter: the appliance's own CPU for a call from its worker, and for one from a node.
fn data(setup: &Setup) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    let node = Node::joined(&setup.node, &ours, "one")?;
    let requests = apps::count_requests();
    // The worker's CPU is not the appliance's: on the node, too, the run's is not counted.
    let mut cpu = [Duration::ZERO; 2];
    let mut seen = [load::Seen::default(), load::Seen::default()];
    for number in 0..=setup.rounds {
        for (index, address) in [ours.server.address, node.server.address].into_iter().enumerate() {
            let duration = Duration::from_secs(if number == 0 { 1 } else { setup.round_s });
            let before = process::own_cost(ours.server.pid())?;
            let load = load::Load { address, connections: CALLERS, requests: Arc::clone(&requests), duration };
            let round = load::run(&[load])?.remove(0);
            if number > 0 {
                cpu[index] += process::own_cost(ours.server.pid())?.since(before).cpu;
                seen[index].add(round);
            }
        }
    }
    let us = |index: usize| cpu[index].as_secs_f64() * 1e6 / seen[index].requests as f64;
    let (local, remote) = (us(0), us(1));
    let [mut here, mut there] = seen;
    Ok(vec![
        Row::ratio("cluster: the appliance's CPU µs of a KV call, from a node against local", local, remote, 2.0),
        Row::shown("cluster: KV p50 ms", Some(here.latency_ms(0.5)), there.latency_ms(0.5)),
        Row::shown("cluster: KV p99 ms", Some(here.latency_ms(0.99)), there.latency_ms(0.99)),
    ])
}

/// Events whose handlers run on three nodes and the appliance, against the appliance alone.
fn events(setup: &Setup) -> Result<Vec<Row>> {
    let alone = Appliance::with(&setup.appliance, &[apps::events()])?;
    let shared = Appliance::with(&setup.appliance, &[apps::events()])?;
    let nodes = (0..NODES).map(|number| Node::joined(&setup.node, &shared, &format!("node-{number}")));
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    let mut cpu_of_nodes = Duration::ZERO;
    let mut totals = [Total::default(), Total::default()];
    let servers = [&alone.server, &shared.server];
    for number in 0..=setup.rounds {
        for (total, server) in totals.iter_mut().zip(servers) {
            let duration = Duration::from_secs(if number == 0 { 1 } else { setup.round_s });
            let before = cpu(&nodes)?;
            round(server, total, duration, number == 0)?;
            if number > 0 {
                cpu_of_nodes += cpu(&nodes)?.saturating_sub(before);
            }
        }
    }
    let [one, three] = totals;
    let us_of_nodes = cpu_of_nodes.as_secs_f64() * 1e6 / three.events as f64;
    Ok(vec![
        Row::share(
            "cluster: events a second over 3 nodes, against the appliance alone",
            one.per_second(),
            three.per_second(),
            0.8,
        ),
        Row::shown("cluster: CPU µs an event, of the appliance", Some(one.cpu_us()), three.cpu_us()),
        Row::shown("cluster: CPU µs an event, of all programs", Some(one.cpu_us()), three.cpu_us() + us_of_nodes),
    ])
}

/// What all of them have used up to now, their workers included.
fn cpu(nodes: &[Node]) -> Result<Duration> {
    nodes.iter().map(|node| Ok(process::cost(node.server.pid())?.cpu)).sum()
}

/// From a node's start to its place in the list, and from a deploy's answer to the node's.
fn times(setup: &Setup) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    let socket = admin_socket(ours.data.path());
    let begun = Instant::now();
    let stranger = Node::stranger(&setup.node, &ours)?;
    let seen = until(|| Ok(admin::get(&socket, "/nodes")?.contains("waiting").then(|| begun.elapsed())))?;
    drop(stranger);
    let node = Node::joined(&setup.node, &ours, "one")?;
    let mut longest = Duration::ZERO;
    for number in 0..DEPLOYS {
        let mut bundle: Bundle = apps::standard();
        bundle.scripts.insert("hello".to_owned(), format!("\"deploy {number}\""));
        let begun = Instant::now();
        admin::deploy(&socket, &bundle)?;
        let expected = format!("deploy {number}");
        let served = || load::once(node.server.address, &apps::hello_requests()[0]).map(|answer| answer == expected);
        longest = longest.max(until(|| Ok(served()?.then(|| begun.elapsed())))?);
    }
    Ok(vec![
        Row::at_most("cluster: ms from a stranger's start to `nodes`", seen.as_secs_f64() * 1e3, 2000.0),
        Row::at_most(
            "cluster: ms from a deploy's begin to the node's answer, longest of 20",
            longest.as_secs_f64() * 1e3,
            500.0,
        ),
    ])
}

/// A node that has nothing to do.
fn idle(setup: &Setup, seconds: u64) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    let node = Node::joined(&setup.node, &ours, "one")?;
    load::once(node.server.address, &apps::hello_requests()[0])?;
    // The record of this one run goes to the appliance, which is no part of what an idle link carries.
    process::settle();
    let (before, start) = (node.link_bytes(&ours)?, Instant::now());
    let (cost, elapsed) = process::quiet(node.server.pid(), seconds)?;
    let bytes = node.link_bytes(&ours)?.saturating_sub(before) as f64;
    let a_day = bytes / start.elapsed().as_secs_f64() * MS_PER_DAY / 1e3;
    let own = process::own_cost(node.server.pid())?;
    Ok(vec![
        Row::at_most("cluster: idle agent, CPU %", cost.cpu_exact.as_secs_f64() / elapsed * 100.0, 0.05),
        Row::at_most("cluster: idle agent, RSS MB", own.rss_bytes as f64 / 1e6, 24.0),
        Row::shown("cluster: idle agent and its worker, RSS MB", None, cost.rss_bytes as f64 / 1e6),
        Row::shown("cluster: idle agent, wake-ups a second", None, cost.sleeps as f64 / elapsed),
        Row::at_most("cluster: idle agent, bytes written", cost.written_bytes as f64, 0.0),
        Row::at_most("cluster: idle link, KB a day with headers", a_day / 1e3, 1000.0),
    ])
}

/// Looks until `what` is there.
fn until<T>(mut what: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = what()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < SEEN_WAIT, "not seen within {SEEN_WAIT:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}
