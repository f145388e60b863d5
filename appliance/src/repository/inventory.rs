//! What a snapshot must hold: its manifest, which lies in it.

use super::RepositoryError;
use super::held::Held;
use crate::backup::contents::walk;
use crate::backup::{FOLDERS, check_path};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The form of snapshots that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
/// Its name, beside the copies of the databases.
pub(super) const MANIFEST: &str = "manifest.json";
/// What the configuration file is called in it.
pub(super) const CONFIG: &str = "appliance.toml";
/// Longest manifest that is read; a file takes about 80 bytes in it.
pub(super) const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// Everything in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The snapshot's form.
    pub format: u32,
    /// The version of the program that wrote it.
    pub appliance_version: String,
    /// The machine it was taken on.
    pub node: String,
    /// When it was begun: what was written before is in it.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub created_at: UnixMs,
    /// Where things are in it: under their paths of that machine.
    pub roots: Roots,
    /// What is in it.
    pub files: Vec<Entry>,
}

/// The folders of the machine that a snapshot was taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roots {
    /// Of the copies of the databases.
    pub copies: PathBuf,
    /// Of keys and certificates.
    pub keys: PathBuf,
    /// Of the bytes of files.
    pub files: PathBuf,
    /// The configuration file, where there was one.
    pub config: Option<PathBuf>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is in a data folder.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its content. Absent for bytes of files: those are never changed, their rows know their hash, and restic knows the
    /// hash of every part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<ContentHash>,
}

impl Inventory {
    /// Looks at everything, and hashes what may change. Blocks.
    pub(super) fn of(held: &Held, config: Option<&Path>) -> Result<Self, RepositoryError> {
        let roots = Roots {
            copies: held.copies().to_owned(),
            keys: held.data_dir.join(FOLDERS[0]),
            files: held.files_dir.clone(),
            config: config.map(Path::to_owned),
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&roots.copies).map_err(RepositoryError::io("look into", &roots.copies))? {
            let path = entry.map_err(RepositoryError::io("look into", &roots.copies))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if name.ends_with(".db") {
                found.push((name, path, true));
            }
        }
        found.sort();
        for (folder, root, changes) in [(FOLDERS[0], &roots.keys, true), (FOLDERS[1], &roots.files, false)] {
            let mut files = Vec::new();
            walk(folder, root, &mut files)?;
            found.extend(files.into_iter().map(|(name, path)| (name, path, changes)));
        }
        if let Some(config) = config {
            found.push((CONFIG.to_owned(), config.to_owned(), true));
        }
        let mut files = Vec::with_capacity(found.len());
        for (path, at, changes) in found {
            let (size_bytes, sha256) = if changes {
                let (size_bytes, hash) = hash_file(&at).map_err(RepositoryError::io("read", &at))?;
                (size_bytes, Some(hash))
            } else {
                (std::fs::metadata(&at).map_err(RepositoryError::io("look at", &at))?.len(), None)
            };
            files.push(Entry { path, size_bytes, sha256 });
        }
        let appliance_version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self {
            format: FORMAT,
            appliance_version,
            node: held.node.clone(),
            created_at: held.created_at,
            roots,
            files,
        })
    }

    /// What a manifest says; believes nothing in it.
    pub(super) fn parse(snapshot: &str, text: &[u8]) -> Result<Self, RepositoryError> {
        /// What is read first: a later form may have other fields.
        #[derive(Deserialize)]
        struct Form {
            format: u32,
            #[serde(default)]
            appliance_version: String,
        }
        let damaged = |what: String| RepositoryError::Damaged { snapshot: snapshot.to_owned(), what };
        if text.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(damaged(format!("{MANIFEST} has more than {MANIFEST_BYTES_MAX} bytes")));
        }
        let unread = |error: serde_json::Error| damaged(format!("{MANIFEST}: {error}"));
        let form: Form = serde_json::from_slice(text).map_err(unread)?;
        if form.format > FORMAT {
            let version = form.appliance_version.escape_debug().to_string();
            return Err(RepositoryError::Newer {
                snapshot: snapshot.to_owned(),
                found: form.format,
                known: FORMAT,
                version,
            });
        }
        let inventory: Self = serde_json::from_slice(text).map_err(unread)?;
        let roots = &inventory.roots;
        for root in [&roots.copies, &roots.keys, &roots.files].into_iter().chain(&roots.config) {
            if !root.is_absolute() || root.components().any(|part| part == std::path::Component::ParentDir) {
                return Err(damaged(format!("{MANIFEST}: `{}` is no folder of a machine", root.display())));
            }
        }
        for entry in &inventory.files {
            if entry.path != CONFIG {
                check_path(&entry.path)?;
            }
        }
        Ok(inventory)
    }

    /// Where an entry lies in the snapshot.
    pub(super) fn stored_at(&self, path: &str) -> PathBuf {
        let below = |folder: &str| path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        match (below(FOLDERS[0]), below(FOLDERS[1]), &self.roots.config) {
            (Some(rest), _, _) => self.roots.keys.join(rest),
            (_, Some(rest), _) => self.roots.files.join(rest),
            (_, _, Some(config)) if path == CONFIG => config.clone(),
            _ => self.roots.copies.join(path),
        }
    }

    /// What restic is to save: the folder of the copies, every key, and each folder of blobs; nothing that lies beside.
    pub(super) fn targets(&self) -> BTreeSet<PathBuf> {
        let mut targets = BTreeSet::from([self.roots.copies.clone()]);
        for entry in &self.files {
            match entry.path.strip_prefix(FOLDERS[1]).and_then(|rest| rest.strip_prefix('/')?.split('/').next()) {
                Some(outer) => drop(targets.insert(self.roots.files.join(outer))),
                None if entry.path.ends_with(".db") && !entry.path.contains('/') => {}
                None => drop(targets.insert(self.stored_at(&entry.path))),
            }
        }
        targets
    }

    /// All files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// Size and hash of a file. Blocks.
pub(super) fn hash_file(path: &Path) -> std::io::Result<(u64, ContentHash)> {
    let (mut file, mut hasher, mut bytes) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, ContentHash(hasher.finalize().into()))),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
