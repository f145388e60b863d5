//! `picloud`: the command line of PiCloud, on the admin API of an appliance.
//!
//! Everything it does goes through that API; it never opens a database or a script.

mod cli;
mod client;
mod config;
mod failure;
mod folder;
mod output;
mod path;
mod place;
mod settings;

use clap::{CommandFactory, FromArgMatches};
use failure::Failure;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let parsed = cli::Cli::command()
        .try_get_matches()
        .and_then(|matches| cli::Cli::from_arg_matches(&matches).map(|cli| (cli, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return not_understood(&error),
    };
    let output = Output::new(cli.global.json);
    match run(cli, &matches, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Help that was asked for, or what is wrong with the arguments: for programs, a problem like any other.
fn not_understood(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if !wants_json || !error.use_stderr() {
        error.exit();
    }
    let text = error.to_string();
    // The usage lines and the pointer to --help that follow are for people.
    let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let failure = Failure::usage(message, "see --help");
    Output::new(true).failure(&failure);
    ExitCode::from(failure.exit_code())
}

fn run(cli: cli::Cli, matches: &clap::ArgMatches, output: &Output) -> Result<(), Failure> {
    let Some(command) = cli.command else {
        output.note(&cli::Cli::command().render_help().to_string());
        return Err(Failure::usage(
            "no command was given",
            "the terminal UI comes later; `picloud status` is a good start",
        ));
    };
    let command = match command.run_alone(&cli.global, output) {
        Ok(done) => return done,
        Err(command) => command,
    };
    let settings = settings::Settings::resolve(cli.global, matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the runtime does not start: {error}"), None))?;
    runtime.block_on(command.run(&settings, output))
}
