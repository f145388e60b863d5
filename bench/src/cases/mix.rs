//! Short scripts beside long ones: hello on 8 connections while 4 others keep computing fib(20).

use crate::load::{self, Load};
use crate::report::Row;
use crate::server::Appliance;
use crate::{Setup, apps};
use anyhow::Result;
use std::time::Duration;

const HELLO_CONNECTIONS: usize = 8;
const FIB_CONNECTIONS: usize = 4;

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let ours = Appliance::with(&setup.appliance, &[apps::standard()])?;
    let duration = Duration::from_secs(setup.round_s * u64::from(setup.rounds));
    let address = ours.server.address;
    let hello = Load { address, connections: HELLO_CONNECTIONS, requests: apps::hello_requests(), duration };
    let fib = Load { address, connections: FIB_CONNECTIONS, requests: apps::fib_requests(), duration };
    let warm_up = |load: &Load| Load { duration: Duration::from_secs(1), ..load.clone() };
    load::run(&[warm_up(&hello), warm_up(&fib)])?;
    let mut seen = load::run(&[hello, fib])?;
    let (mut fib, mut hello) = (seen.remove(1), seen.remove(0));
    Ok(vec![
        Row::at_most("mix: hello p50 ms", hello.latency_ms(0.5), 0.5),
        Row::at_most("mix: hello p99 ms", hello.latency_ms(0.99), 15.0),
        Row::shown("mix: hello a second", None, hello.per_second()),
        Row::shown("mix: fib(20) a second", None, fib.per_second()),
        Row::shown("mix: fib(20) p99 ms", None, fib.latency_ms(0.99)),
    ])
}
