//! `restore`: a backup becomes the data of a machine that has none.

use super::backup::caller;
use super::serve::runtime;
use super::{Stopped, terminal};
use crate::appliance::node_name;
use crate::backup::restore::restore;
use crate::config::Config;
use picloud_model::audit::Act;
use picloud_model::clock::{Clock, SystemClock, rfc3339};
use std::path::Path;
use std::sync::Arc;

/// Restores `archive` into the data folder of the settings.
pub(super) fn run(config: &Config, archive: &Path) -> Result<(), Stopped> {
    terminal::start_log(&config.settings.log, false);
    let (dir, files_root) = (&config.settings.data_dir, config.settings.files_root.as_deref());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let act = Act { who: caller(), from: "restore".to_owned(), at: clock.now_ms(), message: None };
    let mut progress = terminal::Progress::new("read");
    let restored =
        runtime()?.block_on(restore(archive, dir, files_root, clock, &act, &mut |bytes| progress.add(bytes)));
    let restored = restored.map_err(|error| format!("`{}`: {error}\nnothing was restored", archive.display()))?;
    drop(progress);
    let manifest = &restored.manifest;
    terminal::say(&format!(
        "{}: {} files, {} of data as of {} on {}",
        dir.display(),
        manifest.files.len(),
        terminal::size(manifest.size_bytes()),
        rfc3339(manifest.created_at),
        manifest.node,
    ));
    if let Some(url) = &config.settings.database_url {
        let (dir, url) = (dir.display(), picloud_store::shown_database_url(url));
        terminal::say(&format!(
            "it is in SQLite: `picloud-appliance migrate-store --from {dir} --to {url}` takes it there"
        ));
    }
    warn_of_name(&manifest.node);
    if !restored.audit.intact {
        let reason = restored.audit.reason.as_deref().unwrap_or("its chain is broken");
        terminal::complain(&format!(
            "warning: the audit log in this backup was changed by somebody before the backup was taken: {reason}"
        ));
    }
    Ok(())
}

/// Says what comes of it where this machine has another name than the one that the backup was taken on.
pub(super) fn warn_of_name(was: &str) {
    if let Some(warning) = other_name(was, &node_name()) {
        terminal::complain(&warning);
    }
}

fn other_name(was: &str, is: &str) -> Option<String> {
    (was != is).then(|| {
        format!(
            "note: the machine that was backed up is `{was}` and this one is `{is}`: nobody answers at http://{was}.local, \
             and what is placed by `name={was}` waits for it\n\
             hint: to take its place, `sudo hostnamectl hostname {was}` before PiCloud is started"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_is_told_of_with_what_it_leads_to() {
        assert_eq!(other_name("garage", "garage"), None);
        let warning = other_name("garage", "pi5").unwrap();
        for part in ["is `garage` and this one is `pi5`", "http://garage.local", "name=garage", "hostname garage`"] {
            assert!(warning.contains(part), "{warning}");
        }
    }
}
