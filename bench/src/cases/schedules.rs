//! What an appliance costs that has 1 000 schedules, none of which is due.

use crate::process::quiet;
use crate::report::Row;
use crate::server::Appliance;
use crate::{Setup, apps, load};
use anyhow::Result;

/// How many.
const SCHEDULES: usize = 1_000;

pub(crate) fn run(setup: &Setup, seconds: u64) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::schedules(SCHEDULES)])?;
    load::once(ours.server.address, &apps::hello_requests()[0])?;
    let (cost, elapsed) = quiet(ours.server.pid(), seconds)?;
    Ok(vec![
        Row::at_most("schedules: CPU %", cost.cpu_exact.as_secs_f64() / elapsed * 100.0, 0.05),
        Row::at_most("schedules: wake-ups a second", cost.sleeps as f64 / elapsed, 2.0),
        Row::at_most("schedules: bytes written", cost.written_bytes as f64, 0.0),
        Row::shown("schedules: RSS of both processes, MB", None, cost.rss_bytes as f64 / 1e6),
    ])
}
