//! The trait of files: what is known of them. Their bytes are in [`crate::blobs`].

use crate::Result;
#[expect(unused_imports, reason = "documentation names them")]
use crate::{StoreError, blobs};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::file::{File, FileCollection, FilePatch, FileQuery, NewFile};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, FileId};
use picloud_model::page::Page;

/// What a file's bytes are, once they are on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// The blob: a part of its path.
    pub id: uuid::Uuid,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of all of it.
    pub sha256: ContentHash,
    /// A checksum of each piece of [`blobs::PIECE_BYTES`], so that a part can be checked alone: the state of SHA-256
    /// behind it, and of the last one `sha256`.
    pub pieces: Vec<ContentHash>,
}

/// A file with where its bytes are.
#[derive(Clone, Debug, PartialEq)]
pub struct FileWithBlob {
    /// The file.
    pub file: File,
    /// Its bytes.
    pub blob: StoredBlob,
}

/// Files: rows here, bytes in [`blobs`]. A change and its events are one transaction; bytes are on the disk before.
#[async_trait]
pub trait Files: Send + Sync {
    /// The app's collections by name.
    async fn file_collections(&self, app: AppId) -> Result<Vec<FileCollection>>;
    /// A page of a collection.
    async fn files(&self, app: AppId, collection: &str, query: &FileQuery) -> Result<Page<File>>;
    /// One file.
    async fn file(&self, app: AppId, collection: &str, id: FileId) -> Result<Option<FileWithBlob>>;
    /// Makes a file of bytes that are on the disk. [`StoreError::Quota`] above `quota_bytes` for all of the app's.
    async fn create_file(&self, app: AppId, write: FileWrite, cause: &Cause, act: Option<&Act>) -> Result<File>;
    /// Changes one; `expected` is the ETag or version it must have. `None` where it is not there. The blob it had is
    /// swept later, so that who reads it goes on.
    async fn update_file(
        &self,
        app: AppId,
        change: FileChange,
        cause: &Cause,
        act: Option<&Act>,
    ) -> Result<Option<File>>;
    /// Removes one; answers whether it was there.
    async fn delete_file(
        &self,
        app: AppId,
        collection: &str,
        id: FileId,
        expected: FileExpected,
        cause: &Cause,
        act: Option<&Act>,
    ) -> Result<bool>;
    /// Of these blobs, those that no file has.
    async fn unused_blobs(&self, blobs: &[uuid::Uuid]) -> Result<Vec<uuid::Uuid>>;
    /// Up to `blobs_max` blobs that were a file's and are nobody's now.
    async fn dropped_blobs(&self, blobs_max: u32) -> Result<Vec<uuid::Uuid>>;
    /// These are removed from the disk.
    async fn forget_dropped(&self, blobs: Vec<uuid::Uuid>) -> Result<()>;
    /// Told when blobs may have been dropped; what was told before somebody listened is kept.
    fn blobs_dropped(&self) -> std::sync::Arc<tokio::sync::Notify>;
    /// Up to `files_max` files of all apps by their blob's id, those after `after`: for a comparison with the disk.
    async fn files_by_blob(&self, after: Option<uuid::Uuid>, files_max: u32) -> Result<Vec<FileRow>>;
    /// Notes that a signed URL that holds once was used; false where it had been. Forgotten after
    /// `expires_at`.
    async fn use_signature_once(&self, token: ContentHash, expires_at: UnixMs, now: UnixMs) -> Result<bool>;
}

/// A file as a comparison of rows and disk sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// The app.
    pub app: AppId,
    /// The collection.
    pub collection: String,
    /// The file.
    pub id: FileId,
    /// Its blob.
    pub blob: uuid::Uuid,
    /// Its size.
    pub size_bytes: u64,
}

/// What a file must be at before it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileExpected {
    /// Whatever it is at.
    #[default]
    Anything,
    /// Its version.
    Version(i64),
    /// SHA-256 of its bytes.
    Sha256(ContentHash),
}

/// A file to be made.
#[derive(Clone, Debug)]
pub struct FileWrite {
    /// The collection.
    pub collection: String,
    /// Its id, chosen by the caller.
    pub id: FileId,
    /// What is said of it.
    pub file: NewFile,
    /// Its bytes.
    pub blob: StoredBlob,
    /// What all files of the app may have.
    pub quota_bytes: u64,
}

/// A file to be changed.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// The collection.
    pub collection: String,
    /// The file.
    pub id: FileId,
    /// What it must be at; [`StoreError::Stale`] where it is not.
    pub expected: FileExpected,
    /// What changes beside the bytes.
    pub patch: FilePatch,
    /// New bytes, if it is to have others.
    pub blob: Option<StoredBlob>,
    /// What all files of the app may have.
    pub quota_bytes: u64,
}
