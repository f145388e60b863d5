//! Fifty clients that wait for changes while none happens, against none.

use crate::process::{Cost, quiet};
use crate::report::Row;
use crate::server::{Appliance, admin_socket};
use crate::{Setup, admin, apps, load};
use anyhow::Result;
use std::os::unix::net::UnixStream;

/// Clients that wait.
const CLIENTS: usize = 50;

pub(crate) fn run(setup: &Setup, seconds: u64) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    load::once(ours.server.address, &apps::hello_requests()[0])?;
    let (without, _) = quiet(ours.server.pid(), seconds)?;
    let socket = admin_socket(ours.data.path());
    let clients = (0..CLIENTS).map(|_| admin::watch(&socket)).collect::<Result<Vec<UnixStream>>>()?;
    let (with, elapsed) = quiet(ours.server.pid(), seconds)?;
    drop(clients);
    let percent = |cost: Cost| cost.cpu_exact.as_secs_f64() / elapsed * 100.0;
    let memory = with.rss_bytes.saturating_sub(without.rss_bytes) as f64 / 1e3;
    Ok(vec![
        Row::at_most("watch: CPU % with 50 clients", percent(with), 0.05),
        Row::at_most("watch: wake-ups a second with 50 clients", with.sleeps as f64 / elapsed, 2.0),
        Row::at_most("watch: bytes written with 50 clients", with.written_bytes as f64, 0.0),
        Row::shown("watch: wake-ups a second with none", None, without.sleeps as f64 / elapsed),
        Row::shown("watch: KB of memory a client", None, memory / CLIENTS as f64),
    ])
}
