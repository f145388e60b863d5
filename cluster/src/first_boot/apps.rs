//! Apps on the boot partition: checked, and copied to where the appliance deploys them from when it is up.

use super::disk::{Disk, PRIVATE};
use super::journal::Journal;
use super::report::Report;
use super::steps::Job;
use super::{SERVICE_USER, WAITING_APPS};
use picloud_model::boot_file::APPS_FOLDER;
use picloud_model::hash::ContentHash;
use picloud_model::limits::STATIC_APP_BYTES_MAX;
use picloud_model::name::check_app_name;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Most apps of a card.
const APPS_MAX: usize = 64;
/// Most files of an app.
const FILES_MAX: usize = 10_000;
/// Deepest folder.
const DEPTH_MAX: usize = 32;
/// All files of an app.
const APP_BYTES_MAX: u64 = STATIC_APP_BYTES_MAX as u64 + 32 * 1024 * 1024;

/// An app folder of the card.
pub(super) struct App {
    /// The folder's name.
    pub(super) name: String,
    /// Of names and contents.
    pub(super) hash: String,
    /// Its files, relative, in order.
    files: Vec<PathBuf>,
    /// Why it cannot be read, where it cannot.
    unreadable: Option<String>,
}

/// The app folders of the card, by name.
pub(super) fn found(disk: &Disk) -> Result<Vec<App>> {
    let folder = disk.on_boot(APPS_FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    if names.len() > APPS_MAX {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("there are {} apps, more than {APPS_MAX}", names.len()),
        ));
    }
    Ok(names.into_iter().map(|name| look(&folder.join(&name), name)).collect())
}

fn look(folder: &Path, name: String) -> App {
    match read(folder) {
        Ok((files, hash)) => App { name, hash, files, unreadable: None },
        Err(error) => {
            let why = error.to_string();
            App { name, hash: ContentHash::of(why.as_bytes()).to_string(), files: Vec::new(), unreadable: Some(why) }
        }
    }
}

fn read(folder: &Path) -> Result<(Vec<PathBuf>, String)> {
    let mut files = Vec::new();
    walk(folder, Path::new(""), 0, &mut files)?;
    files.sort();
    let (mut said, mut bytes_read) = (String::new(), 0_u64);
    for file in &files {
        let bytes = std::fs::read(folder.join(file))?;
        bytes_read += bytes.len() as u64;
        if bytes_read > APP_BYTES_MAX {
            return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {APP_BYTES_MAX} bytes")));
        }
        said += &format!("{} {}\n", ContentHash::of(&bytes), file.display());
    }
    Ok((files, ContentHash::of(said.as_bytes()).to_string()))
}

fn walk(folder: &Path, below: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > DEPTH_MAX || files.len() > FILES_MAX {
        let message = format!("it has more than {FILES_MAX} files, or folders more than {DEPTH_MAX} deep");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(folder, &path, depth + 1, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Copies those that are new and right, and tells of those that are not right. An app that is wrong stops neither the
/// others nor the machine.
pub(super) fn copy(job: &Job<'_>, journal: &mut Journal, report: &mut Report) -> Result<()> {
    for app in job.apps {
        let from = job.disk.on_boot(APPS_FOLDER).join(&app.name);
        if let Err(faults) = check(job, app, &from) {
            report.app_refused(&app.name, &faults);
            if !journal.has_app(app) {
                // It was looked at: the next start says the same without looking again.
                journal.copied(job.disk, app)?;
            }
            continue;
        }
        if !journal.has_app(app) {
            one(job, app, &from)?;
            journal.copied(job.disk, app)?;
        }
        report.did("app", format!("`{}` is deployed when the appliance is up", app.name));
    }
    Ok(())
}

fn check(job: &Job<'_>, app: &App, from: &Path) -> std::result::Result<(), String> {
    if let Some(why) = &app.unreadable {
        return Err(format!("the folder cannot be read: {why}"));
    }
    if job.file.restore.repository.is_some() {
        let hint = "hint: deploy it once the machine runs (picloud deploy), or take [restore] out of picloud.toml";
        return Err(format!("the backup that comes back has apps of its own\n{hint}"));
    }
    check_app_name(&app.name).map_err(|problem| problem.detail)?;
    let check = job.program.check_app.ok_or_else(|| {
        "a node deploys no apps; the appliance does, and nodes get them from there: take the folder away".to_owned()
    })?;
    check(from).map_err(|faults| super::report::told(&faults))
}

fn one(job: &Job<'_>, app: &App, from: &Path) -> Result<()> {
    let (disk, owner) = (job.disk, job.disk.owner(SERVICE_USER));
    let place = job.plan.data_dir.join(WAITING_APPS);
    disk.folder(&job.plan.data_dir, 0o700, owner)?;
    disk.folder(&place, 0o700, owner)?;
    let unfinished = place.join(format!(".{}", app.name));
    disk.remove_folder(&unfinished)?;
    disk.folder(&unfinished, 0o700, owner)?;
    for file in &app.files {
        let mut folder = unfinished.clone();
        for part in file.parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            disk.folder(&folder, 0o700, owner)?;
        }
        disk.write(unfinished.join(file), &std::fs::read(from.join(file))?, PRIVATE, owner)?;
    }
    disk.replace_folder(&unfinished, &place.join(&app.name))
}
