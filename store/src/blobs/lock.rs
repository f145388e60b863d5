//! Who uses the folder: one appliance alone, or all that share a database.

use super::error::io;
use super::{BlobError, FILE_MODE};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Held as long as the folder is used.
const LOCK: &str = "lock";
/// Held for the moment in which the lock is taken.
const STARTING: &str = "starting";

/// Takes the folder for this process alone.
pub(super) fn take(root: &Path) -> Result<File, BlobError> {
    let (file, path) = open(root, LOCK)?;
    locked(file.try_lock(), root, &path)?;
    Ok(file)
}

/// Takes the folder beside others who do the same. The first of them does `alone` before there is a second.
pub(super) fn take_shared(root: &Path, alone: impl FnOnce() -> Result<(), BlobError>) -> Result<File, BlobError> {
    let (starting, path) = open(root, STARTING)?;
    starting.lock().map_err(io("lock", &path))?;
    let (file, path) = open(root, LOCK)?;
    match file.try_lock() {
        Ok(()) => {
            alone()?;
            file.unlock().map_err(io("unlock", &path))?;
        }
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(io("lock", &path)(error)),
    }
    locked(file.try_lock_shared(), root, &path)?;
    Ok(file)
}

fn open(root: &Path, name: &str) -> Result<(File, PathBuf), BlobError> {
    let path = root.join(name);
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
    Ok((opened.map_err(io("open", &path))?, path))
}

fn locked(taken: Result<(), TryLockError>, root: &Path, path: &Path) -> Result<(), BlobError> {
    match taken {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(BlobError::Taken { root: root.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io("lock", path)(error)),
    }
}
