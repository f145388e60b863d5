//! Timers: deliveries whose time is to come, which whoever set them may take back.

use super::DataTx;
use super::apps::rows_max;
use super::error::JobResult;
use super::events::{ForScript, deliver};
use super::kv_events::with_value;
use crate::StoreError;
use crate::cursor::{self, List};
use picloud_model::event::{Cause, EventKind};
use picloud_model::ids::{AppId, DeliveryId, TimerId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::timer::{NewTimer, Timer};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;
use std::sync::Arc;

/// A timer at least so far ahead begins a chain of its own: a script may set its own next run for ever, and what cannot
/// come round faster than this is no loop that has to be stopped.
const OWN_CHAIN_MS: i64 = 1_000;

/// Sets one.
pub(super) fn set(tx: &mut DataTx<'_>, app: AppId, timer: &NewTimer, cause: &Cause) -> JobResult<()> {
    let own = Cause { depth: 0, chain: Arc::new([]), ..cause.clone() };
    let cause = if timer.due_at.saturating_sub(cause.at) >= OWN_CHAIN_MS { &own } else { cause };
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
    let (due_at, id) = position(page.cursor.as_deref())?;
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

/// Behind which time and delivery the page begins.
fn position(text: Option<&str>) -> Result<(i64, i64), StoreError> {
    let Some(text) = text else { return Ok((i64::MIN, i64::MIN)) };
    let key = cursor::decode(List::Timers, text)?;
    match key.split_first_chunk::<8>() {
        Some((due_at, id)) if id.len() == 8 => {
            let id = id.try_into().expect("it has eight bytes");
            Ok((i64::from_be_bytes(*due_at), i64::from_be_bytes(id)))
        }
        _ => Err(StoreError::BadCursor),
    }
}
