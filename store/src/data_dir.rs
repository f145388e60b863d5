//! The data directory: made private, and held by one appliance at a time.

use crate::{OpenError, Room};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Owner only: what is in there is nobody else's to read.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Below this many free bytes an I/O error is taken for a full disk: SQLite's shared index grows by 32 KiB
/// at a time, and says "disk I/O error" when it cannot.
const FULL_BELOW_BYTES: u64 = 64 * 1024;

/// The lock on a data directory; the kernel lifts it when the process ends, however it ends.
pub(crate) struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Makes the directory where it is missing, and takes its lock. Where somebody was going back to an older store when
    /// the power went, that is ended first: nobody sees half of it.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let unusable = |source| io_error(source, dir, dir);
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).map_err(unusable)?;
        let path = dir.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let mut file = options.open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only a courtesy: the holder may be writing it this moment.
                let pid = file.read_to_string(&mut holder).ok().and_then(|_length| holder.trim().parse().ok());
                return Err(OpenError::Taken { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // A full disk must not stop the start: the number is only for the message above.
        let _told =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        crate::upgrade::finish_going_back(dir)?;
        Ok(Self { _file: file })
    }
}

/// Why the path in the data directory cannot be used, out of what the system said.
pub(crate) fn io_error(source: std::io::Error, dir: &Path, path: &Path) -> OpenError {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Full { dir: dir.to_owned() },
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            OpenError::NotWritable { dir: dir.to_owned(), source: Box::new(source) }
        }
        _ => OpenError::Unusable { path: path.to_owned(), source: Box::new(source) },
    }
}

/// Room kept for a start on a full disk: SQLite needs some even to read. More than its log has, so that the log can
/// be copied into the file and deleted, which makes more room than it took.
const RESERVE_BYTES: usize = 2 * 1024 * 1024;

/// Keeps the reserve where there is room for it.
pub(crate) fn keep_reserve(dir: &Path) {
    let path = dir.join("reserve");
    if std::fs::metadata(&path).is_ok_and(|file| file.len() == RESERVE_BYTES as u64) {
        return;
    }
    // Written out: a file of holes would reserve nothing.
    let written = make_private_file(&path).and_then(|()| std::fs::write(&path, vec![0; RESERVE_BYTES]));
    if let Err(error) = written {
        tracing::warn!(file = %path.display(), error = %error, "there is no room for the reserve");
        // What was written of it is worth more as free space.
        let _missing = std::fs::remove_file(&path);
    }
}

/// Gives the reserve to whoever needs it now. Answers whether there was one.
pub(crate) fn use_reserve(dir: &Path) -> bool {
    let path = dir.join("reserve");
    let used = std::fs::remove_file(&path).is_ok();
    if used {
        tracing::warn!(file = %path.display(), "the disk is full: the reserve is used to open the data");
    }
    used
}

/// Makes the file where it is missing, for its owner only; files beside it take on its mode.
pub(crate) fn make_private_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(path).map(drop)
}

/// Whether the disk that holds `path` has no room for another write.
pub(crate) fn disk_is_full(path: &Path) -> bool {
    Room::of(path).is_ok_and(|room| room.free_bytes < FULL_BELOW_BYTES)
}
