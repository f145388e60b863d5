//! From starting the program to its first answer, with 10 and with 10 000 scripts stored.

use crate::report::Row;
use crate::server::{Appliance, Server};
use crate::{Setup, apps, load};
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

/// Starts of each, taken in turn.
const STARTS: usize = 9;

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let folders = [(1, 10), (10, 10_000)].map(|(apps, scripts)| -> Result<_> {
        let Appliance { server, data } = Appliance::with(&setup.appliance, &apps::stored(apps, scripts))?;
        server.stop()?;
        Ok(data)
    });
    let [few, many] = folders;
    let (few, many) = (few?, many?);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (times, folder) in times.iter_mut().zip([&few, &many]) {
            times.push(first_answer_ms(&setup.appliance, folder.path())?);
        }
    }
    let [few, many] = times.map(median);
    Ok(vec![
        Row::at_most("start: ms to the first answer, 10 scripts", few, 120.0),
        Row::ratio("start: ms, 10 000 scripts against 10", few, many, 1.5),
    ])
}

fn first_answer_ms(program: &Path, data: &Path) -> Result<f64> {
    let start = Instant::now();
    let server = Server::appliance(program, data)?;
    load::once(server.address, &apps::hello_requests()[0])?;
    let elapsed = start.elapsed();
    server.stop()?;
    Ok(elapsed.as_secs_f64() * 1e3)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
