//! Each reason why a data directory cannot be opened has its own error, and loses nothing.

use crate::conformance::executions::run;
use crate::conformance::{NOW, make_app};
use crate::{open, open_in};
use picloud_store::{OpenError, Store};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// The refusal, and that its hint says something.
#[track_caller]
fn refused(opened: Result<Arc<dyn Store>, OpenError>) -> OpenError {
    let Err(error) = opened else { panic!("it was opened") };
    assert!(error.hint().len() > 20, "{error} has a hint");
    error
}

fn change(data_dir: &Path, sql: &str) {
    Connection::open(data_dir.join("picloud.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let (store, dir) = open().await;
    let app = make_app(&*store, "kitchen").await;
    drop(store);
    let store = open_in(&dir.path().join("data")).await.unwrap();
    assert_eq!(store.app("kitchen").await.unwrap(), Some(app));
}

#[tokio::test]
async fn the_data_directory_is_private_and_its_parents_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("a/b/data");
    let _store = open_in(&data_dir).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    for entry in std::fs::read_dir(&data_dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o066, 0, "{}", path.display());
    }
}

#[tokio::test]
async fn a_second_appliance_is_refused_and_told_who_has_it() {
    let (store, dir) = open().await;
    let data_dir = dir.path().join("data");
    let error = refused(open_in(&data_dir).await);
    let pid = std::process::id();
    assert!(matches!(&error, OpenError::Taken { dir, pid: Some(holder) } if *dir == data_dir && *holder == pid));
    let expected =
        format!("the data directory `{}` is in use by another appliance (process {pid})", data_dir.display());
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().contains(&format!("kill {pid}")));
    drop(store);
    open_in(&data_dir).await.expect("the lock went with the store");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (store, dir) = open().await;
    make_app(&*store, "kitchen").await;
    drop(store);
    let data_dir = dir.path().join("data");
    change(&data_dir, "INSERT INTO refinery_schema_history VALUES (7, 'future', '2030-01-01T00:00:00Z', '1')");
    let error = refused(open_in(&data_dir).await);
    assert!(matches!(error, OpenError::Newer { found: 7, known: 4, .. }), "{error:?}");
    assert!(error.to_string().ends_with("was written by a newer PiCloud (schema 7, this one knows 4)"), "{error}");
    change(&data_dir, "DELETE FROM refinery_schema_history WHERE version = 7");
    let store = open_in(&data_dir).await.unwrap();
    assert!(store.app("kitchen").await.unwrap().is_some());
}

#[tokio::test]
async fn a_changed_migration_is_refused_by_name() {
    let (store, dir) = open().await;
    drop(store);
    let data_dir = dir.path().join("data");
    change(&data_dir, "UPDATE refinery_schema_history SET checksum = '42'");
    let error = refused(open_in(&data_dir).await);
    assert!(matches!(&error, OpenError::ChangedMigration { migration, .. } if migration == "V001__start"), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = "Dear diary, ".repeat(500);
    let path = dir.path().join("picloud.db");
    std::fs::write(&path, &text).unwrap();
    let error = refused(open_in(dir.path()).await);
    assert!(matches!(&error, OpenError::NotADatabase { path: named } if *named == path), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

/// `/sys` refuses new files to everybody, root too, where permissions would not stop root.
#[tokio::test]
async fn a_directory_that_cannot_be_written_is_refused() {
    let error = refused(open_in(Path::new("/sys/kernel")).await);
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the data directory `/sys/kernel` cannot be written");
}

#[tokio::test]
async fn a_file_in_place_of_the_directory_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_owned(), file.path().join("data")] {
        let error = refused(open_in(&path).await);
        assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_damaged_history_is_put_aside_and_the_data_is_opened() {
    let (store, dir) = open().await;
    let app = make_app(&*store, "kitchen").await;
    store.add_executions(vec![run(app.id, "hello", 1)]).await.unwrap();
    drop(store);
    let data_dir = dir.path().join("data");
    std::fs::write(data_dir.join("history.db"), "rubbish ".repeat(1_000)).unwrap();
    let store = open_in(&data_dir).await.unwrap();
    assert_eq!(store.app("kitchen").await.unwrap(), Some(app.clone()));
    assert!(store.executions(app.id, &Default::default()).await.unwrap().items.is_empty());
    store.add_executions(vec![run(app.id, "hello", 2)]).await.unwrap();
    assert_eq!(store.executions(app.id, &Default::default()).await.unwrap().items.len(), 1);
    assert!(data_dir.join(format!("history.db.damaged-{NOW}")).exists());
}

/// Only the last pages, which hold the runs and their six indexes, so that it shows when they are used.
#[tokio::test]
async fn a_history_damaged_inside_fails_alone_and_is_put_aside_at_the_next_start() {
    let (store, dir) = open().await;
    let app = make_app(&*store, "kitchen").await;
    store.add_executions(vec![run(app.id, "hello", 1)]).await.unwrap();
    drop(store);
    let data_dir = dir.path().join("data");
    let path = data_dir.join("history.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 7 * 4_096..].fill(0xff);
    std::fs::write(&path, bytes).unwrap();

    let store = open_in(&data_dir).await.unwrap();
    assert!(store.add_executions(vec![run(app.id, "hello", 2)]).await.is_err());
    assert!(store.executions(app.id, &Default::default()).await.is_err());
    make_app(&*store, "garden").await;
    drop(store);

    for _start in 0..2 {
        let store = open_in(&data_dir).await.unwrap();
        store.add_executions(vec![run(app.id, "hello", 3)]).await.unwrap();
        assert_eq!(store.executions(app.id, &Default::default()).await.unwrap().items.len(), 1);
    }
}

#[tokio::test]
async fn a_lost_history_is_begun_anew() {
    let (store, dir) = open().await;
    drop(store);
    let data_dir = dir.path().join("data");
    for entry in std::fs::read_dir(&data_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("history.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    open_in(&data_dir).await.unwrap();
}

#[tokio::test]
async fn a_reserve_for_a_full_disk_is_kept_and_made_again() {
    let (store, dir) = open().await;
    drop(store);
    let data_dir = dir.path().join("data");
    let reserve = data_dir.join("reserve");
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 2 * 1024 * 1024);
    std::fs::remove_file(&reserve).unwrap();
    open_in(&data_dir).await.unwrap();
    assert!(reserve.exists());
}

/// What the first release made, with rows: an endpoint that reaches a module through another, and one that was changed.
const FIRST_RELEASE: &str = "
    INSERT INTO apps (name, hosts, env, limits, revision, created_at, updated_at)
    VALUES ('kitchen', '[]', '{\"zip\":\"1\",\"city\":\"2\"}', '{}', 5, 1, 1);
    INSERT INTO sources (hash, text) VALUES (unhex('__1__'), 'one'), (unhex('__2__'), 'two');
    INSERT INTO scripts (app_id, name, kind, live_version, live_hash) VALUES
        (1, 'hello', 'endpoint', 2, unhex('__1__')), (1, 'lengths', 'module', 1, unhex('__2__')),
        (1, 'units', 'module', 1, unhex('__2__'));
    INSERT INTO script_versions VALUES
        (1, 1, 'endpoint', unhex('__2__'), 3, 'ada', NULL, '1.0', 1),
        (1, 2, 'endpoint', unhex('__1__'), 3, 'ada', NULL, '1.0', 1),
        (2, 1, 'module', unhex('__2__'), 3, 'ada', NULL, '1.0', 1),
        (3, 1, 'module', unhex('__2__'), 3, 'ada', NULL, '1.0', 1);
    INSERT INTO script_imports VALUES (1, 1, 2), (1, 2, 3);
    INSERT INTO routes (app_id, position, methods, path, script_id, auth) VALUES (1, 0, 'GET', '/a', 1, 'public');
    INSERT INTO kv VALUES (1, 'c', x'6b', 7, 1, NULL, x'31');
";

#[tokio::test]
async fn the_data_of_the_first_release_is_brought_along() {
    let (store, made) = open().await;
    drop(store);
    let dir = tempfile::tempdir().unwrap();
    for (file, schema, rows) in [
        ("picloud.db", include_str!("../../../migrations/sqlite/V001__start.sql"), FIRST_RELEASE),
        ("history.db", include_str!("../../../migrations/sqlite/history/V001__start.sql"), ""),
    ] {
        let old = Connection::open(dir.path().join(file)).unwrap();
        let new = made.path().join("data").join(file);
        old.execute("ATTACH ?1 AS new", [new.to_str().unwrap()]).unwrap();
        let rows = rows.replace("__1__", &"01".repeat(32)).replace("__2__", &"02".repeat(32));
        old.execute_batch(&format!("{schema} {rows}")).unwrap();
        old.execute_batch(
            "CREATE TABLE refinery_schema_history AS SELECT * FROM new.refinery_schema_history WHERE version = 1",
        )
        .unwrap();
    }
    let store = open_in(dir.path()).await.unwrap();
    let app = store.app("kitchen").await.unwrap().unwrap();
    assert_eq!((app.revision, app.env.len()), (5, 2));
    let (hello, live) = store.script(app.id, "hello").await.unwrap().unwrap();
    assert_eq!((hello.version, live.source.as_deref()), (2, Some("one")));
    let context = store.version_context(hello.id, 2).await.unwrap().unwrap();
    let modules: Vec<String> =
        context.modules.iter().map(|module| format!("{} {}", module.name, module.hash)).collect();
    assert_eq!(modules, ["lengths", "units"].map(|name| format!("{name} {}", "02".repeat(32))));
    assert_eq!(
        (context.recorded, context.env, context.routes.len()),
        (true, vec!["city".to_owned(), "zip".to_owned()], 1)
    );
    let older = store.version_context(hello.id, 1).await.unwrap().unwrap();
    assert_eq!(older, Default::default(), "nobody wrote down what that one was live with");
    assert_eq!(store.kv_collections(app.id, NOW).await.unwrap()[0].keys, 1);
    assert!(store.verify_audit().await.unwrap().intact);
    assert!(store.delete_app(app.id, None, &crate::conformance::act()).await.unwrap());
}
