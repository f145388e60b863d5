//! Removes bytes that are no file's: of files that were removed or changed, and of writes that nobody finished. And
//! finds files whose bytes are gone.
//!
//! Asleep until the store says that a file went, or until a blob is old enough that it has its row or never will. The
//! whole folder is looked through at the start, and on demand.

use picloud_store::blobs::{BlobError, Blobs, Found};
use picloud_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// How long a blob may be without a row: longer than the last step of any write takes.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(60 * 60);
/// How long bytes of a removed file stay: who has just read its row opens them within this time.
pub const DROPPED_GRACE: Duration = Duration::from_secs(10);
/// Blobs whose removal is under way at once.
const BATCH_BLOBS_MAX: u32 = 1_000;
/// What is told by name in a report; the rest is counted.
const REPORTED_MAX: usize = 100;
/// After a failure.
const RETRY_GAP: Duration = Duration::from_secs(60);

/// What a comparison of the rows with the disk has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SweepReport {
    /// Files of all apps.
    pub files: u64,
    /// Blobs on the disk.
    pub blobs: u64,
    /// Blobs that are no file's and older than an hour.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// Whether they were removed; they are not where only a report was asked for.
    pub removed: bool,
    /// Files whose bytes are gone or cut off.
    pub damaged: u64,
    /// Some of those: `app id/collection/file id`.
    pub damaged_files: Vec<String>,
}

/// Why a comparison ended early.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The rows.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

/// Sweeps for ever.
pub async fn run(store: Arc<dyn Store>, blobs: Blobs) {
    run_with(store, blobs, DROPPED_GRACE).await;
}

async fn run_with(store: Arc<dyn Store>, blobs: Blobs, dropped_grace: Duration) {
    let dropped = store.blobs_dropped();
    look_through(store.as_ref(), &blobs).await;
    // What was dropped before the last end.
    dropped.notify_one();
    loop {
        let made_due = async {
            let oldest = blobs.oldest_made().await;
            tokio::time::sleep((oldest + ORPHAN_GRACE).saturating_duration_since(Instant::now())).await;
        };
        let swept = tokio::select! {
            () = dropped.notified() => remove_dropped(store.as_ref(), &blobs, dropped_grace).await,
            () = made_due => remove_unfinished(store.as_ref(), &blobs, ORPHAN_GRACE).await,
        };
        if let Err(error) = swept {
            tracing::warn!(error = %crate::appliance::with_sources(&error), "bytes of removed files stay for now");
            tokio::time::sleep(RETRY_GAP).await;
            dropped.notify_one();
        }
    }
}

/// Removes the bytes of files that were removed or changed, `grace` from now.
pub async fn remove_dropped(store: &dyn Store, blobs: &Blobs, grace: Duration) -> Result<u64, SweepError> {
    let mut removed = 0;
    loop {
        let dropped = store.dropped_blobs(BATCH_BLOBS_MAX).await?;
        if dropped.is_empty() {
            return Ok(removed);
        }
        tokio::time::sleep(grace).await;
        for id in &dropped {
            removed += u64::from(blobs.sweep(*id).await?);
        }
        store.forget_dropped(dropped).await?;
    }
}

/// Removes blobs that were made `grace` ago and have no row.
pub async fn remove_unfinished(store: &dyn Store, blobs: &Blobs, grace: Duration) -> Result<u64, SweepError> {
    let (made, more) = blobs.take_made(grace);
    let mut removed = 0;
    for made in made.chunks(BATCH_BLOBS_MAX as usize) {
        for id in store.unused_blobs(made).await? {
            removed += u64::from(blobs.sweep(id).await?);
        }
    }
    if more {
        removed += compare(store, blobs, false).await?.orphans;
    }
    Ok(removed)
}

/// Looks through everything once, and says what is wrong.
async fn look_through(store: &dyn Store, blobs: &Blobs) {
    match compare(store, blobs, false).await {
        Ok(report) if report.orphans + report.damaged > 0 => {
            tracing::warn!(
                files = report.files,
                orphans = report.orphans,
                orphan_bytes = report.orphan_bytes,
                damaged = report.damaged,
                "bytes without a file were removed, or files without their bytes found"
            );
        }
        Ok(report) => tracing::debug!(files = report.files, blobs = report.blobs, "all files have their bytes"),
        Err(error) => {
            let error = crate::appliance::with_sources(&error);
            tracing::warn!(%error, "the files could not be compared with what is on the disk");
        }
    }
}

/// Compares the rows with the disk, and removes blobs without a row unless it is a `dry_run`. Files without their bytes
/// are told, each in the log, and stay: a backup may have the bytes.
pub async fn compare(store: &dyn Store, blobs: &Blobs, dry_run: bool) -> Result<SweepReport, SweepError> {
    let mut report = SweepReport { removed: !dry_run, ..SweepReport::default() };
    let held = blobs.held()?;
    let is_held = |found: &Found| held.is_some_and(|held| held.holds(found.written_at));
    for outer in 0..=u8::MAX {
        let found = blobs.found(outer).await?;
        report.blobs += found.len() as u64;
        let (old, young): (Vec<&Found>, Vec<&Found>) = found.iter().partition(|found| is_old(found));
        if !dry_run {
            // What has no row yet may be another process's that has ended, or a write that is under way.
            let young: Vec<Uuid> = young.iter().map(|found| found.id).collect();
            store.unused_blobs(&young).await?.into_iter().for_each(|id| blobs.look_again_at(id));
        }
        // What a copy of the store needs is none of ours until that is gone.
        let old: Vec<&Found> = old.into_iter().filter(|found| !is_held(found)).collect();
        for old in old.chunks(BATCH_BLOBS_MAX as usize) {
            let ids: Vec<Uuid> = old.iter().map(|found| found.id).collect();
            for orphan in store.unused_blobs(&ids).await? {
                report.orphans += 1;
                report.orphan_bytes += old.iter().find(|found| found.id == orphan).map_or(0, |found| found.size_bytes);
                if !dry_run {
                    blobs.sweep(orphan).await?;
                }
            }
        }
    }
    find_damaged(store, blobs, &mut report).await?;
    Ok(report)
}

async fn find_damaged(store: &dyn Store, blobs: &Blobs, report: &mut SweepReport) -> Result<(), SweepError> {
    let mut after = None;
    loop {
        let rows = store.files_by_blob(after, BATCH_BLOBS_MAX).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.blob);
        for row in rows {
            report.files += 1;
            if blobs.is_there(row.blob, row.size_bytes).await? {
                continue;
            }
            // It may have gone since the row was read.
            if !store.unused_blobs(&[row.blob]).await?.is_empty() {
                continue;
            }
            let name = format!("{}/{}/{}", row.app, row.collection, row.id);
            tracing::error!(file = %name, blob = %row.blob, "a file's bytes are gone or cut off: restore it from a backup");
            report.damaged += 1;
            if report.damaged_files.len() < REPORTED_MAX {
                report.damaged_files.push(name);
            }
        }
    }
}

/// By the disk's own time: a clock that jumped makes a blob look young, and it is swept another time.
fn is_old(found: &Found) -> bool {
    #[expect(clippy::disallowed_methods, reason = "it is compared with what the disk says, which goes by this clock")]
    let now = SystemTime::now();
    now.duration_since(found.written_at).is_ok_and(|age| age >= ORPHAN_GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::app::NewApp;
    use picloud_model::audit::Act;
    use picloud_model::clock::ManualClock;
    use picloud_model::event::Cause;
    use picloud_model::file::NewFile;
    use picloud_model::ids::{AppId, FileId};
    use picloud_model::limits::Limits;
    use picloud_store::blobs::{Reserve, Step, Steps};
    use picloud_store::{FileExpected, FileWrite, OpenSettings, StoredBlob};
    use std::ops::ControlFlow;
    use std::path::{Path, PathBuf};

    const NOW: i64 = 1_800_000_000_000;

    struct Place {
        dir: tempfile::TempDir,
        store: Arc<dyn Store>,
        blobs: Blobs,
        app: AppId,
    }

    impl Place {
        async fn make() -> Self {
            Self::make_with(None).await
        }

        async fn make_with(steps: Option<Arc<dyn Steps>>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::new(NOW));
            let store = picloud_store::open(OpenSettings::new(dir.path().join("data")), clock).await.unwrap();
            let new = NewApp { name: "kitchen".to_owned(), ..NewApp::default() };
            let app = store.create_app(&new, &Act::of_appliance("pi", NOW)).await.unwrap().id;
            let blobs = Blobs::open_with(&dir.path().join("files"), Reserve::default(), steps).unwrap();
            Self { dir, store, blobs, app }
        }

        fn cause() -> Cause {
            Cause::first(NOW, &Limits::default())
        }

        async fn blob(&self, bytes: &'static str) -> StoredBlob {
            let mut writer = self.blobs.create(1_000).await.unwrap();
            writer.write(bytes.into()).await.unwrap();
            writer.finish(None).await.unwrap()
        }

        async fn file(&self, bytes: &'static str) -> (FileId, StoredBlob) {
            let (id, blob) = (FileId::new(), self.blob(bytes).await);
            let file = NewFile { name: "a".into(), content_type: "text/plain".into(), metadata: "{}".into() };
            let write = FileWrite { collection: "c".into(), id, file, blob: blob.clone(), quota_bytes: 1_000 };
            self.store.create_file(self.app, write, &Self::cause(), None).await.unwrap();
            (id, blob)
        }

        fn path(&self, blob: &StoredBlob) -> PathBuf {
            let [.., one, two] = blob.id.into_bytes();
            let place: &Path = self.dir.path();
            place.join(format!("files/{one:02x}/{two:02x}/{}", blob.id))
        }

        fn make_old(&self, blob: &StoredBlob) {
            let file = std::fs::File::options().write(true).open(self.path(blob)).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            file.set_modified(written - ORPHAN_GRACE).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_files_goes_after_its_grace_and_a_dry_run_only_tells() {
        let place = Place::make().await;
        let (_id, kept) = place.file("kept").await;
        let (orphan, young) = (place.blob("orphan").await, place.blob("young").await);
        place.make_old(&kept);
        place.make_old(&orphan);
        let told = compare(place.store.as_ref(), &place.blobs, true).await.unwrap();
        let expected = SweepReport { files: 1, blobs: 3, orphans: 1, orphan_bytes: 6, ..SweepReport::default() };
        assert_eq!(told, expected);
        assert!(place.path(&orphan).exists());
        let done = compare(place.store.as_ref(), &place.blobs, false).await.unwrap();
        assert_eq!(done, SweepReport { removed: true, ..expected });
        assert!(!place.path(&orphan).exists());
        assert!(place.path(&kept).exists() && place.path(&young).exists());
        // An hour later, with what was made since.
        assert_eq!(remove_unfinished(place.store.as_ref(), &place.blobs, Duration::ZERO).await.unwrap(), 1);
        assert!(place.path(&kept).exists() && !place.path(&young).exists());
    }

    #[tokio::test]
    async fn bytes_of_a_removed_file_go_and_those_of_a_file_that_lost_them_are_told() {
        let place = Place::make().await;
        let ((gone, gone_blob), (lost, lost_blob)) = (place.file("gone").await, place.file("lost").await);
        let store = place.store.as_ref();
        assert!(store.delete_file(place.app, "c", gone, FileExpected::Anything, &Place::cause(), None).await.unwrap());
        assert_eq!(remove_dropped(store, &place.blobs, Duration::ZERO).await.unwrap(), 1);
        assert!(!place.path(&gone_blob).exists());
        assert!(store.dropped_blobs(10).await.unwrap().is_empty());
        std::fs::write(place.path(&lost_blob), "los").unwrap();
        let report = compare(store, &place.blobs, false).await.unwrap();
        assert_eq!((report.damaged, report.damaged_files), (1, vec![format!("{}/c/{lost}", place.app)]));
        assert!(place.path(&lost_blob).exists(), "what is left of it stays");
    }

    /// Tells of each blob that is removed.
    struct TellRemoved(tokio::sync::mpsc::Sender<()>);

    impl Steps for TellRemoved {
        fn done(&self, step: Step) -> ControlFlow<()> {
            if step == Step::Removed {
                self.0.try_send(()).unwrap();
            }
            ControlFlow::Continue(())
        }
    }

    #[tokio::test]
    async fn the_task_sleeps_until_a_file_goes_and_then_removes_its_bytes() {
        let (tell, mut removed) = tokio::sync::mpsc::channel(8);
        let place = Place::make_with(Some(Arc::new(TellRemoved(tell)))).await;
        let ((one, one_blob), (two, two_blob)) = (place.file("one").await, place.file("two").await);
        let sweeping = tokio::spawn(run_with(Arc::clone(&place.store), place.blobs.clone(), Duration::ZERO));
        for (id, blob) in [(one, one_blob), (two, two_blob)] {
            assert!(place.path(&blob).exists());
            let cause = Place::cause();
            let gone = place.store.delete_file(place.app, "c", id, FileExpected::Anything, &cause, None);
            assert!(gone.await.unwrap());
            removed.recv().await.unwrap();
            assert!(!place.path(&blob).exists());
        }
        sweeping.abort();
    }
}
