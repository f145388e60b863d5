//! A copy while it is made: nobody takes it for one until it has its name.

use super::folder::{self, COPIES, UNFINISHED, UpgradeCopy};
use super::manifest::{CopiedFile, CopiedTable, CopyManifest, FORMAT, MANIFEST, Schema};
use super::steps::{Step, Stop, done};
use crate::data_dir::io_error;
use crate::{OpenError, Room};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// What an upgrade needs beside the copy, whatever it does.
const ROOM_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// A copy that is being made in a folder of its own.
pub(crate) struct Copying<'a> {
    data_dir: &'a Path,
    root: PathBuf,
    /// Where its files are to be written.
    pub(crate) dir: PathBuf,
    name: String,
    stop: Stop<'a>,
}

impl<'a> Copying<'a> {
    /// Begins one; what others left unfinished goes.
    pub(crate) fn begin(data_dir: &'a Path, from: Schema, at: UnixMs, stop: Stop<'a>) -> Result<Self, OpenError> {
        let root = data_dir.join(COPIES);
        let made = || {
            folder::make(&root, data_dir)?;
            folder::clear_leftovers(&root)?;
            let name = folder::free_name(&root, &folder::name_of(from.data, at));
            let dir = root.join(format!("{UNFINISHED}{name}"));
            folder::make(&dir, data_dir)?;
            Ok((name, dir))
        };
        let (name, dir) = made().map_err(|source| io_error(source, data_dir, &root))?;
        done(stop, Step::Begun, &dir)?;
        Ok(Self { data_dir, root, dir, name, stop })
    }

    /// Gives the copy its name, after all of it is on the disk.
    pub(crate) fn keep(
        self,
        store: &str,
        made_at: UnixMs,
        (from, to): (Schema, Schema),
        tables: Vec<CopiedTable>,
    ) -> Result<UpgradeCopy, OpenError> {
        done(self.stop, Step::Copied, &self.dir)?;
        let io = |source| io_error(source, self.data_dir, &self.dir);
        let mut files = Vec::new();
        for name in crate::sqlite::DATABASE_FILES {
            let path = self.dir.join(name);
            if path.exists() {
                folder::give(&path, self.data_dir).map_err(io)?;
                files.push(sum_of(&path, name).map_err(io)?);
            }
        }
        let manifest = CopyManifest { format: FORMAT, store: store.to_owned(), made_at, from, to, files, tables };
        folder::write_json(&self.dir.join(MANIFEST), &manifest, self.data_dir).map_err(io)?;
        done(self.stop, Step::Described, &self.dir)?;
        let dir = self.root.join(&self.name);
        std::fs::rename(&self.dir, &dir).and_then(|()| folder::sync(&self.root)).map_err(io)?;
        folder::sync(self.data_dir).map_err(io)?;
        done(self.stop, Step::Named, &dir)?;
        Ok(UpgradeCopy { dir, manifest })
    }

    /// Removes what there is of it.
    pub(crate) fn give_up(self) {
        // What is left over goes with the next one.
        let _left = std::fs::remove_dir_all(&self.dir);
    }
}

/// Size and SHA-256 of a file, which is on the disk after this.
pub(super) fn sum_of(path: &Path, name: &str) -> std::io::Result<CopiedFile> {
    let mut file = File::open(path)?;
    file.sync_all()?;
    let (mut hash, mut size_bytes, mut buffer) = (Sha256::new(), 0, vec![0; READ_BYTES]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let sha256 = ContentHash(hash.finalize().into());
            return Ok(CopiedFile { name: name.to_owned(), size_bytes, sha256 });
        }
        size_bytes += read as u64;
        hash.update(&buffer[..read]);
    }
}

/// What an upgrade needs for a copy of `copy_bytes`: a quarter more for what it writes while it goes on.
pub(crate) fn needed_bytes(copy_bytes: u64) -> u64 {
    copy_bytes.saturating_add(copy_bytes / 4).saturating_add(ROOM_BYTES_MIN)
}

/// Bytes that are free on the disk of the folder.
pub(crate) fn free_bytes(dir: &Path) -> Result<u64, OpenError> {
    let room = Room::of(dir).map_err(|error| io_error(error, dir, dir))?;
    Ok(room.free_bytes)
}

/// Refuses an upgrade for which there is no room.
pub(crate) fn check_room(dir: &Path, copy_bytes: u64) -> Result<(), OpenError> {
    let (needed_bytes, free_bytes) = (needed_bytes(copy_bytes), free_bytes(dir)?);
    if free_bytes < needed_bytes {
        return Err(OpenError::NoRoomToUpgrade { dir: dir.to_owned(), needed_bytes, free_bytes });
    }
    Ok(())
}
