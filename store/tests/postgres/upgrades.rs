//! A database of every older schema is copied into the data folder, and then brought up to date by one that is alone.

use crate::conformance::make_app;
use crate::temp_pg::TempPg;
use crate::{open, open_on};
use picloud_store::upgrade::{UpgradeCopy, upgrade_copies};
use picloud_store::{OpenError, OpenSettings};
use rusqlite::Connection;
use std::path::Path;

const MIGRATIONS: [&str; 4] = [
    include_str!("../../../migrations/postgres/V001__start.sql"),
    include_str!("../../../migrations/postgres/V002__control.sql"),
    include_str!("../../../migrations/postgres/V003__events.sql"),
    include_str!("../../../migrations/postgres/V004__cluster.sql"),
];

/// An app and values, as the first schema has them.
const ROWS: &str = "
    INSERT INTO apps (name, hosts, env, limits, revision, created_at, updated_at)
    VALUES ('kitchen', '[]', '{}', '{}', 5, 1, 1);
    INSERT INTO kv SELECT 1, 'c', ('key' || i)::bytea, i, i, NULL, 'value' FROM generate_series(1, 300) i;";

/// Makes the database what an older program would have left.
fn make_old(pg: &TempPg, schema: usize) {
    pg.sql("CREATE SCHEMA saved; CREATE TABLE saved.m AS SELECT * FROM _sqlx_migrations; DROP SCHEMA public CASCADE");
    pg.sql("CREATE SCHEMA public");
    MIGRATIONS[..schema].iter().for_each(|sql| drop(pg.sql(sql)));
    pg.sql("CREATE TABLE _sqlx_migrations (LIKE saved.m, PRIMARY KEY (version))");
    pg.sql(&format!("INSERT INTO _sqlx_migrations SELECT * FROM saved.m WHERE version <= {schema}"));
    pg.sql(ROWS);
    pg.sql("DROP SCHEMA saved CASCADE");
}

fn rows_in(copy: &UpgradeCopy, table: &str) -> i64 {
    let conn = Connection::open(copy.dir.join("picloud.db")).unwrap();
    conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn copies(dir: &Path) -> Vec<UpgradeCopy> {
    upgrade_copies(&dir.join("data")).unwrap()
}

#[tokio::test]
async fn a_database_of_every_older_schema_is_copied_and_brought_up_to_date() {
    for schema in 1..MIGRATIONS.len() {
        let (store, (dir, pg)) = open().await;
        drop(store);
        make_old(&pg, schema);
        let settings = OpenSettings::new(dir.path().join("data")).with_database(Some(pg.url()));
        let looked = picloud_store::upgrade::look(&settings).await.unwrap();
        assert!(looked.is_older() && looked.has_room(), "{looked:?}");

        let store = open_on(&pg, &dir.path().join("data")).await.unwrap();
        assert_eq!(pg.sql("SELECT count(*), max(version) FROM _sqlx_migrations"), "4|4", "from {schema}");
        assert!(store.app("kitchen").await.unwrap().is_some());
        let copies = copies(dir.path());
        let [copy] = copies.as_slice() else { panic!("from {schema}: {copies:?}") };
        assert_eq!(
            (copy.manifest.from.data, copy.manifest.store.as_str()),
            (i64::try_from(schema).unwrap(), "postgres")
        );
        assert_eq!((rows_in(copy, "apps"), rows_in(copy, "kv")), (1, 300), "from {schema}");
        make_app(&*store, "garden").await;
    }
}

#[tokio::test]
async fn nobody_changes_the_schema_while_another_appliance_is_at_work() {
    let (_at_work, (dir, pg)) = open().await;
    make_old(&pg, 3);
    let error = open_on(&pg, &dir.path().join("other")).await.err().expect("it is refused");
    assert!(matches!(error, OpenError::OthersAtWork { connections: 1.., .. }), "{error:?}");
    assert!(error.hint().starts_with("stop all appliances"), "{}", error.hint());
    assert_eq!(pg.sql("SELECT max(version) FROM _sqlx_migrations"), "3");
    assert!(upgrade_copies(&dir.path().join("other")).unwrap().is_empty());
}
