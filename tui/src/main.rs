//! `picloud`: the command line of PiCloud, and its terminal UI, on the admin API of an appliance.
//!
//! Everything it does goes through that API; it never opens a database or a script.

mod app;
mod cli;
mod client;
mod config;
mod doctor;
mod failure;
mod flash;
mod folder;
mod keymap;
mod output;
mod path;
mod place;
mod screens;
mod settings;
mod support;
mod term;
mod theme;
mod widgets;
mod words;

use clap::{CommandFactory, FromArgMatches};
use failure::Failure;
use output::Output;
use settings::Surroundings;
use std::process::ExitCode;
use term::Called;

fn main() -> ExitCode {
    let around = Surroundings::read();
    let typed = std::env::args_os().collect();
    let called = match Called::of(typed, around.original_command.clone(), term::leads_session()) {
        Ok(called) => called,
        Err(failure) => return failed(&Output::new(false), &failure),
    };
    let parsed = cli::Cli::command()
        .try_get_matches_from(&called.arguments)
        .and_then(|matches| cli::Cli::from_arg_matches(&matches).map(|cli| (cli, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return not_understood(&error, &called),
    };
    let output = Output::new(cli.global.json);
    match run(cli, &matches, &called, around, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&output, &failure),
    }
}

fn failed(output: &Output, failure: &Failure) -> ExitCode {
    output.failure(failure);
    ExitCode::from(failure.exit_code())
}

/// Help that was asked for, or what is wrong with the arguments: for programs, a problem like any other.
fn not_understood(error: &clap::Error, called: &Called) -> ExitCode {
    let wants_json = called.arguments.iter().any(|argument| argument == "--json");
    if !wants_json || !error.use_stderr() {
        error.exit();
    }
    let text = error.to_string();
    // The usage lines and the pointer to --help that follow are for people.
    let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    failed(&Output::new(true), &Failure::usage(message, "see --help"))
}

fn run(
    cli: cli::Cli,
    matches: &clap::ArgMatches,
    called: &Called,
    around: Surroundings,
    output: &Output,
) -> Result<(), Failure> {
    let Some(command) = cli.command else {
        term::check_terminal(cli.global.json)?;
        let settings = settings::Settings::resolve(cli.global, matches)?;
        return term::run(settings, around, &cli.terminal, called.is_login_shell, output);
    };
    cli.terminal.check_alone()?;
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
