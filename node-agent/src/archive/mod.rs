//! What makes a node this node, in one file: key, certificate and appliance, what waits to be forwarded, configuration.
//!
//! ```text
//! identity/node.key identity/member.json    who it is, and to whom it belongs
//! spool.db                                   publishes that no appliance has answered yet
//! node.toml                                  the configuration file, where there is one
//! manifest.json                              the form, and every file above with its size and SHA-256
//! seal                                       SHA-256 of the manifest
//! ```
//!
//! It is a tar that any machine can look into. Whoever has it can be the node: it is its owner's alone.

mod read;
mod write;

pub use read::restore;
pub use write::back_up;

use picloud_model::clock::UnixMs;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The form that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// The last but one entry.
const MANIFEST: &str = "manifest.json";
/// The last entry.
const SEAL: &str = "seal";
/// What may be in it, and no more; the configuration last.
const FILES: [&str; 4] = ["identity/node.key", "identity/member.json", "spool.db", CONFIG];
/// What the configuration is called in it.
const CONFIG: &str = "node.toml";
/// Largest file in it: the spool at its fullest, and as much for what SQLite adds.
const FILE_BYTES_MAX: u64 = 2 * crate::spool::SPOOLED_BYTES_MAX;
/// Longest manifest.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// What an archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its form.
    pub format: u32,
    /// The version of the program that wrote it.
    pub node_version: String,
    /// The node's name.
    pub name: String,
    /// The node's id.
    pub id: String,
    /// When it was taken.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub created_at: UnixMs,
    /// What is in it.
    pub files: Vec<ManifestFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Which.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its content.
    pub sha256: picloud_model::hash::ContentHash,
}

/// Why there is no archive, or nothing came out of one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Nothing to be saved.
    #[error("there is no node in `{}`\nhint: name its data folder: --data-dir DIR", .0.display())]
    NoNode(PathBuf),
    /// A node is there already.
    #[error(
        "there is a node in `{}` already, and it stays as it is\nhint: choose another folder, or make room first: \
         picloud-node reset", .0.display()
    )]
    NodeThere(PathBuf),
    /// The file is there already.
    #[error("`{}` is there already\nhint: choose another name, or remove it", .0.display())]
    FileThere(PathBuf),
    /// A file or folder.
    #[error("{doing} `{}`: {source}", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// With which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not what was written.
    #[error("the backup is damaged: {0}\nhint: copy it again from where it came from, or use another backup")]
    Damaged(String),
    /// It is something else.
    #[error(
        "this is no backup of a node: {0}\nhint: name a file that `picloud-node backup` wrote; those of an appliance are for `picloud-appliance restore`"
    )]
    Foreign(String),
    /// It is from the future.
    #[error(
        "the backup has format {found}, this program reads up to {FORMAT}\nhint: install the picloud-node that wrote it, version {version}"
    )]
    Newer {
        /// Its form.
        found: u32,
        /// Which program wrote it.
        version: String,
    },
    /// Who the node is.
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityFileError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] crate::spool::SpoolError),
    /// The folder is in use.
    #[error(transparent)]
    Start(#[from] crate::start::StartError),
}

fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> ArchiveError + use<'p> {
    move |source| ArchiveError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
