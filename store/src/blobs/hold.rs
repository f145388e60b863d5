//! Blobs that a copy of the store needs: they stay, also when their rows are gone.
//!
//! What holds them is a file in the folder itself, so that all appliances that share it keep to it. It names two times:
//! blobs written before the first are not removed until the second.

use super::error::io;
use super::{BlobError, Blobs, FILE_MODE, blocking};
use picloud_model::clock::UnixMs;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The file.
const HELD: &str = "held";
/// Two numbers and what is between them.
const HELD_BYTES_MAX: u64 = 64;
/// A blob gets its row some time after it was written, and the disk's time is not the clock's to the second.
const SLACK_MS: i64 = 60 * 60 * 1000;

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    before: UnixMs,
    until: UnixMs,
}

impl Held {
    /// Whether a blob that was written at this time is held now.
    pub fn holds(&self, written_at: SystemTime) -> bool {
        #[expect(clippy::disallowed_methods, reason = "the disk's times go by this clock")]
        let now = SystemTime::now();
        now < time(self.until) && written_at <= time(self.before.saturating_add(SLACK_MS))
    }
}

fn time(at: UnixMs) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0))
}

impl Blobs {
    /// Keeps all blobs that were written before `before` until `until`, and those that are held already as long as they are.
    pub async fn hold(&self, before: UnixMs, until: UnixMs) -> Result<(), BlobError> {
        let blobs = self.clone();
        blocking(move || {
            let known = blobs.held()?;
            let before = known.map_or(before, |known| known.before.max(before));
            let held = Held { before, until: known.map_or(until, |known| known.until.max(until)) };
            if known == Some(held) {
                return Ok(());
            }
            let (temp, path) = (blobs.temp_path(Uuid::new_v4()), blobs.root().join(HELD));
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(FILE_MODE).open(&temp).map_err(io("make", &temp))?;
            let written = writeln!(file, "{} {}", held.before, held.until).and_then(|()| file.sync_all());
            written.map_err(io("write", &temp))?;
            std::fs::rename(&temp, &path).map_err(io("rename", &temp))?;
            File::open(blobs.root()).and_then(|root| root.sync_all()).map_err(io("sync", blobs.root()))
        })
        .await
    }

    /// What is held, if anything. Blocks for a small file.
    pub fn held(&self) -> Result<Option<Held>, BlobError> {
        let path = self.root().join(HELD);
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(HELD_BYTES_MAX).read_to_string(&mut text)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io("read", &path))?,
        };
        let mut numbers = text.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(before)), Some(Ok(until))) => Ok(Some(Held { before, until })),
            _ => Err(io("read", &path)(std::io::Error::from(ErrorKind::InvalidData))),
        }
    }

    /// Whether the blob at `path` is held. Blocks.
    pub(super) fn is_held(&self, path: &Path) -> Result<bool, BlobError> {
        let Some(held) = self.held()? else { return Ok(false) };
        match std::fs::symlink_metadata(path).and_then(|file| file.modified()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            written_at => written_at.map(|at| held.holds(at)).map_err(io("look at", path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "it is compared with what the disk says")]
    fn now() -> i64 {
        i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }

    #[tokio::test]
    async fn a_blob_from_before_a_copy_stays_while_the_copy_is_kept_and_others_go() {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        for (before, until, stays) in [(0, DAY_MS, true), (-DAY_MS, DAY_MS, false), (0, -1, false)] {
            let dir = tempfile::tempdir().unwrap();
            let blobs = Blobs::open(dir.path()).unwrap();
            let mut writer = blobs.create(1_000).await.unwrap();
            writer.write("bytes".into()).await.unwrap();
            let blob = writer.finish(None).await.unwrap();
            blobs.hold(now() + before, now() + until).await.unwrap();
            assert_eq!(blobs.sweep(blob.id).await.unwrap(), !stays, "{before} {until}");
            assert_eq!(blobs.is_there(blob.id, 5).await.unwrap(), stays);
        }
    }

    #[tokio::test]
    async fn what_is_held_for_one_copy_stays_held_for_it_when_there_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        assert_eq!(blobs.held().unwrap(), None);
        blobs.hold(5, 100).await.unwrap();
        blobs.hold(9, 50).await.unwrap();
        assert_eq!(blobs.held().unwrap(), Some(Held { before: 9, until: 100 }));
    }
}
