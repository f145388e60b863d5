//! Rows of triggers, read and written within the transactions of others.

use super::DataTx;
use super::error::JobResult;
use crate::TriggerWrite;
use crate::triggering::has_same_times;
use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, ScriptId, TriggerId};
use picloud_model::trigger::{Paused, Trigger, TriggerSpec};
use rusqlite::{Connection, Row, params};

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

pub(super) fn trigger_from_row(row: &Row<'_>) -> JobResult<TriggerRow> {
    let paused_at: Option<UnixMs> = row.get(3)?;
    let reason: Option<String> = row.get(4)?;
    let trigger = Trigger {
        id: TriggerId(row.get(0)?),
        spec: spec_in(row, 1)?,
        version: row.get(2)?,
        paused: paused_at.map(|since| Paused { since, reason: reason.unwrap_or_default() }),
        failures: row.get(5)?,
        next_at: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
        queued: row.get(9)?,
        dead_letters: row.get(10)?,
    };
    Ok(TriggerRow { trigger, position: row.get(11)?, script: ScriptId(row.get(12)?) })
}

pub(super) fn spec_in(row: &Row<'_>, column: usize) -> JobResult<TriggerSpec> {
    Ok(serde_json::from_str(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)?)
}

/// All of the app's triggers, in order.
pub(super) fn triggers_of(conn: &Connection, app: AppId) -> JobResult<Vec<TriggerRow>> {
    let mut select = conn.prepare_cached(select_trigger!("WHERE t.app_id = ?1 ORDER BY t.position, t.id"))?;
    let mut rows = select.query([app.0])?;
    let mut triggers = Vec::new();
    while let Some(row) = rows.next()? {
        triggers.push(trigger_from_row(row)?);
    }
    Ok(triggers)
}

/// One of them.
pub(super) fn trigger_by_name(conn: &Connection, app: AppId, name: &str) -> JobResult<Option<TriggerRow>> {
    let mut select = conn.prepare_cached(select_trigger!("WHERE t.app_id = ?1 AND t.name = ?2"))?;
    let mut rows = select.query(params![app.0, name])?;
    rows.next()?.map(trigger_from_row).transpose()
}

/// What the triggers say that start the script, in order.
pub(super) fn triggers_of_script(conn: &Connection, script: ScriptId) -> JobResult<Vec<TriggerSpec>> {
    let mut select = conn.prepare_cached(
        "SELECT spec FROM triggers
         WHERE app_id = (SELECT app_id FROM scripts WHERE id = ?1) AND script_id = ?1 ORDER BY position, id",
    )?;
    let mut rows = select.query([script.0])?;
    let mut specs = Vec::new();
    while let Some(row) = rows.next()? {
        specs.push(spec_in(row, 0)?);
    }
    Ok(specs)
}

/// Titles of the triggers that start the script.
pub(super) fn triggers_to(conn: &Connection, script: ScriptId) -> JobResult<Vec<String>> {
    let specs = triggers_of_script(conn, script)?;
    Ok(specs.into_iter().map(|spec| format!("trigger `{}`", spec.name)).collect())
}

/// Makes one.
pub(super) fn insert_trigger(
    tx: &DataTx<'_>,
    app: AppId,
    position: i64,
    write: &TriggerWrite,
    script: ScriptId,
    at: UnixMs,
) -> JobResult<()> {
    let spec = &write.spec;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO triggers (app_id, position, name, kind, script_id, spec, version, next_at, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?8)",
    )?;
    let (kind, text) = (spec.kind.as_str(), serde_json::to_string(spec)?);
    insert.execute(params![app.0, position, spec.name, kind, script.0, text, write.next_at, at])?;
    changed(tx, app);
    Ok(())
}

/// Changes what one says; its queue, its state and, where its schedule is the same, its next time stay. What waits goes
/// where the trigger leads now.
pub(super) fn update_trigger(
    tx: &DataTx<'_>,
    app: AppId,
    before: &TriggerRow,
    write: &TriggerWrite,
    script: ScriptId,
    at: UnixMs,
) -> JobResult<()> {
    let (old, spec) = (&before.trigger.spec, &write.spec);
    let same_times = has_same_times(old, spec);
    let next_at = if same_times { before.trigger.next_at } else { write.next_at };
    let mut update = tx.conn.prepare_cached(
        "UPDATE triggers SET kind = ?2, script_id = ?3, spec = ?4, version = version + 1, next_at = ?5, updated_at = ?6
         WHERE id = ?1",
    )?;
    let (kind, text, id) = (spec.kind.as_str(), serde_json::to_string(spec)?, before.trigger.id.0);
    update.execute(params![id, kind, script.0, text, next_at, at])?;
    changed(tx, app);
    Ok(())
}

/// Removes one with its queue; answers how many deliveries went with it.
pub(super) fn remove_trigger(tx: &DataTx<'_>, app: AppId, trigger: TriggerId) -> JobResult<i64> {
    // Beside its own lane, those that were fired by hand while it was paused.
    let mut delete =
        tx.conn.prepare_cached("DELETE FROM deliveries WHERE app_id = ?1 AND lane IN (?2, -?1) AND trigger_id = ?2")?;
    let queued = i64::try_from(delete.execute([app.0, trigger.0])?).unwrap_or(i64::MAX);
    tx.conn.prepare_cached("DELETE FROM triggers WHERE id = ?1")?.execute([trigger.0])?;
    tx.state.waiting.changed_by(app, -queued);
    changed(tx, app);
    Ok(queued)
}

/// Whoever knew the app's triggers, or waits for schedules or deliveries, looks again.
pub(super) fn changed(tx: &DataTx<'_>, app: AppId) {
    tx.state.triggers.forget(app);
    tx.state.waiting.wake();
    tx.state.waiting.wake_schedules();
}
