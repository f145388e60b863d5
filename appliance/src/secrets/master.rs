//! The master key: 32 random bytes in a file of their own, which seal the keys of the apps.

use super::VaultError;
use super::seal::{KEY_BYTES, SealKey};
use picloud_cluster::private_file;
use std::path::{Path, PathBuf};

/// Where it lies in the data folder.
const FILE: &str = "keys/secrets.key";

/// The file of the master key.
#[derive(Clone, Debug)]
pub(super) struct MasterFile(PathBuf);

impl MasterFile {
    /// The one of this data folder.
    pub(super) fn of(data_dir: &Path) -> Self {
        Self(data_dir.join(FILE))
    }

    /// The key, `None` where there is no file.
    pub(super) fn read(&self) -> Result<Option<SealKey>, VaultError> {
        let bytes = private_file::read_secret(&self.0).map_err(|source| self.unreadable(source))?;
        let Some(bytes) = bytes.map(zeroize::Zeroizing::new) else { return Ok(None) };
        let bytes_found = bytes.len();
        let key = SealKey::from_bytes(&bytes);
        key.map(Some).ok_or_else(|| VaultError::MasterSize { file: self.0.clone(), bytes_found })
    }

    /// Makes a new one, down to the disk: what it seals is worth nothing without it.
    pub(super) fn create(&self) -> Result<SealKey, VaultError> {
        let key = SealKey::random().map_err(VaultError::NoRandomness)?;
        private_file::prepare(&self.0, key.bytes()).map_err(|source| self.unwritable(source))?;
        private_file::put_in_place(&self.0).map_err(|source| self.unwritable(source))?;
        tracing::info!(file = %self.0.display(), bytes = KEY_BYTES, "made the key that seals secrets; backups hold it");
        Ok(key)
    }

    /// It is not there, though something was sealed with it.
    pub(super) fn missing(&self) -> VaultError {
        VaultError::MasterMissing { file: self.0.clone() }
    }

    fn unreadable(&self, source: std::io::Error) -> VaultError {
        VaultError::MasterFile { file: self.0.clone(), what: "read", source }
    }

    fn unwritable(&self, source: std::io::Error) -> VaultError {
        VaultError::MasterFile { file: self.0.clone(), what: "written", source }
    }
}
