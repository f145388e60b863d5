//! The command line: a file a subcommand; flags of settings come from the settings' own table.
//!
//! To add a command: a file here, a line in `command` and one in `run`.

mod backup;
mod check_config;
mod dev;
mod first_boot;
mod go_back;
mod migrate_store;
mod repository;
mod restore;
mod serve;
mod signals;
mod terminal;
mod upgrade_check;

use crate::config::{self, Config, Mode, SETTINGS, TABLE};
use clap::{Arg, ArgMatches, Command};
use picloud_cluster::manual;
use picloud_cluster::terminal::Stopped;
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads the command line and does it.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let about_itself = manual::run(&matches, command(), &TABLE, &config::Settings::of_any_machine());
    terminal::exit_code(about_itself.unwrap_or_else(|| run(&matches)))
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
        Some(("repository", given)) => {
            let (command, given) = given.subcommand().expect("clap requires it");
            repository::run(&settle(&Mode::Service, given)?, command, given)
        }
        Some(("migrate-store", given)) => {
            let place = |name| given.get_one::<String>(name).expect("clap requires it");
            migrate_store::run(place("from"), place("to"))
        }
        Some(("first-boot", given)) => {
            let folder = |name| given.get_one::<PathBuf>(name).expect("it has a default");
            let part = match (given.get_flag("report"), given.get_flag("restore")) {
                (true, _) => first_boot::Part::Report,
                (false, true) => first_boot::Part::Restore,
                (false, false) => first_boot::Part::Card,
            };
            first_boot::run(folder("boot"), folder("root"), part)
        }
        Some(("check-config", given)) => {
            check_config::run(&settle(&Mode::Service, given)?, given.get_flag("json"));
            Ok(())
        }
        Some(("upgrade-check", given)) => {
            let before_install = given.get_flag("before-install");
            upgrade_check::run(&settle(&Mode::Service, given)?, before_install, given.get_flag("json"))
        }
        Some(("go-back", given)) => {
            let copy = given.get_one::<String>("COPY").map(String::as_str);
            let asked = go_back::Asked { copy, yes: given.get_flag("yes"), json: given.get_flag("json") };
            go_back::run(&settle(&Mode::Service, given)?, &asked)
        }
        _ => unreachable!("clap requires one of the commands"),
    }
}

fn settle(mode: &Mode, given: &ArgMatches) -> Result<Config, config::ConfigError> {
    let flags = TABLE.flags(|key| given.get_one(key));
    config::read(mode, given.get_one::<PathBuf>("config").map(PathBuf::as_path), flags)
}

fn command() -> Command {
    manual::commands(own_command())
}

fn own_command() -> Command {
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
        .subcommand(repository::command())
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
                .arg(json_flag()),
        ))
        .subcommand(first_boot::command())
        .subcommand(with_settings(upgrade_check_command()))
        .subcommand(with_settings(go_back_command()))
}

fn upgrade_check_command() -> Command {
    Command::new("upgrade-check")
        .about("Look whether the data can be upgraded, and change nothing; also while an appliance runs")
        .after_help(
            "Reads all of the data. Ends with 1 where it is damaged, where it is of a newer PiCloud, or where there is no \
             room for the copy that is made before an upgrade.\nExample: picloud-appliance upgrade-check",
        )
        .arg(
            Arg::new("before-install")
                .long("before-install")
                .action(clap::ArgAction::SetTrue)
                .help("Another PiCloud is about to be installed: there must be room for a copy in any case"),
        )
        .arg(json_flag())
}

fn go_back_command() -> Command {
    Command::new("go-back")
        .about("Put the copy from before an upgrade in place of what a newer PiCloud made of it")
        .after_help(
            "Shows what would be lost, and changes nothing, unless --yes is given. The appliance must be stopped. What the \
             newer PiCloud had is put aside, not deleted.\nExample: picloud-appliance go-back --yes",
        )
        .arg(Arg::new("COPY").help("The copy's name; the newest one that this program can open where absent"))
        .arg(Arg::new("yes").long("yes").short('y').action(clap::ArgAction::SetTrue).help("Do it"))
        .arg(json_flag())
}

fn json_flag() -> Arg {
    Arg::new("json").long("json").action(clap::ArgAction::SetTrue).help("Print JSON")
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
#[path = "../../../tui/tests/support/documented.rs"]
pub(crate) mod documented;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_that_the_documents_show_is_understood() {
        let refused = documented::refused_by("picloud-appliance", |words| {
            command().try_get_matches_from(words).map(|_matches| ())
        });
        assert!(refused.is_empty(), "\n{}", refused.join("\n"));
    }
}
