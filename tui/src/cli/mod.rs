//! The command line: one file a command, one line in [`Command`] each.
//!
//! To add a command: a file here with its arguments (their doc comments are the help, and an example stands in
//! `after_help`) and a `run`, a variant in [`Command`], a line in [`Command::run`].

mod activity;
mod apps;
mod audit;
mod backup;
mod cluster;
mod completions;
mod dead_letters;
mod deploy;
mod doctor;
mod edit;
mod env;
mod executions;
mod export;
mod files;
mod flash;
mod follow;
mod init;
mod join_tokens;
mod keys;
mod kv;
mod limits;
mod login;
mod logs;
mod made_up;
mod man;
mod metrics;
mod modules;
mod node_upgrade;
mod nodes;
mod publish;
mod routes;
mod run;
mod scripts;
mod sdk;
mod secrets;
mod show;
mod source;
mod status;
mod support;
mod timers;
mod transfer;
mod triggers;
mod version;
mod versions;
mod watch;
mod whoami;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{Global, Settings};
use clap::{Args, Parser, Subcommand};

/// Scripts with a URL, on computers of your own.
#[derive(Parser, Debug)]
#[command(name = "picloud", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// Flags of the terminal UI.
    #[command(flatten)]
    pub(crate) terminal: crate::term::Flags,
}

const AFTER: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 no appliance answers

Examples:
  picloud-appliance dev examples/quickstart    serve an app while you write it
  picloud deploy examples/quickstart --plan    show what a deploy would change
  picloud deploy examples/quickstart           make the app exactly this folder
  picloud kv list counters --app quickstart    look at what its scripts stored";

/// What there is to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Apps(apps::Apps),
    Deploy(deploy::Deploy),
    Export(export::Export),
    Init(init::Init),
    Scripts(scripts::Scripts),
    Modules(modules::Modules),
    Routes(routes::Routes),
    Triggers(triggers::Triggers),
    Kv(kv::Kv),
    Files(files::Files),
    Env(env::Env),
    Secrets(secrets::Secrets),
    Publish(publish::Publish),
    Timers(timers::Timers),
    DeadLetters(dead_letters::DeadLetters),
    Executions(executions::Executions),
    Logs(logs::Logs),
    Watch(watch::Watch),
    Nodes(nodes::Nodes),
    JoinTokens(join_tokens::JoinTokens),
    Cluster(cluster::Cluster),
    Flash(Box<flash::Flash>),
    Keys(keys::Keys),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Doctor(doctor::Doctor),
    SupportBundle(support::SupportBundle),
    Activity(activity::Activity),
    Status(status::Status),
    Metrics(metrics::Metrics),
    Limits(limits::Limits),
    Sdk(sdk::Sdk),
    Login(login::Login),
    Logout(login::Logout),
    Whoami(whoami::Whoami),
    Version(version::Version),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Does it, where it needs no appliance and nothing that is remembered; gives it back where it does.
    pub(crate) fn run_alone(self, global: &Global, output: &Output) -> Result<Result<(), Failure>, Self> {
        Ok(match self {
            Self::Init(command) => command.run(global.app.as_deref(), output),
            Self::Logout(command) => command.run(output),
            Self::Flash(command) => return command.run_alone(output).map_err(Self::Flash),
            Self::Man(command) => command.run(output),
            Self::Completions(command) => {
                command.run(output);
                Ok(())
            }
            other => return Err(other),
        })
    }

    /// Does it.
    pub(crate) async fn run(self, settings: &Settings, output: &Output) -> Result<(), Failure> {
        let client = Client::new(settings, output);
        let session = Session { settings, output, client };
        match self {
            Self::Apps(command) => command.run(&session).await,
            Self::Deploy(command) => command.run(&session).await,
            Self::Export(command) => command.run(&session).await,
            Self::Scripts(command) => command.run(&session).await,
            Self::Modules(command) => command.run(&session).await,
            Self::Routes(command) => command.run(&session).await,
            Self::Triggers(command) => command.run(&session).await,
            Self::Publish(command) => command.run(&session).await,
            Self::Timers(command) => command.run(&session).await,
            Self::DeadLetters(command) => command.run(&session).await,
            Self::Kv(command) => command.run(&session).await,
            Self::Files(command) => command.run(&session).await,
            Self::Env(command) => command.run(&session).await,
            Self::Secrets(command) => command.run(&session).await,
            Self::Executions(command) => command.run(&session).await,
            Self::Logs(command) => command.run(&session).await,
            Self::Watch(command) => command.run(&session).await,
            Self::Nodes(command) => command.run(&session).await,
            Self::JoinTokens(command) => command.run(&session).await,
            Self::Cluster(command) => command.run(&session).await,
            Self::Flash(command) => command.run(&session).await,
            Self::Keys(command) => command.run(&session).await,
            Self::Audit(command) => command.run(&session).await,
            Self::Backup(command) => command.run(&session).await,
            Self::Doctor(command) => command.run(&session).await,
            Self::SupportBundle(command) => command.run(&session).await,
            Self::Activity(command) => command.run(&session).await,
            Self::Status(command) => command.run(&session).await,
            Self::Metrics(command) => command.run(&session).await,
            Self::Limits(command) => command.run(&session).await,
            Self::Sdk(command) => command.run(&session).await,
            Self::Login(command) => command.run(&session).await,
            Self::Whoami(command) => command.run(&session).await,
            Self::Version(command) => command.run(&session).await,
            Self::Init(_) | Self::Logout(_) | Self::Completions(_) | Self::Man(_) => {
                unreachable!("these have been done by `run_alone`")
            }
        }
    }
}

/// What a command works with.
pub(crate) struct Session<'a> {
    settings: &'a Settings,
    output: &'a Output,
    client: Client<'a>,
}

/// Which part of a list.
#[derive(Args, Debug)]
pub(crate) struct PageArgs {
    /// At most so many items [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Where the last page ended, as it was printed there
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

#[cfg(test)]
#[path = "../../tests/support/documented.rs"]
mod documented;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_that_the_documents_show_is_understood() {
        let refused =
            documented::refused_by("picloud", |words| Cli::command().try_get_matches_from(words).map(|_matches| ()));
        assert!(refused.is_empty(), "\n{}", refused.join("\n"));
    }
}
