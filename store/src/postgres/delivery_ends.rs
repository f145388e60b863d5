//! How a claimed delivery ends: done, to be tried again, dead, or not run at all. Whoever lost the claim with its lease
//! ends nothing: another one has it.

use super::PgStore;
use super::apps::name_of;
use super::async_requests::keep_answer;
use super::audit_rows::{Noted, note};
use super::claims::Claim;
use super::columns::{count_at, event_at, json_at, some_uuid_at};
use super::dead_letter_rows::{bury, script_at};
use super::error::JobResult;
use super::signals::News;
use super::transaction::{Tx, reading, writing};
use crate::Result;
use crate::letters::{Dying, DyingRow, refusal, script_gone, with_attempt};
use crate::triggering::pause_reason;
use picloud_model::DeadLetterId;
use picloud_model::async_request::{ANSWER_KEPT_MS, AsyncAnswer};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::{Attempt, DeliveryEnd, Ended};
use picloud_model::ids::{AppId, AsyncRequestId, DeliveryId, ScriptId, TriggerId};
use picloud_model::problem::Problem;
use picloud_model::trigger::TriggerSpec;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

impl PgStore {
    /// Writes the end down; the claim is the caller's to give back.
    pub(super) async fn write_end(
        &self,
        id: DeliveryId,
        claim: &Claim,
        end: &DeliveryEnd,
        now: UnixMs,
    ) -> Result<Ended> {
        match end {
            // Nearly always: one statement, which does nothing where it was done before, and is of no news to anybody.
            DeliveryEnd::Done(None) if !claim.holds_up => {
                let _request = reading!(self, |conn| remove_done(conn, id, self.instance).await)?;
                Ok(Ended::default())
            }
            DeliveryEnd::Done(answer) => writing!(self, |tx| done(tx, id, claim, answer.as_ref(), now).await),
            DeliveryEnd::Retry { attempt, due_at } => {
                writing!(self, |tx| retry(tx, id, claim, attempt, *due_at).await)
            }
            DeliveryEnd::Dead(attempt) => writing!(self, |tx| dead(tx, id, claim, attempt, now).await),
            DeliveryEnd::NotRun { due_at } => writing!(self, |tx| not_run(tx, id, claim, *due_at).await),
        }
    }
}

/// Removes what this appliance has done, and forgets the dead letters in a row of its trigger; answers the request that it
/// was, if any. `None` where it is not this one's.
async fn remove_done(conn: &mut PgConnection, id: DeliveryId, me: Uuid) -> JobResult<Option<Option<AsyncRequestId>>> {
    let row = sqlx::query(
        "WITH gone AS (DELETE FROM deliveries WHERE id = $1 AND claimed_by IS NOT DISTINCT FROM $2 RETURNING trigger_id, request_id),
              forgiven AS (
                  UPDATE triggers t SET failures = 0 FROM gone WHERE t.id = gone.trigger_id AND t.failures > 0
              )
         SELECT request_id FROM gone",
    )
    .bind(id.0)
    .bind(me.into_bytes())
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok(some_uuid_at(&row, 0)?.map(AsyncRequestId))).transpose()
}

async fn done(
    tx: &mut Tx<'_>,
    id: DeliveryId,
    claim: &Claim,
    answer: Option<&AsyncAnswer>,
    now: UnixMs,
) -> JobResult<Ended> {
    let me = tx.store.instance;
    let Some(request) = remove_done(tx.conn(), id, me).await? else { return Ok(Ended::default()) };
    if claim.holds_up {
        tx.tell(News::Deliveries);
    }
    if let (Some(answer), Some(request)) = (answer, request) {
        keep_answer(tx.conn(), request, answer, now.saturating_add(ANSWER_KEPT_MS)).await?;
    }
    Ok(Ended::default())
}

async fn retry(tx: &mut Tx<'_>, id: DeliveryId, claim: &Claim, attempt: &Attempt, due_at: UnixMs) -> JobResult<Ended> {
    let me = tx.store.instance.into_bytes();
    let row = sqlx::query(
        "SELECT tried, request_id FROM deliveries WHERE id = $1 AND claimed_by IS NOT DISTINCT FROM $2 FOR UPDATE",
    )
    .bind(id.0)
    .bind(me)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(Ended::default()) };
    let tried = serde_json::to_string(&with_attempt(row.try_get(0)?, attempt))?;
    sqlx::query("UPDATE deliveries SET attempts = $2, tried = $3, due_at = $4, claimed_by = NULL WHERE id = $1")
        .bind(id.0)
        .bind(i64::from(claim.attempt))
        .bind(tried)
        .bind(due_at)
        .execute(tx.conn())
        .await?;
    if let Some(request) = some_uuid_at(&row, 1)? {
        sqlx::query("UPDATE async_requests SET attempts = $2 WHERE id = $1")
            .bind(request.into_bytes())
            .bind(i64::from(claim.attempt))
            .execute(tx.conn())
            .await?;
    }
    tx.tell(News::Deliveries);
    Ok(Ended::default())
}

/// It waits for its next chance where everybody sees that: it was no attempt, also where it was noted as one.
async fn not_run(tx: &mut Tx<'_>, id: DeliveryId, claim: &Claim, due_at: UnixMs) -> JobResult<Ended> {
    let me = tx.store.instance.into_bytes();
    sqlx::query(
        "UPDATE deliveries SET attempts = $3, due_at = greatest(due_at, $4), claimed_by = NULL
         WHERE id = $1 AND claimed_by IS NOT DISTINCT FROM $2",
    )
    .bind(id.0)
    .bind(me)
    .bind(i64::from(claim.attempt.saturating_sub(1)))
    .bind(due_at)
    .execute(tx.conn())
    .await?;
    tx.tell(News::Deliveries);
    Ok(Ended::default())
}

async fn dead(tx: &mut Tx<'_>, id: DeliveryId, claim: &Claim, attempt: &Attempt, now: UnixMs) -> JobResult<Ended> {
    let Some(row) = lock_dying(tx, id, true).await? else { return Ok(Ended::default()) };
    // A run that never came back could not tell which version it was: the one that would be run now.
    let version = match (attempt.version, row.version) {
        (1.., _) => attempt.version,
        (_, Some(version)) => version,
        _ => script_at(tx.conn(), row.app, row.script).await?.map_or(0, |script| script.version),
    };
    let dying = row.of_attempt(version, claim.attempt, attempt);
    let letter = give_up(tx, id, &dying, now).await?;
    let paused = match claim.trigger {
        Some(trigger) => count_failure(tx, claim.app, trigger, &attempt.node, now).await?,
        None => None,
    };
    Ok(Ended { dead_letter: Some(letter), paused })
}

/// Gives a delivery up that was not run for it: it is too old, or took the machine down too often. Does not count for
/// the trigger's pause, since nothing was tried.
pub(super) async fn give_up_unrun(tx: &mut Tx<'_>, id: DeliveryId, error: Problem, now: UnixMs) -> JobResult<()> {
    let Some(row) = lock_dying(tx, id, false).await? else { return Ok(()) };
    let Some(script) = script_at(tx.conn(), row.app, row.script).await? else {
        return forget(tx, id, now).await;
    };
    give_up(tx, id, &row.unrun(script.version, error), now).await?;
    Ok(())
}

/// Removes a delivery that nothing is left of to run, unless another one has it.
pub(super) async fn forget(tx: &mut Tx<'_>, id: DeliveryId, now: UnixMs) -> JobResult<()> {
    let me = tx.store.instance.into_bytes();
    let row = sqlx::query(
        "DELETE FROM deliveries WHERE id = $1 AND (claimed_by IS NULL OR claimed_by = $2) RETURNING request_id",
    )
    .bind(id.0)
    .bind(me)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(()) };
    tx.tell(News::Deliveries);
    if let Some(request) = some_uuid_at(&row, 0)? {
        let expires_at = now.saturating_add(ANSWER_KEPT_MS);
        keep_answer(tx.conn(), AsyncRequestId(request), &refusal(&script_gone())?, expires_at).await?;
    }
    Ok(())
}

/// The letter is there, the delivery is gone.
async fn give_up(tx: &mut Tx<'_>, id: DeliveryId, dying: &Dying, now: UnixMs) -> JobResult<DeadLetterId> {
    let letter = bury(tx, dying, now).await?;
    if let Some(request) = dying.request {
        keep_answer(tx.conn(), request, &refusal(&dying.error)?, now.saturating_add(ANSWER_KEPT_MS)).await?;
    }
    sqlx::query("DELETE FROM deliveries WHERE id = $1").bind(id.0).execute(tx.conn()).await?;
    tx.tell(News::Deliveries);
    Ok(letter)
}

/// Counts a dead letter of the trigger, and pauses it where there are too many in a row.
async fn count_failure(
    tx: &mut Tx<'_>,
    app: AppId,
    trigger: TriggerId,
    node: &str,
    now: UnixMs,
) -> JobResult<Option<(String, u32)>> {
    let row = sqlx::query(
        "UPDATE triggers SET failures = failures + 1 WHERE app_id = $1 AND id = $2
         RETURNING failures, spec, paused_at IS NOT NULL",
    )
    .bind(app.0)
    .bind(trigger.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (failures, spec, paused) = (count_at(&row, 0)?, json_at::<TriggerSpec>(&row, 1)?, row.try_get::<bool, _>(2)?);
    let Some(reason) = pause_reason(&spec, failures).filter(|_reason| !paused) else { return Ok(None) };
    sqlx::query("UPDATE triggers SET paused_at = $2, paused_by = $3 WHERE id = $1")
        .bind(trigger.0)
        .bind(now)
        .bind(&reason)
        .execute(tx.conn())
        .await?;
    let (act, app_name) = (Act::of_appliance(node, now), name_of(tx.conn(), app).await?);
    let after = Some(json!({ "reason": reason }));
    note(tx, &act, Noted { action: "trigger.pause", app: Some(&app_name), target: &spec.name, before: None, after });
    tx.tell(News::Schedules);
    Ok(Some((spec.name, failures)))
}

/// Reads it, where it is this appliance's or nobody's (`claimed`: only where it is this one's), and locks it.
async fn lock_dying(tx: &mut Tx<'_>, id: DeliveryId, claimed: bool) -> JobResult<Option<DyingRow>> {
    let me = tx.store.instance.into_bytes();
    let locked = sqlx::query(
        "SELECT 1 FROM deliveries WHERE id = $1 AND CASE WHEN $3 THEN claimed_by = $2
         ELSE claimed_by IS NULL OR claimed_by = $2 END FOR UPDATE",
    )
    .bind(id.0)
    .bind(me)
    .bind(claimed)
    .fetch_optional(tx.conn())
    .await?;
    if locked.is_none() {
        return Ok(None);
    }
    read_dying(tx.conn(), id).await
}

async fn read_dying(conn: &mut PgConnection, id: DeliveryId) -> JobResult<Option<DyingRow>> {
    let row = sqlx::query(
        "SELECT d.app_id, d.trigger_id, s.id, s.name, d.version, d.attempts, d.tried, d.ordering_key, d.request_id,
                e.event_id, e.kind, e.at, e.root_id, e.depth, e.chain, e.body
         FROM deliveries d JOIN events e ON e.id = d.event LEFT JOIN triggers t ON t.id = d.trigger_id
         LEFT JOIN scripts s ON s.id = CASE WHEN d.version IS NULL THEN coalesce(t.script_id, d.script_id)
                                       ELSE d.script_id END
         WHERE d.id = $1",
    )
    .bind(id.0)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(dying_from_row).transpose()
}

fn dying_from_row(row: &PgRow) -> JobResult<DyingRow> {
    Ok(DyingRow {
        app: AppId(row.try_get(0)?),
        trigger: row.try_get::<Option<i64>, _>(1)?.map(TriggerId),
        script: ScriptId(row.try_get::<Option<i64>, _>(2)?.unwrap_or_default()),
        script_name: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
        version: row.try_get(4)?,
        attempts: count_at(row, 5)?,
        tried: row.try_get(6)?,
        ordering_key: row.try_get(7)?,
        request: some_uuid_at(row, 8)?.map(AsyncRequestId),
        event: event_at(row, 9)?,
    })
}
