//! Finding a route among 10 000 in 100 apps, against finding one among 10: in the table itself, and over HTTP.

use super::in_turn;
use crate::report::Row;
use crate::server::Appliance;
use crate::{Setup, apps, load};
use anyhow::{Context, Result, ensure};
use picloud_model::bundle::Bundle;
use picloud_model::limits::Limits;
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry};
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, ContentHash};
use picloud_orchestrator::path::NormalPath;
use picloud_orchestrator::route_table::{Found, RouteTable};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// Look-ups of one round in the table.
const LOOKUPS: usize = 1_000_000;
/// Rounds of each table, taken in turn; the fastest counts.
const ROUNDS: usize = 7;
const CONNECTIONS: usize = 8;
/// Paths asked for over HTTP, spread over all.
const PATHS: usize = 10;

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let (few, few_paths) = apps::routed(1, 10);
    let (many, many_paths) = apps::routed(100, 100);
    // A path is asked for again and again, as a site's paths are, so that both sides find theirs in the cache.
    let spread = spread(&many_paths);
    let tables = [(table(&few)?, &few_paths), (table(&many)?, &spread)];
    let mut best = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (best, (table, paths)) in best.iter_mut().zip(&tables) {
            *best = best.min(lookup_ns(table, paths)?);
        }
    }
    let all = lookup_ns(&tables[1].0, &many_paths)?;

    let few_server = Appliance::with(&setup.appliance, &few)?;
    let many_server = Appliance::with(&setup.appliance, &many)?;
    let requests = [&few_paths, &spread]
        .map(|paths| Arc::new(paths.iter().map(|path| load::request("GET", path, b"")).collect::<Vec<_>>()));
    let totals = in_turn(&[&few_server.server, &many_server.server], &requests, CONNECTIONS, setup)?;
    Ok(vec![
        Row::ratio("routes: ns a look-up, 10 000 against 10", best[0], best[1], 1.2),
        Row::shown("routes: ns a look-up, round all 10 000 (cold)", Some(best[0]), all),
        Row::ratio("routes: CPU µs a request, 10 000 against 10", totals[0].cpu_us(), totals[1].cpu_us(), 1.2),
    ])
}

/// Some of `paths`, evenly.
fn spread(paths: &[String]) -> Vec<String> {
    // One more than a whole share, so that not all of them are the same route of their apps.
    paths.iter().step_by(paths.len() / PATHS + 1).cloned().collect()
}

fn lookup_ns(table: &RouteTable, paths: &[String]) -> Result<f64> {
    let paths = paths.iter().map(|path| NormalPath::parse(path).ok().context("a path of ours is not normal"));
    let paths = paths.collect::<Result<Vec<_>>>()?;
    for path in &paths {
        let found = table.find(Some("localhost"), path, "GET");
        ensure!(matches!(found, Found::Script(_)), "`{}` leads nowhere", path.as_str());
    }
    let start = Instant::now();
    for index in 0..LOOKUPS {
        black_box(table.find(Some("localhost"), &paths[index % paths.len()], "GET"));
    }
    Ok(start.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64)
}

/// The table over `bundles`, as the worker builds it.
fn table(bundles: &[Bundle]) -> Result<RouteTable> {
    let snapshots: Vec<Arc<AppSnapshot>> =
        (1..).zip(bundles).map(|(id, bundle)| Arc::new(snapshot(id, bundle))).collect();
    RouteTable::build(&snapshots).map_err(|conflict| anyhow::anyhow!("{conflict}"))
}

fn snapshot(id: i64, bundle: &Bundle) -> AppSnapshot {
    let script = |(name, source): (&String, &String)| ScriptEntry {
        name: name.clone(),
        kind: ScriptKind::Endpoint,
        version: 1,
        hash: ContentHash::of(source.as_bytes()),
        quarantined_after_crashes: None,
        placement: picloud_model::placement::Placement::default(),
        elsewhere: false,
    };
    let route = |(id, spec): (i64, &picloud_model::route::RouteSpec)| RouteEntry {
        id,
        methods: spec.methods.clone(),
        path: spec.path.clone(),
        script: spec.script.clone(),
        auth: spec.auth,
    };
    AppSnapshot {
        http_allow: Vec::new(),
        id: AppId(id),
        name: bundle.name.clone(),
        hosts: Vec::new(),
        env: Vec::new(),
        limits: Limits::default(),
        routes: (1..).zip(&bundle.routes).map(route).collect(),
        scripts: bundle.scripts.iter().map(script).collect(),
        static_files: Vec::new(),
    }
}
