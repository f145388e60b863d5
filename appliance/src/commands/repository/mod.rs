//! `repository`: backups one after the other, in a place of their own.

mod words;

use super::backup::caller;
use super::restore::warn_of_name;
use super::serve::runtime;
use super::{Stopped, terminal, with_settings};
use crate::appliance::node_name;
use crate::config::{self, Config};
use crate::repository::{AppRestore, CheckPart, Repository, RestorePlan, Take};
use clap::{Arg, ArgAction, ArgMatches, Command};
use picloud_model::audit::Act;
use picloud_model::clock::{Clock, SystemClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use words::{show, show_list};

/// Does one of them.
pub(super) fn run(config: &Config, command: &str, given: &ArgMatches) -> Result<(), Stopped> {
    terminal::start_log(&config.settings.log, false);
    let repository = Repository::of(&config.settings)?;
    let json = given.get_flag("json");
    let file = given.get_one::<PathBuf>("config").map_or(Path::new(config::CONFIG_FILE), PathBuf::as_path);
    runtime()?.block_on(async {
        match command {
            "init" => init(&repository).await,
            "backup" => back_up(&repository, config, file, given).await,
            "list" => {
                let all = repository.list().await?;
                if json {
                    return show(&all);
                }
                show_list(&all);
                Ok(())
            }
            "check" => check(&repository, given.get_flag("all")).await,
            "prune" => prune(&repository, json).await,
            "restore" => restore(&repository, config, file, given).await,
            _ => unreachable!("clap requires one of the commands"),
        }
    })
}

async fn init(repository: &Repository) -> Result<(), Stopped> {
    let made = repository.init(&node_name()).await?;
    terminal::say(&made.sheet);
    let what = if made.is_new {
        "the repository is made"
    } else {
        "the repository was there already, and its password opens it"
    };
    terminal::complain(&format!("\n{what}; take the first backup: picloud-appliance repository backup"));
    Ok(())
}

async fn back_up(repository: &Repository, config: &Config, file: &Path, given: &ArgMatches) -> Result<(), Stopped> {
    let (clock, act) = clock_and_act("backup");
    let file = file.is_file().then(|| std::path::absolute(file)).transpose()?;
    let take = Take { settings: &config.settings, config: file.as_deref(), clock: Arc::clone(&clock), act: &act };
    let outcome = repository.take(&take).await?;
    if given.get_flag("json") {
        show(&outcome)?;
    } else {
        terminal::say(&words::taken(&outcome));
    }
    if given.get_flag("prune") {
        let pruned = repository.prune().await?;
        if !given.get_flag("json") {
            terminal::say(&words::pruned(&pruned));
        }
        repository.check(CheckPart::of(clock.now_ms())).await?;
    }
    Ok(())
}

async fn check(repository: &Repository, all: bool) -> Result<(), Stopped> {
    repository.check(if all { CheckPart::All } else { CheckPart::Structure }).await?;
    terminal::say(if all {
        "the repository is whole: every byte was read and is what was written"
    } else {
        "the repository is whole as far as its structure goes; read every byte of it: --all"
    });
    Ok(())
}

async fn prune(repository: &Repository, json: bool) -> Result<(), Stopped> {
    let pruned = repository.prune().await?;
    if json {
        return show(&pruned);
    }
    terminal::say(&words::pruned(&pruned));
    Ok(())
}

async fn restore(repository: &Repository, config: &Config, file: &Path, given: &ArgMatches) -> Result<(), Stopped> {
    let text = |name| given.get_one::<String>(name).map(String::as_str);
    let (clock, act) = clock_and_act("restore");
    let settings = &config.settings;
    if let Some(app) = text("app") {
        let name = text("as").unwrap_or(app);
        let wanted = AppRestore { snapshot: text("SNAPSHOT"), app, name, settings, clock };
        let restored = repository.restore_app(&wanted).await.map_err(words::nothing_restored)?;
        if given.get_flag("json") {
            return show(&restored);
        }
        terminal::say(&words::app_restored(app, name, &restored));
        return Ok(());
    }
    let plan = RestorePlan {
        snapshot: text("SNAPSHOT"),
        dir: &settings.data_dir,
        files_root: settings.files_root.as_deref(),
        config: file,
        clock,
        act: &act,
    };
    let only_tried = given.get_flag("verify-only");
    let done = if only_tried { repository.try_restore(&plan).await } else { repository.restore(&plan).await };
    let done = done.map_err(words::nothing_restored)?;
    terminal::say(&words::restored(&done, settings, only_tried));
    words::warn_of(&done);
    if !only_tried {
        warn_of_name(&done.inventory.node);
    }
    Ok(())
}

fn clock_and_act(from: &str) -> (Arc<dyn Clock>, Act) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let at = clock.now_ms();
    (clock, Act { who: caller(), from: from.to_owned(), at, message: None })
}

/// The command line.
pub(super) fn command() -> Command {
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let sub = |name: &'static str, about: &'static str| with_settings(Command::new(name).about(about)).arg(json());
    Command::new("repository")
        .about("Keep encrypted backups one after the other: in a folder, over SSH or in a bucket")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(
            "The setting `backup_repository` says where; the program `restic` keeps it.\n\
             Example: picloud-appliance repository backup --prune",
        )
        .subcommand(sub("init", "Make the repository and its password, and print the recovery sheet"))
        .subcommand(sub("backup", "Take a backup, look whether it is whole, and write down what came of it").arg(flag(
            "prune",
            "Then drop what the settings do not keep, and read a thirtieth of the repository again",
        )))
        .subcommand(sub("list", "Show the backups in the repository"))
        .subcommand(
            sub("check", "Look whether the repository is what was written")
                .arg(flag("all", "Read every byte of it, not only its structure")),
        )
        .subcommand(sub("prune", "Drop what `backup_keep_daily`, `_weekly` and `_monthly` do not keep"))
        .subcommand(
            sub(
                "restore",
                "Put a backup in place of a data folder that is empty or does not exist, or bring back one app",
            )
            .after_help(
                "Examples:\n  picloud-appliance repository restore --data-dir /var/lib/picloud\n  \
                     picloud-appliance repository restore --app kitchen --as kitchen-restored\n  \
                     picloud-appliance repository restore --verify-only",
            )
            .arg(Arg::new("SNAPSHOT").help("Which backup, as `list` shows it; the newest otherwise"))
            .arg(Arg::new("app").long("app").value_name("APP").help("Only this app, into the appliance that runs"))
            .arg(Arg::new("as").long("as").value_name("NAME").requires("app").help("What it is to be called"))
            .arg(
                flag("verify-only", "Restore into a folder that is removed again, and say what was found")
                    .conflicts_with("app"),
            ),
        )
}
