//! Stores that move from SQLite to Postgres and back: all of it or nothing, and the same rows on both sides.

use crate::conformance::kv::{incr, set};
use crate::conformance::{NOW, act, make_app, new_app};
use crate::filled::{fill, rows_of};
use crate::temp_pg::TempPg;
use crate::{open_on, open_with};
use picloud_model::event::Cause;
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::page::PageRequest;
use picloud_store::{MigrateError, MovedTable, OpenError, OpenSettings, Store, StorePlace, migrate_store};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

async fn sqlite(dir: &Path) -> Arc<dyn Store> {
    open_with(OpenSettings::new(dir)).await.unwrap()
}

async fn moved(from: &StorePlace, to: &StorePlace) -> Result<Vec<MovedTable>, MigrateError> {
    migrate_store(from, to, &mut |progress| assert!(progress.done <= progress.rows, "{progress:?}")).await
}

/// A folder, two of its children, and a database, as places.
struct Places {
    tmp: TempDir,
    pg: TempPg,
}

impl Places {
    fn new() -> Self {
        Self { tmp: tempfile::tempdir().unwrap(), pg: TempPg::new() }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    fn at(&self, name: &str) -> StorePlace {
        StorePlace::Dir(self.dir(name))
    }

    fn database(&self) -> StorePlace {
        StorePlace::Url(self.pg.url())
    }
}

#[tokio::test]
async fn everything_moves_to_postgres_and_back_as_it_was() {
    let places = Places::new();
    let store = sqlite(&places.dir("one")).await;
    fill(&*store).await;
    drop(store);
    let before = rows_of(&places.dir("one"));
    let empty: Vec<&String> = before.iter().filter(|(_table, rows)| rows.is_empty()).map(|(table, _)| table).collect();
    assert!(empty.is_empty(), "nothing is shown of tables without a row: {empty:?}");

    let there = moved(&places.at("one"), &places.database()).await.unwrap();
    let back = moved(&places.database(), &places.at("two")).await.unwrap();
    assert_eq!(there, back, "the same rows, by number and hash");
    for table in &there {
        let name = [format!("picloud.db/{}", table.name), format!("history.db/{}", table.name)];
        let rows = name.iter().filter_map(|name| before.get(name)).map(Vec::len).sum::<usize>();
        assert_eq!(table.rows, rows as u64, "{}", table.name);
    }
    assert_eq!(there.len() + 1, before.len(), "all tables but SQLite's own for ids");
    let after = rows_of(&places.dir("two"));
    for (table, rows) in &before {
        assert_eq!(&after[table], rows, "{table}");
    }
    assert_eq!(rows_of(&places.dir("one")), before, "the source is as it was");
    assert!(!places.dir("two").join("migrating").exists());
}

#[tokio::test]
async fn a_store_that_moved_goes_on_where_it_was() {
    let places = Places::new();
    let store = sqlite(&places.dir("one")).await;
    let app = fill(&*store).await;
    let KvReply::Set(last) = store.kv(app, set("last", "1"), NOW).await.unwrap() else { panic!("a version") };
    let snapshot = format!("{:?}", store.snapshot().await.unwrap());
    drop(store);
    moved(&places.at("one"), &places.database()).await.unwrap();
    let on_postgres = open_on(&places.pg, &places.dir("data")).await.unwrap();
    goes_on(&*on_postgres, app, last.unwrap(), &snapshot).await;
    let KvReply::Set(last) = on_postgres.kv(app, set("last", "2"), NOW).await.unwrap() else { panic!() };
    let snapshot = format!("{:?}", on_postgres.snapshot().await.unwrap());
    drop(on_postgres);
    moved(&places.database(), &places.at("two")).await.unwrap();
    goes_on(&*sqlite(&places.dir("two")).await, app, last.unwrap(), &snapshot).await;
}

/// What was there is there, and no number is given out twice.
async fn goes_on(store: &dyn Store, app: picloud_model::ids::AppId, last: i64, snapshot: &str) {
    assert_eq!(format!("{:?}", store.snapshot().await.unwrap()), snapshot);
    assert!(store.verify_audit().await.unwrap().intact);
    let highest = store.revisions().await.unwrap().into_iter().map(|(app, _revision)| app).max().unwrap();
    let fresh = make_app(store, "fresh").await;
    assert!(fresh.id.0 > highest.0 + 1 || highest.0 != app.0, "the one that was deleted had the next id");
    let KvReply::Set(version) = store.kv(app, set("a", "3"), NOW).await.unwrap() else { panic!("a version") };
    assert!(version.unwrap() > last, "{version:?} after {last}");
    let timers = store.timers(app, &PageRequest::default()).await.unwrap().items;
    assert_eq!(timers.len(), 1);
    assert!(store.cancel_timer(app, timers[0].id).await.unwrap());
    let timer = picloud_model::timer::NewTimer {
        id: timers[0].id,
        script: "hello".to_owned(),
        due_at: NOW + 9,
        value: b"null".to_vec(),
    };
    store.set_timer(app, timer, &Cause::first(NOW, &Limits::default())).await.unwrap();
    assert!(store.delete_app(fresh.id, None, &act()).await.unwrap());
}

/// Connections of a store that was dropped are closed a moment later.
async fn wait_until_closed(pg: &TempPg) {
    let open =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'picloud%'";
    while pg.sql(open) != "0" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_store_in_use_is_neither_read_nor_written() {
    let places = Places::new();
    let one = sqlite(&places.dir("one")).await;
    let refused = moved(&places.at("one"), &places.database()).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Open(OpenError::Taken { .. })), "{refused}");
    drop(one);
    let on_postgres = open_on(&places.pg, &places.dir("data")).await.unwrap();
    for (from, to) in [(places.at("one"), places.database()), (places.database(), places.at("two"))] {
        let refused = moved(&from, &to).await.unwrap_err();
        assert!(matches!(refused, MigrateError::InUse { .. }), "{refused}");
    }
    drop(on_postgres);
    moved(&places.database(), &places.at("two")).await.unwrap();
}

#[tokio::test]
async fn only_a_new_store_is_written() {
    let places = Places::new();
    let store = sqlite(&places.dir("one")).await;
    store.create_app(&new_app("kitchen"), &act()).await.unwrap();
    drop(store);
    moved(&places.at("one"), &places.database()).await.unwrap();
    let before = rows_of(&places.dir("one"));
    let refused = moved(&places.at("one"), &places.database()).await.unwrap_err();
    assert!(refused.to_string().contains("table `apps` has 1 rows"), "{refused}");
    assert!(refused.hint().contains("createdb"), "{}", refused.hint());
    let refused = moved(&places.database(), &places.at("one")).await.unwrap_err();
    assert!(matches!(refused, MigrateError::NotEmpty { .. }), "{refused}");
    assert_eq!(rows_of(&places.dir("one")), before, "nothing changed");
    let refused = moved(&places.at("one"), &places.at("one")).await.unwrap_err();
    assert!(matches!(refused, MigrateError::SamePlace(_)), "{refused}");
    let refused = moved(&places.at("nowhere"), &places.database()).await.unwrap_err();
    assert!(matches!(refused, MigrateError::NoStore(_)), "{refused}");
    assert!(!places.dir("nowhere").exists());
    let empty = TempPg::new();
    let refused = moved(&StorePlace::Url(empty.url()), &places.at("two")).await.unwrap_err();
    assert!(matches!(refused, MigrateError::NoStore(_)), "{refused}");
    let away = StorePlace::parse("postgres://ada:secret@localhost/picloud?host=/nowhere");
    let refused = moved(&places.at("one"), &away).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Open(OpenError::Unreachable { .. })), "{refused}");
    assert!(!format!("{refused} {refused:?} {away:?}").contains("secret"), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_copied_whole_is_not_copied_at_all() {
    let places = Places::new();
    let store = sqlite(&places.dir("one")).await;
    let app = fill(&*store).await;
    drop(store);
    let change = |sql: &str| {
        rusqlite::Connection::open(places.dir("one").join("picloud.db")).unwrap().execute_batch(sql).unwrap();
    };
    change("UPDATE keys SET name = 'lap' || char(0) || 'top' WHERE name = 'invoke'");
    let refused = moved(&places.at("one"), &places.database()).await.unwrap_err();
    let MigrateError::Copy { source, .. } = &refused else { panic!("{refused:?}") };
    let why = std::error::Error::source(source.as_ref()).unwrap().to_string();
    assert!(why.starts_with("`name` of the row with the key 1 holds a NUL"), "{why}");
    assert_eq!(places.pg.sql("SELECT count(*) FROM apps"), "0", "nothing is there");
    change("UPDATE keys SET name = 'invoke' WHERE id = 1");
    moved(&places.at("one"), &places.database()).await.unwrap();
    // A row that SQLite would not take: a text where the other side has none.
    places.pg.sql("ALTER TABLE keys ALTER created_by DROP NOT NULL; UPDATE keys SET created_by = NULL");
    let refused = moved(&places.database(), &places.at("two")).await.unwrap_err();
    assert!(refused.to_string().contains("could not be moved"), "{refused}");
    let left: Vec<_> = std::fs::read_dir(places.dir("two")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "neither a store nor half of one");
    let found = sqlite(&places.dir("one")).await.app("kitchen").await.unwrap().unwrap();
    assert_eq!(found.id, app);
}

#[tokio::test]
async fn a_backup_of_postgres_is_a_store_that_sqlite_opens() {
    let places = Places::new();
    let store = open_on(&places.pg, &places.dir("data")).await.unwrap();
    let app = fill(&*store).await;
    let to = places.dir("copy");
    std::fs::create_dir(&to).unwrap();
    let count = incr("counter", 1);
    // What is written meanwhile is in it whole or not at all.
    let (copied, _counted) = tokio::join!(store.copy_to(&to), store.kv(app, count, NOW));
    assert_eq!(copied.unwrap(), ["picloud.db", "history.db"]);
    assert_eq!(std::fs::read_dir(places.dir("copy")).unwrap().count(), 2, "two files and no logs beside them");
    assert!(store.copy_to(&places.dir("copy")).await.is_err(), "a copy that is there is not overwritten");
    assert!(store.copy_to(&places.dir("missing")).await.is_err());
    let copy = sqlite(&places.dir("copy")).await;
    assert_eq!(copy.sealed_secrets(app).await.unwrap(), store.sealed_secrets(app).await.unwrap());
    assert_eq!(copy.verify_audit().await.unwrap(), store.verify_audit().await.unwrap());
    assert!(copy.verify_audit().await.unwrap().intact);
    let runs = |store: Arc<dyn Store>| async move { store.executions(app, &Default::default()).await.unwrap().items };
    assert_eq!(runs(copy.clone()).await, runs(store.clone()).await);
    assert_eq!(make_app(&*copy, "next").await.id, make_app(&*store, "next").await.id, "ids go on where they were");
    drop((copy, store));
    wait_until_closed(&places.pg).await;
}

/// Something that a user does.
#[derive(Clone, Debug)]
enum Op {
    App(u8),
    DeleteApp(u8),
    Set(u8, String, Vec<u8>),
    Publish(u8, String),
    Delete(u8, String),
    Keep(String, Vec<u8>),
}

fn op() -> impl Strategy<Value = Op> {
    let app = || 0_u8..3;
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        app().prop_map(Op::App),
        app().prop_map(Op::DeleteApp),
        (app(), "[a-cä-ö\u{1f525}'\" ]{1,3}", bytes()).prop_map(|(app, key, value)| Op::Set(app, key, value)),
        (app(), "[a-c]{1,2}").prop_map(|(app, topic)| Op::Publish(app, topic)),
        (app(), "[a-cä-ö]{1,3}").prop_map(|(app, key)| Op::Delete(app, key)),
        ("\\PC{0,3}", bytes()).prop_map(|(name, bytes)| Op::Keep(name, bytes)),
    ]
}

async fn apply(store: &dyn Store, op: &Op) {
    let name = |app: &u8| format!("app{app}");
    let collection = || "c \u{1f525}".to_owned();
    match op {
        // What is refused is refused on both sides alike.
        Op::App(app) => drop(store.create_app(&new_app(&name(app)), &act()).await),
        Op::DeleteApp(app) => {
            if let Some(app) = store.app(&name(app)).await.unwrap() {
                store.delete_app(app.id, None, &act()).await.unwrap();
            }
        }
        Op::Set(app, key, value) => {
            let Some(app) = store.app(&name(app)).await.unwrap() else { return };
            let (key, value, condition) = (key.clone(), value.clone(), Default::default());
            let request = KvRequest::Set { collection: collection(), key, value, ttl_ms: None, condition };
            store.kv(app.id, request, NOW).await.unwrap();
        }
        Op::Delete(app, key) => {
            let Some(app) = store.app(&name(app)).await.unwrap() else { return };
            let (key, condition) = (key.clone(), Default::default());
            store.kv(app.id, KvRequest::Delete { collection: collection(), key, condition }, NOW).await.unwrap();
        }
        Op::Publish(app, topic) => {
            let Some(app) = store.app(&name(app)).await.unwrap() else { return };
            let publish = picloud_model::publish::Publish {
                topic: topic.clone(),
                value: b"1".to_vec(),
                delay_ms: 0,
                dedup_key: Some("k".to_owned()),
            };
            store.publish(app.id, publish, &Cause::first(NOW, &Limits::default())).await.unwrap();
        }
        Op::Keep(name, bytes) => drop(store.keep(name, bytes).await.unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_store_holds_is_the_same_after_a_round_trip(
        first in proptest::collection::vec(op(), 0..60), second in proptest::collection::vec(op(), 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let places = Places::new();
            let store = sqlite(&places.dir("one")).await;
            for op in &first {
                apply(&*store, op).await;
            }
            drop(store);
            moved(&places.at("one"), &places.database()).await.unwrap();
            moved(&places.database(), &places.at("two")).await.unwrap();
            assert_eq!(rows_of(&places.dir("one")), rows_of(&places.dir("two")));
            // Written by Postgres, and back again.
            let store = open_on(&places.pg, &places.dir("data")).await.unwrap();
            for op in &second {
                apply(&*store, op).await;
            }
            drop(store);
            let out = moved(&places.database(), &places.at("three")).await.unwrap();
            let again = TempPg::new();
            let back = moved(&places.at("three"), &StorePlace::Url(again.url())).await.unwrap();
            assert_eq!(out, back);
        });
    }
}
