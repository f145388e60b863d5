//! The command line: a file a subcommand; flags of settings come from the settings' own table.
//!
//! To add a command: a file here, a line in `command` and one in `do_it`.

mod join;
mod reset;
mod run;
mod status;
mod terminal;

use crate::config::{self, SETTINGS, Settings, TABLE};
use clap::{Arg, ArgAction, ArgMatches, Command};
use picloud_cluster::terminal::Stopped;
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads the command line and does it.
pub fn main() -> ExitCode {
    terminal::exit_code(do_it(&command().get_matches()))
}

fn do_it(matches: &ArgMatches) -> Result<(), Stopped> {
    match matches.subcommand() {
        Some(("run", given)) => run::run(settle(given)?),
        Some(("status", given)) => status::run(&settle(given)?, given.get_flag("json")),
        Some(("join", given)) => {
            let token = given.get_one::<String>("TOKEN").map(String::as_str);
            join::run(&settle(given)?, token)
        }
        Some(("reset", given)) => reset::run(&settle(given)?, given.get_flag("force")),
        _ => unreachable!("clap requires one of the commands"),
    }
}

fn settle(given: &ArgMatches) -> Result<Settings, config::ConfigError> {
    let flags = TABLE.flags(|key| given.get_one(key));
    config::read(given.get_one::<PathBuf>("config").map(PathBuf::as_path), flags)
}

/// The command line.
pub fn command() -> Command {
    Command::new("picloud-node")
        .about("The agent on each machine: finds and joins an appliance, and runs its scripts")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("run")
                .about("Run the node of this machine")
                .after_help("Example: picloud-node run --appliance pi.local"),
        ))
        .subcommand(with_settings(
            Command::new("status")
                .about("Show how the node of this machine is, and its fingerprint")
                .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")),
        ))
        .subcommand(with_settings(
            Command::new("join")
                .about("Say where the appliance is, or with which token to join it")
                .after_help(
                    "The agent that runs on this machine, or the next one, asks there to be let in.\n\
                     Example: picloud-node join PC1.0123….7.89ab… --appliance 192.168.1.2",
                )
                .arg(Arg::new("TOKEN").help("The join token that `picloud join-tokens create` printed")),
        ))
        .subcommand(with_settings(
            Command::new("reset")
                .about("Forget the appliance, the key and everything that was kept: the node becomes a new one")
                .after_help("Example: systemctl stop picloud-node && picloud-node reset")
                .arg(
                    Arg::new("force")
                        .long("force")
                        .action(ArgAction::SetTrue)
                        .help("Also where publishes wait to be forwarded, which are lost then"),
                ),
        ))
}

fn with_settings(command: Command) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help(format!("The configuration file (default: {})", config::CONFIG_FILE));
    SETTINGS.iter().fold(command.arg(file), |command, row| {
        command.arg(Arg::new(row.key).long(row.flag()).value_name(row.value_name).help(row.help()))
    })
}

/// One thread: the worker does the heavy part, and the disk has threads of its own when it is asked for.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_says_what_it_does() {
        command().debug_assert();
        let help = command().term_width(100).render_long_help().to_string();
        insta::assert_snapshot!(help);
    }
}
