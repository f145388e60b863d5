//! Uploads by signed URL, while their bytes come: bounded in number, and given up when none come any more.

use super::sign::Claims;
use picloud_model::hash::ContentHash;
use picloud_model::problem::{Code, Problem};
use picloud_store::blobs::BlobWriter;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Uploads at once; each holds about a megabyte.
pub const UPLOADS_MAX: usize = 16;
/// An upload of which nothing came for so long is given up.
pub const IDLE_MAX: Duration = Duration::from_secs(60);

/// One upload.
pub struct Upload {
    /// What its URL allows.
    pub claims: Claims,
    /// The URL's token, hashed.
    pub token: ContentHash,
    /// The media type that was sent.
    pub content_type: Option<String>,
    /// What its bytes must be.
    pub expected: Option<ContentHash>,
    /// Where its bytes go.
    pub writer: BlobWriter,
}

/// All of them.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Place>,
}

/// An upload's place; it is empty while a part is written.
struct Place {
    upload: Option<Box<Upload>>,
    /// Told when a part came, and when it is over.
    moved: Arc<Notify>,
}

impl Uploads {
    /// Refuses one more where there is no room. Asked before bytes have a place.
    pub fn check_room(&self) -> Result<(), Problem> {
        if self.lock().open.len() < UPLOADS_MAX { Ok(()) } else { Err(too_many()) }
    }

    /// Begins one.
    pub fn begin(&self, upload: Upload) -> Result<u64, Problem> {
        let moved = Arc::new(Notify::new());
        let mut table = self.lock();
        if table.open.len() >= UPLOADS_MAX {
            return Err(too_many());
        }
        table.last += 1;
        let id = table.last;
        table.open.insert(id, Place { upload: Some(Box::new(upload)), moved: Arc::clone(&moved) });
        drop(table);
        let uploads = self.clone();
        // Ends with the upload.
        tokio::spawn(async move {
            while uploads.is_open(id) {
                if tokio::time::timeout(IDLE_MAX, moved.notified()).await.is_err() {
                    uploads.give_up(id);
                }
            }
        });
        Ok(id)
    }

    /// Takes one out, to write to it; its place stays.
    pub fn take(&self, id: u64) -> Result<Box<Upload>, Problem> {
        let mut table = self.lock();
        let place = table.open.get_mut(&id).ok_or_else(over)?;
        place.moved.notify_one();
        place.upload.take().ok_or_else(over)
    }

    /// Puts it back. Where it was given up meanwhile, it is dropped, and with it what was written.
    pub fn put_back(&self, id: u64, upload: Box<Upload>) {
        if let Some(place) = self.lock().open.get_mut(&id) {
            place.moved.notify_one();
            place.upload = Some(upload);
        }
    }

    /// It is over, well or not.
    pub fn end(&self, id: u64) {
        let ended = self.lock().open.remove(&id);
        if let Some(place) = ended {
            place.moved.notify_one();
        }
    }

    fn give_up(&self, id: u64) {
        let mut table = self.lock();
        // What is out of its place is being written at this moment.
        if table.open.get(&id).is_some_and(|place| place.upload.is_some()) {
            let gone = table.open.remove(&id);
            drop(table);
            tracing::debug!(upload = id, "an upload was given up: nothing came any more");
            drop(gone);
        }
    }

    fn is_open(&self, id: u64) -> bool {
        self.lock().open.contains_key(&id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many() -> Problem {
    Problem::new(Code::Overloaded, format!("{UPLOADS_MAX} files are being uploaded, which is the most there may be"))
        .hint("send it again in a moment")
        .retry_after_s(1)
}

fn over() -> Problem {
    let seconds = IDLE_MAX.as_secs();
    Problem::new(Code::RequestTimeout, format!("the upload is over: nothing came for {seconds} s, or a part failed"))
        .hint("send the file again")
}
