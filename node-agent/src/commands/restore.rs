//! `restore`: this machine becomes the node of a backup.

use super::{Stopped, terminal};
use crate::archive::restore;
use crate::config::Settings;
use picloud_model::clock::{Clock, SystemClock, rfc3339};
use std::path::Path;

/// Restores it, where there is no node yet.
pub(super) fn run(settings: &Settings, config: &Path, file: &Path) -> Result<(), Stopped> {
    let restored = restore(file, &settings.data_dir, config, SystemClock.now_ms());
    let restored = restored.map_err(|error| Stopped(format!("`{}`: {error}\nnothing was restored", file.display())))?;
    let manifest = restored.manifest;
    let called = if manifest.name.is_empty() { String::new() } else { format!(" `{}`", manifest.name) };
    terminal::say(&format!(
        "{}: node{called} {} as of {}; its appliance lets it in as before. The old machine must not run any more",
        settings.data_dir.display(),
        manifest.id,
        rfc3339(manifest.created_at)
    ));
    if let Some(config) = restored.config {
        terminal::say(&format!("its configuration is in {}", config.display()));
    }
    Ok(())
}
