//! The migrations of both files, with checksums.
//!
//! To change the schema: a new file beside the others (a landed one is never edited), and a line below.

use super::connection::{Database, open_error};
use crate::OpenError;
use crate::open::first_line;
use refinery::{Migration, Runner, Target};
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Connection, OptionalExtension as _, Statement};
use std::path::Path;

const DATA: &[(&str, &str)] = &[
    ("V001__start", include_str!("../../../migrations/sqlite/V001__start.sql")),
    ("V002__control", include_str!("../../../migrations/sqlite/V002__control.sql")),
    ("V003__events", include_str!("../../../migrations/sqlite/V003__events.sql")),
    ("V004__cluster", include_str!("../../../migrations/sqlite/V004__cluster.sql")),
];

const HISTORY: &[(&str, &str)] = &[
    ("V001__start", include_str!("../../../migrations/sqlite/history/V001__start.sql")),
    ("V002__filters", include_str!("../../../migrations/sqlite/history/V002__filters.sql")),
    ("V003__causes", include_str!("../../../migrations/sqlite/history/V003__causes.sql")),
];

/// Brings the file to this program's schema, in one transaction; refuses one of a newer program, and one made with other
/// migrations.
pub(super) fn migrate(conn: &mut Connection, database: Database, path: &Path) -> Result<(), OpenError> {
    let (_migrations, _found, known) = compare(conn, database, path)?;
    migrate_to(conn, database, path, known)
}

/// The same, up to the schema `version`: what an older program's store is.
pub(crate) fn migrate_to(
    conn: &mut Connection,
    database: Database,
    path: &Path,
    version: i64,
) -> Result<(), OpenError> {
    let (migrations, found, _known) = compare(conn, database, path)?;
    // The runner would look at its own table again; a start that has nothing to do does nothing.
    if found < version {
        let target = Target::Version(i32::try_from(version).expect("numbers of migrations are small"));
        let runner = Runner::new(&migrations).set_target(target).set_grouped(true);
        if let Err(error) = runner.run(conn) {
            let wanted = files_of(database).iter().zip(1..=version).filter(|(_file, number)| *number > found);
            return Err(migration_error(conn, wanted.map(|(file, _number)| *file), error, path));
        }
    }
    Ok(())
}

/// The schema of the file, and the newest one there is. Refuses what [`migrate`] refuses.
pub(super) fn versions(conn: &Connection, database: Database, path: &Path) -> Result<(i64, i64), OpenError> {
    compare(conn, database, path).map(|(_migrations, found, known)| (found, known))
}

/// The newest schema there is.
pub(crate) fn newest(database: Database) -> i64 {
    i64::try_from(files_of(database).len()).unwrap_or(i64::MAX)
}

/// The schema of a file of any program, newer ones too; 0 where it has none.
pub(crate) fn schema_of_file(conn: &Connection) -> rusqlite::Result<i64> {
    Ok(applied(conn)?.last().map_or(0, |(version, _name, _checksum)| *version))
}

fn files_of(database: Database) -> &'static [(&'static str, &'static str)] {
    match database {
        Database::Data => DATA,
        Database::History => HISTORY,
    }
}

/// This program's migrations, the schema of the file, and the newest one there is. Refuses what `migrate` refuses.
fn compare(conn: &Connection, database: Database, path: &Path) -> Result<(Vec<Migration>, i64, i64), OpenError> {
    let sql = |error| open_error(error, path);
    let unusable = |error: refinery::Error| OpenError::Unusable { path: path.to_owned(), source: Box::new(error) };
    let migrations: Vec<Migration> = files_of(database)
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql))
        .collect::<Result<_, _>>()
        .map_err(unusable)?;
    let known = migrations.last().map_or(0, |last| i64::from(last.version()));
    let applied = applied(conn).map_err(sql)?;
    let found = applied.last().map_or(0, |(version, _, _)| *version);
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    for (version, name, checksum) in &applied {
        let same = migrations.iter().any(|migration| {
            i64::from(migration.version()) == *version && migration.checksum().to_string() == *checksum
        });
        if !same {
            let migration = format!("V{version:03}__{name}");
            return Err(OpenError::ChangedMigration { path: path.to_owned(), migration });
        }
    }
    Ok((migrations, found, known))
}

/// Version, name and checksum of what was applied, by version.
fn applied(conn: &Connection) -> rusqlite::Result<Vec<(i64, String, String)>> {
    let table = conn
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'", [], |_row| Ok(()))
        .optional()?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    let mut select = conn.prepare("SELECT version, name, checksum FROM refinery_schema_history ORDER BY version")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// Why a migration failed: a full disk looks the same here as anywhere else. The runner tells all of the SQL or none of
/// it; so what it did is done once more, a statement at a time, and taken back.
fn migration_error(
    conn: &mut Connection,
    wanted: impl Iterator<Item = (&'static str, &'static str)>,
    error: refinery::Error,
    path: &Path,
) -> OpenError {
    match first_failing(conn, wanted) {
        Ok(Some(Failing { migration, statement, error })) => match open_error(error, path) {
            OpenError::Unusable { path, source } => {
                let reason = source.downcast_ref().map_or_else(|| source.to_string(), said);
                OpenError::Migration { path, migration: migration.to_owned(), statement: Some(statement), reason }
            }
            known => known,
        },
        Err(error) => open_error(error, path),
        // It is not the migrations.
        Ok(None) => OpenError::Unusable { path: path.to_owned(), source: Box::new(error) },
    }
}

/// What SQLite said, without the SQL, which may be long.
fn said(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// The first statement that fails.
struct Failing {
    migration: &'static str,
    statement: String,
    error: rusqlite::Error,
}

fn first_failing(
    conn: &mut Connection,
    wanted: impl Iterator<Item = (&'static str, &'static str)>,
) -> rusqlite::Result<Option<Failing>> {
    // Dropped at the end, which takes everything back.
    let sql = conn.transaction()?;
    for (migration, text) in wanted {
        let (mut statements, mut begin) = (Batch::new(&sql, text), 0);
        loop {
            // Each statement keeps its text, with what stands before it.
            let length = |statement: &Statement<'_>| statement.expanded_sql().map_or(0, |text| text.len());
            let ran = statements.next().and_then(|statement| {
                let Some(mut statement) = statement else { return Ok(None) };
                run(&mut statement).map(|()| Some(length(&statement)))
            });
            match ran {
                Ok(None) => break,
                Ok(Some(bytes)) => begin += bytes,
                Err(error) => {
                    let statement = first_line(text.get(begin..).unwrap_or_default());
                    return Ok(Some(Failing { migration, statement, error }));
                }
            }
        }
    }
    Ok(None)
}

fn run(statement: &mut Statement<'_>) -> rusqlite::Result<()> {
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_statement_that_fails_is_found_and_everything_is_taken_back() {
        const MADE: (&str, &str) = ("V001__start", "CREATE TABLE a (x INTEGER UNIQUE); INSERT INTO a VALUES (1);");
        const TWICE: (&str, &str) = ("V002__twice", "-- As before.\nINSERT INTO a\n  VALUES (1);\nDROP TABLE a;");
        const UNKNOWN: (&str, &str) = ("V003__unknown", "DELETE FROM a;\nUPDATE b SET x = 1;\nDELETE FROM a;");
        let mut conn = Connection::open_in_memory().unwrap();
        for (wanted, expected) in [
            (vec![MADE], None),
            (vec![MADE, TWICE], Some(("V002__twice", "INSERT INTO a", "UNIQUE constraint failed: a.x"))),
            (vec![MADE, UNKNOWN], Some(("V003__unknown", "UPDATE b SET x = 1;", "no such table: b"))),
        ] {
            let found = first_failing(&mut conn, wanted.into_iter()).unwrap();
            let found = found.map(|failing| (failing.migration, failing.statement, said(&failing.error)));
            let found = found.as_ref().map(|(name, statement, said)| (*name, statement.as_str(), said.as_str()));
            assert_eq!(found, expected);
            assert_eq!(schema_of_file(&conn).unwrap(), 0);
            assert!(conn.prepare("SELECT * FROM a").is_err(), "nothing is left of it");
        }
    }
}
