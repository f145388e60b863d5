//! All apps and the hashes of keys as the node last heard of them, in one file: enough to boot and to serve from.

use picloud_cluster::private_file;
use picloud_model::hash::ContentHash;
use picloud_model::protocol::Snapshot;
use picloud_model::protocol::node::PROTOCOL;
use std::path::{Path, PathBuf};

/// What the file begins with.
const MAGIC: &[u8; 8] = b"PICLOUDS";
/// Magic, form, and the hash of the rest.
const HEAD_BYTES: usize = 8 + 4 + 32;
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The file.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    path: PathBuf,
}

impl SnapshotFile {
    /// That of this data folder.
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join("cache").join("snapshot") }
    }

    /// What it holds. A file that is damaged, or of another form, is as good as none: an appliance will send another.
    pub fn read(&self) -> Option<Snapshot> {
        let bytes = match private_file::read(&self.path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the apps of the last time cannot be read");
                return None;
            }
        };
        let snapshot = decode(&bytes);
        if let Err(why) = &snapshot {
            tracing::warn!(file = %self.path.display(), "the apps of the last time are not used: {why}");
        }
        snapshot.ok()
    }

    /// Puts `snapshot` in its place, down to the disk.
    pub fn write(&self, snapshot: &Snapshot) -> std::io::Result<()> {
        let body = postcard::to_stdvec(snapshot).map_err(std::io::Error::other)?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&PROTOCOL.to_le_bytes());
        bytes.extend_from_slice(&ContentHash::of(&body).0);
        bytes.extend_from_slice(&body);
        private_file::write(&self.path, &bytes)
    }

    /// Forgets it.
    pub fn remove(&self) -> std::io::Result<()> {
        private_file::remove(&self.path)
    }
}

fn decode(bytes: &[u8]) -> Result<Snapshot, &'static str> {
    let (head, body) = bytes.split_at_checked(HEAD_BYTES).ok_or("the file is too short")?;
    let (magic, rest) = head.split_at(MAGIC.len());
    let (form, hash) = rest.split_at(4);
    if magic != MAGIC {
        return Err("it is another file");
    }
    // A snapshot keeps its form within one protocol.
    if form != PROTOCOL.to_le_bytes() {
        return Err("another version of picloud-node has written it");
    }
    if hash != ContentHash::of(body).0 {
        return Err("it is damaged");
    }
    postcard::from_bytes(body).map_err(|_garbage| "it is damaged")
}
