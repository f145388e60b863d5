//! Copies for backups: the tables at one moment, written as the two files that SQLite would have, so that a backup is
//! restored anywhere.

use super::PgStore;
use super::tables::PgSide;
use crate::migrate_store::{CopyError, Side, copy};
use crate::sqlite::{DATABASE_FILES, SqliteSide, tables};
use crate::{Backup, Result, StoreError};
use async_trait::async_trait;
use std::path::{Path, PathBuf};

#[async_trait]
impl Backup for PgStore {
    async fn copy_to(&self, dir: &Path) -> Result<Vec<String>> {
        let files = DATABASE_FILES.map(|name| dir.join(name));
        if let Some(file) = files.iter().find(|file| file.exists()) {
            return Err(backend(format!("`{}` is there already", file.display())));
        }
        let written = write_to(self, dir).await;
        if written.is_err() {
            // Half a copy is none. What cannot be removed is removed with the folder.
            files.iter().for_each(|file| drop(std::fs::remove_file(file)));
        }
        written?;
        Ok(DATABASE_FILES.map(str::to_owned).to_vec())
    }
}

async fn write_to(store: &PgStore, dir: &Path) -> Result<()> {
    let to = dir.to_owned();
    let (tables, mut side) =
        blocking(move || Ok((tables().map_err(backend)?, SqliteSide::make(&to).map_err(backend)?))).await?;
    let mut from = PgSide::of(store).await.map_err(backend)?;
    copy(&mut from, &mut side, &tables, &mut |_progress| {}).await.map_err(copy_failed)?;
    Box::new(side).keep().await.map_err(StoreError::Backend)?;
    let files = DATABASE_FILES.map(|name| dir.join(name));
    blocking(move || files.iter().try_for_each(sync).map_err(backend)).await
}

fn sync(file: &PathBuf) -> std::io::Result<()> {
    std::fs::File::open(file)?.sync_all()
}

/// What callers hear: where it was the disk, that it is full.
fn copy_failed(error: CopyError) -> StoreError {
    if let CopyError::Write { source, .. } = &error
        && source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code)
            == Some(rusqlite::ErrorCode::DiskFull)
    {
        return StoreError::Full(Box::new(error));
    }
    backend(error)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panicked| Err(backend(panicked)))
}

fn backend(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Backend(error.into())
}
