//! A data folder as one end of a move.

use super::{MigrateError, StorePlace};
use crate::OpenError;
use crate::data_dir::{DataDirLock, io_error};
use crate::sqlite::{DATABASE_FILES, SqliteSide};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Where the new files are until they are whole.
const UNFINISHED: &str = "migrating";
/// Owner only.
const DIR_MODE: u32 = 0o700;

/// A folder to read from, with its lock.
pub(super) struct FolderSource {
    pub(super) side: SqliteSide,
    pub(super) lock: DataDirLock,
}

impl FolderSource {
    /// Opens it; refuses a folder without a store, and one that an appliance uses.
    pub(super) async fn open(dir: &Path) -> Result<Self, MigrateError> {
        let dir = dir.to_owned();
        blocking(move || {
            if !dir.join(DATABASE_FILES[0]).is_file() {
                return Err(MigrateError::NoStore(StorePlace::Dir(dir)));
            }
            let lock = DataDirLock::take(&dir)?;
            Ok(Self { side: SqliteSide::read(&dir)?, lock })
        })
        .await
    }
}

/// A folder to write into. What is not finished when it is dropped goes away.
pub(super) struct FolderTarget {
    dir: PathBuf,
    unfinished: PathBuf,
    _lock: DataDirLock,
}

impl FolderTarget {
    /// Begins a store beside the place where it will be; refuses a folder that has one.
    pub(super) async fn make(dir: &Path) -> Result<(Self, SqliteSide), MigrateError> {
        let dir = dir.to_owned();
        blocking(move || {
            let lock = DataDirLock::take(&dir)?;
            if let Some(name) = DATABASE_FILES.iter().find(|name| dir.join(name).exists()) {
                let what = format!("`{name}` is in it");
                return Err(MigrateError::NotEmpty { place: StorePlace::Dir(dir), what });
            }
            let unfinished = dir.join(UNFINISHED);
            remove(&unfinished).map_err(|source| io_error(source, &dir, &unfinished))?;
            let made = std::fs::DirBuilder::new().mode(DIR_MODE).create(&unfinished);
            made.map_err(|source| io_error(source, &dir, &unfinished))?;
            let side = SqliteSide::make(&unfinished)?;
            Ok((Self { dir, unfinished, _lock: lock }, side))
        })
        .await
    }

    /// What was written, read again.
    pub(super) async fn read(&self) -> Result<SqliteSide, MigrateError> {
        let unfinished = self.unfinished.clone();
        blocking(move || Ok(SqliteSide::read(&unfinished)?)).await
    }

    /// Makes it the folder's store. The history first: what is there when the power goes is no store without the data.
    pub(super) async fn put_in_place(self) -> Result<(), MigrateError> {
        blocking(move || {
            let put = || {
                for name in DATABASE_FILES.iter().rev() {
                    let file = self.unfinished.join(name);
                    File::open(&file)?.sync_all()?;
                    std::fs::rename(&file, self.dir.join(name))?;
                }
                File::open(&self.dir)?.sync_all()
            };
            put().map_err(|source| io_error(source, &self.dir, &self.unfinished).into())
        })
        .await
    }
}

impl Drop for FolderTarget {
    fn drop(&mut self) {
        // What is left over is removed by the next one.
        let _left = remove(&self.unfinished);
    }
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panicked| Err(OpenError::Unusable { path: PathBuf::new(), source: Box::new(panicked) }.into()))
}
