//! Files of apps that are to be restored to a folder of their own, on another disk for example.
//!
//! They are there before the databases have their place, and cannot be put there in one step; that does no harm, for
//! bytes without a row are nobody's. Whatever ends the restore before its end removes them again.

use super::contents::is_blob_folder;
use super::restore::{give_to, settle, unpack};
use super::{BackupError, FOLDERS};
use std::fs::DirBuilder;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Of what is in the way, so many names are told.
const NAMES_TOLD_MAX: usize = 5;

/// The folder that a restore from a repository fetches into, before what is in it gets its place.
pub(crate) const FETCHED: &str = ".fetched";

/// The folder, which holds no files yet.
pub(crate) struct FilesRoot {
    root: PathBuf,
    done: bool,
}

impl FilesRoot {
    /// Refuses a folder that holds files already; makes one that does not exist.
    pub(crate) fn begin(root: &Path) -> Result<Self, BackupError> {
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(BackupError::io("make the folder", root))?;
        let names: Vec<String> = folders_of(root)?.into_iter().take(NAMES_TOLD_MAX).collect();
        if !names.is_empty() {
            return Err(BackupError::HasData { dir: root.to_owned(), names });
        }
        // What a restore that was killed has left behind.
        if let Err(error) = std::fs::remove_dir_all(root.join(FETCHED))
            && error.kind() != ErrorKind::NotFound
        {
            return Err(BackupError::io("remove", &root.join(FETCHED))(error));
        }
        Ok(Self { root: root.to_owned(), done: false })
    }

    /// Writes one file, where it belongs here; answers whether it did.
    pub(super) fn unpack(&self, path: &str, content: &mut dyn Read) -> Result<bool, BackupError> {
        match path.strip_prefix(FOLDERS[1]).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => unpack(&self.root, rest, content).map(|()| true),
            None => Ok(false),
        }
    }

    /// All of them are on the disk, and belong to whom the data belongs.
    pub(crate) fn settle(&self, owner: Option<(u32, u32)>) -> Result<(), BackupError> {
        for name in folders_of(&self.root)? {
            let folder = self.root.join(name);
            if let Some((uid, gid)) = owner {
                give_to(&folder, uid, gid)?;
            }
            settle(&folder)?;
        }
        if let Some((uid, gid)) = owner {
            let given = std::os::unix::fs::lchown(&self.root, Some(uid), Some(gid));
            given.map_err(BackupError::io("finish", &self.root))?;
        }
        super::restore::sync_folder(&self.root)
    }

    /// They stay.
    pub(crate) fn keep(mut self) {
        self.done = true;
    }
}

impl Drop for FilesRoot {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let _none_there = std::fs::remove_dir_all(self.root.join(FETCHED));
        for name in folders_of(&self.root).unwrap_or_default() {
            let _no_row_names_them = std::fs::remove_dir_all(self.root.join(name));
        }
    }
}

/// The folders of blobs in it.
fn folders_of(root: &Path) -> Result<Vec<String>, BackupError> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BackupError::io("look into", root))?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_blob_folder(name)).collect();
    names.sort();
    Ok(names)
}
