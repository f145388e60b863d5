//! The history's file: opened beside the data, put aside when it is damaged, kept within its bounds.

use super::connection::{self, Database};
use super::error::JobResult;
use super::migrate::migrate;
use super::queue::Hurry;
use super::reader::Readers;
use super::writer::{BatchState, Tx, Undo, Writer};
use crate::{OpenError, OpenSettings, Result, StoreError};
use picloud_model::clock::Clock;
use picloud_model::ids::AppId;
use rusqlite::{Connection, ErrorCode, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The oldest runs are dropped this many at a time while the file is too large.
const DROP_RUNS: i64 = 64;
/// Free pages that are kept for what comes next; more are given back to the disk. They are part of the bound.
const FREE_PAGES_KEPT: i64 = 256;
/// Given back at a time (2 MiB): cutting a page off moves another one into its place.
const STEP_PAGES: i64 = 512;
/// The bound is looked at after so many bytes of runs were added: fewer than the pages above hold.
pub(super) const LOOK_BYTES: usize = 256 * 1024;

/// The history: a writer and a reader.
pub(super) struct History {
    readers: Readers,
    writer: Writer<Kept>,
    /// A file that is made when the history turns out to be damaged, for the next start.
    damaged: PathBuf,
}

/// The writer's memory: how many runs each app has, counted when an app is first met after the start.
pub(super) struct Kept {
    runs: HashMap<AppId, i64>,
    app_runs_max: i64,
    pages_max: i64,
}

impl BatchState for Kept {
    fn begin(&mut self, _conn: &Connection, _jobs: usize) -> rusqlite::Result<()> {
        Ok(())
    }

    fn taken_back(&mut self, _whole: bool) {
        self.runs.clear();
    }
}

/// A write to the history.
pub(super) type HistoryTx<'a> = Tx<'a, Kept>;

impl History {
    /// Opens the file. One that is damaged is put aside and a new one begun: history never stops a start.
    pub(super) fn open(settings: &OpenSettings, clock: &dyn Clock) -> Result<Self, OpenError> {
        let dir = &settings.data_dir;
        let path = dir.join(Database::History.file_name());
        let damaged = dir.join("history.damaged");
        if damaged.exists() && path.exists() {
            put_aside(&path, clock)?;
        }
        // Most often it is not there.
        let _missing = std::fs::remove_file(&damaged);
        let conns = match open_file(&path) {
            Err(OpenError::NotADatabase { path }) => {
                put_aside(&path, clock)?;
                open_file(&path)
            }
            opened => opened,
        };
        let (conn, reader) = conns?;
        let page_bytes: i64 = conn
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(|error| connection::open_error(error, &path))?;
        let kept = Kept {
            runs: HashMap::new(),
            app_runs_max: i64::from(settings.history_app_runs_max),
            pages_max: i64::try_from(settings.history_bytes_max).unwrap_or(i64::MAX) / page_bytes - FREE_PAGES_KEPT,
        };
        let unusable = |source| OpenError::Unusable { path: path.clone(), source: Box::new(source) };
        Ok(Self {
            readers: Readers::start("history-read", vec![reader], dir.clone()).map_err(unusable)?,
            writer: Writer::start("history-write", conn, kept, dir.clone()).map_err(unusable)?,
            damaged,
        })
    }

    /// Does `work`, whose every statement leaves a right history: a savepoint around hundreds of runs costs as much as
    /// they do.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut HistoryTx<'_>) -> JobResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.noticing(self.writer.write(Undo::Nothing, Hurry::Now, work).await)
    }

    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> JobResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.noticing(self.readers.read(work).await)
    }

    /// Marks the file as damaged where that is why it failed: the next start puts it aside. Until then history is
    /// lost, and nothing else.
    fn noticing<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(StoreError::Backend(cause)) = &result
            && let Some(cause) = cause.downcast_ref::<rusqlite::Error>()
            && matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            && !self.damaged.exists()
        {
            tracing::error!(mark = %self.damaged.display(), "the history is damaged; the next start begins a new one");
            // Without the mark the next start meets the damage again.
            let _full = std::fs::write(&self.damaged, "");
        }
        result
    }
}

fn open_file(path: &Path) -> Result<(Connection, Connection), OpenError> {
    let mut conn = connection::open_writer(path, Database::History, None)?;
    migrate(&mut conn, Database::History, path)?;
    Ok((conn, connection::open_reader(path)?))
}

fn put_aside(path: &Path, clock: &dyn Clock) -> Result<(), OpenError> {
    let aside = path.with_extension(format!("db.damaged-{}", clock.now_ms()));
    tracing::warn!(file = %path.display(), aside = %aside.display(), "the history is damaged; a new one is begun");
    std::fs::rename(path, &aside)
        .map_err(|source| OpenError::Unusable { path: path.to_owned(), source: Box::new(source) })?;
    for suffix in ["db-wal", "db-shm"] {
        // They belong to the damaged file; most often they are not there.
        let _missing = std::fs::remove_file(path.with_extension(suffix));
    }
    Ok(())
}

/// Counts a run that was added to the app, and drops above the bound: its oldest that went well, and only where there
/// are none, its oldest that failed.
pub(super) fn count_run(tx: &mut HistoryTx<'_>, app: AppId) -> JobResult<()> {
    let runs = match tx.state.runs.get(&app) {
        Some(runs) => runs + 1,
        None => {
            let mut count = tx.conn.prepare_cached("SELECT count(*) FROM executions WHERE app_id = ?1")?;
            count.query_row([app.0], |row| row.get(0))?
        }
    };
    let mut above = runs - tx.state.app_runs_max;
    if above > 0 {
        let mut delete = tx.conn.prepare_cached(
            "DELETE FROM executions WHERE number IN
             (SELECT number FROM executions WHERE app_id = ?1 AND outcome = 'ok' ORDER BY id LIMIT ?2)",
        )?;
        above -= rows_count(delete.execute([app.0, above])?);
    }
    if above > 0 {
        let mut delete = tx.conn.prepare_cached(
            "DELETE FROM executions WHERE number IN
             (SELECT number FROM executions WHERE app_id = ?1 ORDER BY id LIMIT ?2)",
        )?;
        above -= rows_count(delete.execute([app.0, above])?);
    }
    tx.state.runs.insert(app, runs.min(tx.state.app_runs_max) + above.max(0));
    Ok(())
}

/// Takes runs that were dropped off the counts of their apps, which are named once for each.
pub(super) fn uncount_runs(kept: &mut Kept, apps: &[i64]) {
    for app in apps {
        if let Some(runs) = kept.runs.get_mut(&AppId(*app)) {
            *runs -= 1;
        }
    }
}

fn rows_count(rows: usize) -> i64 {
    i64::try_from(rows).expect("a count of rows is small")
}

/// Drops the oldest runs while the file is too large, those that went well first, and gives room back.
pub(super) fn keep_within_bytes(tx: &mut HistoryTx<'_>) -> JobResult<()> {
    loop {
        let (pages, free) = pages(tx.conn)?;
        if pages - free <= tx.state.pages_max {
            break;
        }
        let mut dropped = drop_oldest(tx, "ok")?;
        for outcome in ["failed", "worker_lost"] {
            if dropped == 0 {
                dropped = drop_oldest(tx, outcome)?;
            }
        }
        if dropped == 0 {
            break;
        }
    }
    give_room_back(tx.conn)?;
    Ok(())
}

fn drop_oldest(tx: &mut HistoryTx<'_>, outcome: &str) -> JobResult<usize> {
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM executions WHERE number IN
         (SELECT number FROM executions WHERE outcome = ?1 ORDER BY started_at LIMIT ?2) RETURNING app_id",
    )?;
    let apps = delete.query_map(params![outcome, DROP_RUNS], |row| row.get(0))?;
    let apps: Vec<i64> = apps.collect::<rusqlite::Result<_>>()?;
    uncount_runs(tx.state, &apps);
    Ok(apps.len())
}

/// Cuts free pages off the file, but for what the next runs will need: a step of it. Answers whether there is more.
pub(super) fn give_room_back(conn: &Connection) -> JobResult<bool> {
    let (before, free) = pages(conn)?;
    if free <= FREE_PAGES_KEPT.max(before / 8) {
        return Ok(false);
    }
    let step = (free - FREE_PAGES_KEPT).min(STEP_PAGES);
    let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({step})"))?;
    let mut rows = vacuum.query([])?;
    // Each row is one page given back.
    while rows.next()?.is_some() {}
    Ok(pages(conn)?.0 < before)
}

fn pages(conn: &Connection) -> JobResult<(i64, i64)> {
    let pages = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let free = conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok((pages, free))
}
