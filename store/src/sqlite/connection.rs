//! Opening SQLite files: the pragmas, each with the reason for its value.

use super::error::is_full;
use crate::OpenError;
use crate::data_dir::{io_error, make_private_file};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Statements kept ready per connection; more than there are in this folder.
const STATEMENTS_MAX: usize = 256;
/// Only a backup tool could hold the file: it is waited for this long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The log is copied into the file when it has so many bytes: each copy writes every page that changed since the last,
/// so a longer log writes less (increments on 1 000 keys: a hundred bytes each at 1 MiB, a quarter of that at 4 MiB).
const LOG_BYTES: i64 = 4 * 1024 * 1024;
/// After a large deploy the log is cut down to this again.
const LOG_BYTES_KEPT: i64 = LOG_BYTES;
/// The writer's page cache: the inner pages of a large KV table and the leaves it is at.
const WRITER_CACHE_KIB: i64 = 4_096;
/// Each reader's.
const READER_CACHE_KIB: i64 = 2_048;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Database {
    /// Everything that must not be lost.
    Data,
    /// What is kept of runs.
    History,
}

impl Database {
    pub(super) const fn file_name(self) -> &'static str {
        match self {
            Self::Data => "picloud.db",
            Self::History => "history.db",
        }
    }

    /// Each pragma that is set before the file has its first table.
    fn on_creation(self) -> &'static str {
        match self {
            // A write costs whole pages, twice (log and file), so small ones wear least. Increments by 16 callers on
            // 1 000 keys wrote, in bytes each: 512: 951, 1024: 1324, 2048: 2003, 4096: 2848; on 16 keys 484 with 1024.
            // 512 would spill values of a hundred bytes into further pages.
            Self::Data => "PRAGMA page_size = 1024;",
            // Whole runs with their logs are added and dropped, so larger pages; and what is dropped is given back.
            Self::History => "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;",
        }
    }

    fn synchronous(self) -> &'static str {
        match self {
            // An answered write survives a pulled plug.
            Self::Data => "FULL",
            // The last moments of history may go with the power; the file stays whole. A sync per batch would
            // wear on the card for what nobody was promised.
            Self::History => "NORMAL",
        }
    }
}

/// Opens the file for writing, making it where it is missing.
pub(super) fn open_writer(path: &Path, database: Database, bytes_max: Option<u64>) -> Result<Connection, OpenError> {
    let dir = path.parent().unwrap_or(path);
    make_private_file(path).map_err(|source| io_error(source, dir, path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(path, flags, |conn| {
        conn.execute_batch(database.on_creation())?;
        // Readers never wait for the writer, and one sync makes a batch durable. Rollback journals wrote six times
        // as much.
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", database.synchronous())?;
        conn.pragma_update(None, "foreign_keys", true)?;
        let page_bytes: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        conn.pragma_update(None, "wal_autocheckpoint", LOG_BYTES / page_bytes)?;
        conn.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
        conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        // The old pages of a savepoint, which are at most those of one transaction, would go through the card.
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        if let Some(bytes_max) = bytes_max {
            let pages_max = i64::try_from(bytes_max).unwrap_or(i64::MAX) / page_bytes;
            conn.pragma_update(None, "max_page_count", pages_max)?;
        }
        Ok(())
    })
}

/// Opens the file, which exists, for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(path, flags, |conn| {
        conn.pragma_update(None, "query_only", true)?;
        conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)
    })
}

fn connect(
    path: &Path,
    flags: OpenFlags,
    set_up: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, OpenError> {
    let opened = Connection::open_with_flags(path, flags).and_then(|conn| {
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Otherwise a statement whose plan may depend on a parameter is compiled anew whenever that has another value:
        // two thirds of the time that claiming a delivery took.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        set_up(&conn)?;
        Ok(conn)
    });
    opened.map_err(|error| open_error(error, path))
}

/// Why a file cannot be opened, out of what SQLite said.
pub(super) fn open_error(error: rusqlite::Error, path: &Path) -> OpenError {
    let dir = path.parent().unwrap_or(path).to_owned();
    match error.sqlite_error_code() {
        _ if is_full(&error, &dir) => OpenError::Full { dir },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::NotADatabase { path: path.to_owned() },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::NotWritable { dir, source: Box::new(error) }
        }
        _ => OpenError::Unusable { path: path.to_owned(), source: Box::new(error) },
    }
}
