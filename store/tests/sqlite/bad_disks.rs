//! Files on a disk that is full, and on one that answers with errors: real ones, mounted for the test.

use crate::blobs::{files_of, open, put};
use bytes::Bytes;
use picloud_store::blobs::{BlobError, PIECE_BYTES};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Bytes of the disk.
const DISK_BYTES: u64 = 16 * 1024 * 1024;
/// Until the bytes of a removed file are free.
const ROOM_WAIT: Duration = Duration::from_secs(10);

/// An ext4 of its own in a file; unmounted when it is dropped.
struct Disk {
    dir: TempDir,
}

impl Disk {
    fn make() -> Self {
        let disk = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::File::create(disk.image()).unwrap().set_len(DISK_BYTES).unwrap();
        std::fs::create_dir(disk.mounted()).unwrap();
        let image = disk.image();
        run("mkfs.ext4", &["-q", "-F", "-m", "0", text(&image)]);
        run("mount", &["-o", "loop", text(&image), text(&disk.mounted())]);
        disk
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn mounted(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn root(&self) -> PathBuf {
        self.mounted().join("files")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a test that failed may have files open.
        let _told_by_the_test = Command::new("umount").arg("-l").arg(self.mounted()).status();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// These tests need what only root has; a machine without it is told so, and nothing passes for tested.
#[track_caller]
fn run(program: &str, args: &[&str]) {
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let ran = Command::new(program).args(args).env("PATH", path).output();
    let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; install e2fsprogs and mount"));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {args:?} failed: {said}; these tests run as root, with loop devices");
}

#[tokio::test]
async fn a_disk_that_runs_full_refuses_the_file_and_all_others_are_read_and_removed() {
    let disk = Disk::make();
    let blobs = open(&disk.root());
    let content = Bytes::from(vec![7; 3 * PIECE_BYTES]);
    let kept = put(&blobs, &content).await.unwrap();
    let refused = put(&blobs, &Bytes::from(vec![8; 32 * PIECE_BYTES])).await.unwrap_err();
    assert!(matches!(refused, BlobError::Full { .. }), "{refused}");
    assert_eq!(files_of(&disk.root()).len(), 1, "nothing of it is left");
    // The file system itself, without anybody who looks first.
    let filler = std::fs::File::create(disk.mounted().join("filler")).unwrap();
    let mut block = vec![9; PIECE_BYTES];
    while std::io::Write::write_all(&mut &filler, &block).is_ok() {}
    block.truncate(4096);
    while std::io::Write::write_all(&mut &filler, &block).is_ok() {}
    let refused = put(&blobs, &content).await.unwrap_err();
    assert!(matches!(refused, BlobError::Full { .. }), "{refused}");
    assert!(blobs.read_whole(&kept, u64::MAX).await.unwrap() == content, "reading goes on");
    assert!(blobs.remove(kept.id).await.unwrap(), "removing goes on");
    // The thread that read the file gives its bytes free when it closes it, which may be after they were answered.
    let deadline = Instant::now() + ROOM_WAIT;
    let again = loop {
        match put(&blobs, &content.slice(..PIECE_BYTES)).await {
            Err(BlobError::Full { .. }) if Instant::now() < deadline => tokio::task::yield_now().await,
            done => break done.unwrap(),
        }
    };
    assert!(blobs.read_whole(&again, u64::MAX).await.unwrap() == content[..PIECE_BYTES], "there is room again");
}

#[tokio::test]
async fn a_disk_that_answers_with_errors_gives_errors_and_never_other_bytes() {
    let disk = Disk::make();
    let blobs = open(&disk.root());
    let content = Bytes::from((0..6 * PIECE_BYTES).map(|at| (at % 253) as u8).collect::<Vec<_>>());
    let blob = put(&blobs, &content).await.unwrap();
    run("sync", &[]);
    std::fs::write("/proc/sys/vm/drop_caches", "1").unwrap();
    // Everything behind the first part of the disk is gone: reading it is an I/O error.
    std::fs::OpenOptions::new().write(true).open(disk.image()).unwrap().set_len(DISK_BYTES / 8).unwrap();
    let mut reader = blobs.read(&blob, 0..u64::MAX).await.unwrap();
    let mut at = 0;
    let failed = loop {
        match reader.next().await {
            Ok(Some(piece)) => {
                assert!(piece == content[at..at + piece.len()], "bytes from {at} on");
                at += piece.len();
            }
            Ok(None) => panic!("all {at} bytes were read from a disk that is gone"),
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, BlobError::Io { .. } | BlobError::Corrupted { .. }), "{failed}");
}
