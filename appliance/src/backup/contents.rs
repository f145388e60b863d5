//! What goes into an archive: the store's copies in a folder of their own, keys and files as they lie.

use super::{BackupError, FOLDERS};
use crate::config::Settings;
use picloud_model::audit::Act;
use picloud_model::clock::{UnixMs, rfc3339};
use picloud_store::Store;
use picloud_store::blobs::{Blobs, Kept};
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How the folder of the copies begins in the data folder; its end is the process that made it.
pub(crate) const COPIES_PREFIX: &str = "backup-tmp-";

/// One backup at a time: each takes room for a copy of the databases.
pub struct Turn(Arc<Semaphore>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// What a backup is taken of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Where files of apps are, if not in the data folder.
    pub files_root: Option<PathBuf>,
    /// The bytes of files, where this process has them in use: none of them goes while they are copied.
    pub blobs: Option<Blobs>,
    /// This machine.
    pub node: String,
}

impl Source {
    /// What an appliance with these settings has.
    pub fn of(settings: &Settings, node: &str, blobs: Option<&Blobs>) -> Self {
        let Settings { data_dir, files_root, .. } = settings;
        let (data_dir, files_root) = (data_dir.clone(), files_root.clone());
        Self { data_dir, files_root, blobs: blobs.cloned(), node: node.to_owned() }
    }
}

/// Everything that goes into one archive. Dropping it removes the copies.
pub struct Contents {
    /// Where each file goes in the archive, and where it is now.
    pub files: Vec<(String, PathBuf)>,
    /// All of them together.
    pub size_bytes: u64,
    /// When it was begun.
    pub created_at: UnixMs,
    /// This machine.
    pub node: String,
    copies: Copies,
    _kept: Option<Kept>,
    _turn: OwnedSemaphorePermit,
}

/// The folder of the copies.
struct Copies(PathBuf);

impl Drop for Copies {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the copies of a backup could not be removed");
        }
    }
}

impl Contents {
    /// The folder of the databases' copies.
    pub fn copies(&self) -> &Path {
        &self.copies.0
    }

    /// Copies the databases and finds the rest, for `act`. What was written before this is in it.
    pub async fn gather(source: Source, store: &dyn Store, turn: &Turn, act: &Act) -> Result<Self, BackupError> {
        let turn = Arc::clone(&turn.0).try_acquire_owned().map_err(|_taken| BackupError::Busy)?;
        let copies = make_copies_folder(&source.data_dir)?;
        // Before the databases: what a row in the copy names stays on the disk until it is in the archive.
        let kept = match &source.blobs {
            Some(blobs) => Some(blobs.keep().await),
            None => None,
        };
        let mut files = Vec::new();
        for name in store.copy_to(&copies.0).await? {
            let path = copies.0.join(&name);
            files.push((name, path));
        }
        let Source { data_dir, files_root, node, blobs: _kept } = source;
        let found = tokio::task::spawn_blocking(move || {
            let roots = [data_dir.join(FOLDERS[0]), files_root.unwrap_or_else(|| data_dir.join(FOLDERS[1]))];
            for (name, root) in FOLDERS.iter().zip(roots) {
                // Files after the databases: no row speaks of a file that is not in the archive.
                walk(name, &root, &mut files)?;
            }
            let mut size_bytes = 0;
            for (_name, path) in &files {
                size_bytes += std::fs::metadata(path).map_err(BackupError::io("look at", path))?.len();
            }
            Ok((files, size_bytes))
        });
        let (files, size_bytes) = found.await.unwrap_or_else(|error| {
            let path = copies.0.clone();
            Err(BackupError::Io { doing: "look into", path, source: std::io::Error::other(error) })
        })?;
        // Before a byte of it goes anywhere: whoever takes all of it but the end has it, too.
        let after = serde_json::json!({ "files": files.len(), "bytes": size_bytes });
        store.audit_done(act, None, "backup.take", &rfc3339(act.at), after).await?;
        Ok(Self { files, size_bytes, created_at: act.at, node, copies, _kept: kept, _turn: turn })
    }
}

/// Removes what backups that were killed have left in the data folder; to be called by whoever holds its lock.
pub fn remove_leftovers(data_dir: &Path) {
    let Ok(entries) = std::fs::read_dir(data_dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(COPIES_PREFIX) {
            drop(Copies(entry.path()));
        }
    }
}

fn make_copies_folder(data_dir: &Path) -> Result<Copies, BackupError> {
    remove_leftovers(data_dir);
    let path = data_dir.join(format!("{COPIES_PREFIX}{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&path).map_err(BackupError::io("make the folder", &path))?;
    Ok(Copies(path))
}

/// Whether a name in the folder of files is one of the folders that blobs lie in.
pub(super) fn is_blob_folder(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// All files below `folder`, in a stable order; none where it does not exist.
pub(crate) fn walk(name: &str, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> Result<(), BackupError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::io("read the folder", folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(BackupError::io("read the folder", folder))?;
        let kind = entry.file_type().map_err(BackupError::io("look at", folder))?;
        let Ok(part) = entry.file_name().into_string() else {
            let odd = std::io::Error::new(ErrorKind::InvalidData, "its name is not UTF-8");
            return Err(BackupError::io("back up", &entry.path())(odd));
        };
        // A key that is being written; it is gone the next moment.
        if name == FOLDERS[0] && part.ends_with(".new") {
            continue;
        }
        // Beside blobs there is what is being written, the lock and, on a disk of its own, what belongs to that.
        if name == FOLDERS[1] && !is_blob_folder(&part) {
            continue;
        }
        found.push((format!("{name}/{part}"), entry.path(), kind));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    for (name, path, kind) in found {
        if kind.is_dir() {
            walk(&name, &path, files)?;
        } else if kind.is_file() {
            files.push((name, path));
        }
    }
    Ok(())
}
