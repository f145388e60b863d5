//! Deploys the apps that a first boot has laid down, once: each folder goes when it is deployed.
//!
//! One that is refused stays and is tried again at the next start; the log says why.

use crate::appliance::Appliance;
use crate::deploy::folder::{self, Unreadable};
use picloud_cluster::first_boot::WAITING_APPS;
use picloud_model::principal::{Principal, PrincipalKind};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most apps that are looked at.
const APPS_MAX: usize = 64;

/// Deploys what waits, if anything does.
pub(crate) async fn run(appliance: Arc<Appliance>) {
    let place = appliance.data_dir().join(WAITING_APPS);
    let waiting = match tokio::task::spawn_blocking(move || waiting(&place)).await {
        Ok(Ok(waiting)) => waiting,
        Ok(Err(error)) => return tracing::error!(%error, "the apps of the card cannot be read"),
        Err(error) => return tracing::error!(%error, "reading the apps of the card panicked"),
    };
    for at in waiting {
        let app = at.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match deploy(&appliance, &at).await {
            Ok(()) => tracing::info!(app, "the card's app is deployed"),
            Err(why) => tracing::error!(app, "the card's app is not deployed: {why}"),
        }
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

async fn deploy(appliance: &Appliance, at: &Path) -> Result<(), String> {
    let folder = at.to_owned();
    let read = tokio::task::spawn_blocking(move || folder::read(&folder)).await.map_err(|error| error.to_string())?;
    let bundle = read.map_err(|unreadable| match unreadable {
        Unreadable::Folder(message) => message,
        Unreadable::Files(found) => {
            let told: Vec<String> = found.iter().map(|fault| fault.message.clone()).collect();
            told.join("; ")
        }
    })?;
    let who = Principal { kind: PrincipalKind::Person, name: "picloud.toml".to_owned() };
    appliance.deploy(bundle, false, None, &appliance.act(who, "first boot")).await.map_err(|problem| problem.detail)?;
    let folder = at.to_owned();
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
    // Where it stays, the next start deploys it again, which is no change unless somebody changed the app meanwhile.
    removed
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("it is deployed, but its folder stays: {error}"))
}
