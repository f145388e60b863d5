//! Bytes of files on their way: hashed as they pass, shown to a person where it takes long.

use super::Session;
use super::show::size;
use crate::client::Streamed;
use crate::config::{finish_private, private_file};
use crate::failure::Failure;
use crate::folder::cannot;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use picloud_model::hash::ContentHash;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a person is told how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Bytes that are read at once to be hashed.
const PART_BYTES: usize = 256 * 1024;

/// What was fetched.
pub(super) struct Got {
    /// How much.
    pub(super) bytes: u64,
    /// What.
    pub(super) sha256: ContentHash,
}

/// The hash of what passes by.
#[derive(Default)]
pub(super) struct Transfer(Arc<Mutex<Sha256>>);

impl Transfer {
    /// To be shown every part.
    pub(super) fn watcher(&self) -> impl FnMut(&[u8]) + Send + 'static {
        let hash = Arc::clone(&self.0);
        move |part| hash.lock().unwrap_or_else(PoisonError::into_inner).update(part)
    }

    /// Of all that was shown.
    pub(super) fn sha256(&self) -> ContentHash {
        ContentHash(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize().into())
    }

    /// Does `work`, and tells a person at a terminal how far it is.
    pub(super) async fn told<T>(
        &self,
        session: &Session<'_>,
        moved: &AtomicU64,
        total: Option<u64>,
        done: &str,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    session.output.waiting_over();
                    return result;
                }
                () = tokio::time::sleep(TOLD_EVERY) => {
                    session.output.waiting_over();
                    session.output.waiting(&progress(moved.load(Relaxed), total, done));
                }
            }
        }
    }
}

/// `120 MiB of 1024 MiB sent (11 %)`
fn progress(moved: u64, total: Option<u64>, done: &str) -> String {
    let told = |bytes: u64| size(i64::try_from(bytes).unwrap_or(i64::MAX));
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = moved.min(total).saturating_mul(100) / total;
            format!("{} of {} {done} ({percent} %)", told(moved), told(total))
        }
        None => format!("{} {done}", told(moved)),
    }
}

/// `sha-256=:…:`
pub(super) fn describe(hash: &ContentHash) -> String {
    format!("sha-256=:{}:", STANDARD.encode(hash.0))
}

/// The SHA-256 and the size of a file.
pub(super) async fn hash_of(session: &Session<'_>, path: &Path) -> Result<(ContentHash, u64), Failure> {
    let moved = Arc::new(AtomicU64::new(0));
    let (shown, of) = (Arc::clone(&moved), path.to_owned());
    let hashed = tokio::task::spawn_blocking(move || {
        let mut file = fs::File::open(&of)?;
        let (mut hash, mut part) = (Sha256::new(), vec![0; PART_BYTES]);
        loop {
            let length = file.read(&mut part)?;
            if length == 0 {
                return Ok((ContentHash(hash.finalize().into()), shown.load(Relaxed)));
            }
            hash.update(&part[..length]);
            shown.fetch_add(length as u64, Relaxed);
        }
    });
    let told = Transfer::default().told(session, &moved, None, "read", hashed).await;
    told.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(|error| cannot("read", path, &error))
}

/// Brings the bytes of an answer to a file, or to standard output; fails where they are not those of the ETag.
pub(super) async fn download(session: &Session<'_>, mut from: Streamed, to: Option<&Path>) -> Result<Got, Failure> {
    let expected = from.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()?.trim_matches('"').parse().ok());
    let length = from.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let Some(path) = to else {
        let got = copy(session, &mut from, length, |part| {
            session.output.bytes(part);
            Ok(())
        });
        return checked(got.await?, expected);
    };
    let (temporary, mut file) = private_file(path).map_err(|error| cannot("write", path, &error))?;
    let written = tokio::select! {
        got = copy(session, &mut from, length, |part| file.write_all(part).map_err(|error| cannot("write", path, &error))) => got,
        // Whoever ends it leaves no half file behind.
        _signal = tokio::signal::ctrl_c() => Err(Failure::other("nothing was written: it was interrupted", None)),
    };
    let written = written.and_then(|got| checked(got, expected)).and_then(|got| {
        finish_private(path, &temporary, &file).map(|()| got).map_err(|error| cannot("write", path, &error))
    });
    if written.is_err() {
        forget(&temporary);
    }
    written
}

fn forget(temporary: &PathBuf) {
    // Why it failed is what counts; half a file is none.
    let _gone = fs::remove_file(temporary);
}

async fn copy(
    session: &Session<'_>,
    from: &mut Streamed,
    length: Option<u64>,
    mut write: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<Got, Failure> {
    let (moved, seen) = (AtomicU64::new(0), Transfer::default());
    let mut watch = seen.watcher();
    let work = async {
        while let Some(part) = from.chunk().await? {
            watch(&part);
            write(&part)?;
            moved.fetch_add(part.len() as u64, Relaxed);
        }
        Ok(())
    };
    seen.told(session, &moved, length, "fetched", work).await?;
    Ok(Got { bytes: moved.load(Relaxed), sha256: seen.sha256() })
}

fn checked(got: Got, expected: Option<ContentHash>) -> Result<Got, Failure> {
    match expected.filter(|expected| *expected != got.sha256) {
        None => Ok(got),
        Some(expected) => {
            let message = format!("what came is not the file: it has SHA-256 {}, not {expected}", got.sha256);
            Err(Failure::other(message, Some("fetch it again")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_units() {
        assert_eq!(progress(120 << 20, Some(1 << 30), "sent"), "120 MiB of 1024 MiB sent (11 %)");
        assert_eq!(progress(2048, None, "read"), "2 KiB read");
        assert_eq!(progress(0, Some(0), "sent"), "0 B sent");
    }
}
