//! Each reason why a database cannot be used has its own error, without the password and with something to do.

use crate::conformance::make_app;
use crate::temp_pg::TempPg;
use crate::{open, open_on, open_with};
use picloud_store::{OpenError, OpenSettings, Store};
use std::sync::Arc;

/// The refusal, that its hint says something, and that nothing of it says the password.
#[track_caller]
fn refused(opened: Result<Arc<dyn Store>, OpenError>) -> OpenError {
    let Err(error) = opened else { panic!("it was opened") };
    assert!(error.hint().len() > 20, "{error} has a hint");
    let all = format!("{error} {error:?} {}", error.hint());
    assert!(!all.contains("secretword"), "{all}");
    error
}

async fn open_url(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    let dir = tempfile::tempdir().unwrap();
    open_with(OpenSettings { database_url: Some(url.to_owned()), ..OpenSettings::new(dir.path().join("data")) }).await
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let (store, (dir, pg)) = open().await;
    let app = make_app(&*store, "kitchen").await;
    drop(store);
    let store = open_on(&pg, &dir.path().join("data")).await.unwrap();
    assert_eq!(store.app("kitchen").await.unwrap(), Some(app));
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for url in ["mysql://ada:secretword@db/picloud", "postgres://ada:secretword@db:many/picloud", "secretword"] {
        let error = refused(open_url(url).await);
        assert!(matches!(error, OpenError::Address { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_and_a_database_that_is_not_there_are_refused() {
    let pg = TempPg::new();
    let url = pg.url();
    let (_database, parameters) = url.split_once('?').unwrap();
    for url in [
        "postgres://ada:secretword@localhost/picloud?host=/nonexistent".to_owned(),
        format!("postgres://picloud:secretword@localhost/nowhere?{parameters}"),
        format!("postgres://nobody-here:secretword@localhost/postgres?{parameters}"),
    ] {
        let error = refused(open_url(&url).await);
        assert!(matches!(error, OpenError::Unreachable { .. }), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (store, (dir, pg)) = open().await;
    make_app(&*store, "kitchen").await;
    drop(store);
    pg.sql("INSERT INTO _sqlx_migrations VALUES (99, 'future', now(), true, 'x', 0)");
    let error = refused(open_on(&pg, &dir.path().join("data")).await);
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
    pg.sql("DELETE FROM _sqlx_migrations WHERE version = 99");
    let store = open_on(&pg, &dir.path().join("data")).await.unwrap();
    assert!(store.app("kitchen").await.unwrap().is_some());
}

#[tokio::test]
async fn a_changed_migration_is_refused_by_name() {
    let (store, (dir, pg)) = open().await;
    drop(store);
    pg.sql("UPDATE _sqlx_migrations SET checksum = 'other' WHERE version = 2");
    let error = refused(open_on(&pg, &dir.path().join("data")).await);
    assert!(
        matches!(&error, OpenError::ChangedMigration { migration, .. } if migration == "V002__control"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_directory_is_one_appliances_and_a_database_is_of_many() {
    let (_store, (dir, pg)) = open().await;
    let error = refused(open_on(&pg, &dir.path().join("data")).await);
    assert!(matches!(error, OpenError::Taken { .. }), "{error:?}");
    open_on(&pg, &dir.path().join("other")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appliances_that_start_at_once_make_the_schema_once() {
    let (dir, pg) = (tempfile::tempdir().unwrap(), Arc::new(TempPg::new()));
    let starts: Vec<_> = (0..4)
        .map(|number| {
            let (data_dir, pg) = (dir.path().join(number.to_string()), pg.clone());
            tokio::spawn(async move { open_on(&pg, &data_dir).await })
        })
        .collect();
    for (number, start) in starts.into_iter().enumerate() {
        let store = start.await.unwrap().unwrap();
        make_app(&*store, &format!("app{number}")).await;
        assert!(store.verify_audit().await.unwrap().intact);
    }
    assert_eq!(pg.sql("SELECT count(*), count(DISTINCT version) FROM _sqlx_migrations"), "4|4");
}
