//! Bytes of files on a real disk: what is read is what was written, whatever the disk does, and whoever stops half-way
//! leaves either a whole file or none.

use crate::conformance::files::write;
use crate::conformance::{NOW, make_app};
use crate::open_in;
use bytes::Bytes;
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::limits::Limits;
use picloud_store::blobs::{BlobError, Blobs, OwnerError, PIECE_BYTES, Reserve, Step, Steps};
use picloud_store::{FileChange, FileExpected, FileWrite, StoredBlob};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes of which no two pieces are the same.
fn bytes(count: usize, salt: usize) -> Bytes {
    (0..count).map(|at| u8::try_from((at.wrapping_mul(31) + at / 251 + salt) % 256).unwrap()).collect()
}

/// The blobs of a folder on a disk that may be small.
pub(crate) fn open(root: &Path) -> Blobs {
    Blobs::open_with(root, Reserve::Bytes(0), None).unwrap()
}

pub(crate) async fn put(blobs: &Blobs, bytes: &Bytes) -> Result<StoredBlob, BlobError> {
    let mut writer = blobs.create(u64::MAX).await?;
    for at in (0..bytes.len()).step_by(100_000) {
        writer.write(bytes.slice(at..(at + 100_000).min(bytes.len()))).await?;
    }
    writer.finish(None).await
}

async fn read(blobs: &Blobs, blob: &StoredBlob, range: std::ops::Range<u64>) -> Result<Vec<u8>, BlobError> {
    let mut reader = blobs.read(blob, range).await?;
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await? {
        assert!(piece.len() <= PIECE_BYTES);
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// All files below the folder but the lock.
pub(crate) fn files_of(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_of(&path));
        } else if path.file_name().unwrap() != "lock" {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn what_was_written_is_read_whole_and_in_any_range() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(&dir.path().join("files"));
    for count in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 77] {
        let bytes = bytes(count, 0);
        let blob = put(&blobs, &bytes).await.unwrap();
        assert_eq!((blob.size_bytes, blob.sha256), (count as u64, ContentHash::of(&bytes)));
        let all = count as u64;
        let edge = PIECE_BYTES as u64;
        for range in
            [0..all, 0..u64::MAX, 0..1, edge - 1..edge + 1, edge..2 * edge, all.saturating_sub(5)..all, all..all]
        {
            let (from, to) = (range.start.min(all) as usize, range.end.min(all) as usize);
            let got = read(&blobs, &blob, range.clone()).await.unwrap();
            assert!(got == bytes[from..to.max(from)], "{range:?} of {count}");
        }
        assert_eq!(blobs.read_whole(&blob, all).await.unwrap(), bytes);
        if count > 0 {
            assert!(matches!(blobs.read_whole(&blob, all - 1).await, Err(BlobError::TooLarge { .. })));
        }
    }
}

#[tokio::test]
async fn files_and_folders_are_their_owners_alone_and_no_path_has_a_name_of_a_user() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("files");
    let blobs = open(&root);
    let blob = put(&blobs, &bytes(10, 0)).await.unwrap();
    let files = files_of(&root);
    let [.., one, two] = blob.id.into_bytes();
    assert_eq!(files, [root.join(format!("{one:02x}/{two:02x}/{}", blob.id))]);
    for (path, mode) in files[0].ancestors().take(4).zip([0o600, 0o700, 0o700, 0o700]) {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
}

#[tokio::test]
async fn a_write_that_is_refused_or_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let mut writer = blobs.create(2_000_000).await.unwrap();
    writer.write(bytes(1_999_999, 0)).await.unwrap();
    let refused = writer.write(bytes(2, 0)).await.unwrap_err();
    assert!(matches!(refused, BlobError::TooLarge { limit_bytes: 2_000_000 }), "{refused}");
    assert!(writer.write(bytes(1, 0)).await.is_err(), "it does not go on after an error");
    drop(writer);

    let mut writer = blobs.create(100).await.unwrap();
    writer.write(bytes(3, 0)).await.unwrap();
    let expected = ContentHash::of(b"other");
    let refused = writer.finish(Some(expected)).await.unwrap_err();
    assert!(
        matches!(refused, BlobError::Mismatch { actual, .. } if actual == ContentHash::of(&bytes(3, 0))),
        "{refused}"
    );

    let mut writer = blobs.create(u64::MAX).await.unwrap();
    writer.write(bytes(100, 0)).await.unwrap();
    drop(writer);
    // What is removed with a batch that was under way is so at the next start at the latest.
    drop(blobs);
    let _blobs = reopen(dir.path()).await;
    assert_eq!(files_of(dir.path()), Vec::<PathBuf>::new());
}

/// Opens once whatever still ran has let go of the folder.
async fn reopen(root: &Path) -> Blobs {
    loop {
        match Blobs::open_with(root, Reserve::Bytes(0), None) {
            Err(BlobError::Taken { .. }) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

#[tokio::test]
async fn wrong_bytes_are_never_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let content = bytes(2 * PIECE_BYTES + 500, 0);
    let blob = put(&blobs, &content).await.unwrap();
    let path = files_of(dir.path()).pop().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let (edge, all) = (PIECE_BYTES as u64, blob.size_bytes);
    let corrupted = |result: Result<Vec<u8>, BlobError>| match result {
        Err(BlobError::Corrupted { id, what }) => {
            assert_eq!(id, blob.id);
            what
        }
        other => panic!("expected a checksum to fail: {:?}", other.map(|bytes| bytes.len())),
    };

    // One bit of the second piece: the others are read all the same.
    file.write_all_at(&[content[PIECE_BYTES + 7] ^ 1], edge + 7).unwrap();
    assert!(corrupted(read(&blobs, &blob, 0..all).await).contains("checksum"));
    corrupted(read(&blobs, &blob, edge + 8..edge + 9).await);
    assert_eq!(read(&blobs, &blob, 0..edge).await.unwrap(), content[..PIECE_BYTES]);
    assert_eq!(read(&blobs, &blob, 2 * edge..all).await.unwrap(), content[2 * PIECE_BYTES..]);
    file.write_all_at(&content[PIECE_BYTES + 7..PIECE_BYTES + 8], edge + 7).unwrap();
    assert_eq!(read(&blobs, &blob, 0..all).await.unwrap(), content);

    file.set_len(all - 1).unwrap();
    assert!(corrupted(read(&blobs, &blob, 0..all).await).contains("ends before"));
    std::fs::remove_file(&path).unwrap();
    assert!(corrupted(read(&blobs, &blob, 0..1).await).contains("does not exist"));
    assert!(!blobs.is_there(blob.id, all).await.unwrap());
}

#[tokio::test]
async fn who_reads_a_blob_goes_on_when_it_is_removed_and_who_copies_keeps_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    let content = bytes(5 * PIECE_BYTES, 0);
    let blob = put(&blobs, &content).await.unwrap();
    let kept = blobs.keep().await;
    assert!(!blobs.remove(blob.id).await.unwrap(), "it is left to a sweep");
    let sweeping = tokio::spawn({
        let (blobs, id) = (blobs.clone(), blob.id);
        async move { blobs.sweep(id).await.unwrap() }
    });
    let mut reader = blobs.read(&blob, 0..u64::MAX).await.unwrap();
    drop(kept);
    assert!(sweeping.await.unwrap());
    assert_eq!(files_of(dir.path()), Vec::<PathBuf>::new());
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    assert!(all == content);
    let (unknown, more) = blobs.take_made(Duration::ZERO);
    assert_eq!((unknown, more), (vec![blob.id, blob.id], false), "once when it was made, once when it was left");
}

#[tokio::test]
async fn a_folder_belongs_to_one_appliance_and_a_full_reserve_refuses_writes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path());
    assert!(matches!(Blobs::open(dir.path()), Err(BlobError::Taken { .. })));
    let blob = put(&blobs, &bytes(10, 0)).await.unwrap();
    drop(blobs);
    let blobs = Blobs::open_with(dir.path(), Reserve::Bytes(u64::MAX), None).unwrap();
    assert!(matches!(put(&blobs, &bytes(10, 0)).await, Err(BlobError::Full { .. })));
    assert!(matches!(blobs.room_for(0).await, Err(BlobError::Full { .. })));
    assert_eq!(read(&blobs, &blob, 0..10).await.unwrap(), bytes(10, 0));
    assert!(blobs.remove(blob.id).await.unwrap());
    assert_eq!(files_of(dir.path()), Vec::<PathBuf>::new());
}

/// Stops at the step with this number, counted from 0.
struct StopAt {
    number: usize,
    taken: AtomicUsize,
}

impl Steps for StopAt {
    fn done(&self, _step: Step) -> ControlFlow<()> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.number { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// One life of a file: made, changed, removed. Answers what was acknowledged last, `None` for gone, and how many steps
/// it took.
async fn live(dir: &Path, stop_at: usize) -> (Vec<Option<Bytes>>, usize) {
    let store = open_in(&dir.join("data")).await.unwrap();
    let steps = Arc::new(StopAt { number: stop_at, taken: AtomicUsize::new(0) });
    let blobs = Blobs::open_with(&dir.join("files"), Reserve::Bytes(0), Some(steps.clone())).unwrap();
    let cause = Cause::first(NOW, &Limits::default());
    let app = make_app(&*store, "kitchen").await.id;
    let mut acknowledged = vec![None];
    let (one, two) = (bytes(PIECE_BYTES + 5, 1), bytes(700_000, 2));
    let lived = async {
        let file = FileWrite { blob: put(&blobs, &one).await?, quota_bytes: u64::MAX, ..write("a", "") };
        let id = file.id;
        store.create_file(app, file, &cause, None).await.unwrap();
        acknowledged.push(Some(one.clone()));
        let change = FileChange {
            collection: "photos".to_owned(),
            id,
            expected: FileExpected::Anything,
            patch: picloud_model::file::FilePatch::default(),
            blob: Some(put(&blobs, &two).await?),
            quota_bytes: u64::MAX,
        };
        store.update_file(app, change, &cause, None).await.unwrap();
        acknowledged.push(Some(two.clone()));
        remove_dropped(&*store, &blobs).await?;
        store.delete_file(app, "photos", id, FileExpected::Anything, &cause, None).await.unwrap();
        acknowledged.push(None);
        remove_dropped(&*store, &blobs).await
    };
    let ended: Result<(), BlobError> = lived.await;
    let taken = steps.taken.load(Ordering::Relaxed);
    assert_eq!(ended.is_err(), taken > stop_at, "{ended:?}");
    (acknowledged, taken)
}

/// What the appliance's sweep does with what files do not have any more.
async fn remove_dropped(store: &dyn picloud_store::Store, blobs: &Blobs) -> Result<(), BlobError> {
    let dropped = store.dropped_blobs(100).await.unwrap();
    for id in &dropped {
        blobs.sweep(*id).await?;
    }
    store.forget_dropped(dropped).await.unwrap();
    Ok(())
}

/// And what it does at the start: what has no row goes.
async fn sweep_orphans(store: &dyn picloud_store::Store, blobs: &Blobs) {
    for outer in 0..=u8::MAX {
        let found: Vec<_> = blobs.found(outer).await.unwrap().into_iter().map(|found| found.id).collect();
        for id in store.unused_blobs(&found).await.unwrap() {
            blobs.sweep(id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn stopped_between_any_two_steps_what_was_acknowledged_is_whole_and_nothing_else_is_left() {
    let (_all, steps) = live(tempfile::tempdir().unwrap().path(), usize::MAX).await;
    assert!(steps > 12, "{steps} steps were seen");
    for stop_at in 0..steps {
        let dir = tempfile::tempdir().unwrap();
        let (acknowledged, _taken) = live(dir.path(), stop_at).await;
        let store = open_in(&dir.path().join("data")).await.unwrap();
        let blobs = open(&dir.path().join("files"));
        sweep_orphans(&*store, &blobs).await;
        remove_dropped(&*store, &blobs).await.unwrap();
        let rows = store.files_by_blob(None, 10).await.unwrap();
        match acknowledged.last().unwrap() {
            Some(bytes) => {
                assert_eq!(rows.len(), 1, "stopped at {stop_at}");
                let file = store.file(rows[0].app, "photos", rows[0].id).await.unwrap().unwrap();
                assert!(blobs.read_whole(&file.blob, u64::MAX).await.unwrap() == *bytes, "stopped at {stop_at}");
                assert_eq!(files_of(&dir.path().join("files")).len(), 1, "stopped at {stop_at}");
            }
            None => {
                assert!(rows.is_empty(), "stopped at {stop_at}");
                assert_eq!(files_of(&dir.path().join("files")), Vec::<PathBuf>::new(), "stopped at {stop_at}");
            }
        }
    }
}

#[tokio::test]
async fn a_folder_with_files_belongs_to_one_database() {
    let (store, dir) = crate::open().await;
    let root = dir.path().join("files");
    let blobs = open(&root);
    // Twice, and by another handle after a restart: it stays the same one's.
    blobs.belong_to(&*store).await.unwrap();
    blobs.belong_to(&*store).await.unwrap();
    drop(blobs);
    let id = std::fs::read(root.join("database")).unwrap();
    let (other, _other_dir) = crate::open().await;
    let blobs = open(&root);
    blobs.belong_to(&*store).await.unwrap();
    assert_eq!(std::fs::read(root.join("database")).unwrap(), id);
    // Empty, it may become another's.
    blobs.belong_to(&*other).await.unwrap();
    blobs.belong_to(&*store).await.unwrap();
    put(&blobs, &bytes(1, 1)).await.unwrap();
    let refused = blobs.belong_to(&*other).await.unwrap_err();
    assert!(matches!(refused, OwnerError::Other { .. }), "{refused}");
    assert_eq!(std::fs::read(root.join("database")).unwrap(), id, "nothing changed");
    blobs.belong_to(&*store).await.unwrap();
    // A disk with the files that was put in without the id, as before there was one: it is taken.
    std::fs::remove_file(root.join("database")).unwrap();
    blobs.belong_to(&*store).await.unwrap();
    assert_eq!(std::fs::read(root.join("database")).unwrap(), id);
}

#[tokio::test]
async fn a_folder_is_shared_by_those_who_say_so_and_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("files");
    let left = root.join("tmp").join("left");
    std::fs::create_dir_all(root.join("tmp")).unwrap();
    std::fs::write(&left, "half").unwrap();
    let one = Blobs::open_shared(&root).unwrap();
    assert!(!left.exists(), "the first clears away what was left");
    std::fs::write(&left, "half").unwrap();
    let other = Blobs::open_shared(&root).unwrap();
    assert!(left.exists(), "which the second must not: it may be the first one's");
    assert!(matches!(Blobs::open(&root), Err(BlobError::Taken { .. })));
    let all = bytes(PIECE_BYTES + 1, 3);
    let blob = put(&one, &all).await.unwrap();
    assert_eq!(read(&other, &blob, 0..blob.size_bytes).await.unwrap(), all);
    drop((one, other));
    let alone = open(&root);
    assert!(matches!(Blobs::open_shared(&root), Err(BlobError::Taken { .. })));
    drop(alone);
}

#[tokio::test]
async fn an_empty_folder_is_refused_where_there_must_be_files() {
    let (store, dir) = crate::open().await;
    let (root, unmounted) = (dir.path().join("files"), dir.path().join("unmounted"));
    let blobs = open(&root);
    blobs.belong_to(&*store).await.unwrap();
    open(&unmounted).belong_to(&*store).await.unwrap();
    std::fs::remove_file(unmounted.join("database")).unwrap();
    let app = make_app(&*store, "kitchen").await.id;
    let blob = put(&blobs, &bytes(9, 1)).await.unwrap();
    let file = FileWrite { blob, ..write("a", "a") };
    store.create_file(app, file, &Cause::first(NOW, &Limits::default()), None).await.unwrap();
    let refused = open(&unmounted).belong_to(&*store).await.unwrap_err();
    assert!(matches!(refused, OwnerError::Missing { .. }), "{refused}");
    assert!(!unmounted.join("database").exists());
    blobs.belong_to(&*store).await.unwrap();
}
