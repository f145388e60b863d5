//! Deploys the apps that a first boot has laid down, once: each folder goes when it is deployed.
//!
//! One that is refused stays and is tried again at the next start, unless somebody has changed that app since. Why stands in the log, on the network, and in notes
//! in the data folder, which root puts into the report.

use crate::appliance::Appliance;
use crate::deploy::folder::{self, Unreadable};
use picloud_cluster::first_boot::later::{self, Note};
use picloud_cluster::first_boot::{WAITING_APPS, setup_said, told};
use picloud_cluster::lan::Lan;
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::Problem;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file in the folder of an app that was refused: the revision that the app had, 0 where there was none.
const REFUSED_FILE: &str = ".refused";
/// Most apps that are looked at.
const APPS_MAX: usize = 64;

/// Deploys what waits, if anything does.
pub(crate) async fn run(appliance: Arc<Appliance>, lan: Option<Arc<Lan>>) {
    let place = appliance.data_dir().join(WAITING_APPS);
    let waiting = match tokio::task::spawn_blocking(move || waiting(&place)).await {
        Ok(Ok(waiting)) => waiting,
        Ok(Err(error)) => return tracing::error!(%error, "the apps of the card cannot be read"),
        Err(error) => return tracing::error!(%error, "reading the apps of the card panicked"),
    };
    if waiting.is_empty() {
        return;
    }
    let mut notes = Vec::new();
    for at in waiting {
        let app = at.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (said, is_wrong) = match attempt(&appliance, &app, &at).await {
            Ok(said) => (said.to_owned(), false),
            Err(why) => (why, true),
        };
        if is_wrong {
            tracing::error!(app, "the card's app is not deployed: {said}");
        } else {
            tracing::info!(app, "the card's app: {said}");
        }
        notes.push(Note { about: format!("app {app}"), said, is_wrong });
    }
    let data_dir = appliance.data_dir().to_owned();
    match tokio::task::spawn_blocking(move || leave(&data_dir, notes)).await {
        Ok(Ok((before, after))) => announce(lan.as_deref(), &before, &after),
        Ok(Err(error)) => tracing::error!(%error, "what came of the card's apps does not reach its report"),
        Err(error) => tracing::error!(%error, "writing what came of the card's apps panicked"),
    }
}

/// Leaves the notes for the report, with those about other apps; answers what they were and what they are.
fn leave(data_dir: &Path, notes: Vec<Note>) -> std::io::Result<(Vec<Note>, Vec<Note>)> {
    // What cannot be read is written anew.
    let before = later::left(data_dir).unwrap_or_default();
    let is_new = |other: &&Note| !notes.iter().any(|note| note.about == other.about);
    let after: Vec<Note> = before.iter().filter(is_new).cloned().chain(notes.iter().cloned()).collect();
    later::leave(data_dir, after.clone())?;
    Ok((before, after))
}

/// Tells it on the network, where something is told there of the first boot.
fn announce(lan: Option<&Lan>, before: &[Note], after: &[Note]) {
    let said = setup_said().and_then(|said| later::announced_after(&said, before, after));
    if let Some((lan, said)) = lan.zip(said)
        && let Err(error) = lan.announce_setup(&said)
    {
        tracing::warn!(%error, "what came of the card's apps is not announced on the network");
    }
}

/// The folders, in order; a hidden one is not finished.
fn waiting(place: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut waiting = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && entry.file_type()?.is_dir() && waiting.len() < APPS_MAX {
            waiting.push(entry.path());
        }
    }
    waiting.sort();
    Ok(waiting)
}

/// Deploys one, unless its copy was refused before and the app was changed since: what somebody deployed is newer.
async fn attempt(appliance: &Appliance, app: &str, at: &Path) -> Result<&'static str, String> {
    let revision = || async { appliance.store.app(app).await.ok().flatten().map_or(0, |app| app.revision) };
    let refused = at.join(REFUSED_FILE);
    let then = std::fs::read_to_string(&refused).ok().and_then(|text| text.trim().parse::<i64>().ok());
    if let Some(then) = then
        && then != revision().await
    {
        remove(at).await?;
        return Ok("somebody deployed another since this copy was refused; it is left out");
    }
    let done = deploy(appliance, at).await;
    if done.is_err()
        && let Err(error) = std::fs::write(&refused, revision().await.to_string())
    {
        tracing::warn!(app, %error, "the next start cannot tell whether this app was changed meanwhile");
    }
    done.map(|()| "it is deployed")
}

async fn deploy(appliance: &Appliance, at: &Path) -> Result<(), String> {
    let folder = at.to_owned();
    let read = tokio::task::spawn_blocking(move || folder::read(&folder)).await.map_err(|error| error.to_string())?;
    let bundle = read.map_err(|unreadable| match unreadable {
        Unreadable::Folder(message) => message,
        Unreadable::Files(found) => told(&found),
    })?;
    let who = Principal { kind: PrincipalKind::Person, name: "picloud.toml".to_owned() };
    appliance.deploy(bundle, false, None, &appliance.act(who, "first boot")).await.map_err(|problem| why(&problem))?;
    remove(at).await
}

async fn remove(at: &Path) -> Result<(), String> {
    let folder = at.to_owned();
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
    // Where it stays, the next start deploys it again, which is no change unless somebody changed the app meanwhile.
    removed.map_err(|error| error.to_string())?.map_err(|error| format!("its folder stays: {error}"))
}

/// What a person reads of a refusal.
fn why(problem: &Problem) -> String {
    let faults = Some(told(&problem.errors)).filter(|faults| !faults.is_empty());
    let hint = problem.hint.as_ref().map(|hint| format!("hint: {hint}"));
    [Some(problem.detail.clone()), faults, hint].into_iter().flatten().collect::<Vec<_>>().join("\n")
}
