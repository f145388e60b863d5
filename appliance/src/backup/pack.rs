//! Writes an archive in one pass, each byte once.

use super::contents::Contents;
use super::{BackupError, FORMAT, MANIFEST, Manifest, ManifestFile, SEAL};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;

/// Zeros at the end of an archive.
const TRAILER_BYTES: usize = 1_024;
/// Mode of every file in the archive.
const FILE_MODE: u32 = 0o600;

/// Writes all of it to `out` and answers what it wrote. Without an error, and only then, the archive is whole.
pub fn pack(contents: &Contents, out: impl Write) -> Result<Manifest, BackupError> {
    let mut archive = tar::Builder::new(Hashed { inner: out, hasher: Sha256::new(), bytes: 0 });
    let mut manifest = Manifest {
        format: FORMAT,
        appliance_version: env!("CARGO_PKG_VERSION").to_owned(),
        node: contents.node.clone(),
        created_at: contents.created_at,
        files: Vec::with_capacity(contents.files.len()),
    };
    let seconds = seconds_of(contents.created_at);
    for (name, path) in &contents.files {
        manifest.files.push(add_file(&mut archive, name, path, seconds)?);
    }
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest has only plain fields");
    add(&mut archive, MANIFEST, text.len() as u64, seconds, text.as_slice())?;
    let before = hash_of(archive.get_ref().hasher.clone());
    let mut end = end(before, contents.created_at)?;
    // The archive writes its own trailer when it is finished.
    end.truncate(end.len() - TRAILER_BYTES);
    archive.get_mut().write_all(&end).map_err(BackupError::Write)?;
    let mut out = archive.into_inner().map_err(BackupError::Write)?.inner;
    out.flush().map_err(BackupError::Write)?;
    Ok(manifest)
}

/// The last entry and all that follows, of an archive whose bytes before it have this hash.
pub(super) fn end(before: ContentHash, created_at: UnixMs) -> Result<Vec<u8>, BackupError> {
    let mut archive = tar::Builder::new(Vec::new());
    let seal = format!("{before}\n");
    add(&mut archive, SEAL, seal.len() as u64, seconds_of(created_at), seal.as_bytes())?;
    archive.into_inner().map_err(BackupError::Write)
}

fn seconds_of(at: UnixMs) -> u64 {
    u64::try_from(at / 1_000).unwrap_or(0)
}

fn add_file(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    path: &Path,
    seconds: u64,
) -> Result<ManifestFile, BackupError> {
    let io = || BackupError::io("read", path);
    let file = std::fs::File::open(path).map_err(io())?;
    let size_bytes = file.metadata().map_err(io())?.len();
    // No more than the head of the entry says, whatever is appended meanwhile.
    let mut content = Hashed { inner: file.take(size_bytes), hasher: Sha256::new(), bytes: 0 };
    add(archive, name, size_bytes, seconds, &mut content)?;
    if content.bytes != size_bytes {
        let changed = std::io::Error::other("it became shorter while it was read");
        return Err(io()(changed));
    }
    Ok(ManifestFile { path: name.to_owned(), size_bytes, sha256: hash_of(content.hasher) })
}

fn add(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    size_bytes: u64,
    seconds: u64,
    content: impl Read,
) -> Result<(), BackupError> {
    let mut head = tar::Header::new_gnu();
    head.set_entry_type(tar::EntryType::Regular);
    head.set_mode(FILE_MODE);
    head.set_size(size_bytes);
    head.set_mtime(seconds);
    archive.append_data(&mut head, name, content).map_err(BackupError::Write)
}

/// Hashes and counts what goes through it.
pub(super) struct Hashed<I> {
    pub(super) inner: I,
    pub(super) hasher: Sha256,
    pub(super) bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// The hash of what went through.
pub(super) fn hash_of(hasher: Sha256) -> ContentHash {
    ContentHash(hasher.finalize().into())
}
