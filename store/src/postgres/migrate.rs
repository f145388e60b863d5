//! The migrations, with checksums, under a lock: appliances that start at once bring the schema up to date once.
//!
//! To change the schema: a new pair of files, here and for SQLite (a landed one is never edited), and a line below.

use super::connection::Address;
use crate::OpenError;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use sqlx::{Connection as _, PgConnection, SqlStr};
use sqlx_core::migrate::{MigrateError, Migration, MigrationType, Migrator};
use std::borrow::Cow;

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "start", include_str!("../../../migrations/postgres/V001__start.sql")),
    (2, "control", include_str!("../../../migrations/postgres/V002__control.sql")),
    (3, "events", include_str!("../../../migrations/postgres/V003__events.sql")),
    (4, "cluster", include_str!("../../../migrations/postgres/V004__cluster.sql")),
];

/// The schemas of the two SQLite files that hold what a database of each schema holds, by its number: the data's, and the
/// history's where the database has a history already. A line for each migration above.
const FILES: &[(i64, Option<i64>)] = &[(1, None), (2, None), (3, None), (4, Some(3))];

/// Those of a database with the schema `found`.
pub(super) fn files_of(found: i64) -> (i64, Option<i64>) {
    let at = usize::try_from(found - 1).unwrap_or(usize::MAX);
    FILES.get(at).copied().expect("a schema that was found to be known has its line")
}

/// Makes a database that has no schema this program's; refuses what [`schema`] refuses.
pub(super) async fn migrate(address: &Address) -> Result<(), OpenError> {
    // However long that takes.
    let patient = address.pool_to_migrate();
    let mut conn = patient.acquire().await.map_err(|error| address.unreachable(error))?;
    let (found, known) = schema(&mut conn, address).await?;
    if found < known {
        run(&mut conn, address, known).await?;
    }
    drop(conn);
    patient.close().await;
    Ok(())
}

/// Brings the schema to `version`, in one transaction.
pub(super) async fn run(conn: &mut PgConnection, address: &Address, version: i64) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Unusable { path: address.shown.clone().into(), source };
    let mut sql = conn.begin().await.map_err(|error| unusable(Box::new(error)))?;
    let ran = migrator().run_direct(Some(version), &mut *sql, false).await;
    ran.map_err(|error| failed(error, address))?;
    sql.commit().await.map_err(|error| unusable(Box::new(error)))
}

/// Which migration failed, and at what: without the SQL, which is long.
fn failed(error: MigrateError, address: &Address) -> OpenError {
    let path = address.shown.clone().into();
    let MigrateError::ExecuteMigration(error, version) = error else {
        return OpenError::Unusable { path, source: Box::new(error) };
    };
    let Some(migration) = MIGRATIONS.iter().find(|(number, ..)| *number == version) else {
        return OpenError::Unusable { path, source: Box::new(error) };
    };
    let said = error.as_database_error().and_then(|said| said.try_downcast_ref::<PgDatabaseError>());
    let statement = said.and_then(|said| match said.position()? {
        PgErrorPosition::Original(at) => Some(statement_at(migration.2, at)),
        PgErrorPosition::Internal { .. } => None,
    });
    let reason = said.map_or_else(|| error.to_string(), |said| said.message().to_owned());
    OpenError::Migration { path, migration: format!("V{version:03}__{}", migration.1), statement, reason }
}

/// The first line of the statement with the letter that is the `at`th, counted from 1.
fn statement_at(sql: &str, at: usize) -> String {
    let begin = sql.char_indices().nth(at.saturating_sub(1)).map_or(sql.len(), |(begin, _letter)| begin);
    let before = sql[..begin].rfind(";\n").map_or(0, |end| end + 1);
    crate::open::first_line(&sql[before..])
}

/// Refuses a database that is not of this program's schema, and leaves it as it is.
pub(super) async fn check(conn: &mut PgConnection, address: &Address) -> Result<(), OpenError> {
    let (found, known) = schema(conn, address).await?;
    if found < known {
        return Err(OpenError::Older { path: address.shown.clone().into(), found, known });
    }
    Ok(())
}

/// The schema of the database (0: it has none) and the newest one there is. Refuses one of a newer program, and one made with other
/// migrations.
pub(super) async fn schema(conn: &mut PgConnection, address: &Address) -> Result<(i64, i64), OpenError> {
    let shown = || address.shown.clone();
    let unusable = |source| OpenError::Unusable { path: shown().into(), source };
    let migrator = migrator();
    let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
    let applied = applied(conn).await.map_err(|error| unusable(Box::new(error)))?;
    let found = applied.last().map_or(0, |(version, ..)| *version);
    if found > known {
        return Err(OpenError::Newer { path: shown().into(), found, known });
    }
    for (version, name, checksum) in &applied {
        let same = migrator.iter().any(|one| one.version == *version && *one.checksum == **checksum);
        if !same {
            let migration = format!("V{version:03}__{name}");
            return Err(OpenError::ChangedMigration { path: shown().into(), migration });
        }
    }
    Ok((found, known))
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Version, name and checksum of what was applied, by version.
async fn applied(conn: &mut PgConnection) -> sqlx::Result<Vec<(i64, String, Vec<u8>)>> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *conn).await?;
    if !there {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, description, checksum FROM _sqlx_migrations ORDER BY version").fetch_all(conn).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_is_that_of_the_letter_which_the_database_names() {
        let sql = "-- First.\nCREATE TABLE a (x INT);\n-- Zweitens: ü.\nINSERT INTO b\n  VALUES (1);\nDROP TABLE a;\n";
        let at = |words: &str| sql[..sql.find(words).unwrap()].chars().count() + 1;
        for (words, expected) in
            [("a (x", "CREATE TABLE a (x INT);"), ("b\n", "INSERT INTO b"), ("DROP", "DROP TABLE a;")]
        {
            assert_eq!(statement_at(sql, at(words)), expected);
        }
        assert_eq!(statement_at(sql, 10_000), "");
    }
}
