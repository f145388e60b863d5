//! The key that URLs of files are signed with: 32 random bytes in a file of their own, made when first needed.

use picloud_cluster::private_file;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Where it lies in the data folder.
const FILE: &str = "keys/files.key";
/// Its size.
pub(super) const KEY_BYTES: usize = 32;

/// The key.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// The file of the key, and the key once it was needed.
pub(super) struct KeyFile {
    path: PathBuf,
    known: Mutex<Option<Key>>,
}

impl KeyFile {
    /// The one of this data folder.
    pub(super) fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE), known: Mutex::new(None) }
    }

    /// The key; `None` where nothing was ever signed.
    pub(super) fn get(&self) -> Result<Option<Key>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = self.read()?;
        }
        Ok(known.clone())
    }

    /// The key, made where there is none.
    pub(super) fn get_or_make(&self) -> Result<Key> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = self.read()?;
        }
        if let Some(key) = &*known {
            return Ok(key.clone());
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(Error::other)?;
        private_file::prepare(&self.path, &*key)?;
        private_file::put_in_place(&self.path)?;
        tracing::info!(file = %self.path.display(), "made the key that URLs of files are signed with; backups hold it");
        *known = Some(key.clone());
        Ok(key)
    }

    fn read(&self) -> Result<Option<Key>> {
        let Some(bytes) = private_file::read_secret(&self.path)?.map(Zeroizing::new) else { return Ok(None) };
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_other_size| {
            let found = bytes.len();
            let detail = format!("{} has {found} bytes instead of {KEY_BYTES}", self.path.display());
            Error::new(ErrorKind::InvalidData, detail)
        })?;
        Ok(Some(Zeroizing::new(key)))
    }
}
