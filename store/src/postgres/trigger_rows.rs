//! Rows of triggers, read and written within the transactions of others.

use super::columns::{count_at, json_at};
use super::error::JobResult;
use super::signals::News;
use super::transaction::Tx;
use crate::TriggerWrite;
use crate::emission::own_lane;
use crate::triggering::has_same_times;
use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, ScriptId, TriggerId};
use picloud_model::trigger::{Paused, Trigger, TriggerSpec};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The columns of [`trigger_from_row`], in its order. Deliveries are counted on their index, lane by lane.
macro_rules! select_trigger {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, t.spec, t.version, t.paused_at, t.paused_by, t.failures, t.next_at, t.created_at, t.updated_at,
                    (SELECT count(*) FROM deliveries d WHERE d.app_id = t.app_id AND d.lane = t.id),
                    (SELECT count(*) FROM dead_letters l WHERE l.app_id = t.app_id AND l.trigger = t.name),
                    t.position, t.script_id
             FROM triggers t ",
            $rest
        )
    };
}
pub(super) use select_trigger;

/// A trigger with what else stands in its row.
pub(super) struct TriggerRow {
    pub(super) trigger: Trigger,
    pub(super) position: i64,
    pub(super) script: ScriptId,
}

pub(super) fn trigger_from_row(row: &PgRow) -> JobResult<TriggerRow> {
    let paused_at: Option<UnixMs> = row.try_get(3)?;
    let reason: Option<String> = row.try_get(4)?;
    let trigger = Trigger {
        id: TriggerId(row.try_get(0)?),
        spec: json_at(row, 1)?,
        version: row.try_get(2)?,
        paused: paused_at.map(|since| Paused { since, reason: reason.unwrap_or_default() }),
        failures: count_at(row, 5)?,
        next_at: row.try_get(6)?,
        created_at: row.try_get(7)?,
        updated_at: row.try_get(8)?,
        queued: row.try_get(9)?,
        dead_letters: row.try_get(10)?,
    };
    Ok(TriggerRow { trigger, position: row.try_get(11)?, script: ScriptId(row.try_get(12)?) })
}

/// All of the app's triggers, in order.
pub(super) async fn triggers_of(conn: &mut PgConnection, app: AppId) -> JobResult<Vec<TriggerRow>> {
    let rows = sqlx::query(select_trigger!("WHERE t.app_id = $1 ORDER BY t.position, t.id"))
        .bind(app.0)
        .fetch_all(conn)
        .await?;
    rows.iter().map(trigger_from_row).collect()
}

/// One of them.
pub(super) async fn trigger_by_name(conn: &mut PgConnection, app: AppId, name: &str) -> JobResult<Option<TriggerRow>> {
    let row = sqlx::query(select_trigger!("WHERE t.app_id = $1 AND t.name = $2"))
        .bind(app.0)
        .bind(name)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(trigger_from_row).transpose()
}

/// The same, where nobody else changes the app's triggers before the end of the transaction.
pub(super) async fn locked_trigger(conn: &mut PgConnection, app: AppId, name: &str) -> JobResult<Option<TriggerRow>> {
    sqlx::query("SELECT 1 FROM apps WHERE id = $1 FOR NO KEY UPDATE").bind(app.0).execute(&mut *conn).await?;
    sqlx::query("SELECT 1 FROM triggers WHERE app_id = $1 AND name = $2 FOR NO KEY UPDATE")
        .bind(app.0)
        .bind(name)
        .execute(&mut *conn)
        .await?;
    trigger_by_name(conn, app, name).await
}

/// What the triggers say that start the script, in order.
pub(super) async fn triggers_of_script(conn: &mut PgConnection, script: ScriptId) -> JobResult<Vec<TriggerSpec>> {
    let rows = sqlx::query(
        "SELECT spec FROM triggers
         WHERE app_id = (SELECT app_id FROM scripts WHERE id = $1) AND script_id = $1 ORDER BY position, id",
    )
    .bind(script.0)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| json_at(row, 0)).collect()
}

/// Titles of the triggers that start the script.
pub(super) async fn triggers_to(conn: &mut PgConnection, script: ScriptId) -> JobResult<Vec<String>> {
    let specs = triggers_of_script(conn, script).await?;
    Ok(specs.into_iter().map(|spec| format!("trigger `{}`", spec.name)).collect())
}

/// Makes one.
pub(super) async fn insert_trigger(
    tx: &mut Tx<'_>,
    app: AppId,
    position: i64,
    write: &TriggerWrite,
    script: ScriptId,
    at: UnixMs,
) -> JobResult<()> {
    let spec = &write.spec;
    sqlx::query(
        "INSERT INTO triggers (app_id, position, name, kind, script_id, spec, version, next_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $8)",
    )
    .bind(app.0)
    .bind(position)
    .bind(&spec.name)
    .bind(spec.kind.as_str())
    .bind(script.0)
    .bind(serde_json::to_string(spec)?)
    .bind(write.next_at)
    .bind(at)
    .execute(tx.conn())
    .await?;
    changed(tx);
    Ok(())
}

/// Changes what one says; its queue, its state and, where its schedule is the same, its next time stay. What waits goes
/// where the trigger leads now.
pub(super) async fn update_trigger(
    tx: &mut Tx<'_>,
    before: &TriggerRow,
    write: &TriggerWrite,
    script: ScriptId,
    at: UnixMs,
) -> JobResult<()> {
    let (old, spec) = (&before.trigger.spec, &write.spec);
    let same_times = has_same_times(old, spec);
    // As it is in the row: a time of the schedule may have come since it was read.
    sqlx::query(
        "UPDATE triggers SET kind = $2, script_id = $3, spec = $4, version = version + 1,
         next_at = CASE WHEN $5 THEN next_at ELSE $6 END, updated_at = $7 WHERE id = $1",
    )
    .bind(before.trigger.id.0)
    .bind(spec.kind.as_str())
    .bind(script.0)
    .bind(serde_json::to_string(spec)?)
    .bind(same_times)
    .bind(write.next_at)
    .bind(at)
    .execute(tx.conn())
    .await?;
    changed(tx);
    Ok(())
}

/// Removes one with its queue; answers how many deliveries went with it.
pub(super) async fn remove_trigger(tx: &mut Tx<'_>, app: AppId, trigger: TriggerId) -> JobResult<i64> {
    // Beside its own lane, those that were fired by hand while it was paused.
    let queued = sqlx::query("DELETE FROM deliveries WHERE app_id = $1 AND lane IN ($2, $3) AND trigger_id = $2")
        .bind(app.0)
        .bind(trigger.0)
        .bind(own_lane(app))
        .execute(tx.conn())
        .await?;
    sqlx::query("DELETE FROM triggers WHERE id = $1").bind(trigger.0).execute(tx.conn()).await?;
    changed(tx);
    Ok(i64::try_from(queued.rows_affected()).unwrap_or(i64::MAX))
}

/// Whoever waits for schedules or deliveries looks again.
pub(super) fn changed(tx: &mut Tx<'_>) {
    tx.tell(News::Deliveries);
    tx.tell(News::Schedules);
}
