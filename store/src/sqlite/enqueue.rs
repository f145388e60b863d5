//! Rows of events and deliveries, written within the transactions of others.

use super::DataTx;
use super::dead_letter_rows::{bury, script_at};
use super::error::JobResult;
use crate::StoreError;
use crate::emission::{NewEvent, Target, own_lane};
use crate::letters::too_deep;
use picloud_model::event::{Cause, EventKind};
use picloud_model::ids::{AppId, ScriptId};
use rusqlite::params;

/// Writes the event and a delivery for each target; answers how many. Refuses above the cause's `queued_max`; above its
/// `depth_max` they are dead letters at once.
pub(super) fn enqueue(
    tx: &mut DataTx<'_>,
    app: AppId,
    cause: &Cause,
    event: &NewEvent,
    targets: &[Target],
) -> JobResult<u32> {
    let count = i64::try_from(targets.len()).expect("an app has few triggers");
    if count == 0 {
        return Ok(0);
    }
    // A dead letter's event is one deeper than what died, which may be too deep already: told of it must be.
    if event.depth > cause.depth_max && event.kind != EventKind::DeadLetter {
        for target in targets {
            bury_too_deep(tx, app, cause, event, target)?;
        }
        return Ok(targets.len() as u32);
    }
    // What nobody can be refused for is let in: a schedule's time, a delivery given up.
    if !matches!(event.kind, EventKind::DeadLetter | EventKind::Cron) {
        let waiting = tx.state.waiting.count(tx.conn, app)?.unsigned_abs();
        if waiting + count.unsigned_abs() > cause.queued_max {
            return Err(StoreError::Backlog { waiting, limit: cause.queued_max }.into());
        }
    }
    insert(tx, app, event, targets)?;
    tx.state.waiting.changed_by(app, count);
    tx.state.waiting.wake();
    Ok(targets.len() as u32)
}

fn insert(tx: &DataTx<'_>, app: AppId, event: &NewEvent, targets: &[Target]) -> JobResult<()> {
    let count = i64::try_from(targets.len()).expect("an app has few triggers");
    let first = tx.state.waiting.draw_ids(tx.conn, count)?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO events (id, event_id, app_id, kind, at, root_id, depth, chain, deliveries, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let chain = serde_json::to_string(&*event.chain)?;
    insert.execute(params![
        first,
        event.id.0.into_bytes(),
        app.0,
        event.kind.as_str(),
        event.at,
        event.root_id.0.into_bytes(),
        event.depth,
        chain,
        count,
        event.body
    ])?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO deliveries (id, app_id, lane, event, trigger_id, script_id, version, due_at, ordering_key,
                                 blocked, expires_at, timer_id, request_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
                 ?9 IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries WHERE lane = ?3 AND ordering_key = ?9),
                 ?10, ?11, ?12)",
    )?;
    for (id, target) in (first..).zip(targets) {
        insert.execute(params![
            id,
            app.0,
            target.lane,
            first,
            target.trigger.map(|trigger| trigger.0),
            target.script.0,
            target.version,
            event.due_at,
            target.ordering_key,
            target.expires_at,
            target.timer.map(|timer| timer.0.into_bytes()),
            target.request.map(|request| request.0.into_bytes())
        ])?;
    }
    Ok(())
}

/// Makes the delivery of an event that was delivered before, whatever waits and however deep it is.
pub(super) fn insert_again(tx: &DataTx<'_>, app: AppId, event: &NewEvent, target: Target) -> JobResult<()> {
    insert(tx, app, event, &[target])?;
    tx.state.waiting.changed_by(app, 1);
    tx.state.waiting.wake();
    Ok(())
}

/// Removes the timers that wait for a script that goes; answers how many. Requests stay until they would be claimed, which
/// answers them.
pub(super) fn forget_script(tx: &DataTx<'_>, app: AppId, script: ScriptId) -> JobResult<u64> {
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM deliveries WHERE app_id = ?1 AND lane = ?2 AND script_id = ?3 AND request_id IS NULL",
    )?;
    let gone = delete.execute([app.0, own_lane(app), script.0])?;
    tx.state.waiting.changed_by(app, -i64::try_from(gone).unwrap_or(i64::MAX));
    Ok(gone as u64)
}

/// The dead letter of what would run too many runs away from the first.
fn bury_too_deep(tx: &mut DataTx<'_>, app: AppId, cause: &Cause, event: &NewEvent, target: &Target) -> JobResult<()> {
    let Some(script) = script_at(tx.conn, app, target.script)? else { return Ok(()) };
    let dying = too_deep(app, cause.depth_max, event, target, script);
    bury(tx, &dying, cause.at)?;
    Ok(())
}
