//! Writes an archive, also while the agent runs.

use super::{ArchiveError, CONFIG, FILES, FORMAT, MANIFEST, Manifest, ManifestFile, SEAL, io};
use crate::identity::{Belonging, IdentityFiles};
use crate::spool;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Owner only: whoever has it can be the node.
const FILE_MODE: u32 = 0o600;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Writes the node of `data_dir` into `file`, whole or not at all.
pub fn back_up(data_dir: &Path, config: &Path, file: &Path, now: UnixMs) -> Result<Manifest, ArchiveError> {
    let files = IdentityFiles::of(data_dir);
    let key = files.key_if_made()?.ok_or_else(|| ArchiveError::NoNode(data_dir.to_owned()))?;
    let name = match files.belonging()? {
        Belonging::Member(member) => member.name,
        Belonging::Nobody | Belonging::Retired { .. } => String::new(),
    };
    if file.symlink_metadata().is_ok() {
        return Err(ArchiveError::FileThere(file.to_owned()));
    }
    let part = Part::begin(file)?;
    // A copy at one moment: the agent may be writing.
    let spool = data_dir.join("spool.db").exists().then(|| Copy::of(data_dir, file)).transpose()?;
    let mut manifest = Manifest {
        format: FORMAT,
        node_version: env!("CARGO_PKG_VERSION").to_owned(),
        name,
        id: key.id().to_string(),
        created_at: now,
        files: Vec::new(),
    };
    let mut archive = tar::Builder::new(&part.file);
    for path in FILES {
        let at = match path {
            CONFIG => config.to_owned(),
            "spool.db" => spool.as_ref().map_or_else(|| data_dir.join(path), |copy| copy.0.clone()),
            _ => data_dir.join(path),
        };
        if at.is_file() {
            manifest.files.push(add_file(&mut archive, path, &at, now)?);
        }
    }
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest has only plain fields");
    add(&mut archive, MANIFEST, text.len() as u64, now, text.as_slice()).map_err(io("write", &part.path))?;
    let seal = format!("{}\n", ContentHash::of(&text));
    add(&mut archive, SEAL, seal.len() as u64, now, seal.as_bytes()).map_err(io("write", &part.path))?;
    archive.into_inner().map_err(io("write", &part.path))?;
    part.finish(file)?;
    Ok(manifest)
}

fn add_file(
    archive: &mut tar::Builder<&File>,
    path: &str,
    at: &Path,
    now: UnixMs,
) -> Result<ManifestFile, ArchiveError> {
    let (mut file, mut hasher) = (File::open(at).map_err(io("read", at))?, Sha256::new());
    let (mut buffer, mut size_bytes) = (vec![0; READ_BYTES], 0);
    loop {
        match file.read(&mut buffer).map_err(io("read", at))? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                size_bytes += read as u64;
            }
        }
    }
    file.rewind().map_err(io("read", at))?;
    add(archive, path, size_bytes, now, file.take(size_bytes)).map_err(io("write", at))?;
    Ok(ManifestFile { path: path.to_owned(), size_bytes, sha256: ContentHash(hasher.finalize().into()) })
}

fn add(
    archive: &mut tar::Builder<&File>,
    name: &str,
    size_bytes: u64,
    now: UnixMs,
    content: impl Read,
) -> std::io::Result<()> {
    let mut head = tar::Header::new_gnu();
    head.set_entry_type(tar::EntryType::Regular);
    head.set_mode(FILE_MODE);
    head.set_size(size_bytes);
    head.set_mtime(u64::try_from(now / 1_000).unwrap_or(0));
    archive.append_data(&mut head, name, content)
}

/// The copy of the spool, beside the archive; gone when this is dropped.
struct Copy(PathBuf);

impl Copy {
    fn of(data_dir: &Path, file: &Path) -> Result<Self, ArchiveError> {
        let copy = Self(named(file, ".spool"));
        let _left_behind = std::fs::remove_file(&copy.0);
        // Made before SQLite opens it: private from the first byte.
        let mut options = File::options();
        options.write(true).create_new(true).mode(FILE_MODE).open(&copy.0).map_err(io("make", &copy.0))?;
        spool::copy(data_dir, &copy.0)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _left_to_the_next = std::fs::remove_file(&self.0);
    }
}

/// The archive while it is not whole.
struct Part {
    file: File,
    path: PathBuf,
    done: bool,
}

impl Part {
    fn begin(file: &Path) -> Result<Self, ArchiveError> {
        let path = named(file, ".part");
        let mut options = File::options();
        let opened = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&path);
        let part = opened.map_err(io("write", &path))?;
        // One that was left behind keeps its mode.
        part.set_permissions(std::fs::Permissions::from_mode(FILE_MODE)).map_err(io("write", &path))?;
        Ok(Self { file: part, path, done: false })
    }

    fn finish(mut self, file: &Path) -> Result<(), ArchiveError> {
        (&self.file).flush().and_then(|()| self.file.sync_all()).map_err(io("write", &self.path))?;
        std::fs::rename(&self.path, file).map_err(io("write", file))?;
        self.done = true;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("write", file))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done {
            let _left_to_the_next = std::fs::remove_file(&self.path);
        }
    }
}

fn named(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
