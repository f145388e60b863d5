//! What was written is looked at before it counts.

use super::RepositoryError;
use super::inventory::{Inventory, MANIFEST, MANIFEST_BYTES_MAX};
use super::restic::Restic;
use picloud_model::hash::ContentHash;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Of what is missing, so many names are told.
const NAMES_TOLD_MAX: usize = 3;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

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
    // Beside each other: most of the time of both is spent on the password.
    let (found, (written, hashes)) =
        tokio::try_join!(files_in(restic, snapshot), read_copies(restic, snapshot, &inventory.roots.copies))?;
    compare(snapshot, inventory, &found)?;
    let differs = |path: &str| {
        let what = format!("`{path}` was read back, and is not what was written");
        RepositoryError::Damaged { snapshot: snapshot.to_owned(), what }
    };
    if Inventory::parse(snapshot, &written)? != *inventory {
        return Err(differs(MANIFEST));
    }
    // Keys are few and small: they come with their folder's size above, and with every restore. The databases are what
    // is written anew each time.
    for entry in inventory.files.iter().filter(|entry| entry.path.ends_with(".db")) {
        if entry.sha256.is_none() || hashes.get(&entry.path) != entry.sha256.as_ref() {
            return Err(differs(&entry.path));
        }
    }
    Ok(())
}

/// Reads the folder of the copies back: the manifest's text, and the hash of everything else in it, by its name.
async fn read_copies(
    restic: &Restic,
    snapshot: &str,
    copies: &Path,
) -> Result<(Vec<u8>, HashMap<String, ContentHash>), RepositoryError> {
    let (doing, owned) = ("read the backup again", snapshot.to_owned());
    let arguments = ["dump".as_ref(), "--no-lock".as_ref(), snapshot.as_ref(), copies.as_os_str()];
    let read = move |archive: &mut File| {
        read_archive(archive).map_err(|error| {
            let what = format!("what was read back is no archive: {}", error.to_string().escape_debug());
            RepositoryError::Damaged { snapshot: owned, what }
        })
    };
    restic.read(doing, &arguments, read).await
}

fn read_archive(archive: &mut impl Read) -> std::io::Result<(Vec<u8>, HashMap<String, ContentHash>)> {
    let (mut manifest, mut hashes) = (Vec::new(), HashMap::new());
    let mut buffer = vec![0; READ_BYTES];
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == MANIFEST {
            entry.by_ref().take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut manifest)?;
            continue;
        }
        let mut hasher = Sha256::new();
        loop {
            match entry.read(&mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        hashes.insert(name, ContentHash(hasher.finalize().into()));
    }
    Ok((manifest, hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_is_read_back_tells_the_manifest_and_hashes_and_one_that_ends_early_is_an_error() {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in [("var/copies/a.db", "rows"), ("var/copies/manifest.json", "{}")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, name, bytes.as_bytes()).unwrap();
        }
        let bytes = archive.into_inner().unwrap();
        let (manifest, hashes) = read_archive(&mut bytes.as_slice()).unwrap();
        assert_eq!(manifest, b"{}");
        assert_eq!(hashes, HashMap::from([("a.db".to_owned(), ContentHash::of(b"rows"))]));
        assert!(read_archive(&mut &bytes[..514]).is_err());
    }
}
