//! `dev DIR`: one app folder, served and deployed again at every save.

mod report;
mod watch;

use super::serve::{end, runtime, say_where};
use super::{Stopped, signals::Signals, terminal};
use crate::appliance::{Appliance, Start};
use crate::config::Config;
use crate::deploy::folder::{self, Unreadable};
use picloud_model::Code;
use picloud_model::bundle::DeployReport;
use picloud_model::principal::{Principal, PrincipalKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Serves the folder until a signal ends it.
pub(super) fn run(folder: &Path, config: Config) -> Result<(), Stopped> {
    if !folder.is_dir() {
        return Err(Stopped(format!(
            "`{}` is no folder\nhint: name the folder that holds app.toml: picloud-appliance dev examples/quickstart",
            folder.display()
        )));
    }
    terminal::start_log(&config.settings.log, false);
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        // Before the first deploy, so that a save during it is not missed.
        let mut changes = watch::Watch::start(folder)?;
        let on_executions: crate::tasks::history::Watcher = Box::new(report::executions);
        let (ingress, log_priorities) = (Vec::new(), false);
        let start = Start { config, dev: true, on_executions: Some(on_executions), ingress, log_priorities };
        let appliance = Appliance::start(start).await?;
        say_where(&appliance);
        report::terminal_ui(std::env::current_exe().ok().as_deref(), appliance.admin_socket());
        keep_out_of_git(appliance.data_dir());
        let author = author();
        let mut shown = Shown::default();
        let deploying = async {
            loop {
                deploy(&appliance, folder, &author, &mut shown).await;
                changes.next().await;
            }
        };
        tokio::select! {
            () = signals.next() => {}
            () = deploying => {}
        }
        end(&appliance, signals).await;
        Ok(())
    })
}

/// What the terminal shows last, so that saving a file without a change says nothing again.
#[derive(Default)]
struct Shown {
    app: Option<String>,
    answers: Vec<String>,
    broken: Option<String>,
}

/// Reads and deploys the folder, and says what came of it.
async fn deploy(appliance: &Arc<Appliance>, folder: &Path, author: &str, shown: &mut Shown) {
    match try_deploy(appliance, folder, author).await {
        Ok(deployed) => {
            let mended = shown.broken.take().is_some();
            if !deployed.changes.is_empty() || mended || shown.answers.is_empty() {
                report::deployed(&deployed);
            }
            if shown.answers != deployed.answers {
                report::answers(&deployed, appliance.ingress_addr());
                shown.answers = deployed.answers;
            }
            if shown.app.as_ref() != Some(&deployed.app) {
                report::others(&others(appliance, &deployed.app));
                shown.app = Some(deployed.app);
            }
        }
        Err(broken) => {
            // Editors save a file in several steps: the same fault is told once.
            if shown.broken.as_ref() != Some(&broken) {
                report::broken(&broken, shown.answers.is_empty());
                shown.broken = Some(broken);
            }
        }
    }
}

async fn try_deploy(appliance: &Arc<Appliance>, folder: &Path, author: &str) -> Result<DeployReport, String> {
    let at: PathBuf = folder.to_owned();
    let read = tokio::task::spawn_blocking(move || folder::read(&at)).await;
    let bundle = match read.map_err(|error| error.to_string())? {
        Ok(bundle) => bundle,
        Err(Unreadable::Folder(message)) => return Err(message),
        Err(Unreadable::Files(errors)) => return Err(report::diagnostics(&errors)),
    };
    let name = bundle.name.clone();
    let who = Principal { kind: PrincipalKind::Person, name: author.to_owned() };
    appliance.deploy(bundle, false, None, &appliance.act(who, "dev")).await.map_err(|problem| {
        let others = others(appliance, &name);
        let is_new = others.len() == appliance.registry.all().len();
        // Under its new name, an app with hosts is in the way of itself under the old one.
        report::problem(&problem, if is_new && problem.code == Code::Conflict { &others } else { &[] })
    })
}

/// How to remove each app that is deployed here and is not the folder's: what the folder was under another name.
fn others(appliance: &Appliance, name: &str) -> Vec<String> {
    let socket = appliance.admin_socket();
    let socket = std::path::absolute(socket).unwrap_or_else(|_unknown| socket.to_owned());
    let others = appliance.registry.all();
    let others = others.iter().filter(|app| app.name != name);
    others.map(|app| report::other(&app.name, &socket)).collect()
}

/// Data of a try-out has no place in the app's repository.
fn keep_out_of_git(data_dir: &Path) {
    let file = data_dir.join(".gitignore");
    if !file.exists()
        && let Err(error) = std::fs::write(&file, "*\n")
    {
        tracing::debug!(%error, "`.gitignore` could not be written into the data folder");
    }
}

/// Whoever runs this.
fn author() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    user.map_or_else(|| "dev".to_owned(), |user| user.name)
}
