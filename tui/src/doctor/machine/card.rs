//! How fast a card writes and reads: a file of its own in the folder that is asked about, removed in the end.
//!
//! Around the caches where the file system lets one (`O_DIRECT`): what is measured is the card, not the memory.

use super::CardSpeed;
use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is written in one go.
const PART_BYTES: usize = 1024 * 1024;
/// How many of these: 16 MiB altogether.
const PARTS_MAX: usize = 16;
/// A small write, as a database makes it.
const SMALL_BYTES: usize = 4096;
/// How many of them.
const SMALL_WRITES_MAX: u32 = 64;
/// After so long it has seen enough of a slow card.
const WRITING_TIME_MAX: Duration = Duration::from_secs(8);
/// What memory must be aligned to, to go around the caches.
const ALIGNMENT: usize = 4096;
/// Most that one measurement writes.
pub(crate) const WRITTEN_BYTES_MAX: u64 =
    (PART_BYTES * PARTS_MAX) as u64 + SMALL_BYTES as u64 * SMALL_WRITES_MAX as u64;

/// A file that is removed whatever happens.
struct Scratch {
    path: PathBuf,
    file: File,
    is_direct: bool,
}

impl Scratch {
    fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".picloud-doctor.{}.tmp", std::process::id()));
        let open = |flags: i32| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(0o600).custom_flags(flags).open(&path)
        };
        match open(OFlag::O_DIRECT.bits()) {
            Ok(file) => Ok(Self { path, file, is_direct: true }),
            // Some file systems make the file before they refuse the flag.
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EINVAL as i32) => {
                let _left_behind = std::fs::remove_file(&path);
                let file = open(0)?;
                Ok(Self { path, file, is_direct: false })
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Where it is gone already there is nothing to remove.
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Bytes that no card could make smaller, at an address that direct access takes.
struct Block {
    bytes: Vec<u8>,
    start: usize,
}

impl Block {
    fn new() -> Self {
        let mut bytes = vec![0; PART_BYTES + ALIGNMENT];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for byte in &mut bytes {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *byte = seed.to_le_bytes()[3];
        }
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start }
    }

    fn part(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + PART_BYTES]
    }
}

/// Measures in `folder`.
pub(super) fn measure(folder: &Path) -> Result<CardSpeed, String> {
    let told = |what: &str, error: &io::Error| format!("{what} in {}: {error}", folder.display());
    let mut scratch = Scratch::new(folder).map_err(|error| told("make a file", &error))?;
    let mut block = Block::new();
    let (parts, write_s) = write(&mut scratch.file, &mut block).map_err(|error| told("write", &error))?;
    let (is_same, read_s) = read(&mut scratch.file, &mut block, parts).map_err(|error| told("read", &error))?;
    let (small, small_s) = write_small(&scratch.file, &mut block).map_err(|error| told("write", &error))?;
    let bytes = (parts * PART_BYTES) as f64;
    Ok(CardSpeed {
        written_bytes: (parts * PART_BYTES) as u64 + u64::from(small) * SMALL_BYTES as u64,
        write_per_s: bytes / write_s,
        read_per_s: bytes / read_s,
        synced_writes_per_s: f64::from(small) / small_s,
        is_direct: scratch.is_direct,
        is_same,
    })
}

fn seconds_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64().max(1e-9)
}

/// Every part begins with its number, so that one in the place of another is noticed.
fn number(part: &mut [u8], index: usize) {
    part[..8].copy_from_slice(&(index as u64).to_le_bytes());
}

fn write(file: &mut File, block: &mut Block) -> io::Result<(usize, f64)> {
    let began = Instant::now();
    let mut parts = 0;
    while parts < PARTS_MAX && (parts == 0 || began.elapsed() < WRITING_TIME_MAX) {
        number(block.part(), parts);
        file.write_all(block.part())?;
        parts += 1;
    }
    file.sync_data()?;
    Ok((parts, seconds_since(began)))
}

fn read(file: &mut File, block: &mut Block, parts: usize) -> io::Result<(bool, f64)> {
    // Only a wish, and of no use where the caches are gone around.
    let _wished = posix_fadvise(&*file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    let mut expected = block.part().to_vec();
    file.seek(SeekFrom::Start(0))?;
    let (mut is_same, mut took) = (true, Duration::ZERO);
    for index in 0..parts {
        number(&mut expected, index);
        let began = Instant::now();
        file.read_exact(block.part())?;
        took += began.elapsed();
        is_same &= block.part() == expected;
    }
    Ok((is_same, took.as_secs_f64().max(1e-9)))
}

fn write_small(file: &File, block: &mut Block) -> io::Result<(u32, f64)> {
    let began = Instant::now();
    let mut written = 0;
    while written < SMALL_WRITES_MAX && (written == 0 || began.elapsed() < WRITING_TIME_MAX) {
        file.write_all_at(&block.part()[..SMALL_BYTES], u64::from(written) * SMALL_BYTES as u64)?;
        file.sync_data()?;
        written += 1;
    }
    Ok((written, seconds_since(began)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_within_its_bound_and_nothing_is_left_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let speed = measure(folder.path()).unwrap();
        assert!(speed.is_same && speed.written_bytes <= WRITTEN_BYTES_MAX, "{speed:?}");
        assert!(speed.write_per_s > 0.0 && speed.read_per_s > 0.0 && speed.synced_writes_per_s > 0.0, "{speed:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let gone = folder.path().join("gone");
        assert!(measure(&gone).unwrap_err().contains("gone"));
    }
}
