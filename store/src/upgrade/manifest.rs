//! What a copy says of itself.

use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use serde::{Deserialize, Serialize};

/// The form of manifests that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
/// The file that holds it.
pub(super) const MANIFEST: &str = "manifest.json";
/// The longest that is read: some hundred bytes a table.
pub(super) const MANIFEST_BYTES_MAX: u64 = 1024 * 1024;

/// Which schema a store has: the number of its newest migration, 0 where it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Of the data; on Postgres, of the whole database.
    pub data: i64,
    /// Of the history, which SQLite has in a file of its own.
    pub history: i64,
}

impl std::fmt::Display for Schema {
    /// Only the data's: nobody chooses a program by the history's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.data.fmt(f)
    }
}

/// What a copy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyManifest {
    /// The manifest's form.
    pub format: u32,
    /// `sqlite`, or `postgres` where the files hold what was in a database.
    pub store: String,
    /// When the copy was made.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub made_at: UnixMs,
    /// What the store had.
    pub from: Schema,
    /// What it was given afterwards.
    pub to: Schema,
    /// The files beside the manifest.
    pub files: Vec<CopiedFile>,
    /// All tables in them.
    pub tables: Vec<CopiedTable>,
}

impl CopyManifest {
    /// All files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// One file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFile {
    /// Its name, in the copy as in the data folder.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its bytes.
    pub sha256: ContentHash,
}

/// One table of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedTable {
    /// The file it is in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Over all of them in the order in which they lie.
    pub sha256: ContentHash,
}
