//! Backups: everything durable in one archive that any `tar` can look into, taken while writes go on.
//!
//! ```text
//! picloud.db history.db     the store's own copies of its files, each at one moment
//! keys/…                    the CA and the key that secrets are sealed with: whoever has the archive has them
//! files/…                   files of apps, where there are any
//! manifest.json             every file above with its size and SHA-256
//! archive.sha256            SHA-256 of all bytes of the archive before this entry
//! ```
//!
//! An archive is written in one pass and is complete only with its last entry: one that was cut off, or that differs in
//! a single byte, is refused by [`read::read`].

pub mod contents;
pub(crate) mod files_root;
pub mod local;
pub mod pack;
pub mod read;
pub mod restore;
pub mod stream;

pub(crate) use read::check_path;

use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::problem::{Code, Problem};
use picloud_store::{OpenError, StoreError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The form of archives that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// The last but one entry.
const MANIFEST: &str = "manifest.json";
/// The last entry.
const SEAL: &str = "archive.sha256";
/// Longest manifest that is read; a file takes about 150 bytes in it.
const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Longest path in an archive.
const PATH_BYTES_MAX: usize = 1_024;
/// What a backup holds of the data folder beside the store's files, and only that.
pub(crate) const FOLDERS: [&str; 2] = ["keys", "files"];

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The archive's form.
    pub format: u32,
    /// The version of the program that wrote it.
    pub appliance_version: String,
    /// The machine it was taken on.
    pub node: String,
    /// When it was begun: what was written before is in it.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub created_at: UnixMs,
    /// Everything in it.
    pub files: Vec<ManifestFile>,
}

impl Manifest {
    /// All files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Where it is, in the archive as in the data folder.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its content.
    pub sha256: ContentHash,
}

/// `1.5 MiB`
pub fn shown_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (bytes * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Why no backup was taken, or none was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store did not copy itself, or what was restored does not open.
    #[error("{}", crate::appliance::with_sources(.0))]
    Store(#[from] StoreError),
    /// The restored data does not open.
    #[error("the restored data does not open: {}\nhint: {}", crate::appliance::with_sources(.0), .0.hint())]
    Open(#[from] OpenError),
    /// A file or folder.
    #[error("{doing} `{}`: {source}", path.display())]
    Io {
        /// What was to be done with it.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The archive could not be written on.
    #[error("write the archive: {0}")]
    Write(#[source] std::io::Error),
    /// Another backup is under way.
    #[error("another backup is under way\nhint: wait for its end")]
    Busy,
    /// The archive is not whole, or not what was written.
    #[error("the archive is damaged: {0}\nhint: copy it again from where it came from, or use another backup")]
    Damaged(String),
    /// It is something else.
    #[error("this is no backup of PiCloud: {0}\nhint: name a file that `picloud-appliance backup` wrote")]
    Foreign(String),
    /// It is from the future.
    #[error(
        "the archive has format {found}, this program reads up to {FORMAT}\nhint: install the PiCloud that wrote it, version {version}"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// Which program wrote it.
        version: String,
    },
    /// There is something in the folder already.
    #[error("`{}` is not empty: it holds {}\nhint: restore into a folder that does not exist, or move that data away first: mv {dir} {dir}.old", dir.display(), names.join(", "), dir = dir.display())]
    HasData {
        /// The folder.
        dir: PathBuf,
        /// Some of what is there.
        names: Vec<String>,
    },
    /// It cannot be made in one step.
    #[error("`{}` cannot be put in place: {source}\nhint: {hint}", dir.display())]
    NotInPlace {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        hint: &'static str,
    },
}

impl BackupError {
    pub(crate) fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> Self + use<'p> {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// What it is to whoever asked for a backup over the admin API.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Store(error) => crate::admin::from_store(error),
            Self::Busy => Problem::new(Code::Conflict, "another backup is under way").hint("wait for its end"),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Problem::new(Code::StorageFull, "the disk is full: a backup needs room for a copy of the databases")
                    .hint("make room (`df -h`), or stop the appliance and copy its data folder to another disk")
            }
            error => {
                tracing::error!(%error, "a backup could not be taken");
                Problem::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests;
