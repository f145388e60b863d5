//! `backup`: what makes this machine its node, in one file.

use super::{Stopped, terminal};
use crate::archive::back_up;
use crate::config::Settings;
use picloud_model::clock::{Clock, SystemClock};
use std::path::Path;

/// Writes it, also while the agent runs.
pub(super) fn run(settings: &Settings, config: &Path, file: &Path) -> Result<(), Stopped> {
    let manifest = back_up(&settings.data_dir, config, file, SystemClock.now_ms())?;
    let name =
        if manifest.name.is_empty() { "it belongs to nobody yet".to_owned() } else { format!("`{}`", manifest.name) };
    terminal::say(&format!(
        "{}: node {} ({name}). Whoever has this file can be this node: keep it as safe as the machine",
        file.display(),
        manifest.id
    ));
    Ok(())
}
