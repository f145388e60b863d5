//! Reads an archive to its end and believes nothing in it: paths, sizes, hashes, order and completeness are checked.

use super::pack::{Hashed, end, hash_of};
use super::{BackupError, FOLDERS, FORMAT, MANIFEST, MANIFEST_BYTES_MAX, Manifest, ManifestFile, PATH_BYTES_MAX, SEAL};
use picloud_model::hash::ContentHash;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Read;
use std::rc::Rc;

/// The head of an entry.
const BLOCK_BYTES: usize = 512;
/// The last entry and the zeros behind it; other programs fill up to a record of 10 KiB.
const END_BYTES_MAX: usize = 64 * 1024;

/// Reads all of `archive`. Each file goes to `sink` as it comes, before it is known whether the archive is whole: only
/// when this answers without an error was it.
pub fn read(
    archive: impl Read,
    mut sink: impl FnMut(&str, &mut dyn Read) -> Result<(), BackupError>,
) -> Result<Manifest, BackupError> {
    let source =
        Rc::new(RefCell::new(Behind { inner: archive, hasher: Sha256::new(), held: Vec::new(), keeps: false }));
    let mut archive = tar::Archive::new(Shared(Rc::clone(&source)));
    let mut found: Vec<ManifestFile> = Vec::new();
    let mut names = BTreeSet::new();
    let mut manifest: Option<Manifest> = None;
    let mut sealed: Option<Vec<u8>> = None;
    for entry in archive.entries().map_err(|error| unreadable(&error, &found))? {
        let mut entry = entry.map_err(|error| unreadable(&error, &found))?;
        let before = source.borrow().hash_before_head();
        let size_bytes = entry.size();
        let kind = entry.header().entry_type();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let shown = name.escape_debug();
        match (name.as_str(), &manifest) {
            _ if sealed.is_some() => return Err(damaged(format!("`{shown}` stands behind its end"))),
            _ if !kind.is_file() => return Err(damaged(format!("`{shown}` is no plain file"))),
            (MANIFEST, None) => manifest = Some(read_manifest(&mut entry, size_bytes)?),
            (SEAL, Some(manifest)) => {
                sealed = Some(end(before, manifest.created_at)?);
                source.borrow_mut().keep_the_rest();
            }
            (_, Some(_)) => return Err(damaged(format!("`{shown}` stands behind its table of contents"))),
            (path, None) => {
                check_path(path)?;
                if !names.insert(path.to_owned()) {
                    return Err(damaged(format!("`{path}` stands in it twice")));
                }
                let mut content = Hashed { inner: &mut entry, hasher: Sha256::new(), bytes: 0 };
                sink(path, &mut content)?;
                drain(&mut content, path)?;
                if content.bytes != size_bytes {
                    return Err(damaged(format!("it ends within `{path}`")));
                }
                found.push(ManifestFile { path: name, size_bytes, sha256: hash_of(content.hasher) });
            }
        }
    }
    let (manifest, end) = match (manifest, sealed) {
        (Some(manifest), Some(end)) => (manifest, end),
        (None, _) if found.is_empty() => return Err(BackupError::Foreign("it holds nothing".to_owned())),
        _ => return Err(damaged("its end is missing".to_owned())),
    };
    check_end(&mut source.borrow_mut(), &end)?;
    compare(&manifest.files, &found)?;
    Ok(manifest)
}

fn damaged(what: String) -> BackupError {
    BackupError::Damaged(what)
}

/// What the reader says may quote what it read: it goes to a terminal, and so without control characters.
fn unreadable(error: &std::io::Error, found: &[ManifestFile]) -> BackupError {
    match found.last() {
        None => BackupError::Foreign("it cannot be read as a tar archive".to_owned()),
        Some(last) => {
            let error = error.to_string();
            damaged(format!("it cannot be read on behind `{}` ({})", last.path, error.escape_debug()))
        }
    }
}

/// Only what a backup has: the store's files, and what is below the known folders.
pub(crate) fn check_path(path: &str) -> Result<(), BackupError> {
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    let known = if path.contains('/') { FOLDERS.contains(&first) } else { first.ends_with(".db") };
    if path.len() > PATH_BYTES_MAX || !path.split('/').all(plain) || !known {
        return Err(BackupError::Foreign(format!("`{}` has no place in a backup", path.escape_debug())));
    }
    Ok(())
}

fn read_manifest(entry: &mut impl Read, size_bytes: u64) -> Result<Manifest, BackupError> {
    if size_bytes > MANIFEST_BYTES_MAX {
        return Err(damaged(format!("its table of contents has {size_bytes} bytes, more than {MANIFEST_BYTES_MAX}")));
    }
    /// What is read first: a later form may have other fields.
    #[derive(serde::Deserialize)]
    struct Form {
        format: u32,
        #[serde(default)]
        appliance_version: String,
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(|error| damaged(format!("read {MANIFEST}: {error}")))?;
    let refuse = |error: serde_json::Error| damaged(format!("{MANIFEST}: {error}"));
    let form: Form = serde_json::from_slice(&text).map_err(refuse)?;
    if form.format > FORMAT {
        return Err(BackupError::Newer { found: form.format, version: form.appliance_version });
    }
    serde_json::from_slice(&text).map_err(refuse)
}

/// The last entry holds the hash of all before it, and behind it there are only zeros, and few of them.
fn check_end(source: &mut Behind<impl Read>, end: &[u8]) -> Result<(), BackupError> {
    let read = source.rest();
    let rest = read.map_err(|error| damaged(format!("read its end: {error}")))?;
    match rest.strip_prefix(end) {
        Some(fill) if rest.len() <= END_BYTES_MAX && fill.iter().all(|byte| *byte == 0) => Ok(()),
        _ => Err(damaged("its bytes are not those that were written".to_owned())),
    }
}

fn drain(content: &mut impl Read, path: &str) -> Result<(), BackupError> {
    std::io::copy(content, &mut std::io::sink()).map_err(|error| damaged(format!("read `{path}`: {error}")))?;
    Ok(())
}

fn compare(told: &[ManifestFile], found: &[ManifestFile]) -> Result<(), BackupError> {
    for (told, found) in told.iter().zip(found) {
        if told != found {
            return Err(damaged(format!("`{}` is not what was backed up", found.path)));
        }
    }
    if told.len() != found.len() {
        return Err(damaged(format!("it holds {} files of {}", found.len(), told.len())));
    }
    Ok(())
}

/// Hashes what was read but for the last block: when an entry's head has been read, that is all before the entry.
struct Behind<R> {
    inner: R,
    hasher: Sha256,
    held: Vec<u8>,
    /// Whether `held` grows from now on instead.
    keeps: bool,
}

impl<R: Read> Behind<R> {
    fn hash_before_head(&self) -> ContentHash {
        hash_of(self.hasher.clone())
    }

    /// The last entry's head has been read: from it on, everything is looked at as it is.
    fn keep_the_rest(&mut self) {
        self.keeps = true;
    }

    /// Everything from the last entry's head on, or as much of it as is too much.
    fn rest(&mut self) -> std::io::Result<&[u8]> {
        let room = (END_BYTES_MAX + 1).saturating_sub(self.held.len());
        (&mut self.inner).take(room as u64).read_to_end(&mut self.held)?;
        Ok(&self.held)
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.keeps {
            let room = (END_BYTES_MAX + 1).saturating_sub(self.held.len());
            self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return;
        }
        if bytes.len() >= BLOCK_BYTES {
            let (before, last) = bytes.split_at(bytes.len() - BLOCK_BYTES);
            self.hasher.update(&self.held);
            self.hasher.update(before);
            self.held.clear();
            self.held.extend_from_slice(last);
            return;
        }
        self.held.extend_from_slice(bytes);
        let more = self.held.len().saturating_sub(BLOCK_BYTES);
        self.hasher.update(&self.held[..more]);
        self.held.drain(..more);
    }
}

/// The archive's reader and this module look at the same source.
struct Shared<R>(Rc<RefCell<Behind<R>>>);

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let mut behind = self.0.borrow_mut();
        let read = behind.inner.read(bytes)?;
        behind.take(&bytes[..read]);
        Ok(read)
    }
}
