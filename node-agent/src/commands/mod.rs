//! The command line: a file a subcommand; flags of settings come from the settings' own table.
//!
//! To add a command: a file here, a line in `command` and one in `do_it`.

mod backup;
mod first_boot;
mod join;
mod reset;
mod restore;
mod run;
mod status;
mod terminal;

use crate::config::{self, Config, SETTINGS, Settings, TABLE};
use clap::{Arg, ArgAction, ArgMatches, Command};
use picloud_cluster::manual;
use picloud_cluster::terminal::Stopped;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads the command line and does it.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let about_itself = manual::run(&matches, command(), &TABLE, &Settings::of_any_machine());
    terminal::exit_code(about_itself.unwrap_or_else(|| do_it(&matches)))
}

fn do_it(matches: &ArgMatches) -> Result<(), Stopped> {
    match matches.subcommand() {
        Some(("run", given)) => run::run(settle_config(given)?),
        Some(("status", given)) => status::run(&settle(given)?, given.get_flag("json")),
        Some(("join", given)) => {
            let token = given.get_one::<String>("TOKEN").map(String::as_str);
            join::run(&settle(given)?, token)
        }
        Some(("first-boot", given)) => {
            let folder = |name| given.get_one::<PathBuf>(name).expect("it has a default");
            first_boot::run(folder("boot"), folder("root"))
        }
        Some(("reset", given)) => reset::run(&settle(given)?, given.get_flag("force")),
        Some(("backup", given)) => backup::run(&settle(given)?, config_file(given), file(given)),
        Some(("restore", given)) => restore::run(&settle(given)?, config_file(given), file(given)),
        _ => unreachable!("clap requires one of the commands"),
    }
}

fn settle(given: &ArgMatches) -> Result<Settings, config::ConfigError> {
    Ok(settle_config(given)?.settings)
}

fn settle_config(given: &ArgMatches) -> Result<Config, config::ConfigError> {
    let flags = TABLE.flags(|key| given.get_one(key));
    config::read(given.get_one::<PathBuf>("config").map(PathBuf::as_path), flags)
}

fn config_file(given: &ArgMatches) -> &Path {
    given.get_one::<PathBuf>("config").map_or(Path::new(config::CONFIG_FILE), PathBuf::as_path)
}

fn file(given: &ArgMatches) -> &Path {
    given.get_one::<PathBuf>("FILE").expect("clap requires it")
}

/// The command line.
pub fn command() -> Command {
    manual::commands(own_command())
}

fn own_command() -> Command {
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
                .after_help("Example: systemctl stop picloud-node.socket picloud-node && picloud-node reset")
                .arg(
                    Arg::new("force")
                        .long("force")
                        .action(ArgAction::SetTrue)
                        .help("Also where publishes wait to be forwarded, which are lost then"),
                ),
        ))
        .subcommand(
            Command::new("first-boot")
                .about("Do what picloud.toml on the boot partition says, before the agent starts (as root)")
                .after_help(picloud_cluster::first_boot::HELP)
                .args(picloud_cluster::first_boot::folder_arguments()),
        )
        .subcommand(with_settings(
            Command::new("backup")
                .about("Put what makes this machine its node into one file, also while the node runs")
                .after_help(
                    "Whoever has the file can be the node: keep it as safe as the machine.\n\
                     Example: picloud-node backup /mnt/usb/pi2.tar",
                )
                .arg(file_argument("The file to write")),
        ))
        .subcommand(with_settings(
            Command::new("restore")
                .about("Make this machine the node of a backup: its appliance lets it in as before")
                .after_help("The old machine must not run any more.\nExample: picloud-node restore /mnt/usb/pi2.tar")
                .arg(file_argument("The file that `backup` wrote")),
        ))
}

fn file_argument(help: &'static str) -> Arg {
    Arg::new("FILE").required(true).value_parser(clap::value_parser!(PathBuf)).help(help)
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
#[path = "../../../tui/tests/support/documented.rs"]
mod documented;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_says_what_it_does() {
        command().debug_assert();
        let help = command().term_width(100).render_long_help().to_string();
        insta::assert_snapshot!(help);
    }

    #[test]
    fn every_command_that_the_documents_show_is_understood() {
        let refused =
            documented::refused_by("picloud-node", |words| command().try_get_matches_from(words).map(|_matches| ()));
        assert!(refused.is_empty(), "\n{}", refused.join("\n"));
    }
}
