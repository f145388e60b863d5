//! Stores of each older schema are upgraded and go back; and whatever is stopped between any two steps is ended by the
//! next start.

use super::folder::{COPIES, name_of};
use super::go_back::go_back_with;
use super::*;
use crate::Files as _;
use crate::blobs::Blobs;
use crate::data_dir::DataDirLock;
use crate::migrate_store::Side as _;
use crate::sqlite::{DATABASE_FILES, SqliteSide, SqliteStore};
use crate::{OpenError, OpenSettings};
use picloud_model::clock::ManualClock;
use rusqlite::{Connection, OpenFlags};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

const NOW: i64 = 1_767_225_600_000;
/// Later than any time that the disk may say.
const FAR: i64 = 4_102_444_800_000;

/// Each schema that a store can be found with, and is not this program's: the data's and the history's.
const OLDER: [(i64, Option<i64>); 6] =
    [(1, Some(1)), (1, None), (2, Some(2)), (3, Some(2)), (3, Some(3)), (4, Some(1))];

/// An app and values, as the first schema has them; the later ones only add to it.
const ROWS: &str = "
    INSERT INTO apps (name, hosts, env, limits, revision, created_at, updated_at)
    VALUES ('kitchen', '[]', '{}', '{}', 5, 1, 1);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO kv SELECT 1, 'c', CAST('key' || i AS BLOB), i, i, NULL, zeroblob(200) FROM n;
    DELETE FROM kv WHERE version % 3 = 0;
";

async fn old_store(dir: &Path, (data, history): (i64, Option<i64>)) {
    std::fs::create_dir_all(dir).unwrap();
    Box::new(SqliteSide::make_at(dir, data, history).unwrap()).keep().await.unwrap();
    Connection::open(dir.join(DATABASE_FILES[0])).unwrap().execute_batch(ROWS).unwrap();
}

fn open(dir: &Path, at: i64) -> Result<SqliteStore, OpenError> {
    open_until(dir, at, &go_on)
}

fn open_until(dir: &Path, at: i64, stop: Stop<'_>) -> Result<SqliteStore, OpenError> {
    SqliteStore::open_with(&OpenSettings::new(dir), &ManualClock::new(at), stop)
}

/// Everything in both files.
fn content(dir: &Path) -> Vec<CopiedTable> {
    let mut tables = Vec::new();
    for name in DATABASE_FILES {
        let path = dir.join(name);
        if path.exists() {
            let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
            tables.extend(content_of(&conn, name).unwrap());
        }
    }
    tables
}

fn names(dir: &Path) -> Vec<String> {
    upgrade_copies(dir).unwrap().iter().map(UpgradeCopy::name).collect()
}

#[tokio::test]
async fn a_store_of_every_older_schema_is_copied_and_upgraded_and_goes_back_with_the_same_data() {
    for older in OLDER {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("data");
        old_store(&dir, older).await;
        let before = content(&dir);
        drop(open(&dir, NOW).unwrap());
        let upgraded = content(&dir);
        assert_ne!(upgraded, before, "{older:?}");
        let copies = upgrade_copies(&dir).unwrap();
        let [copy] = copies.as_slice() else { panic!("{older:?}: {copies:?}") };
        assert_eq!(copy.name(), format!("{}-20260101T000000Z", older.0));
        assert_eq!(copy.manifest.tables, before, "{older:?}");
        assert_eq!(content(&copy.dir), before, "{older:?}");
        drop(open(&dir, NOW + 1).unwrap());
        assert_eq!(names(&dir).len(), 1, "{older:?}: a start that upgrades nothing copies nothing");

        let plan = going_back(&dir, None).unwrap();
        assert_eq!((plan.now, plan.copy.manifest.from.data), (Some(4), older.0));
        let back = go_back(&dir, None, NOW + 2).unwrap();
        assert_eq!(content(&dir), before, "{older:?}");
        assert_eq!(content(&back.aside_in(&dir)), upgraded, "{older:?}: nothing of the newer store is lost");
        assert_eq!(names(&dir), Vec::<String>::new(), "the copy is in its place");
        drop(open(&dir, NOW + 3).unwrap());
        let rows = |tables: &[CopiedTable]| tables.iter().map(|table| table.rows).sum::<u64>();
        assert_eq!(rows(&content(&dir)), rows(&upgraded), "{older:?}: and it is upgraded again");
    }
}

#[tokio::test]
async fn an_upgrade_that_is_cut_off_anywhere_is_ended_by_the_next_start_and_the_copy_is_whole_or_not_there() {
    for older in [(1, Some(1)), (3, Some(2))] {
        for step in Step::UPGRADE {
            let dir = tempfile::tempdir().unwrap();
            old_store(dir.path(), older).await;
            let before = content(dir.path());
            let cut = |now: Step| if now == step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            assert!(open_until(dir.path(), NOW, &cut).is_err(), "{step:?}");
            for copy in upgrade_copies(dir.path()).unwrap() {
                assert_eq!(content(&copy.dir), before, "{older:?} {step:?}: what has its name is whole");
            }
            drop(open(dir.path(), NOW + 5_000).unwrap());
            let copies = upgrade_copies(dir.path()).unwrap();
            assert_eq!(copies.len(), 1, "{older:?} {step:?}: one upgrade, one copy");
            assert_eq!(content(&copies[0].dir), before, "{older:?} {step:?}");
            let left = std::fs::read_dir(dir.path().join(COPIES)).unwrap().count();
            assert_eq!(left, 1, "{older:?} {step:?}: nothing unfinished is left");
            go_back(dir.path(), None, NOW + 6_000).unwrap();
            assert_eq!(content(dir.path()), before, "{older:?} {step:?}");
        }
    }
}

#[tokio::test]
async fn going_back_that_is_cut_off_anywhere_is_ended_by_whoever_opens_the_folder_next() {
    for cut_at in 0.. {
        let dir = tempfile::tempdir().unwrap();
        old_store(dir.path(), (2, Some(2))).await;
        let before = content(dir.path());
        drop(open(dir.path(), NOW).unwrap());
        let upgraded = content(dir.path());
        let steps = AtomicU32::new(0);
        let cut = |_step: Step| {
            if steps.fetch_add(1, Ordering::Relaxed) >= cut_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let done = go_back_with(dir.path(), None, NOW + 1, &cut);
        drop(DataDirLock::take(dir.path()).unwrap());
        assert_eq!(content(dir.path()), before, "cut at step {cut_at}");
        let aside = dir.path().join("after-going-back/4-20260101T000000Z");
        assert_eq!(content(&aside), upgraded, "cut at step {cut_at}");
        assert!(!dir.path().join("going-back.json").exists(), "cut at step {cut_at}");
        drop(open(dir.path(), NOW + 2).unwrap());
        if done.is_ok() {
            assert!(cut_at >= 5, "each file is a step");
            return;
        }
    }
}

#[tokio::test]
async fn what_was_written_after_the_upgrade_is_told_before_anybody_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    old_store(dir.path(), (3, Some(3))).await;
    drop(open(dir.path(), NOW).unwrap());
    let change = "INSERT INTO kv SELECT 1, 'd', key, version + 1000, 1, NULL, value FROM kv LIMIT 7";
    Connection::open(dir.path().join(DATABASE_FILES[0])).unwrap().execute_batch(change).unwrap();
    let plan = going_back(dir.path(), None).unwrap();
    let kv = plan.tables.iter().find(|table| table.name == "kv").unwrap();
    assert_eq!((kv.rows_now, kv.rows_then), (341, 334));
    assert!(plan.written_at.is_some());
    assert_eq!(names(dir.path()).len(), 1, "nothing was changed");
}

#[tokio::test]
async fn a_copy_with_one_flipped_bit_is_refused_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    old_store(dir.path(), (3, Some(3))).await;
    drop(open(dir.path(), NOW).unwrap());
    let upgraded = content(dir.path());
    let file = upgrade_copies(dir.path()).unwrap()[0].dir.join(DATABASE_FILES[0]);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let error = go_back(dir.path(), None, NOW).unwrap_err();
    assert!(matches!(error, GoBackError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().ends_with("is damaged: `picloud.db` is not what was written"), "{error}");
    assert_eq!(content(dir.path()), upgraded);
}

#[tokio::test]
async fn nobody_goes_back_while_an_appliance_runs_or_without_a_copy_or_to_one_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let none = go_back(&dir.path().join("data"), None, NOW).unwrap_err();
    assert!(matches!(none, GoBackError::NoCopy { known: None, .. }), "{none:?}");
    assert!(!dir.path().join("data").exists(), "a folder that is not there is not made");
    old_store(dir.path(), (3, Some(3))).await;
    let store = open(dir.path(), NOW).unwrap();
    let taken = go_back(dir.path(), None, NOW).unwrap_err();
    assert!(matches!(taken, GoBackError::Open(OpenError::Taken { .. })), "{taken:?}");
    drop(store);
    let other = go_back(dir.path(), Some("2-20250101T000000Z"), NOW).unwrap_err();
    assert!(other.to_string().ends_with("no copy called `2-20250101T000000Z`; it has 3-20260101T000000Z"), "{other}");
    for error in [none, taken, other] {
        assert!(error.hint().len() > 20, "{error}");
    }
}

#[tokio::test]
async fn an_upgrade_without_room_for_the_copy_is_refused_with_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    check_room(dir.path(), 1).unwrap();
    let error = check_room(dir.path(), 1 << 60).unwrap_err();
    let OpenError::NoRoomToUpgrade { needed_bytes, free_bytes, .. } = error else { panic!("{error:?}") };
    assert_eq!(needed_bytes, (1 << 60) + (1 << 58) + 8 * 1024 * 1024);
    let missing = (needed_bytes - free_bytes).div_ceil(1024 * 1024);
    assert!(error.hint().starts_with(&format!("make {missing} MiB of room")), "{}", error.hint());
    old_store(dir.path(), (3, Some(3))).await;
    let look = look(&OpenSettings::new(dir.path())).await.unwrap();
    assert!(look.is_older() && look.has_room() && look.damage.is_none(), "{look:?}");
    assert_eq!(look.found, Some(Schema { data: 3, history: 3 }));
}

#[tokio::test]
async fn two_copies_are_kept_and_none_longer_than_two_weeks() {
    let dir = tempfile::tempdir().unwrap();
    for day in 0..3 {
        old_store(dir.path(), (3, Some(3))).await;
        drop(open(dir.path(), NOW + day * 86_400_000).unwrap());
        for name in DATABASE_FILES {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        // Otherwise the next copy would be the same, and not made.
        let path = dir.path().join(COPIES).join(name_of(3, NOW + day * 86_400_000));
        assert!(path.exists(), "day {day}");
        let manifest = std::fs::read_to_string(path.join("manifest.json")).unwrap();
        std::fs::write(path.join("manifest.json"), manifest.replacen("\"rows\": ", "\"rows\": 9", 1)).unwrap();
    }
    assert_eq!(names(dir.path()), ["3-20260103T000000Z", "3-20260102T000000Z"]);
    let second_day = NOW + 86_400_000;
    let (gone, due) = expire_copies(dir.path(), second_day + copy_kept_ms() - 1).unwrap();
    assert_eq!((gone.len(), due), (0, Some(second_day + copy_kept_ms())));
    let (gone, due) = expire_copies(dir.path(), second_day + copy_kept_ms()).unwrap();
    assert_eq!((gone, due), (vec!["3-20260102T000000Z".to_owned()], Some(second_day + 86_400_000 + copy_kept_ms())));
}

#[tokio::test]
async fn what_was_put_aside_is_removed_after_two_weeks_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    old_store(dir.path(), (3, Some(3))).await;
    drop(open(dir.path(), NOW).unwrap());
    let back = go_back(dir.path(), None, NOW + 5).unwrap();
    let somebodys = dir.path().join("after-going-back/mine");
    std::fs::create_dir(&somebodys).unwrap();
    let (gone, due) = expire_copies(dir.path(), NOW + 4 + copy_kept_ms()).unwrap();
    assert_eq!((gone.len(), due), (0, Some(NOW + 5 + copy_kept_ms())));
    assert!(back.aside_in(dir.path()).join(DATABASE_FILES[0]).exists());
    let (gone, due) = expire_copies(dir.path(), NOW + 5 + copy_kept_ms()).unwrap();
    assert_eq!((gone, due), (vec!["after-going-back/4-20260101T000000Z".to_owned()], None));
    assert!(!back.aside_in(dir.path()).exists() && somebodys.exists());
}

#[tokio::test]
async fn files_go_back_with_their_bytes_and_come_up_again() {
    let dir = tempfile::tempdir().unwrap();
    old_store(dir.path(), (3, Some(3))).await;
    let data = dir.path().join(DATABASE_FILES[0]);
    let sql = |text: &str| Connection::open(&data).unwrap().execute_batch(text).unwrap();
    let blobs = Blobs::open(&dir.path().join("files")).unwrap();
    let bytes = |text: &'static str| async {
        let mut writer = blobs.create(1_000).await.unwrap();
        writer.write(text.into()).await.unwrap();
        writer.finish(None).await.unwrap().id
    };
    let row = |blob: Uuid, name: &str| {
        let id = blob.simple();
        format!(
            "INSERT INTO files VALUES (1, x'{id}', 'photos', '{name}', 'text/plain', 5, zeroblob(32), zeroblob(32), x'{id}', 1, \
             1, 1, '{{}}');"
        )
    };
    let old = bytes("older").await;
    sql(&row(old, "old"));
    drop(open(dir.path(), NOW).unwrap());
    // As the appliance does: what the copy needs is held from its first start on.
    for event in upgrade_events(dir.path()).unwrap() {
        blobs.hold(event.at.max(FAR), event.at.max(FAR) + copy_kept_ms()).await.unwrap();
    }
    let new = bytes("newer").await;
    sql(&format!("DELETE FROM files; {}", row(new, "new")));
    assert!(!blobs.remove(old).await.unwrap(), "the copy has a row for it");

    let files = |blob: Uuid| {
        let store = open(dir.path(), NOW + 2);
        async move {
            let rows = store.unwrap().files_by_blob(None, 10).await.unwrap();
            rows.iter().map(|row| row.blob).eq([blob])
        }
    };
    go_back(dir.path(), None, NOW + 1).unwrap();
    assert!(blobs.is_there(old, 5).await.unwrap());
    assert!(files(old).await, "up again, with the file that the older program had");
    assert!(blobs.is_there(new, 5).await.unwrap(), "and what was put aside has its bytes, too");
}

#[tokio::test]
async fn a_migration_that_fails_is_named_with_its_statement_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    old_store(dir.path(), (3, Some(3))).await;
    // Whoever made this, it was not us.
    let odd = "CREATE TABLE nodes (x INTEGER)";
    Connection::open(dir.path().join(DATABASE_FILES[0])).unwrap().execute_batch(odd).unwrap();
    let before = content(dir.path());
    let error = open(dir.path(), NOW).err().unwrap();
    let text = format!("{error}\nhint: {}", error.hint()).replace(&dir.path().display().to_string(), "DATA");
    assert_eq!(
        text,
        "`DATA/picloud.db` could not be brought up to date: V004__cluster failed at `CREATE TABLE nodes (`: table nodes \
         already exists\nhint: nothing was changed, and the older PiCloud opens it as before: install that one again, and \
         report this text; the data may hold what the newer one does not expect"
    );
    assert_eq!(content(dir.path()), before);
    assert_eq!(names(dir.path()).len(), 1, "the copy that was made first is there");
}

#[tokio::test]
async fn what_happened_is_told_until_it_was_written_down() {
    let dir = tempfile::tempdir().unwrap();
    old_store(dir.path(), (3, Some(3))).await;
    drop(open(dir.path(), NOW).unwrap());
    let events = upgrade_events(dir.path()).unwrap();
    let [upgrade] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((upgrade.action, upgrade.target.as_str(), upgrade.at), ("store.upgrade", "schema 3 → 4", NOW));
    upgrade.recorded().unwrap();
    assert!(upgrade_events(dir.path()).unwrap().is_empty());
    go_back(dir.path(), None, NOW + 1).unwrap();
    let events = upgrade_events(dir.path()).unwrap();
    assert_eq!((events[0].action, events[0].target.as_str()), ("store.go-back", "schema 4 → 3"));
}
