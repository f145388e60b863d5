//! Executions in Postgres: tables beside the others, written in batches, and kept within their bounds.

use super::PgStore;
use super::error::JobResult;
use super::transaction::{reading, writing};
use crate::cursor::{self, List};
use crate::execution_body::{self, KEPT_FAILED_MS, KEPT_OK_MS, OUTCOMES, Stored, body, root_of, trigger_of};
use crate::{Executions, Result};
use async_trait::async_trait;
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, ExecutionQuery, Outcome};
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::page::Page;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use std::collections::BTreeSet;

/// The columns that [`read`] takes.
const COLUMNS: &str = "SELECT id, root_id, app_id, script, outcome, started_at, trigger_name, body FROM executions";
/// The oldest runs are dropped this many at a time while there are too many bytes.
const DROP_RUNS: i64 = 64;
/// The advisory lock of whoever writes the history: writers that follow each other cannot lock each other up.
const HISTORY_LOCK: i64 = 0x7069_636c_6869_7374;

#[async_trait]
impl Executions for PgStore {
    async fn add_executions(&self, executions: Vec<Execution>) -> Result<()> {
        if executions.is_empty() {
            return Ok(());
        }
        writing!(self, |tx| {
            lock(tx.conn()).await?;
            insert(tx.conn(), &executions).await?;
            let apps: BTreeSet<AppId> = executions.iter().map(|execution| execution.app_id).collect();
            for app in apps {
                keep_within_runs(tx.conn(), app, i64::from(self.kept_max.history_app_runs_max)).await?;
            }
            keep_within_bytes(tx.conn(), i64::try_from(self.kept_max.history_bytes_max).unwrap_or(i64::MAX)).await
        })
    }

    async fn executions_of_apps(&self, apps: Option<&[AppId]>, query: &ExecutionQuery) -> Result<Page<Execution>> {
        let before = query.cursor.as_deref().map(|text| cursor::decode(List::Executions, text)).transpose()?;
        let items_max = cursor::page_items(query.limit);
        reading!(self, |conn| {
            let rows = select(apps, query, before.as_deref(), items_max).build().fetch_all(conn).await?;
            let executions = rows.iter().map(read).collect::<JobResult<_>>()?;
            Ok(cursor::page(executions, items_max, List::Executions, |last: &Execution| last.id.0.into_bytes()))
        })
    }

    async fn execution(&self, app: AppId, id: ExecutionId) -> Result<Option<Execution>> {
        reading!(self, |conn| {
            let mut sql = QueryBuilder::<Postgres>::new(COLUMNS);
            sql.push(" WHERE app_id = ").push_bind(app.0).push(" AND id = ").push_bind(id.0.into_bytes());
            sql.build().fetch_optional(conn).await?.as_ref().map(read).transpose()
        })
    }

    async fn expire_executions(&self, now: UnixMs, runs_max: u32) -> Result<u64> {
        writing!(self, |tx| {
            lock(tx.conn()).await?;
            let mut left = i64::from(runs_max);
            let mut dropped = 0;
            for outcome in OUTCOMES {
                let kept_ms = if outcome == Outcome::Ok { KEPT_OK_MS } else { KEPT_FAILED_MS };
                let deleted = sqlx::query(
                    "DELETE FROM executions WHERE number IN
                     (SELECT number FROM executions WHERE outcome = $1 AND started_at < $2 ORDER BY started_at LIMIT $3)",
                )
                .bind(outcome.as_str())
                .bind(now.saturating_sub(kept_ms))
                .bind(left)
                .execute(tx.conn())
                .await?;
                dropped += deleted.rows_affected();
                left -= count(deleted.rows_affected());
            }
            Ok(dropped)
        })
    }
}

/// The page that `query` asks for, and one run more: the newest of each app, and of these the newest.
fn select(
    apps: Option<&[AppId]>,
    query: &ExecutionQuery,
    before: Option<&[u8]>,
    items_max: usize,
) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("SELECT newest.* FROM ");
    match apps {
        Some(apps) => {
            let ids: Vec<i64> = apps.iter().map(|app| app.0).collect();
            sql.push("unnest(").push_bind(ids).push("::bigint[]) AS of_apps (of_app)");
        }
        // Apps without runs do not stand there.
        None => drop(sql.push("(SELECT app_id FROM execution_totals) AS of_apps (of_app)")),
    }
    sql.push(", LATERAL (").push(COLUMNS).push(" WHERE app_id = of_app");
    if let Some(before) = before {
        sql.push(" AND id < ").push_bind(before.to_owned());
    }
    if let Some(script) = &query.script {
        sql.push(" AND script = ").push_bind(script.clone());
    }
    if let Some(outcome) = query.outcome {
        sql.push(" AND outcome = ").push_bind(outcome.as_str());
    }
    if let Some(trigger) = &query.trigger {
        sql.push(" AND trigger_name = ").push_bind(trigger.clone());
    }
    if let Some(root) = query.root_execution_id {
        // The first run is its own root, which is not written down.
        let root = root.0.into_bytes();
        sql.push(" AND (root_id = ").push_bind(root).push(" OR id = ").push_bind(root).push(")");
    }
    let rows_max = i64::try_from(items_max).unwrap_or(i64::MAX).saturating_add(1);
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(rows_max);
    sql.push(") AS newest ORDER BY id DESC LIMIT ").push_bind(rows_max);
    sql
}

fn read(row: &PgRow) -> JobResult<Execution> {
    Ok(execution_body::read(Stored {
        id: row.try_get(0)?,
        root_id: row.try_get(1)?,
        app_id: row.try_get(2)?,
        script: row.try_get(3)?,
        outcome: row.try_get(4)?,
        started_at: row.try_get(5)?,
        trigger_name: row.try_get(6)?,
        body: row.try_get(7)?,
    })?)
}

async fn lock(conn: &mut PgConnection) -> JobResult<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(HISTORY_LOCK).execute(conn).await?;
    Ok(())
}

/// Adds runs. One that was told twice (its worker died while it told) is kept once.
async fn insert(conn: &mut PgConnection, executions: &[Execution]) -> JobResult<()> {
    let bodies = executions.iter().map(body).collect::<serde_json::Result<Vec<String>>>()?;
    sqlx::query(
        "INSERT INTO executions (app_id, id, script, outcome, started_at, body, trigger_name, root_id)
         SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                              $8::bytea[])
         ON CONFLICT DO NOTHING",
    )
    .bind(executions.iter().map(|execution| execution.app_id.0).collect::<Vec<i64>>())
    .bind(executions.iter().map(|execution| execution.id.0.as_bytes().to_vec()).collect::<Vec<_>>())
    .bind(executions.iter().map(|execution| execution.script.as_str()).collect::<Vec<_>>())
    .bind(executions.iter().map(|execution| execution.outcome.as_str()).collect::<Vec<_>>())
    .bind(executions.iter().map(|execution| execution.started_at).collect::<Vec<i64>>())
    .bind(bodies)
    .bind(executions.iter().map(trigger_of).collect::<Vec<_>>())
    .bind(executions.iter().map(|execution| root_of(execution).map(|root| root.to_vec())).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Drops an app's runs above the bound: its oldest that went well, and only where there are none, its oldest that
/// failed.
async fn keep_within_runs(conn: &mut PgConnection, app: AppId, runs_max: i64) -> JobResult<()> {
    let runs: Option<i64> = sqlx::query_scalar("SELECT runs FROM execution_totals WHERE app_id = $1")
        .bind(app.0)
        .fetch_optional(&mut *conn)
        .await?;
    let mut above = runs.unwrap_or(0) - runs_max;
    for outcome in [Some(Outcome::Ok), None] {
        if above <= 0 {
            break;
        }
        let deleted = sqlx::query(
            "DELETE FROM executions WHERE number IN
             (SELECT number FROM executions WHERE app_id = $1 AND ($2::text IS NULL OR outcome = $2) ORDER BY id LIMIT $3)",
        )
        .bind(app.0)
        .bind(outcome.map(Outcome::as_str))
        .bind(above)
        .execute(&mut *conn)
        .await?;
        above -= count(deleted.rows_affected());
    }
    Ok(())
}

/// Drops the oldest runs while all of them are too large, those that went well first. What they take is an estimate: the
/// text, and something for the row and its indexes.
async fn keep_within_bytes(conn: &mut PgConnection, bytes_max: i64) -> JobResult<()> {
    loop {
        let bytes: i64 = sqlx::query_scalar("SELECT coalesce(sum(size_bytes), 0)::bigint FROM execution_totals")
            .fetch_one(&mut *conn)
            .await?;
        if bytes <= bytes_max || drop_oldest(conn).await? == 0 {
            return Ok(());
        }
    }
}

async fn drop_oldest(conn: &mut PgConnection) -> JobResult<u64> {
    for outcome in OUTCOMES {
        let deleted = sqlx::query(
            "DELETE FROM executions WHERE number IN
             (SELECT number FROM executions WHERE outcome = $1 ORDER BY started_at LIMIT $2)",
        )
        .bind(outcome.as_str())
        .bind(DROP_RUNS)
        .execute(&mut *conn)
        .await?;
        if deleted.rows_affected() > 0 {
            return Ok(deleted.rows_affected());
        }
    }
    Ok(0)
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
