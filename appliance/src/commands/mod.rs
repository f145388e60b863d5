//! The command line: a file a subcommand; flags of settings come from the settings' own table.
//!
//! To add a command: a file here, a line in `command` and one in `run`.

mod backup;
mod check_config;
mod dev;
mod migrate_store;
mod restore;
mod serve;
mod signals;
mod terminal;

use crate::config::{self, Config, Mode, SETTINGS, TABLE};
use clap::{Arg, ArgMatches, Command};
use picloud_cluster::terminal::Stopped;
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads the command line and does it.
pub fn main() -> ExitCode {
    terminal::exit_code(run(&command().get_matches()))
}

fn run(matches: &ArgMatches) -> Result<(), Stopped> {
    match matches.subcommand() {
        Some(("serve", given)) => serve::run(settle(&Mode::Service, given)?),
        Some(("dev", given)) => {
            let folder: &PathBuf = given.get_one("DIR").expect("clap requires it");
            dev::run(folder, settle(&Mode::Dev(folder.clone()), given)?)
        }
        Some(("backup", given)) => {
            let file: &PathBuf = given.get_one("FILE").expect("clap requires it");
            backup::run(&settle(&Mode::Service, given)?, file, given.get_flag("force"))
        }
        Some(("restore", given)) => {
            let file: &PathBuf = given.get_one("FILE").expect("clap requires it");
            restore::run(&settle(&Mode::Service, given)?, file)
        }
        Some(("migrate-store", given)) => {
            let place = |name| given.get_one::<String>(name).expect("clap requires it");
            migrate_store::run(place("from"), place("to"))
        }
        Some(("check-config", given)) => {
            check_config::run(&settle(&Mode::Service, given)?, given.get_flag("json"));
            Ok(())
        }
        _ => unreachable!("clap requires one of the commands"),
    }
}

fn settle(mode: &Mode, given: &ArgMatches) -> Result<Config, config::ConfigError> {
    let flags = TABLE.flags(|key| given.get_one(key));
    config::read(mode, given.get_one::<PathBuf>("config").map(PathBuf::as_path), flags)
}

fn command() -> Command {
    Command::new("picloud-appliance")
        .about("Runs your scripts at URLs: control plane, store and a built-in node in one program")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(
            Command::new("serve")
                .about("Run the appliance of this machine")
                .after_help("Example: picloud-appliance serve --ingress-addr 127.0.0.1:8080"),
        ))
        .subcommand(with_settings(
            Command::new("dev")
                .about("Serve one app folder, and deploy it again at every save")
                .after_help("Example: picloud-appliance dev examples/quickstart")
                .arg(
                    Arg::new("DIR")
                        .required(true)
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("The app folder; data goes to DIR/.picloud"),
                ),
        ))
        .subcommand(with_settings(
            Command::new("backup")
                .about("Put everything durable into one file, while the appliance goes on or while none runs")
                .after_help(
                    "The file holds everything, also the keys that secrets are sealed with: keep it as safe as the \
                     machine.\nExample: picloud-appliance backup /mnt/usb/picloud.tar",
                )
                .arg(file_argument("The file to write; `-` for standard output"))
                .arg(
                    Arg::new("force")
                        .long("force")
                        .action(clap::ArgAction::SetTrue)
                        .help("Replace FILE where it is there already"),
                ),
        ))
        .subcommand(with_settings(
            Command::new("restore")
                .about("Put a backup in place of a data folder that is empty or does not exist")
                .after_help("Example: picloud-appliance restore /mnt/usb/picloud.tar --data-dir /var/lib/picloud")
                .arg(file_argument("The file that `backup` wrote")),
        ))
        .subcommand(
            Command::new("migrate-store")
                .about("Move everything from one store into a new one: from SQLite to Postgres, or back")
                .after_help(
                    "No appliance may run on either. Both sides are compared row by row before the new one is kept; the \
                     source stays as it is, and so do files of apps.\nExample: picloud-appliance migrate-store \
                     --from /var/lib/picloud --to postgres://picloud@db.local/picloud",
                )
                .arg(place_argument("from", "The store to read: the data folder of an appliance, or a database"))
                .arg(place_argument("to", "The store to make: a data folder without one, or an empty database")),
        )
        .subcommand(with_settings(
            Command::new("check-config")
                .about("Check the settings and show what holds, and where each comes from")
                .after_help("Example: picloud-appliance check-config --config ./appliance.toml")
                .arg(Arg::new("json").long("json").action(clap::ArgAction::SetTrue).help("Print JSON")),
        ))
}

fn file_argument(help: &'static str) -> Arg {
    Arg::new("FILE").required(true).value_parser(clap::value_parser!(PathBuf)).help(help)
}

fn place_argument(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("DIR|URL").required(true).help(help)
}

fn with_settings(command: Command) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help(format!("The configuration file (default, except for dev: {})", config::CONFIG_FILE));
    SETTINGS.iter().fold(command.arg(file), |command, row| {
        command.arg(Arg::new(row.key).long(row.flag()).value_name(row.value_name).help(row.help()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
