//! What was written is looked at before it counts.

use super::RepositoryError;
use super::inventory::{Inventory, MANIFEST};
use super::restic::Restic;
use picloud_model::hash::ContentHash;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Of what is missing, so many names are told.
const NAMES_TOLD_MAX: usize = 3;

/// A line of `restic ls --json`.
#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    path: PathBuf,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
}

/// Everything that is in a snapshot: its files by their paths, with their sizes.
pub(super) async fn files_in(restic: &Restic, snapshot: &str) -> Result<HashMap<PathBuf, u64>, RepositoryError> {
    let (doing, mut found, mut odd) = ("list what is in the backup", HashMap::new(), None);
    let arguments = ["ls", "--json", "--no-lock", snapshot].map(AsRef::as_ref);
    let mut read = |line: &[u8]| match serde_json::from_slice::<Node>(line) {
        Ok(node) if node.kind == "file" => drop(found.insert(node.path, node.size)),
        // The first line is about the snapshot itself.
        Ok(node) if node.kind == "dir" || node.kind.is_empty() => {}
        Ok(node) => odd = Some(format!("`{}` is no plain file", node.path.display().to_string().escape_debug())),
        Err(error) => odd = Some(error.to_string()),
    };
    let ended = restic.lines(doing, &arguments, &mut read).await?;
    if !ended.status.success() {
        return Err(restic.refused(doing, ended.said));
    }
    match odd {
        Some(what) => Err(RepositoryError::Damaged { snapshot: snapshot.to_owned(), what }),
        None => Ok(found),
    }
}

/// Compares what is in a snapshot with what must be.
pub(super) fn compare(
    snapshot: &str,
    inventory: &Inventory,
    found: &HashMap<PathBuf, u64>,
) -> Result<(), RepositoryError> {
    let wrong =
        |entry: &&super::inventory::Entry| found.get(&inventory.stored_at(&entry.path)) != Some(&entry.size_bytes);
    let wrong: Vec<&str> = inventory.files.iter().filter(wrong).map(|entry| entry.path.as_str()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let names = wrong[..wrong.len().min(NAMES_TOLD_MAX)].join(", ");
    let what = format!("{} of {} files are missing or cut off: {names}", wrong.len(), inventory.files.len());
    Err(RepositoryError::Damaged { snapshot: snapshot.to_owned(), what })
}

/// The manifest of a snapshot.
pub(super) async fn manifest(restic: &Restic, snapshot: &str, copies: &Path) -> Result<Inventory, RepositoryError> {
    if copies.as_os_str().is_empty() {
        let what = "it holds no copy of the databases".to_owned();
        return Err(RepositoryError::Damaged { snapshot: snapshot.to_owned(), what });
    }
    let (at, mut text) = (copies.join(MANIFEST), Vec::new());
    let arguments = ["dump".as_ref(), "--no-lock".as_ref(), snapshot.as_ref(), at.as_os_str()];
    restic.succeed("read the manifest of the backup", &arguments, &mut |bytes| text.extend_from_slice(bytes)).await?;
    Inventory::parse(snapshot, &text)
}

/// Reads a just written snapshot back: everything is there, and what changes between two backups is the same.
pub(super) async fn verify(restic: &Restic, snapshot: &str, inventory: &Inventory) -> Result<(), RepositoryError> {
    compare(snapshot, inventory, &files_in(restic, snapshot).await?)?;
    let written = manifest(restic, snapshot, &inventory.roots.copies).await?;
    let differs = |path: &str| {
        let what = format!("`{path}` was read back, and is not what was written");
        RepositoryError::Damaged { snapshot: snapshot.to_owned(), what }
    };
    if written != *inventory {
        return Err(differs(MANIFEST));
    }
    // Keys are few and small: they come with their folder's size above, and with every restore. The databases are what
    // is written anew each time.
    for entry in inventory.files.iter().filter(|entry| entry.path.ends_with(".db")) {
        let (at, mut hasher) = (inventory.stored_at(&entry.path), Sha256::new());
        let arguments = ["dump".as_ref(), "--no-lock".as_ref(), snapshot.as_ref(), at.as_os_str()];
        restic.succeed("read the backup again", &arguments, &mut |bytes| hasher.update(bytes)).await?;
        if Some(ContentHash(hasher.finalize().into())) != entry.sha256 {
            return Err(differs(&entry.path));
        }
    }
    Ok(())
}
