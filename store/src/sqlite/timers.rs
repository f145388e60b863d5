//! Timers: deliveries whose time is to come, which whoever set them may take back.

use super::DataTx;
use super::apps::rows_max;
use super::error::JobResult;
use super::events::deliver;
use crate::cursor::{self, List};
use crate::kv_changes::with_value;
use crate::triggering::{ForScript, cause_of_timer, timers_after};
use picloud_model::event::{Cause, EventKind};
use picloud_model::ids::{AppId, DeliveryId, TimerId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::timer::{NewTimer, Timer};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

/// Sets one.
pub(super) fn set(tx: &mut DataTx<'_>, app: AppId, timer: &NewTimer, cause: &Cause) -> JobResult<()> {
    let cause = &cause_of_timer(timer, cause);
    let one = ForScript {
        script: &timer.script,
        what: "a timer",
        kind: EventKind::Timer,
        // A time that is over is due now, not before what has been waiting since.
        due_at: timer.due_at.max(cause.at),
        body: with_value(json!({ "timer_id": timer.id }), &timer.value),
        timer: Some(timer.id),
        request: None,
    };
    deliver(tx, app, cause, one)
}

/// Takes one back, unless it is under way; answers whether it did.
pub(super) fn cancel(tx: &mut DataTx<'_>, app: AppId, timer: TimerId) -> JobResult<bool> {
    let mut select = tx.conn.prepare_cached("SELECT id FROM deliveries WHERE timer_id = ?1 AND app_id = ?2")?;
    let id: Option<i64> = select.query_row(params![timer.0.into_bytes(), app.0], |row| row.get(0)).optional()?;
    let Some(id) = id.filter(|id| tx.state.waiting.claims.take_away(DeliveryId(*id))) else { return Ok(false) };
    tx.conn.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?.execute([id])?;
    tx.state.waiting.changed_by(app, -1);
    Ok(true)
}

/// The app's timers that wait, soonest first.
pub(super) fn list(conn: &Connection, app: AppId, page: &PageRequest) -> JobResult<Page<Timer>> {
    let (due_at, id) = timers_after(page.cursor.as_deref())?;
    let items_max = cursor::page_items(page.limit);
    let mut select = conn.prepare_cached(
        "SELECT d.timer_id, s.name, d.due_at, d.attempts, d.id FROM deliveries d JOIN scripts s ON s.id = d.script_id
         WHERE d.app_id = ?1 AND d.lane = -?1 AND d.blocked = 0 AND (d.due_at, d.id) > (?2, ?3)
         AND d.timer_id IS NOT NULL ORDER BY d.due_at, d.id LIMIT ?4",
    )?;
    let rows = select.query_map(params![app.0, due_at, id, rows_max(items_max)], |row| {
        let timer = Timer {
            id: TimerId(uuid::Uuid::from_bytes(row.get(0)?)),
            script: row.get(1)?,
            due_at: row.get(2)?,
            attempts: row.get(3)?,
        };
        Ok((timer, row.get::<_, i64>(4)?))
    })?;
    let timers = rows.collect::<rusqlite::Result<_>>()?;
    let page = cursor::page(timers, items_max, List::Timers, |(timer, id): &(Timer, i64)| {
        [timer.due_at.to_be_bytes(), id.to_be_bytes()].concat()
    });
    Ok(page.map(|(timer, _id)| timer))
}
