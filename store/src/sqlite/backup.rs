//! Copies of both files for backups.

use super::SqliteStore;
use super::connection::{Database, open_reader};
use super::error::JobError;
use crate::data_dir::make_private_file;
use crate::{Backup, Result, StoreError};
use async_trait::async_trait;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

#[async_trait]
impl Backup for SqliteStore {
    async fn copy_to(&self, dir: &Path) -> Result<Vec<String>> {
        let (from, to) = (self.dir.clone(), dir.to_owned());
        let copied = tokio::task::spawn_blocking(move || {
            let mut names = vec![copy(&from, &to, Database::Data)?];
            match copy(&from, &to, Database::History) {
                Ok(name) => names.push(name),
                // History is worth less than what it tells of: a damaged one must not keep the data from being saved.
                Err(StoreError::Backend(error)) => {
                    tracing::warn!(error = %error, "the history could not be copied; the backup is without it");
                    let _missing = std::fs::remove_file(to.join(Database::History.file_name()));
                }
                Err(error) => return Err(error),
            }
            Ok(names)
        });
        copied.await.unwrap_or_else(|panicked| Err(backend(panicked)))
    }
}

/// Copies one file as it is at one moment, without its free pages, on a connection of its own: a reader, for whom no
/// writer waits. While it reads, the log cannot be begun anew and grows by what is written.
pub(super) fn copy(from: &Path, to: &Path, database: Database) -> Result<String> {
    let name = database.file_name();
    let file = to.join(name);
    let conn = open_reader(&from.join(name)).map_err(backend)?;
    make_private_file(&file).map_err(not_written)?;
    let path = file.to_str().ok_or_else(|| backend("the path of the copy is not UTF-8"))?;
    let copied = conn.pragma_update(None, "query_only", false).and_then(|()| conn.execute("VACUUM INTO ?1", [path]));
    copied.map_err(|error| JobError::from(error).into_store_error(to))?;
    File::open(&file).and_then(|file| file.sync_all()).map_err(not_written)?;
    Ok(name.to_owned())
}

fn not_written(error: std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(Box::new(error)),
        _ => backend(error),
    }
}

fn backend(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Backend(error.into())
}
