//! The bytes of files, on the disk below `files-root`: each blob a file of its own, written once and never changed.
//!
//! ```text
//! lock               held by the one appliance that uses the folder, or by all on one database
//! starting           held by who takes the lock
//! tmp/UUID           what is being written
//! aa/bb/UUID         whole blobs; aa and bb are the last two bytes of the id
//! database           the id of the database that has the rows
//! held               which blobs copies of the store need, and until when
//! ```
//!
//! On its way a blob is temp, synced, renamed, its folder synced; then somebody makes a row of it. So a row's bytes are
//! whole, and what has no row is nobody's, and is swept. Names of users are nowhere in a path. Every piece is checked
//! before it is handed out: what the disk lost or changed is an error, never wrong bytes.

mod chain;
mod disk;
mod error;
mod hold;
mod lock;
mod owner;
mod reader;
mod steps;
mod sweep;
mod writer;

pub use disk::Reserve;
pub use error::BlobError;
pub use hold::Held;
pub use owner::OwnerError;
pub use reader::BlobReader;
pub use steps::{Step, Steps};
pub use sweep::Found;
pub use writer::BlobWriter;

use error::io;
use std::collections::VecDeque;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use uuid::Uuid;

/// Bytes of one piece, each with a checksum of its own.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// Blobs remembered until it is known that they have a row; above that, the whole folder is looked through once.
const MADE_MAX: usize = 16 * 1024;
/// Where files are while they are written.
const TEMP: &str = "tmp";
/// Owner only: what is in there is nobody else's to read.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The blobs of one appliance. A clone is another handle of the same.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    root: PathBuf,
    reserve: Reserve,
    steps: Option<Arc<dyn Steps>>,
    /// Held to read by who copies blobs, to write by who removes some.
    kept: Arc<RwLock<()>>,
    made: Mutex<Made>,
    /// A blob was made.
    made_signal: Notify,
    _lock: File,
}

/// Blobs that were made lately, oldest first: whether each got its row is looked at once it had the time to.
#[derive(Default)]
struct Made {
    blobs: VecDeque<(Uuid, Instant)>,
    /// Whether there were more than are remembered.
    more: bool,
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blobs").field(&self.0.root).finish()
    }
}

/// What keeps all blobs in their place while it is held.
pub type Kept = OwnedRwLockReadGuard<()>;

impl Blobs {
    /// Opens the folder, making it (0700) where it is missing, takes it for this process, and removes what was being
    /// written when the last one ended. Blocks.
    pub fn open(root: &Path) -> Result<Self, BlobError> {
        Self::open_with(root, Reserve::default(), None)
    }

    /// The same beside others on one database, who use the same folder. What was being written is removed by the first of
    /// them.
    pub fn open_shared(root: &Path) -> Result<Self, BlobError> {
        let temp = make_folders(root)?;
        let lock = lock::take_shared(root, || clear(&temp))?;
        Ok(Self::holding(root, lock, Reserve::default(), None))
    }

    /// The same with another reserve, and with somebody who sees each step of a write, and may end it there.
    pub fn open_with(root: &Path, reserve: Reserve, steps: Option<Arc<dyn Steps>>) -> Result<Self, BlobError> {
        let temp = make_folders(root)?;
        let lock = lock::take(root)?;
        clear(&temp)?;
        Ok(Self::holding(root, lock, reserve, steps))
    }

    fn holding(root: &Path, lock: File, reserve: Reserve, steps: Option<Arc<dyn Steps>>) -> Self {
        Self(Arc::new(Inner {
            root: root.to_owned(),
            reserve,
            steps,
            kept: Arc::default(),
            made: Mutex::default(),
            made_signal: Notify::new(),
            _lock: lock,
        }))
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Keeps every blob where it is, for as long as what this answers is held: for a copy of all of them.
    pub async fn keep(&self) -> Kept {
        Arc::clone(&self.0.kept).read_owned().await
    }

    /// Removes a blob that has no row; answers whether it is gone now. Where somebody copies all of them, it is left to a
    /// later sweep; and one that a copy of the store needs stays.
    pub async fn remove(&self, id: Uuid) -> Result<bool, BlobError> {
        let Ok(nobody_copies) = Arc::clone(&self.0.kept).try_write_owned() else {
            self.look_again_at(id);
            return Ok(false);
        };
        self.remove_holding(id, nobody_copies).await
    }

    /// The same, but waits until nobody copies.
    pub async fn sweep(&self, id: Uuid) -> Result<bool, BlobError> {
        let nobody_copies = Arc::clone(&self.0.kept).write_owned().await;
        self.remove_holding(id, nobody_copies).await
    }

    async fn remove_holding(&self, id: Uuid, nobody_copies: OwnedRwLockWriteGuard<()>) -> Result<bool, BlobError> {
        let blobs = self.clone();
        blocking(move || {
            let path = blobs.path(id);
            if blobs.is_held(&path)? {
                return Ok(false);
            }
            blobs.step(Step::Removing)?;
            let removed = match std::fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                removed => removed.map(|()| true).map_err(io("remove", &path))?,
            };
            // With the thread, not with who waits for it: that one may have gone.
            drop(nobody_copies);
            blobs.step(Step::Removed)?;
            Ok(removed)
        })
        .await
    }

    /// Whether files of `bytes` more may be made: what the disk keeps in reserve stays free.
    pub async fn room_for(&self, bytes: u64) -> Result<(), BlobError> {
        let blobs = self.clone();
        blocking(move || blobs.0.reserve.check(&blobs.0.root, bytes)).await
    }

    /// Remembers a blob of which it is not known that it has a row.
    pub fn look_again_at(&self, id: Uuid) {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Made { blobs, more } = &mut *made;
        if blobs.len() < MADE_MAX {
            blobs.push_back((id, Instant::now()));
        } else {
            *more = true;
        }
        self.0.made_signal.notify_one();
    }

    fn path(&self, id: Uuid) -> PathBuf {
        let [.., first, second] = id.as_bytes();
        self.0.root.join(format!("{first:02x}")).join(format!("{second:02x}")).join(id.to_string())
    }

    fn temp_path(&self, id: Uuid) -> PathBuf {
        self.0.root.join(TEMP).join(id.to_string())
    }

    fn step(&self, step: Step) -> Result<(), BlobError> {
        match &self.0.steps {
            Some(steps) if steps.done(step).is_break() => Err(BlobError::Stopped),
            _ => Ok(()),
        }
    }
}

/// Does what blocks on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(BlobError::Stopped))
}

/// Answers the one for what is being written.
fn make_folders(root: &Path) -> Result<PathBuf, BlobError> {
    let temp = root.join(TEMP);
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(&temp).map_err(io("make the folder", &temp))?;
    Ok(temp)
}

/// Nobody writes yet: whatever is there was left behind.
fn clear(temp: &Path) -> Result<(), BlobError> {
    for entry in std::fs::read_dir(temp).map_err(io("read the folder", temp))? {
        let path = entry.map_err(io("read the folder", temp))?.path();
        std::fs::remove_file(&path).map_err(io("remove", &path))?;
    }
    Ok(())
}
