//! Bytes by the hash of their content: sources and static files, each checked when it comes and when it is read.
//!
//! What the apps of this moment need is kept as long as it fits; beyond the bound what nobody needs goes first, then
//! what was used longest ago.

use picloud_cluster::private_file;
use picloud_model::hash::ContentHash;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that the cache may take on the disk.
pub const CACHE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Read at once while a file is checked.
const READ_BYTES: usize = 64 * 1024;

/// Why bytes were not kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// They are not what they were said to be.
    #[error("the bytes have another hash than {0}")]
    OtherBytes(String),
    /// The disk refuses.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The folder. Its functions read and write files: not on a thread that has something else to do.
pub struct Content {
    folder: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<ContentHash, Known>,
    needed: HashSet<ContentHash>,
    bytes: u64,
    clock: u64,
}

struct Known {
    bytes: u64,
    used: u64,
    /// Its bytes were compared with its hash since the start.
    checked: bool,
}

impl Content {
    /// The cache in this data folder; what an unfinished write left behind is removed.
    pub fn open(data_dir: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let folder = data_dir.join("cache").join("content");
        private_file::folder(&folder)?;
        let mut state = State::default();
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let bytes = entry.metadata()?.len();
            match entry.file_name().to_string_lossy().parse() {
                Ok(hash) => {
                    state.bytes += bytes;
                    state.known.insert(hash, Known { bytes, used: 0, checked: false });
                }
                Err(_unfinished) => std::fs::remove_file(entry.path())?,
            }
        }
        Ok(Self { folder, bytes_max, state: Mutex::new(state) })
    }

    /// From now on, these are needed: they go last.
    pub fn need(&self, needed: HashSet<ContentHash>) {
        let mut state = self.state();
        state.needed = needed;
        self.make_room(&mut state, 0);
    }

    /// Whether it is here.
    pub fn has(&self, hash: &ContentHash) -> bool {
        self.state().known.contains_key(hash)
    }

    /// Whether so many bytes more fit without anything going that is needed.
    pub fn fits(&self, bytes: u64) -> bool {
        let state = self.state();
        let needed = state.known.iter().filter(|(hash, _known)| state.needed.contains(hash));
        needed.map(|(_hash, known)| known.bytes).sum::<u64>() + bytes <= self.bytes_max
    }

    /// All of it; `None` where it is not here, or not any more what it was.
    pub fn whole(&self, hash: &ContentHash) -> Option<Vec<u8>> {
        let len = u32::try_from(self.use_it(hash)?.0).ok()?;
        self.part(hash, 0, len)
    }

    /// Part of it, fewer bytes at the end; the first time after a start all of it is compared with its hash.
    pub fn part(&self, hash: &ContentHash, offset: u64, len: u32) -> Option<Vec<u8>> {
        let (bytes, checked) = self.use_it(hash)?;
        let read = self.read(hash, offset, len.min(u32::try_from(bytes).unwrap_or(u32::MAX)), checked);
        match read {
            Ok(Some(part)) => Some(part),
            Ok(None) => {
                tracing::warn!(hash = %hash.short(), "a cached file is damaged; it is fetched again");
                self.forget(hash);
                None
            }
            Err(error) => {
                tracing::warn!(hash = %hash.short(), %error, "a cached file cannot be read; it is fetched again");
                self.forget(hash);
                None
            }
        }
    }

    /// A place to write bytes to until they are all there. Nothing is kept of one that is dropped.
    pub fn begin(&self) -> std::io::Result<Unfinished> {
        let mut state = self.state();
        state.clock += 1;
        let path = self.folder.join(format!("unfinished-{}", state.clock));
        drop(state);
        Ok(Unfinished { file: Some(File::create_new(&path)?), path, bytes: 0 })
    }

    /// Keeps what was written, if it is what it is said to be.
    pub fn finish(&self, mut unfinished: Unfinished, hash: &ContentHash) -> Result<(), CacheError> {
        let file = unfinished.file.take().expect("it is taken here only");
        file.sync_all()?;
        drop(file);
        if hash_of(&mut File::open(&unfinished.path)?)? != *hash {
            return Err(CacheError::OtherBytes(hash.short()));
        }
        let mut state = self.state();
        self.make_room(&mut state, unfinished.bytes);
        std::fs::rename(&unfinished.path, self.path(hash))?;
        state.clock += 1;
        let known = Known { bytes: unfinished.bytes, used: state.clock, checked: true };
        state.bytes += unfinished.bytes;
        if let Some(before) = state.known.insert(*hash, known) {
            state.bytes -= before.bytes;
        }
        Ok(())
    }

    /// Keeps these bytes.
    pub fn put(&self, hash: &ContentHash, bytes: &[u8]) -> Result<(), CacheError> {
        if ContentHash::of(bytes) != *hash {
            return Err(CacheError::OtherBytes(hash.short()));
        }
        let mut unfinished = self.begin()?;
        unfinished.write(bytes)?;
        self.finish(unfinished, hash)
    }

    /// Forgets everything.
    pub fn clear(&self) -> std::io::Result<()> {
        let mut state = self.state();
        for hash in state.known.keys() {
            private_file::remove(&self.path(hash))?;
        }
        *state = State::default();
        Ok(())
    }

    fn read(&self, hash: &ContentHash, offset: u64, len: u32, checked: bool) -> std::io::Result<Option<Vec<u8>>> {
        let mut file = File::open(self.path(hash))?;
        if !checked {
            if hash_of(&mut file)? != *hash {
                return Ok(None);
            }
            if let Some(known) = self.state().known.get_mut(hash) {
                known.checked = true;
            }
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(len as usize);
        file.take(u64::from(len)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Its size and whether it was checked, if it is here.
    fn use_it(&self, hash: &ContentHash) -> Option<(u64, bool)> {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let known = state.known.get_mut(hash)?;
        known.used = clock;
        Some((known.bytes, known.checked))
    }

    fn forget(&self, hash: &ContentHash) {
        let mut state = self.state();
        if let Some(known) = state.known.remove(hash) {
            state.bytes -= known.bytes;
        }
        if let Err(error) = private_file::remove(&self.path(hash)) {
            tracing::debug!(%error, "a cached file could not be removed");
        }
    }

    fn make_room(&self, state: &mut State, more: u64) {
        if state.bytes + more <= self.bytes_max {
            return;
        }
        let mut order: Vec<(bool, u64, ContentHash)> =
            state.known.iter().map(|(hash, known)| (state.needed.contains(hash), known.used, *hash)).collect();
        order.sort_unstable();
        for (_needed, _used, hash) in order {
            if state.bytes + more <= self.bytes_max {
                break;
            }
            if let Err(error) = private_file::remove(&self.path(&hash)) {
                tracing::warn!(%error, "a cached file could not be removed");
                continue;
            }
            state.bytes -= state.known.remove(&hash).map_or(0, |known| known.bytes);
        }
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(hash.to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes on their way into the cache.
pub struct Unfinished {
    file: Option<File>,
    path: PathBuf,
    bytes: u64,
}

impl Unfinished {
    /// Writes on.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.as_mut().expect("it is taken at the end only").write_all(bytes)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Where it was finished, it has another name by now.
        if let Err(error) = private_file::remove(&self.path) {
            tracing::debug!(%error, "an unfinished file of the cache could not be removed");
        }
    }
}

fn hash_of(file: &mut File) -> std::io::Result<ContentHash> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ContentHash(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}
