//! Benchmarks: each runs the real appliance beside the raw limit of the same work, and compares the two.
//!
//! `cargo run --release -p picloud-bench -- all`; the figures seen stand in bench/README.md. Everything is on
//! loopback, ends by itself, and stops only the processes it started.
//! To add a bench: a file in `cases/`, a variant of [`Bench`], and its arm in [`Bench::run`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its table")]

mod admin;
mod apps;
mod cases;
mod load;
mod node;
mod process;
mod raw;
mod report;
mod server;

use anyhow::Result;
use clap::{Parser, Subcommand};
use report::Row;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// PiCloud beside the raw limit, in one run.
#[derive(Parser)]
struct Arguments {
    /// The appliance to measure, with the agent beside it; both are built where absent.
    #[arg(long, global = true)]
    appliance: Option<PathBuf>,
    /// Seconds of one round of load.
    #[arg(long, global = true, default_value_t = 3)]
    round_s: u64,
    /// Rounds for each server, taken in turn.
    #[arg(long, global = true, default_value_t = 4)]
    rounds: u32,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Clone, Subcommand)]
enum Bench {
    /// All of them, one after the other.
    All,
    /// Answer a constant.
    Hello,
    /// Parse a JSON body of 1 KB, add up 20 numbers, answer JSON.
    Json,
    /// Add 1 to a durable key and answer it.
    Counter,
    /// A request whose event has a durable effect outside it, from end to end.
    Events,
    /// What 1 000 schedules cost that are not due.
    Schedules {
        /// How long to watch.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Hello on 8 connections while 4 others compute fib(20).
    Mix,
    /// 10 000 routes in 100 apps against 10 routes.
    Routes,
    /// Start to first answer, with 10 and with 10 000 scripts.
    Start,
    /// Starting anew under load: who is refused, and the longest time without an answer.
    Restart,
    /// A route that needs a key against the same route without.
    Keys,
    /// What 50 clients cost that watch for changes while none happens.
    Watch {
        /// How long to watch.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// What is written and computed so that runs are counted and shown.
    History,
    /// A history of a million runs: its pages, and dropping what is old.
    HistoryRows {
        /// How many; half of them must be enough for fifty steps of dropping.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100_000..))]
        rows: u32,
    },
    /// Nodes beside the appliance: the same work, events over three, an idle link.
    Cluster {
        /// How long to watch an idle node.
        #[arg(long, default_value_t = 120)]
        seconds: u64,
    },
    /// A file of 1 GB in and out, against cp, sync and sha256sum.
    Files,
    /// 1 GB of files into a repository and back, against `tar | zstd` and `cp` of the same.
    Backup,
    /// What an appliance costs while nothing happens.
    Idle {
        /// How long to watch.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// The raw limit itself: a plain axum server (the benches start it).
    #[command(hide = true)]
    RawServer {
        /// Where to listen.
        address: SocketAddr,
        /// Keep counters in a store in this folder.
        #[arg(long)]
        store: Option<PathBuf>,
    },
}

/// What every bench needs to know.
struct Setup {
    appliance: PathBuf,
    node: PathBuf,
    round_s: u64,
    rounds: u32,
}

impl Bench {
    fn run(&self, setup: &Setup) -> Result<Vec<Row>> {
        match self {
            Self::All => {
                let mut rows = Vec::new();
                let light =
                    [Self::Hello, Self::Json, Self::Counter, Self::Mix, Self::Routes, Self::Start, Self::Restart];
                let control = [
                    Self::Events,
                    Self::Files,
                    Self::Backup,
                    Self::Keys,
                    Self::History,
                    Self::HistoryRows { rows: 1_000_000 },
                ];
                let quiet = [
                    Self::Cluster { seconds: 120 },
                    Self::Watch { seconds: 30 },
                    Self::Schedules { seconds: 60 },
                    Self::Idle { seconds: 60 },
                ];
                for bench in light.into_iter().chain(control).chain(quiet) {
                    rows.extend(bench.run(setup)?);
                }
                Ok(rows)
            }
            Self::Hello => cases::answer::hello(setup),
            Self::Json => cases::answer::json(setup),
            Self::Counter => cases::counter::run(setup),
            Self::Events => cases::events::run(setup),
            Self::Schedules { seconds } => cases::schedules::run(setup, *seconds),
            Self::Mix => cases::mix::run(setup),
            Self::Routes => cases::routes::run(setup),
            Self::Start => cases::start::run(setup),
            Self::Restart => cases::restart::run(setup),
            Self::Keys => cases::keys::run(setup),
            Self::Watch { seconds } => cases::watch::run(setup, *seconds),
            Self::History => cases::history::run(setup),
            Self::HistoryRows { rows } => cases::history_rows::run(*rows),
            Self::Cluster { seconds } => cases::cluster::run(setup, *seconds),
            Self::Files => cases::files::run(setup),
            Self::Backup => cases::backup::run(setup),
            Self::Idle { seconds } => cases::idle::run(setup, *seconds),
            Self::RawServer { address, store } => raw::serve(*address, store.as_deref()).map(|()| Vec::new()),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether every goal was met.
fn run(arguments: &Arguments) -> Result<bool> {
    if let Bench::RawServer { .. } = arguments.bench {
        arguments.bench.run(&Setup { appliance: PathBuf::new(), node: PathBuf::new(), round_s: 0, rounds: 0 })?;
        return Ok(true);
    }
    let appliance = match &arguments.appliance {
        Some(path) => path.clone(),
        None => server::build_programs()?,
    };
    let node = appliance.with_file_name("picloud-node");
    let setup = Setup { appliance, node, round_s: arguments.round_s, rounds: arguments.rounds };
    println!("{}", report::machine());
    let rows = arguments.bench.run(&setup)?;
    println!("{}", report::table(&rows));
    Ok(rows.iter().all(|row| row.holds != Some(false)))
}
