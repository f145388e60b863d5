//! The spool's file: publishes that wait for an appliance, in the order of their numbers, on the disk before a script
//! is told of its event.

use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, EventId, ExecutionId};
use picloud_model::protocol::Caller;
use picloud_model::publish::Publish;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::{Path, PathBuf};

/// The form of the file.
const FORM: i64 = 1;

/// A publish that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Spooled {
    /// Its number.
    pub number: u64,
    /// Its event, which the script knows.
    pub event: EventId,
    /// When the script published it.
    pub at: UnixMs,
    /// For whom.
    pub caller: Caller,
    /// What.
    pub publish: Publish,
}

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// A newer version has written it.
    #[error("`{}` was written by a newer version of picloud-node (form {form}, this one knows {FORM})\nhint: update picloud-node", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        form: i64,
    },
    /// SQLite failed.
    #[error(
        "the spool failed: {0}\nhint: where the file is damaged, `picloud-node reset --force` begins anew; what it held is lost"
    )]
    Sqlite(#[source] rusqlite::Error),
    /// Nobody works on it any more.
    #[error("the spool is closed")]
    Closed,
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _other => Self::Sqlite(error),
        }
    }
}

/// Copies the file at `from` as it is at one moment into `to`, which is empty, while others work on it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), SpoolError> {
    let connection = Connection::open_with_flags(from, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// The file, opened.
pub(super) struct SpoolFile {
    connection: Connection,
}

/// What stands in the file.
pub(super) struct Standing {
    /// No number from here on was ever given.
    pub(super) next: u64,
    /// The numbers of those that wait.
    pub(super) waiting: Vec<u64>,
    /// The bytes of their values and topics.
    pub(super) bytes: u64,
}

impl SpoolFile {
    /// Opens or makes it. `first` is the first number of a file that is made now.
    pub(super) fn open(path: &Path, first: u64) -> Result<Self, SpoolError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "page_size", 1024)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Whatever the last one left behind is small: no cache is worth its memory.
        connection.pragma_update(None, "cache_size", -256)?;
        let form: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if form > FORM {
            return Err(SpoolError::Newer { path: path.to_owned(), form });
        }
        connection.execute_batch(
            "BEGIN;
             CREATE TABLE IF NOT EXISTS publishes (
                number INTEGER PRIMARY KEY, event BLOB NOT NULL, at INTEGER NOT NULL, app INTEGER NOT NULL,
                execution BLOB NOT NULL, root BLOB NOT NULL, depth INTEGER NOT NULL, script TEXT NOT NULL,
                version INTEGER NOT NULL, topic TEXT NOT NULL, value BLOB NOT NULL, delay_ms INTEGER NOT NULL,
                dedup_key TEXT
             ) STRICT;
             CREATE TABLE IF NOT EXISTS numbers (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL) STRICT;
             COMMIT;",
        )?;
        if form < FORM {
            connection.pragma_update(None, "user_version", FORM)?;
        }
        connection.execute("INSERT OR IGNORE INTO numbers (one, next) VALUES (1, ?1)", [signed(first)])?;
        Ok(Self { connection })
    }

    /// What stands in it.
    pub(super) fn standing(&self) -> Result<Standing, SpoolError> {
        let next: i64 = self.connection.query_row("SELECT next FROM numbers", [], |row| row.get(0))?;
        let mut all =
            self.connection.prepare("SELECT number, length(topic) + length(value) FROM publishes ORDER BY number")?;
        let mut standing = Standing { next: unsigned(next), waiting: Vec::new(), bytes: 0 };
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            standing.waiting.push(unsigned(row.get(0)?));
            standing.bytes += unsigned(row.get(1)?);
        }
        Ok(standing)
    }

    /// From now on, numbers below `next` may have been given.
    pub(super) fn reserve(&mut self, next: u64) -> Result<(), SpoolError> {
        self.connection.execute("UPDATE numbers SET next = max(next, ?1)", [signed(next)])?;
        Ok(())
    }

    /// Keeps all of these, or none.
    pub(super) fn append(&mut self, all: &[Spooled]) -> Result<(), SpoolError> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO publishes (number, event, at, app, execution, root, depth, script, version, \
                 topic, value, delay_ms, dedup_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?;
            for it in all {
                let (caller, publish) = (&it.caller, &it.publish);
                insert.execute(params![
                    signed(it.number),
                    it.event.0.as_bytes(),
                    it.at,
                    caller.app.0,
                    caller.execution_id.0.as_bytes(),
                    caller.root_execution_id.0.as_bytes(),
                    caller.trigger_depth,
                    caller.script.as_ref(),
                    caller.version,
                    publish.topic,
                    publish.value,
                    signed(publish.delay_ms),
                    publish.dedup_key,
                ])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// The first of those that wait, as many as that and no more bytes than that, but one in any case.
    pub(super) fn front(&self, count: usize, bytes_max: usize) -> Result<Vec<Spooled>, SpoolError> {
        let mut all = self.connection.prepare_cached("SELECT * FROM publishes ORDER BY number LIMIT ?1")?;
        let mut rows = all.query([i64::try_from(count).unwrap_or(i64::MAX)])?;
        let (mut front, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let it = spooled(row)?;
            bytes += it.publish.value.len() + it.publish.topic.len();
            if bytes > bytes_max && !front.is_empty() {
                break;
            }
            front.push(it);
        }
        Ok(front)
    }

    /// Forgets these: they are stored elsewhere, or refused for good. The room they took is given back once all are gone.
    pub(super) fn remove(&mut self, numbers: &[u64]) -> Result<(), SpoolError> {
        let transaction = self.connection.transaction()?;
        for number in numbers {
            transaction.prepare_cached("DELETE FROM publishes WHERE number = ?1")?.execute([signed(*number)])?;
        }
        let left: Option<i64> =
            transaction.query_row("SELECT number FROM publishes LIMIT 1", [], |row| row.get(0)).optional()?;
        transaction.commit()?;
        if left.is_none() {
            // Only what an absence has left behind; while nobody is away, this file is not written at all.
            self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
        }
        Ok(())
    }
}

fn spooled(row: &Row<'_>) -> Result<Spooled, SpoolError> {
    let id = |column: &str| -> Result<uuid::Uuid, rusqlite::Error> {
        let bytes: [u8; 16] = row.get(column)?;
        Ok(uuid::Uuid::from_bytes(bytes))
    };
    let script: String = row.get("script")?;
    Ok(Spooled {
        number: unsigned(row.get("number")?),
        event: EventId(id("event")?),
        at: row.get("at")?,
        caller: Caller {
            app: AppId(row.get("app")?),
            execution_id: ExecutionId(id("execution")?),
            root_execution_id: ExecutionId(id("root")?),
            trigger_depth: row.get("depth")?,
            script: script.into(),
            version: row.get("version")?,
        },
        publish: Publish {
            topic: row.get("topic")?,
            value: row.get("value")?,
            delay_ms: unsigned(row.get("delay_ms")?),
            dedup_key: row.get("dedup_key")?,
        },
    })
}

/// Numbers begin at a time and count up: they are far below what SQLite's integers hold.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
