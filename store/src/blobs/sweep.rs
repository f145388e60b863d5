//! What is on the disk, for those who compare it with the rows.

use super::error::io;
use super::{BlobError, Blobs, blocking};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// A blob that is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The blob.
    pub id: Uuid,
    /// Its size there.
    pub size_bytes: u64,
    /// When it was written.
    pub written_at: SystemTime,
}

impl Blobs {
    /// The blobs of one of the 256 outer folders. What is none of ours is left alone.
    pub async fn found(&self, outer: u8) -> Result<Vec<Found>, BlobError> {
        let folder = self.root().join(format!("{outer:02x}"));
        blocking(move || {
            let mut found = Vec::new();
            each(&folder, |inner| {
                each(inner, |path| {
                    found.extend(look_at(path)?);
                    Ok(())
                })
            })?;
            Ok(found)
        })
        .await
    }

    /// Whether the bytes of a blob are there, by their number; they are not read.
    pub async fn is_there(&self, id: Uuid, size_bytes: u64) -> Result<bool, BlobError> {
        let path = self.path(id);
        blocking(move || Ok(look_at(&path)?.is_some_and(|found| found.size_bytes == size_bytes))).await
    }

    /// Takes those blobs that were made `age` ago or earlier; and whether there were more than are remembered.
    pub fn take_made(&self, age: Duration) -> (Vec<Uuid>, bool) {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        let due = made.blobs.partition_point(|(_id, at)| at.elapsed() >= age);
        let due = made.blobs.drain(..due).map(|(id, _at)| id).collect();
        (due, std::mem::take(&mut made.more))
    }

    /// When the oldest of them was made; waits until there is one.
    pub async fn oldest_made(&self) -> Instant {
        loop {
            let signal = self.0.made_signal.notified();
            if let Some((_id, at)) = self.0.made.lock().unwrap_or_else(PoisonError::into_inner).blobs.front() {
                return *at;
            }
            signal.await;
        }
    }
}

/// Each entry of a folder, which may be missing.
fn each(folder: &Path, mut work: impl FnMut(&Path) -> Result<(), BlobError>) -> Result<(), BlobError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        entries => entries.map_err(io("read the folder", folder))?,
    };
    for entry in entries {
        work(&entry.map_err(io("read the folder", folder))?.path())?;
    }
    Ok(())
}

fn look_at(path: &Path) -> Result<Option<Found>, BlobError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(id) = name.and_then(|name| Uuid::parse_str(name).ok()) else { return Ok(None) };
    let known = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        known => known.map_err(io("look at", path))?,
    };
    let written_at = known.modified().map_err(io("look at", path))?;
    Ok(known.is_file().then_some(Found { id, size_bytes: known.len(), written_at }))
}
