//! Reads an archive, believing nothing in it, and makes a node of it.

use super::{
    ArchiveError, CONFIG, FILE_BYTES_MAX, FILES, FORMAT, MANIFEST, MANIFEST_BYTES_MAX, Manifest, ManifestFile, SEAL, io,
};
use crate::spool;
use crate::start;
use picloud_cluster::private_file;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where it is while it is not whole, in the data folder.
const RESTORING: &str = "restoring";
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// What came back.
#[derive(Debug)]
pub struct Restored {
    /// What the archive says of itself.
    pub manifest: Manifest,
    /// Where the configuration is that came with it: in its place, or beside where one was there already.
    pub config: Option<PathBuf>,
}

/// Makes the node of `file` in `data_dir`, where there is none. What it is comes into place last and in one step: cut off
/// before, there is no node yet, and the same can be done again.
pub fn restore(file: &Path, data_dir: &Path, config: &Path, now: UnixMs) -> Result<Restored, ArchiveError> {
    let archive = File::open(file).map_err(io("open", file))?;
    let identity = data_dir.join("identity");
    if identity.exists() {
        return Err(ArchiveError::NodeThere(data_dir.to_owned()));
    }
    let _lock = start::lock(data_dir)?;
    let restoring = Restoring::begin(data_dir)?;
    let into = &restoring.0;
    let manifest = unpack(archive, into)?;
    let spooled = into.join("spool.db");
    if spooled.exists() {
        // No number that the old machine may have given since is given again.
        spool::go_on_from(into, now)?;
        for rest in ["spool.db-wal", "spool.db-shm"] {
            private_file::remove(&into.join(rest)).map_err(io("remove", into))?;
            private_file::remove(&data_dir.join(rest)).map_err(io("remove", data_dir))?;
        }
        move_to(&spooled, &data_dir.join("spool.db"))?;
    }
    let placed = into.join(CONFIG).exists().then(|| {
        let to = if says_something(config) { data_dir.join(CONFIG) } else { config.to_owned() };
        let text = std::fs::read(into.join(CONFIG)).map_err(io("read", into))?;
        let folder = to.parent().unwrap_or(data_dir);
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&to, text)).map_err(io("write", &to))?;
        Ok::<_, ArchiveError>(to)
    });
    let placed = placed.transpose()?;
    sync(data_dir)?;
    move_to(&into.join("identity"), &identity)?;
    sync(data_dir)?;
    Ok(Restored { manifest, config: placed })
}

/// Whether there is a configuration that sets anything; a package brings one of remarks only.
fn says_something(config: &Path) -> bool {
    let is_setting = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    match std::fs::read_to_string(config) {
        Ok(text) => text.lines().any(is_setting),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// The folder of an attempt; gone when this is dropped.
struct Restoring(PathBuf);

impl Restoring {
    fn begin(data_dir: &Path) -> Result<Self, ArchiveError> {
        let path = data_dir.join(RESTORING);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("remove", &path)(error)),
            _gone => {}
        }
        private_file::folder(&path.join("identity")).map_err(io("make the folder", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        let _left_to_the_next = std::fs::remove_dir_all(&self.0);
    }
}

fn move_to(from: &Path, to: &Path) -> Result<(), ArchiveError> {
    std::fs::rename(from, to).map_err(io("put in place", to))
}

fn sync(folder: &Path) -> Result<(), ArchiveError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("finish", folder))
}

fn unpack(archive: File, into: &Path) -> Result<Manifest, ArchiveError> {
    let foreign = |_error| ArchiveError::Foreign("it cannot be read as a tar archive".to_owned());
    let cut = |error: std::io::Error| ArchiveError::Damaged(error.to_string().escape_debug().to_string());
    let mut archive = tar::Archive::new(std::io::BufReader::new(archive));
    let (mut found, mut manifest, mut sealed) = (Vec::<ManifestFile>::new(), None, false);
    for entry in archive.entries().map_err(foreign)? {
        let first = found.is_empty() && manifest.is_none();
        let mut entry = entry.map_err(|error| if first { foreign(error) } else { cut(error) })?;
        let (name, size_bytes) = (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.size());
        if !entry.header().entry_type().is_file() || sealed {
            return Err(ArchiveError::Foreign(format!("`{}` has no place in it", name.escape_debug())));
        }
        match (name.as_str(), &manifest) {
            (MANIFEST, None) => {
                let text = read_small(&mut entry).map_err(cut)?;
                manifest = Some((parse(&text)?, ContentHash::of(&text)));
            }
            (SEAL, Some((_manifest, hash))) => {
                if read_small(&mut entry).map_err(cut)? != format!("{hash}\n").into_bytes() {
                    return Err(ArchiveError::Damaged(format!("{MANIFEST} is not what was written")));
                }
                sealed = true;
            }
            (path, None) if FILES.contains(&path) && size_bytes <= FILE_BYTES_MAX => {
                let sha256 = write(&mut entry, &into.join(path))?;
                found.push(ManifestFile { path: name, size_bytes, sha256 });
            }
            (path, _) => return Err(ArchiveError::Foreign(format!("`{}` has no place in it", path.escape_debug()))),
        }
    }
    let Some((manifest, _hash)) = manifest.filter(|_manifest| sealed) else {
        let what = if found.is_empty() { "it holds nothing of a node" } else { "its end is missing" };
        let error = if found.is_empty() { ArchiveError::Foreign } else { ArchiveError::Damaged };
        return Err(error(what.to_owned()));
    };
    if let Some(other) = manifest.files.iter().zip(&found).find(|(told, found)| told != found) {
        return Err(ArchiveError::Damaged(format!("`{}` is not what was backed up", other.1.path)));
    }
    if manifest.files.len() != found.len() || !found.iter().any(|file| file.path == FILES[0]) {
        return Err(ArchiveError::Damaged("files are missing in it".to_owned()));
    }
    Ok(manifest)
}

pub(super) fn parse(text: &[u8]) -> Result<Manifest, ArchiveError> {
    /// What is read first: a later form may have other fields.
    #[derive(serde::Deserialize)]
    struct Form {
        format: u32,
        #[serde(default)]
        node_version: String,
    }
    let refuse = |error: serde_json::Error| ArchiveError::Damaged(format!("{MANIFEST}: {error}"));
    let form: Form = serde_json::from_slice(text).map_err(refuse)?;
    if form.format > FORMAT {
        let version = form.node_version.escape_debug().to_string();
        return Err(ArchiveError::Newer { found: form.format, version });
    }
    serde_json::from_slice(text).map_err(refuse)
}

fn read_small(entry: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    entry.take(MANIFEST_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// Writes one file, down to the disk.
fn write(content: &mut impl Read, to: &Path) -> Result<ContentHash, ArchiveError> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(to).map_err(io("make", to))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_BYTES]);
    loop {
        match content.read(&mut buffer).map_err(|error| ArchiveError::Damaged(error.to_string()))? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                file.write_all(&buffer[..read]).map_err(io("write", to))?;
            }
        }
    }
    file.sync_all().map_err(io("write", to))?;
    Ok(ContentHash(hasher.finalize().into()))
}
