//! What an appliance with one app costs while nobody asks for anything.

use crate::process::quiet;
use crate::report::Row;
use crate::server::Appliance;
use crate::{Setup, apps, load};
use anyhow::Result;

pub(crate) fn run(setup: &Setup, seconds: u64) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    load::once(ours.server.address, &apps::hello_requests()[0])?;
    load::once(ours.server.address, &apps::count_requests()[0])?;
    let (cost, elapsed) = quiet(ours.server.pid(), seconds)?;
    Ok(vec![
        Row::at_most("idle: CPU %", cost.cpu_exact.as_secs_f64() / elapsed * 100.0, 0.05),
        Row::at_most("idle: wake-ups a second", cost.sleeps as f64 / elapsed, 2.0),
        Row::at_most("idle: bytes written", cost.written_bytes as f64, 0.0),
        Row::at_most("idle: RSS of both processes, MB", cost.rss_bytes as f64 / 1e6, 40.0),
    ])
}
