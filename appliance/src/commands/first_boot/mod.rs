//! `first-boot`: does what `picloud.toml` on the boot partition says, once, before the appliance starts.

mod restore;

use super::{Stopped, terminal};
use crate::config::{self, CONFIG_FILE, Mode};
use crate::deploy::{check, folder};
use clap::{Arg, ArgAction, Command};
use picloud_cluster::first_boot::{Ended, HELP, Machine, Program, later, run as boot};
use picloud_cluster::settings::{ConfigError, Layers};
use picloud_model::clock::{Clock, SystemClock};
use picloud_model::script::Diagnostic;
use std::path::{Path, PathBuf};

const PROGRAM: Program = Program {
    name: "picloud-appliance",
    section: "appliance",
    config_file: CONFIG_FILE,
    data_dir,
    join_file: |_data_dir, _joining| None,
    check_app: Some(check_app),
};

/// What is asked for, beside the first boot itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Do what the card says.
    Card,
    /// Put what came of the card's apps into the report.
    Report,
    /// Bring the backup back that the card asks for.
    Restore,
}

/// Its part of the command line.
pub(super) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("first-boot")
        .about("Do what picloud.toml on the boot partition says, before the appliance starts (as root)")
        .after_help(HELP)
        .args(picloud_cluster::first_boot::folder_arguments())
        .arg(flag("report", "Only put what came of the card's apps into the report"))
        .arg(
            flag("restore", "Only bring back the backup of [restore], once there is a network")
                .conflicts_with("report"),
        )
}

/// Does it.
pub(super) fn run(boot_folder: &Path, root: &Path, part: Part) -> Result<(), Stopped> {
    terminal::start_log("info", false);
    let machine = Machine { boot: boot_folder.to_owned(), root: root.to_owned(), now: SystemClock.now_ms() };
    match part {
        Part::Card => {}
        Part::Restore => return restore::run(&machine),
        Part::Report => {
            let is_new = later::take_over(&PROGRAM, &machine)?;
            terminal::say(if is_new {
                "the report has it; see picloud-report.txt"
            } else {
                "the report has it already"
            });
            return Ok(());
        }
    }
    match boot(&PROGRAM, &machine)? {
        Ended::NothingNew => terminal::say("there is nothing on the boot partition that was not applied before"),
        Ended::Applied => terminal::say("what the boot partition says was applied; see picloud-report.txt there"),
    }
    Ok(())
}

fn data_dir(file: &Path, text: &str) -> Result<PathBuf, ConfigError> {
    let layers = Layers { file: Some((file.to_owned(), text.to_owned())), ..Layers::default() };
    Ok(config::load(&Mode::Service, &layers)?.settings.data_dir)
}

/// Reads and compiles the app as a deploy would.
fn check_app(at: &Path) -> Result<(), Vec<Diagnostic>> {
    let one =
        |message: String, hint: Option<String>| vec![Diagnostic { file: None, line: 0, column: 0, message, hint }];
    let bundle = folder::read(at).map_err(|unreadable| match unreadable {
        folder::Unreadable::Folder(message) => one(message, None),
        folder::Unreadable::Files(found) => found,
    })?;
    check::check(bundle, SystemClock.now_ms())
        .map(drop)
        .map_err(|problem| if problem.errors.is_empty() { one(problem.detail, problem.hint) } else { problem.errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_on_the_card_is_checked_as_a_deploy_would_and_its_fault_has_a_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("scripts")).unwrap();
        std::fs::write(dir.path().join("app.toml"), "name = \"kitchen\"\n").unwrap();
        std::fs::write(dir.path().join("scripts/hello.rhai"), "\"hello\"\n").unwrap();
        check_app(dir.path()).unwrap();
        std::fs::write(dir.path().join("scripts/hello.rhai"), "let a = ;\n").unwrap();
        let found = check_app(dir.path()).unwrap_err();
        assert_eq!((found[0].file.as_deref(), found[0].line), (Some("scripts/hello.rhai"), 1), "{found:?}");
        std::fs::remove_file(dir.path().join("app.toml")).unwrap();
        assert!(check_app(dir.path()).is_err());
    }
}
