//! Why bytes of a file could not be written or read.

use picloud_model::hash::ContentHash;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Why bytes of a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// More bytes than may be.
    #[error("the file has more than {limit_bytes} bytes")]
    TooLarge {
        /// So many may be.
        limit_bytes: u64,
    },
    /// The bytes are not those that were announced.
    #[error("the bytes that came have SHA-256 {actual}, {expected} was announced")]
    Mismatch {
        /// What was announced.
        expected: ContentHash,
        /// What came.
        actual: ContentHash,
    },
    /// The disk has no room, or only what it keeps in reserve.
    #[error("the disk of `{}` is full: {free_bytes} bytes are free, {reserve_bytes} of them are kept for what is there already", root.display())]
    Full {
        /// The folder.
        root: PathBuf,
        /// Bytes that are free.
        free_bytes: u64,
        /// So many stay free.
        reserve_bytes: u64,
    },
    /// What is on the disk is not what was stored.
    #[error("blob {id} is not what was stored: {what}")]
    Corrupted {
        /// The blob.
        id: Uuid,
        /// What is wrong with it.
        what: String,
    },
    /// Another process uses the folder.
    #[error("the folder of files `{}` is in use by another appliance", root.display())]
    Taken {
        /// The folder.
        root: PathBuf,
    },
    /// Everything else that the system said.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was to be done with it.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It was ended between two steps.
    #[error("it was given up half-way")]
    Stopped,
}

/// What the system said of the path, as an error of ours.
pub(super) fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> BlobError + use<'p> {
    move |source| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            BlobError::Full { root: path.parent().unwrap_or(path).to_owned(), free_bytes: 0, reserve_bytes: 0 }
        }
        _ => BlobError::Io { doing, path: path.to_owned(), source },
    }
}
