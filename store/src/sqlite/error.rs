//! What a job on the database's threads fails with, and what callers hear of it.

use crate::StoreError;
use crate::data_dir::disk_is_full;
pub(super) use crate::refusals::{conflict, expect_version};
use rusqlite::ErrorCode;
use std::path::Path;

/// The failure of one job: the domain's, or SQLite's.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error("a stored value cannot be read")]
    Stored(#[from] serde_json::Error),
    #[error("a job panicked")]
    Panicked,
}

/// What a job answers.
pub(super) type JobResult<T> = Result<T, JobError>;

impl JobError {
    /// What the caller hears; `dir` is where the database lies.
    pub(super) fn into_store_error(self, dir: &Path) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) if is_full(&error, dir) => StoreError::Full(Box::new(error)),
            Self::Sql(error) if is_missing_parent(&error) => conflict("the app does not exist any more", Vec::new()),
            Self::Sql(error) => StoreError::Backend(Box::new(error)),
            other => StoreError::Backend(Box::new(other)),
        }
    }
}

/// Whether SQLite failed for want of room. It says so only for the database itself: where its shared index
/// cannot grow, it says "disk I/O error" or "unable to open".
pub(super) fn is_full(error: &rusqlite::Error, dir: &Path) -> bool {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => true,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => disk_is_full(dir),
        _ => false,
    }
}

/// Every reference but the one to the app is checked before it is written.
fn is_missing_parent(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}
