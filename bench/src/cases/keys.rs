//! A route that needs an API key, asked with one, against the same script without: what checking a key costs.

use super::in_turn;
use crate::report::Row;
use crate::server::{Appliance, admin_socket};
use crate::{Setup, admin, apps};
use anyhow::{Result, ensure};

/// Connections that ask at once.
const CONNECTIONS: usize = 8;
/// Keys beside the one that is used.
const OTHER_KEYS: u32 = 100;

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::closed()])?;
    let socket = admin_socket(ours.data.path());
    for number in 0..OTHER_KEYS {
        admin::create_key(&socket, &format!("other {number}"))?;
    }
    let key = admin::create_key(&socket, "bench")?;
    let (open, closed) = (apps::hello_requests(), apps::closed_requests(&key));
    let [expected, seen] = [&open, &closed].map(|requests| crate::load::once(ours.server.address, &requests[0]));
    ensure!(expected? == seen?, "both routes answer the same");
    let mut totals = in_turn(&[&ours.server, &ours.server], &[open, closed], CONNECTIONS, setup)?;
    let (mut keyed, mut plain) = (totals.remove(1), totals.remove(0));
    Ok(vec![
        Row::at_most("keys: CPU µs more with a key", keyed.cpu_us() - plain.cpu_us(), 5.0),
        Row::shown("keys: CPU µs a request, public and with a key", Some(plain.cpu_us()), keyed.cpu_us()),
        Row::shown("keys: p99 ms", Some(plain.seen.latency_ms(0.99)), keyed.seen.latency_ms(0.99)),
    ])
}
