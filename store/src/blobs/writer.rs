//! Writes a blob as its bytes come: hashed and written on a thread for that while the next ones are collected.

use super::chain::Chain;
use super::error::io;
use super::{BlobError, Blobs, DIR_MODE, FILE_MODE, Step, blocking};
use crate::StoredBlob;
use bytes::Bytes;
use picloud_model::hash::ContentHash;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Bytes that are collected before they are written.
const BATCH_BYTES: usize = 512 * 1024;
/// Parts that are collected: small ones may each hold on to much more than their own bytes.
const BATCH_PARTS: usize = 64;

impl Blobs {
    /// Begins a blob of at most `limit_bytes`. Dropping the writer before its end leaves nothing behind.
    pub async fn create(&self, limit_bytes: u64) -> Result<BlobWriter, BlobError> {
        let blobs = self.clone();
        let draft = blocking(move || Draft::begin(blobs)).await?;
        let state = State::Idle(Box::new(draft));
        Ok(BlobWriter { limit_bytes, size_bytes: 0, batch: Batch::default(), state })
    }
}

/// A blob under way: it holds at most a megabyte in memory.
pub struct BlobWriter {
    limit_bytes: u64,
    size_bytes: u64,
    batch: Batch,
    state: State,
}

#[derive(Default)]
struct Batch {
    parts: Vec<Bytes>,
    bytes: usize,
}

enum State {
    /// Nothing is being written.
    Idle(Box<Draft>),
    /// A batch is being written.
    Busy(JoinHandle<Result<Draft, BlobError>>),
    /// It has failed.
    Failed,
}

impl BlobWriter {
    /// Goes on with these bytes. Waits while earlier ones are being written. After an error there is no going on.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        if self.size_bytes > self.limit_bytes {
            // What was written goes at once, not when somebody has read the answer.
            self.state = State::Failed;
            return Err(BlobError::TooLarge { limit_bytes: self.limit_bytes });
        }
        self.batch.bytes += bytes.len();
        self.batch.parts.push(bytes);
        if self.batch.bytes >= BATCH_BYTES || self.batch.parts.len() >= BATCH_PARTS {
            self.flush().await?;
        }
        Ok(())
    }

    /// How many bytes it was given.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Puts it in its place, down to the disk. [`BlobError::Mismatch`] where it is not what was `expected`.
    pub async fn finish(mut self, expected: Option<ContentHash>) -> Result<StoredBlob, BlobError> {
        let batch = std::mem::take(&mut self.batch);
        let mut draft = self.idle().await?;
        blocking(move || {
            draft.write(batch)?;
            draft.finish(expected)
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        let batch = std::mem::take(&mut self.batch);
        let mut draft = self.idle().await?;
        self.state = State::Busy(tokio::task::spawn_blocking(move || {
            draft.write(batch)?;
            Ok(draft)
        }));
        Ok(())
    }

    /// Waits until nothing is being written.
    async fn idle(&mut self) -> Result<Draft, BlobError> {
        // Cancelled while it waits, it is as good as failed: nobody knows what was written.
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(draft) => Ok(*draft),
            State::Busy(job) => job.await.unwrap_or(Err(BlobError::Stopped)),
            State::Failed => Err(BlobError::Stopped),
        }
    }
}

/// The temporary file and what is known of it.
struct Draft {
    blobs: Blobs,
    id: Uuid,
    file: File,
    chain: Chain,
    temp: Temp,
}

/// Removes the file when it is dropped, unless that has its place or was to be left.
struct Temp(Option<PathBuf>);

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!(file = %path.display(), %error, "an unfinished file stays until the next start");
        }
    }
}

impl Draft {
    fn begin(blobs: Blobs) -> Result<Self, BlobError> {
        blobs.0.reserve.check(&blobs.0.root, 0)?;
        let id = Uuid::now_v7();
        let path = blobs.temp_path(id);
        let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path);
        let file = made.map_err(io("make", &path))?;
        let mut draft = Self { blobs, id, file, chain: Chain::new(), temp: Temp(Some(path)) };
        draft.step(Step::Made)?;
        Ok(draft)
    }

    /// Whoever stops it here leaves everything as it is.
    fn step(&mut self, step: Step) -> Result<(), BlobError> {
        self.blobs.step(step).inspect_err(|_stopped| self.temp.0 = None)
    }

    fn write(&mut self, batch: Batch) -> Result<(), BlobError> {
        if batch.parts.is_empty() {
            return Ok(());
        }
        self.blobs.0.reserve.check(&self.blobs.0.root, batch.bytes as u64)?;
        for part in &batch.parts {
            self.chain.update(part);
            self.file.write_all(part).map_err(io("write", &self.blobs.temp_path(self.id)))?;
        }
        self.step(Step::Written)
    }

    fn finish(mut self, expected: Option<ContentHash>) -> Result<StoredBlob, BlobError> {
        let size_bytes = self.chain.bytes();
        let (sha256, pieces) = self.chain.clone().finish();
        if let Some(expected) = expected.filter(|expected| *expected != sha256) {
            return Err(BlobError::Mismatch { expected, actual: sha256 });
        }
        let (temp, place) = (self.blobs.temp_path(self.id), self.blobs.path(self.id));
        self.file.sync_all().map_err(io("write", &temp))?;
        self.step(Step::Synced)?;
        let folder = place.parent().expect("a blob lies in a folder");
        make_folders(&self.blobs.0.root, folder)?;
        self.step(Step::Folders)?;
        std::fs::rename(&temp, &place).map_err(io("put in place", &place))?;
        self.temp.0 = None;
        self.step(Step::Renamed)?;
        if let Err(error) = sync_folder(folder) {
            // It may or may not be there after a crash, and nobody hears of it now.
            let _swept_otherwise = std::fs::remove_file(&place);
            return Err(error);
        }
        self.step(Step::Settled)?;
        self.blobs.look_again_at(self.id);
        Ok(StoredBlob { id: self.id, size_bytes, sha256, pieces })
    }
}

/// Makes the folders of a place, each down to the disk before anything is put into it.
fn make_folders(root: &Path, folder: &Path) -> Result<(), BlobError> {
    let outer = folder.parent().unwrap_or(root);
    for (folder, parent) in [(outer, root), (folder, outer)] {
        match DirBuilder::new().mode(DIR_MODE).create(folder) {
            Ok(()) => sync_folder(parent)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io("make the folder", folder)(error)),
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the folder", folder))
}
