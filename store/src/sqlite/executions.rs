//! Executions in SQLite, in the history's own file.

use super::SqliteStore;
use super::apps::rows_max;
use super::error::JobResult;
use super::history::{HistoryTx, LOOK_BYTES, count_run, give_room_back, keep_within_bytes};
use crate::cursor::{self, List};
use crate::{Executions, Result};
use async_trait::async_trait;
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, ExecutionQuery, Outcome};
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::page::Page;
use rusqlite::{OptionalExtension as _, params};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long a run that went well is kept.
const KEPT_OK_MS: i64 = 14 * DAY_MS;
/// How long a run that failed is kept.
const KEPT_FAILED_MS: i64 = 30 * DAY_MS;
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

    async fn executions(&self, app: AppId, query: &ExecutionQuery) -> Result<Page<Execution>> {
        let before = match query.cursor.as_deref() {
            Some(text) => cursor::decode(List::Executions, text)?,
            None => ABOVE_ALL_IDS.to_vec(),
        };
        let items_max = cursor::page_items(query.limit);
        let (script, outcome) = (query.script.clone(), query.outcome.map(Outcome::as_str));
        self.history
            .read(move |conn| {
                let mut select = conn.prepare_cached(
                    "SELECT body FROM executions WHERE app_id = ?1 AND id < ?2
                     AND (?3 IS NULL OR script = ?3) AND (?4 IS NULL OR outcome = ?4) ORDER BY id DESC LIMIT ?5",
                )?;
                let mut rows = select.query(params![app.0, before, script, outcome, rows_max(items_max)])?;
                let mut executions: Vec<Execution> = Vec::new();
                while let Some(row) = rows.next()? {
                    executions.push(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
                }
                let key = |execution: &Execution| execution.id.0.into_bytes();
                Ok(cursor::page(executions, items_max, List::Executions, key))
            })
            .await
    }

    async fn execution(&self, app: AppId, id: ExecutionId) -> Result<Option<Execution>> {
        self.history
            .read(move |conn| {
                let mut select = conn.prepare_cached("SELECT body FROM executions WHERE app_id = ?1 AND id = ?2")?;
                let body: Option<String> =
                    select.query_row(params![app.0, id.0.into_bytes()], |row| row.get(0)).optional()?;
                Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
            })
            .await
    }

    async fn expire_executions(&self, now: UnixMs) -> Result<u64> {
        self.history.write(move |tx| expire(tx, now)).await
    }
}

fn add(tx: &mut HistoryTx<'_>, executions: &[Execution]) -> JobResult<()> {
    let mut added_bytes = 0;
    for execution in executions {
        let body = serde_json::to_string(execution)?;
        // A run that was told twice (its worker died while it told) is kept once.
        let mut insert = tx.conn.prepare_cached(
            "INSERT INTO executions (app_id, id, script, outcome, started_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
        )?;
        let app = execution.app_id;
        let id = execution.id.0.into_bytes();
        let outcome = execution.outcome.as_str();
        if insert.execute(params![app.0, id, execution.script, outcome, execution.started_at, body])? > 0 {
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

/// Drops what is too old. Rows are nearly in the order of time, so the look ends at the first that is young: no index
/// has to be written for it.
fn expire(tx: &mut HistoryTx<'_>, now: UnixMs) -> JobResult<u64> {
    let (young, failed_before) = (now - KEPT_OK_MS, now - KEPT_FAILED_MS);
    let mut first_young =
        tx.conn.prepare_cached("SELECT number FROM executions WHERE started_at >= ?1 ORDER BY number LIMIT 1")?;
    let end: Option<i64> = first_young.query_row([young], |row| row.get(0)).optional()?;
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM executions WHERE number < ?1 AND started_at < (CASE outcome WHEN 'ok' THEN ?2 ELSE ?3 END)",
    )?;
    let dropped = delete.execute([end.unwrap_or(i64::MAX), young, failed_before])?;
    if dropped > 0 {
        tx.state.forget_counts();
        give_room_back(tx.conn)?;
    }
    Ok(dropped as u64)
}
