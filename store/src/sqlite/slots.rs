//! Schedules and their times: each time becomes its deliveries once, whoever sees it first.

use super::DataTx;
use super::dead_letter_rows::json_at;
use super::emit::cause_by_hand;
use super::enqueue::enqueue;
use super::error::JobResult;
use crate::emission::target;
use crate::matching::KnownTrigger;
use crate::triggering::slot_event;
use crate::{Schedule, Slot, SlotEnded};
use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, ScriptId, TriggerId};
use picloud_model::trigger::{Overlap, TriggerSpec};
use rusqlite::{Connection, OptionalExtension as _, params};

/// All schedules that are not paused and come again, soonest first.
pub(super) fn schedules(conn: &Connection) -> JobResult<Vec<Schedule>> {
    let mut select = conn.prepare_cached(
        "SELECT id, app_id, spec, next_at FROM triggers WHERE next_at IS NOT NULL AND paused_at IS NULL
         ORDER BY next_at, id",
    )?;
    let rows = select.query_map([], |row| {
        Ok(Schedule {
            trigger: TriggerId(row.get(0)?),
            app: AppId(row.get(1)?),
            spec: json_at(row, 2)?,
            next_at: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes the slot's deliveries and moves the schedule on, where it is due at the slot.
pub(super) fn end_slot(
    tx: &mut DataTx<'_>,
    trigger: TriggerId,
    slot: &Slot,
    now: UnixMs,
) -> JobResult<Option<SlotEnded>> {
    let mut update = tx.conn.prepare_cached(
        "UPDATE triggers SET next_at = ?3 WHERE id = ?1 AND next_at = ?2 AND paused_at IS NULL
         RETURNING app_id, script_id, spec",
    )?;
    let found = update.query_row(params![trigger.0, slot.due_at, slot.next_at], |row| {
        Ok((AppId(row.get(0)?), ScriptId(row.get(1)?), json_at::<TriggerSpec>(row, 2)?))
    });
    let Some((app, script, spec)) = found.optional()? else { return Ok(None) };
    tx.state.waiting.wake_schedules();
    let times = u32::try_from(slot.deliver.len()).unwrap_or(u32::MAX);
    if spec.overlap.unwrap_or_default() == Overlap::Skip && has_deliveries(tx.conn, app, trigger)? {
        return Ok(Some(SlotEnded { delivered: 0, skipped: times }));
    }
    let known = KnownTrigger { id: trigger, script, spec };
    for (scheduled_at, missed) in &slot.deliver {
        let cause = cause_by_hand(tx.conn, app, now)?;
        let event = slot_event(&cause, *scheduled_at, *missed);
        let target = target(&known, None, now);
        enqueue(tx, app, &cause, &event, &[target])?;
    }
    Ok(Some(SlotEnded { delivered: times, skipped: 0 }))
}

/// Whether anything of the trigger waits or is under way.
fn has_deliveries(conn: &Connection, app: AppId, trigger: TriggerId) -> JobResult<bool> {
    let mut select = conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM deliveries WHERE app_id = ?1 AND lane = ?2)")?;
    Ok(select.query_row([app.0, trigger.0], |row| row.get(0))?)
}
