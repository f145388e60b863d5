//! How a claimed delivery ends: done, to be tried again, dead, or not run at all.

use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::claims::Claim;
use super::dead_letter_rows::{bury, json_at, script_at, uuid_at};
use super::error::{JobError, JobResult};
use super::queue::Hurry;
use super::writer::Undo;
use super::{DataTx, SqliteStore};
use crate::Result;
use crate::letters::{Dying, DyingRow, refusal, script_gone, with_attempt};
use crate::triggering::pause_reason;
use picloud_model::async_request::{ANSWER_KEPT_MS, AsyncAnswer};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::{Attempt, DeliveryEnd, Ended};
use picloud_model::event::{Event, EventKind};
use picloud_model::ids::{AppId, AsyncRequestId, DeliveryId, EventId, ExecutionId, ScriptId, TriggerId};
use picloud_model::problem::Problem;
use picloud_model::trigger::TriggerSpec;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;

impl SqliteStore {
    /// Writes the end down; the claim is the caller's to give back.
    pub(super) async fn write_end(&self, id: DeliveryId, claim: Claim, end: DeliveryEnd, now: UnixMs) -> Result<Ended> {
        match end {
            DeliveryEnd::Done(answer) => {
                let failing = claim.trigger.filter(|trigger| self.claims.is_failing(*trigger));
                // Nobody sees a moment later that it is done, but where another one of its lane waits for that, or a client
                // for the answer. At worst the power goes in that moment, and it is delivered once more.
                let awaited = claim.holds_up || answer.is_some();
                let hurry = if awaited { Hurry::Now } else { Hurry::Along };
                // Nearly always it is one statement, which takes event and key along.
                let one = answer.is_none() && failing.is_none();
                let undo = if one { Undo::LastStatement } else { Undo::Savepoint };
                self.writer.write(undo, hurry, move |tx| done(tx, id, failing, answer, now)).await
            }
            DeliveryEnd::Retry { attempt, due_at } => {
                self.write(move |tx| retry(tx, id, &claim, &attempt, due_at)).await
            }
            DeliveryEnd::Dead(attempt) => self.write(move |tx| dead(tx, id, &claim, &attempt, now)).await,
            DeliveryEnd::NotRun { .. } if claim.noted => {
                self.write(move |tx| {
                    set_attempts(tx.conn, id, claim.attempt - 1)?;
                    Ok(Ended::default())
                })
                .await
            }
            DeliveryEnd::NotRun { .. } => Ok(Ended::default()),
        }
    }
}

fn done(
    tx: &mut DataTx<'_>,
    id: DeliveryId,
    failing: Option<TriggerId>,
    answer: Option<AsyncAnswer>,
    now: UnixMs,
) -> JobResult<Ended> {
    let Some(gone) = remove(tx, id)? else { return Ok(Ended::default()) };
    if let (Some(answer), Some(request)) = (answer, gone.request) {
        keep_answer(tx.conn, request, &answer, now)?;
    }
    if let Some(trigger) = failing {
        tx.conn
            .prepare_cached("UPDATE triggers SET failures = 0 WHERE id = ?1 AND failures > 0")?
            .execute([trigger.0])?;
        tx.state.waiting.claims.set_failing(trigger, false);
    }
    Ok(Ended::default())
}

/// Removes a delivery that nothing is left of to run.
pub(super) fn forget(tx: &mut DataTx<'_>, id: DeliveryId, now: UnixMs) -> JobResult<()> {
    if let Some(Removed { request: Some(request) }) = remove(tx, id)? {
        keep_answer(tx.conn, request, &refusal(&script_gone())?, now)?;
    }
    Ok(())
}

/// What a removed delivery leaves behind.
struct Removed {
    request: Option<AsyncRequestId>,
}

/// Removes it, and with it its event where it was the last one, and frees the next one with its key.
fn remove(tx: &DataTx<'_>, id: DeliveryId) -> JobResult<Option<Removed>> {
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM deliveries WHERE id = ?1 RETURNING app_id, ordering_key IS NOT NULL, request_id",
    )?;
    let removed = delete.query_row([id.0], |row| {
        let request: Option<[u8; 16]> = row.get(2)?;
        Ok((AppId(row.get(0)?), row.get::<_, bool>(1)?, request))
    });
    let Some((app, keyed, request)) = removed.optional()? else { return Ok(None) };
    tx.state.waiting.changed_by(app, -1);
    if keyed {
        tx.state.waiting.wake();
    }
    Ok(Some(Removed { request: request.map(|id| AsyncRequestId(uuid::Uuid::from_bytes(id))) }))
}

fn keep_answer(conn: &Connection, request: AsyncRequestId, answer: &AsyncAnswer, now: UnixMs) -> JobResult<()> {
    let mut update = conn.prepare_cached(
        "UPDATE async_requests SET status = ?2, headers = ?3, body = ?4, expires_at = ?5 WHERE id = ?1",
    )?;
    let headers = serde_json::to_string(&answer.headers)?;
    let expires_at = now.saturating_add(ANSWER_KEPT_MS);
    update.execute(params![request.0.into_bytes(), answer.status, headers, answer.body, expires_at])?;
    Ok(())
}

fn retry(tx: &mut DataTx<'_>, id: DeliveryId, claim: &Claim, attempt: &Attempt, due_at: UnixMs) -> JobResult<Ended> {
    let mut select = tx.conn.prepare_cached("SELECT tried, request_id FROM deliveries WHERE id = ?1")?;
    let found =
        select.query_row([id.0], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<[u8; 16]>>(1)?)));
    let Some((tried, request)) = found.optional()? else { return Ok(Ended::default()) };
    let tried = serde_json::to_string(&with_attempt(tried.as_deref(), attempt))?;
    let mut update =
        tx.conn.prepare_cached("UPDATE deliveries SET attempts = ?2, tried = ?3, due_at = ?4 WHERE id = ?1")?;
    update.execute(params![id.0, claim.attempt, tried, due_at])?;
    if let Some(request) = request {
        let mut update = tx.conn.prepare_cached("UPDATE async_requests SET attempts = ?2 WHERE id = ?1")?;
        update.execute(params![request, claim.attempt])?;
    }
    Ok(Ended::default())
}

/// Sets the number of attempts that failed, or began and take long.
pub(super) fn set_attempts(conn: &Connection, id: DeliveryId, attempts: u32) -> JobResult<()> {
    conn.prepare_cached("UPDATE deliveries SET attempts = ?2 WHERE id = ?1")?.execute(params![id.0, attempts])?;
    Ok(())
}

fn dead(tx: &mut DataTx<'_>, id: DeliveryId, claim: &Claim, attempt: &Attempt, now: UnixMs) -> JobResult<Ended> {
    let Some(row) = read_dying(tx.conn, id)? else { return Ok(Ended::default()) };
    // A run that never came back could not tell which version it was: the one that would be run now.
    let live = || Ok::<_, JobError>(script_at(tx.conn, row.app, row.script)?.map_or(0, |script| script.version));
    let version = if attempt.version > 0 { attempt.version } else { row.version.map_or_else(live, Ok)? };
    let dying = row.of_attempt(version, claim.attempt, attempt);
    let letter = give_up(tx, id, &dying, now)?;
    let paused = match claim.trigger {
        Some(trigger) => count_failure(tx, claim.app, trigger, &attempt.node, now)?,
        None => None,
    };
    Ok(Ended { dead_letter: Some(letter), paused })
}

/// Gives a delivery up that was not run for it: it is too old, or took the machine down too often. Does not count for
/// the trigger's pause, since nothing was tried.
pub(super) fn give_up_unrun(tx: &mut DataTx<'_>, id: DeliveryId, error: Problem, now: UnixMs) -> JobResult<()> {
    let Some(row) = read_dying(tx.conn, id)? else { return Ok(()) };
    let Some(script) = script_at(tx.conn, row.app, row.script)? else {
        return forget(tx, id, now);
    };
    give_up(tx, id, &row.unrun(script.version, error), now)?;
    Ok(())
}

fn give_up(tx: &mut DataTx<'_>, id: DeliveryId, dying: &Dying, now: UnixMs) -> JobResult<picloud_model::DeadLetterId> {
    let letter = bury(tx, dying, now)?;
    if let Some(request) = dying.request {
        keep_answer(tx.conn, request, &refusal(&dying.error)?, now)?;
    }
    remove(tx, id)?;
    Ok(letter)
}

/// Counts a dead letter of the trigger, and pauses it where there are too many in a row.
fn count_failure(
    tx: &mut DataTx<'_>,
    app: AppId,
    trigger: TriggerId,
    node: &str,
    now: UnixMs,
) -> JobResult<Option<(String, u32)>> {
    let mut update = tx.conn.prepare_cached(
        "UPDATE triggers SET failures = failures + 1 WHERE app_id = ?1 AND id = ?2
         RETURNING failures, spec, paused_at IS NOT NULL",
    )?;
    let counted = update.query_row([app.0, trigger.0], |row| {
        Ok((row.get::<_, u32>(0)?, json_at::<TriggerSpec>(row, 1)?, row.get::<_, bool>(2)?))
    });
    let Some((failures, spec, paused)) = counted.optional()? else { return Ok(None) };
    tx.state.waiting.claims.set_failing(trigger, true);
    let Some(reason) = pause_reason(&spec, failures).filter(|_reason| !paused) else { return Ok(None) };
    let mut update = tx.conn.prepare_cached("UPDATE triggers SET paused_at = ?2, paused_by = ?3 WHERE id = ?1")?;
    update.execute(params![trigger.0, now, reason])?;
    let (act, app_name) = (Act::of_appliance(node, now), name_of(tx.conn, app)?);
    let after = Some(json!({ "reason": reason }));
    let noted = Noted { action: "trigger.pause", app: Some(&app_name), target: &spec.name, before: None, after };
    note(tx, &act, noted)?;
    tx.state.waiting.wake_schedules();
    Ok(Some((spec.name, failures)))
}

/// Reads it, as far as a dead letter needs it.
fn read_dying(conn: &Connection, id: DeliveryId) -> JobResult<Option<DyingRow>> {
    let mut select = conn.prepare_cached(
        "SELECT d.app_id, d.trigger_id, s.id, s.name, d.version, d.attempts, d.tried, d.ordering_key, d.request_id,
                e.event_id, e.kind, e.at, e.root_id, e.depth, e.chain, e.body
         FROM deliveries d JOIN events e ON e.id = d.event LEFT JOIN triggers t ON t.id = d.trigger_id
         LEFT JOIN scripts s ON s.id = CASE WHEN d.version IS NULL THEN coalesce(t.script_id, d.script_id)
                                       ELSE d.script_id END
         WHERE d.id = ?1",
    )?;
    Ok(select.query_row([id.0], dying_from_row).optional()?)
}

fn dying_from_row(row: &Row<'_>) -> rusqlite::Result<DyingRow> {
    let request: Option<[u8; 16]> = row.get(8)?;
    Ok(DyingRow {
        app: AppId(row.get(0)?),
        trigger: row.get::<_, Option<i64>>(1)?.map(TriggerId),
        script: ScriptId(row.get::<_, Option<i64>>(2)?.unwrap_or_default()),
        script_name: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        version: row.get(4)?,
        attempts: row.get(5)?,
        tried: row.get(6)?,
        ordering_key: row.get(7)?,
        request: request.map(|id| AsyncRequestId(uuid::Uuid::from_bytes(id))),
        event: event_from_row(row, 9)?,
    })
}

/// The event in the seven columns from `first` on: `event_id, kind, at, root_id, depth, chain, body`.
pub(super) fn event_from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Event> {
    let kind = EventKind::parse(row.get_ref(first + 1)?.as_str()?).unwrap_or(EventKind::Pubsub);
    Ok(Event {
        id: EventId(uuid_at(row, first)?),
        kind,
        at: row.get(first + 2)?,
        root_id: ExecutionId(uuid_at(row, first + 3)?),
        depth: row.get(first + 4)?,
        chain: json_at(row, first + 5)?,
        body: row.get(first + 6)?,
    })
}
