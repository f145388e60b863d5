//! How much room is on the disk of a folder.

use std::io;
use std::path::Path;

/// The room on one disk.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// All of it.
    pub bytes: u64,
    /// What whoever asks may still write; what is reserved for root is left out.
    pub free_bytes: u64,
}

impl Room {
    /// Of the disk that holds `path`.
    ///
    /// # Errors
    /// What the kernel refuses: a path that is not there, or a way to it that is shut.
    pub fn of(path: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { bytes: bytes(disk.f_blocks), free_bytes: bytes(disk.f_bavail) })
    }
}
