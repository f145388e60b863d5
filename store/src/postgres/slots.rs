//! Schedules and their times: each time becomes its deliveries once, whoever sees it first.

use super::columns::json_at;
use super::emit::cause_by_hand;
use super::enqueue::enqueue;
use super::error::JobResult;
use super::signals::News;
use super::transaction::Tx;
use crate::emission::target;
use crate::matching::KnownTrigger;
use crate::triggering::slot_event;
use crate::{Schedule, Slot, SlotEnded};
use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, ScriptId, TriggerId};
use picloud_model::trigger::{Overlap, TriggerSpec};
use sqlx::{PgConnection, Row as _};

/// All schedules that are not paused and come again, soonest first.
pub(super) async fn schedules(conn: &mut PgConnection) -> JobResult<Vec<Schedule>> {
    let rows = sqlx::query(
        "SELECT id, app_id, spec, next_at FROM triggers WHERE next_at IS NOT NULL AND paused_at IS NULL
         ORDER BY next_at, id",
    )
    .fetch_all(conn)
    .await?;
    let schedule = |row: &sqlx::postgres::PgRow| {
        Ok(Schedule {
            trigger: TriggerId(row.try_get(0)?),
            app: AppId(row.try_get(1)?),
            spec: json_at(row, 2)?,
            next_at: row.try_get(3)?,
        })
    };
    rows.iter().map(schedule).collect()
}

/// Makes the slot's deliveries and moves the schedule on, where it is due at the slot. Of two who see it at once the
/// second waits for the first, and sees it moved on.
pub(super) async fn end_slot(
    tx: &mut Tx<'_>,
    trigger: TriggerId,
    slot: &Slot,
    now: UnixMs,
) -> JobResult<Option<SlotEnded>> {
    let row = sqlx::query(
        "UPDATE triggers SET next_at = $3 WHERE id = $1 AND next_at = $2 AND paused_at IS NULL
         RETURNING app_id, script_id, spec",
    )
    .bind(trigger.0)
    .bind(slot.due_at)
    .bind(slot.next_at)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (app, script) = (AppId(row.try_get(0)?), ScriptId(row.try_get(1)?));
    let spec: TriggerSpec = json_at(&row, 2)?;
    tx.tell(News::Schedules);
    let times = u32::try_from(slot.deliver.len()).unwrap_or(u32::MAX);
    if spec.overlap.unwrap_or_default() == Overlap::Skip && has_deliveries(tx.conn(), app, trigger).await? {
        return Ok(Some(SlotEnded { delivered: 0, skipped: times }));
    }
    let known = KnownTrigger { id: trigger, script, spec };
    let cause = cause_by_hand(tx.conn(), app, now).await?;
    for (scheduled_at, missed) in &slot.deliver {
        let event = slot_event(&cause, *scheduled_at, *missed);
        enqueue(tx, app, &cause, &event, vec![target(&known, None, now)]).await?;
    }
    Ok(Some(SlotEnded { delivered: times, skipped: 0 }))
}

/// Whether anything of the trigger waits or is under way.
async fn has_deliveries(conn: &mut PgConnection, app: AppId, trigger: TriggerId) -> JobResult<bool> {
    let select = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM deliveries WHERE app_id = $1 AND lane = $2)");
    Ok(select.bind(app.0).bind(trigger.0).fetch_one(conn).await?)
}
