//! What `repository` says.

use super::{Stopped, terminal};
use crate::config::Settings;
use crate::repository::{AppRestored, Outcome, Pruned, RepositoryError, RepositoryRestored, Snapshot};
use picloud_model::clock::rfc3339;
use terminal::{complain, say, size};

/// Milliseconds of a second.
const SECOND_MS: u64 = 1_000;

/// As JSON.
pub(super) fn show(what: &impl serde::Serialize) -> Result<(), Stopped> {
    say(&serde_json::to_string_pretty(what)?);
    Ok(())
}

/// As a table, the newest last.
pub(super) fn show_list(all: &[Snapshot]) {
    say(&list(all));
}

fn list(all: &[Snapshot]) -> String {
    if all.is_empty() {
        return "there is no backup in it yet; take one: picloud-appliance repository backup".to_owned();
    }
    let width = all.iter().map(|snapshot| snapshot.node.len()).max().unwrap_or(0).max("MACHINE".len());
    let head =
        format!("{:<8}  {:<20}  {:<width$}  {:>10}  {:>7}  STATE", "BACKUP", "TAKEN AT", "MACHINE", "SIZE", "FILES");
    let lines = all.iter().map(|snapshot| {
        let state = if snapshot.verified { "whole" } else { "not verified" };
        let Snapshot { taken_at, node, size_bytes, files, .. } = snapshot;
        format!(
            "{:<8}  {taken_at:<20}  {node:<width$}  {:>10}  {files:>7}  {state}",
            snapshot.short_id(),
            size(*size_bytes)
        )
    });
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// What a backup came to.
pub(super) fn taken(outcome: &Outcome) -> String {
    let lost = match outcome.files_without_bytes {
        0 => String::new(),
        lost => {
            format!("\nwarning: {lost} files of apps had lost their bytes before: picloud-appliance's log names them")
        }
    };
    format!(
        "backup {}: {} files, {}, in {} s; the repository grew by {}; read back and whole{lost}",
        outcome.snapshot.as_deref().unwrap_or_default(),
        outcome.files,
        size(outcome.size_bytes),
        outcome.took_ms.div_ceil(SECOND_MS),
        size(outcome.added_bytes),
    )
}

/// What went.
pub(super) fn pruned(pruned: &Pruned) -> String {
    format!("{} old backups went, {} are left", pruned.gone, pruned.left)
}

/// What a restore came to.
pub(super) fn restored(done: &RepositoryRestored, settings: &Settings, only_tried: bool) -> String {
    let inventory = &done.inventory;
    let what = format!(
        "{} files, {} of data as of {} on {}",
        inventory.files.len(),
        size(inventory.size_bytes()),
        rfc3339(inventory.created_at),
        inventory.node
    );
    if only_tried {
        return format!(
            "backup {} is whole: {what}; it was restored, opened, compared and removed again",
            done.snapshot
        );
    }
    let mut text = format!("{}: {what}, out of backup {}", settings.data_dir.display(), done.snapshot);
    if let Some(config) = &done.config {
        text.push_str(&format!("\nits configuration is in {}", config.display()));
    }
    if let Some(url) = &settings.database_url {
        let (dir, url) = (settings.data_dir.display(), picloud_store::shown_database_url(url));
        text.push_str(&format!(
            "\nit is in SQLite: `picloud-appliance migrate-store --from {dir} --to {url}` takes it there"
        ));
    }
    text
}

/// What is wrong with what was restored, and was before.
pub(super) fn warn_of(done: &RepositoryRestored) {
    if !done.audit.intact {
        let reason = done.audit.reason.as_deref().unwrap_or("its chain is broken");
        complain(&format!(
            "warning: the audit log in this backup was changed by somebody before the backup was taken: {reason}"
        ));
    }
    if done.files_without_bytes > 0 {
        complain(&format!(
            "warning: {} files of apps had lost their bytes before the backup",
            done.files_without_bytes
        ));
    }
}

/// What the restore of one app came to.
pub(super) fn app_restored(app: &str, name: &str, done: &AppRestored) -> String {
    let AppRestored { snapshot, values, files, secrets, scripts } = done;
    let called = if app == name { String::new() } else { format!(" as `{name}`") };
    format!(
        "app `{app}` is back{called}, out of backup {snapshot}: {scripts} scripts, {values} values, {files} files, \
         {secrets} secrets"
    )
}

/// An error after which everything is as it was.
pub(super) fn nothing_restored(error: RepositoryError) -> Stopped {
    Stopped(format!("{error}\nnothing was restored"))
}
