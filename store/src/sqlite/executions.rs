//! Executions in SQLite, in the history's own file.

use super::SqliteStore;
use super::apps::rows_max;
use super::error::JobResult;
use super::execution_rows::{COLUMNS, read};
use super::history::{HistoryTx, LOOK_BYTES, count_run, give_room_back, keep_within_bytes, uncount_runs};
use crate::cursor::{self, List};
use crate::execution_body::{KEPT_FAILED_MS, KEPT_OK_MS, OUTCOMES, body, root_of, trigger_of};
use crate::{Executions, Result};
use async_trait::async_trait;
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, ExecutionQuery, Outcome};
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::page::Page;
use rusqlite::{Connection, ToSql, params};

/// Above every id, for the first page.
const ABOVE_ALL_IDS: [u8; 17] = [0xff; 17];

#[async_trait]
impl Executions for SqliteStore {
    async fn add_executions(&self, executions: Vec<Execution>) -> Result<()> {
        if executions.is_empty() {
            return Ok(());
        }
        self.history.write(move |tx| add(tx, &executions)).await
    }

    async fn executions_of_apps(&self, apps: Option<&[AppId]>, query: &ExecutionQuery) -> Result<Page<Execution>> {
        let before = match query.cursor.as_deref() {
            Some(text) => cursor::decode(List::Executions, text)?,
            None => ABOVE_ALL_IDS.to_vec(),
        };
        let items_max = cursor::page_items(query.limit);
        let (query, apps) = (query.clone(), apps.map(<[AppId]>::to_vec));
        self.history
            .read(move |conn| {
                let moment = conn.unchecked_transaction()?;
                let mut select =
                    moment.prepare_cached(&format!("SELECT {COLUMNS} FROM executions WHERE number = ?1"))?;
                let mut executions: Vec<Execution> = Vec::new();
                for number in newest_of_apps(&moment, apps, &query, &before, rows_max(items_max))? {
                    let mut rows = select.query([number])?;
                    executions.extend(rows.next()?.map(read).transpose()?);
                }
                let key = |execution: &Execution| execution.id.0.into_bytes();
                Ok(cursor::page(executions, items_max, List::Executions, key))
            })
            .await
    }

    async fn execution(&self, app: AppId, id: ExecutionId) -> Result<Option<Execution>> {
        self.history
            .read(move |conn| {
                let sql = format!("SELECT {COLUMNS} FROM executions WHERE app_id = ?1 AND id = ?2");
                let mut select = conn.prepare_cached(&sql)?;
                let mut rows = select.query(params![app.0, id.0.into_bytes()])?;
                rows.next()?.map(read).transpose()
            })
            .await
    }

    async fn expire_executions(&self, now: UnixMs, runs_max: u32) -> Result<u64> {
        let dropped = self.history.write(move |tx| expire(tx, now, runs_max)).await?;
        // A step at a time, each a transaction of its own: others get in between.
        while dropped == 0 && self.history.write(|tx| give_room_back(tx.conn)).await? {}
        Ok(dropped)
    }
}

/// A run's id and its number.
type Found = ([u8; 16], i64);

/// Numbers of up to `rows_max` runs before `before`, newest first; read from indexes alone, app by app.
fn newest_of_apps(
    conn: &Connection,
    apps: Option<Vec<AppId>>,
    query: &ExecutionQuery,
    before: &[u8],
    rows_max: i64,
) -> JobResult<Vec<i64>> {
    let apps = match apps {
        Some(apps) => apps,
        None => apps_with_runs(conn)?,
    };
    let mut found = Vec::new();
    for app in apps {
        found.extend(newest(conn, app, query, before, rows_max)?);
        newest_of(&mut found, rows_max);
    }
    Ok(found.into_iter().map(|(_id, number)| number).collect())
}

/// All apps with runs: from one to the next, without a look at what is in between.
fn apps_with_runs(conn: &Connection) -> JobResult<Vec<AppId>> {
    let mut select = conn.prepare_cached(
        "WITH RECURSIVE apps (id) AS (
             SELECT min(app_id) FROM executions
             UNION ALL
             SELECT (SELECT min(app_id) FROM executions WHERE app_id > apps.id) FROM apps WHERE apps.id IS NOT NULL
         ) SELECT id FROM apps WHERE id IS NOT NULL",
    )?;
    let apps = select.query_map([], |row| Ok(AppId(row.get(0)?)))?;
    Ok(apps.collect::<rusqlite::Result<_>>()?)
}

/// Up to `rows_max` runs of an app before `before`, newest first.
fn newest(
    conn: &Connection,
    app: AppId,
    query: &ExecutionQuery,
    before: &[u8],
    rows_max: i64,
) -> JobResult<Vec<Found>> {
    if query.trigger.is_some() || query.root_execution_id.is_some() {
        return newest_of_cause(conn, app, query, before, rows_max);
    }
    let outcomes = query.outcome.as_ref().map_or(OUTCOMES.as_slice(), std::slice::from_ref);
    let mut found: Vec<Found> = Vec::new();
    match &query.script {
        None if query.outcome.is_none() => {
            let mut select = conn.prepare_cached(
                "SELECT id, number FROM executions WHERE app_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            )?;
            let rows = select.query_map(params![app.0, before, rows_max], |row| Ok((row.get(0)?, row.get(1)?)))?;
            found = rows.collect::<rusqlite::Result<_>>()?;
        }
        None => {
            let mut select = conn.prepare_cached(
                "SELECT id, number FROM executions WHERE app_id = ?1 AND outcome = ?2 AND id < ?3
                 ORDER BY id DESC LIMIT ?4",
            )?;
            for outcome in outcomes {
                let bound = params![app.0, outcome.as_str(), before, rows_max];
                let rows = select.query_map(bound, |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.into_iter().try_for_each(|row| row.map(|row| found.push(row)))?;
            }
        }
        Some(script) => {
            let mut select = conn.prepare_cached(
                "SELECT id, number FROM executions WHERE app_id = ?1 AND script = ?2 AND outcome = ?3 AND id < ?4
                 ORDER BY id DESC LIMIT ?5",
            )?;
            for outcome in outcomes {
                let bound = params![app.0, script, outcome.as_str(), before, rows_max];
                let rows = select.query_map(bound, |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.into_iter().try_for_each(|row| row.map(|row| found.push(row)))?;
            }
        }
    }
    newest_of(&mut found, rows_max);
    Ok(found)
}

fn newest_of(found: &mut Vec<Found>, rows_max: i64) {
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.truncate(usize::try_from(rows_max).unwrap_or(usize::MAX));
}

/// The same for a trigger or all that came of one run: each has an index with everything that can be asked for, so
/// that a filter passes by what it leaves out without reading it.
fn newest_of_cause(
    conn: &Connection,
    app: AppId,
    query: &ExecutionQuery,
    before: &[u8],
    rows_max: i64,
) -> JobResult<Vec<Found>> {
    const OTHER_FILTERS: &str = "id < ?3 AND (?4 IS NULL OR outcome = ?4) AND (?5 IS NULL OR script = ?5)
         AND (?6 IS NULL OR trigger_name = ?6) ORDER BY id DESC LIMIT ?7";
    let outcome = query.outcome.map(Outcome::as_str);
    let mut found: Vec<Found> = Vec::new();
    let mut find = |of: &str, wanted: &dyn ToSql| -> JobResult<()> {
        let sql = format!("SELECT id, number FROM executions WHERE app_id = ?1 AND {of} = ?2 AND {OTHER_FILTERS}");
        let mut select = conn.prepare_cached(&sql)?;
        let bound = params![app.0, wanted, before, outcome, query.script, query.trigger, rows_max];
        let rows = select.query_map(bound, |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.into_iter().try_for_each(|row| row.map(|row| found.push(row)))?;
        Ok(())
    };
    match query.root_execution_id {
        Some(root) => {
            let root = root.0.into_bytes();
            // The first run is its own root, which is not written down.
            find("id", &root)?;
            find("root_id", &root)?;
        }
        None => find("trigger_name", &query.trigger)?,
    }
    newest_of(&mut found, rows_max);
    Ok(found)
}

fn add(tx: &mut HistoryTx<'_>, executions: &[Execution]) -> JobResult<()> {
    let mut added_bytes = 0;
    for execution in executions {
        let body = body(execution)?;
        // A run that was told twice (its worker died while it told) is kept once.
        let mut insert = tx.conn.prepare_cached(
            "INSERT INTO executions (app_id, id, script, outcome, started_at, body, trigger_name, root_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?;
        let (trigger, root) = (trigger_of(execution), root_of(execution));
        let app = execution.app_id;
        let id = execution.id.0.into_bytes();
        let outcome = execution.outcome.as_str();
        let (script, started_at) = (&execution.script, execution.started_at);
        if insert.execute(params![app.0, id, script, outcome, started_at, body, trigger, root])? > 0 {
            count_run(tx, app)?;
            added_bytes += body.len();
        }
        if added_bytes >= LOOK_BYTES {
            keep_within_bytes(tx)?;
            added_bytes = 0;
        }
    }
    keep_within_bytes(tx)
}

/// Drops up to `runs_max` of what is too old, oldest first.
fn expire(tx: &mut HistoryTx<'_>, now: UnixMs, runs_max: u32) -> JobResult<u64> {
    let mut left = i64::from(runs_max);
    let mut dropped = 0;
    for outcome in OUTCOMES {
        let kept_ms = if outcome == Outcome::Ok { KEPT_OK_MS } else { KEPT_FAILED_MS };
        let mut delete = tx.conn.prepare_cached(
            "DELETE FROM executions WHERE number IN
             (SELECT number FROM executions WHERE outcome = ?1 AND started_at < ?2 ORDER BY started_at LIMIT ?3)
             RETURNING app_id",
        )?;
        let apps = delete.query_map(params![outcome.as_str(), now.saturating_sub(kept_ms), left], |row| row.get(0))?;
        let apps: Vec<i64> = apps.collect::<rusqlite::Result<_>>()?;
        left -= i64::try_from(apps.len()).expect("a count of rows is small");
        dropped += apps.len() as u64;
        uncount_runs(tx.state, &apps);
    }
    give_room_back(tx.conn)?;
    Ok(dropped)
}
