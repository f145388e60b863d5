//! Dead letters that a person sends again: each becomes a delivery of the same event, its attempts counted anew.

use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::columns::{count_at, event_at, some_uuid_at};
use super::enqueue::insert;
use super::error::{JobResult, conflict};
use super::transaction::Tx;
use crate::letters::{Aim, Letter, edited_fields, event_again, merged, shown};
use picloud_model::audit::Act;
use picloud_model::dead_letter::RetryInput;
use picloud_model::ids::{AppId, AsyncRequestId, DeadLetterId, EventId, ScriptId, TriggerId};
use serde_json::{Value, json};
use sqlx::{PgConnection, Row as _};

/// Sends one again, with what `how` changes of it.
pub(super) async fn retry_one(
    tx: &mut Tx<'_>,
    app: AppId,
    id: DeadLetterId,
    how: &RetryInput,
    act: &Act,
) -> JobResult<Option<EventId>> {
    let Some(mut letter) = lock_letter(tx.conn(), app, id).await? else { return Ok(None) };
    let aim = match aim(tx.conn(), app, &letter, how.version).await? {
        Ok(aim) => aim,
        Err(missing) => {
            let message = format!("dead letter {id} cannot be sent again: {missing} does not exist any more");
            return Err(conflict(message, vec![missing]).into());
        }
    };
    let mut edited = Vec::new();
    if let Some(fields) = &how.event {
        (letter.event.body, edited) = merged(&letter.event.body, edited_fields(fields)?)?;
    }
    send(tx, app, id, &letter, aim, act).await?;
    let mut after = json!({ "event_id": letter.event.id });
    if let Some(version) = how.version {
        after["version"] = version.into();
    }
    // Which fields, never what they hold.
    if how.event.is_some() {
        after["edited"] = edited.into();
    }
    note_letter(tx, app, act, "dead_letter.retry", &id.to_string(), Some(shown(&letter)), Some(after)).await?;
    Ok(Some(letter.event.id))
}

/// Sends up to `letters_max` again, oldest first, with one entry in the audit log for all of them.
pub(super) async fn retry_many(
    tx: &mut Tx<'_>,
    app: AppId,
    trigger: Option<&str>,
    letters_max: u32,
    act: &Act,
) -> JobResult<u64> {
    // Those whose script is gone stay, and must not hide those behind them.
    let ids: Vec<i64> = sqlx::query_scalar(match trigger {
        Some(_) => "SELECT id FROM dead_letters WHERE app_id = $1 AND trigger = $2 ORDER BY id",
        None => "SELECT id FROM dead_letters WHERE app_id = $1 AND $2::text IS NULL ORDER BY id",
    })
    .bind(app.0)
    .bind(trigger)
    .fetch_all(tx.conn())
    .await?;
    let mut sent = 0;
    for id in ids.into_iter().map(DeadLetterId) {
        if sent >= u64::from(letters_max) {
            break;
        }
        let Some(letter) = lock_letter(tx.conn(), app, id).await? else { continue };
        if let Ok(aim) = aim(tx.conn(), app, &letter, None).await? {
            send(tx, app, id, &letter, aim, act).await?;
            sent += 1;
        }
    }
    if sent > 0 {
        let target = trigger.unwrap_or("*");
        note_letter(tx, app, act, "dead_letter.retry", target, None, Some(json!({ "letters": sent }))).await?;
    }
    Ok(sent)
}

/// Writes down what was done to letters.
pub(super) async fn note_letter(
    tx: &mut Tx<'_>,
    app: AppId,
    act: &Act,
    action: &str,
    target: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> JobResult<()> {
    let name = name_of(tx.conn(), app).await?;
    note(tx, act, Noted { action, app: Some(&name), target, before, after });
    Ok(())
}

/// The letter, which nobody else sends or discards before the end of the transaction.
pub(super) async fn lock_letter(conn: &mut PgConnection, app: AppId, id: DeadLetterId) -> JobResult<Option<Letter>> {
    let row = sqlx::query(
        "SELECT trigger, script, attempts, ordering_key, request_id,
                event_id, kind, event_at, root_id, depth, chain, body
         FROM dead_letters WHERE app_id = $1 AND id = $2 FOR UPDATE",
    )
    .bind(app.0)
    .bind(id.0)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Letter {
        trigger: row.try_get(0)?,
        script: row.try_get(1)?,
        attempts: count_at(&row, 2)?,
        ordering_key: row.try_get(3)?,
        request: some_uuid_at(&row, 4)?.map(AsyncRequestId),
        event: event_at(&row, 5)?,
    }))
}

/// The script of its trigger as that is now; of a version that was chosen, and without the trigger, the letter's own.
/// What is missing, otherwise.
async fn aim(
    conn: &mut PgConnection,
    app: AppId,
    letter: &Letter,
    version: Option<i64>,
) -> JobResult<Result<Aim, String>> {
    let trigger: Option<(i64, i64)> =
        sqlx::query_as("SELECT id, script_id FROM triggers WHERE app_id = $1 AND name = $2")
            .bind(app.0)
            .bind(&letter.trigger)
            .fetch_optional(&mut *conn)
            .await?;
    let own: Option<i64> =
        sqlx::query_scalar("SELECT id FROM scripts WHERE app_id = $1 AND name = $2 AND kind = 'endpoint'")
            .bind(app.0)
            .bind(&letter.script)
            .fetch_optional(&mut *conn)
            .await?;
    let script = match (version, &trigger) {
        (None, Some((_trigger, script))) => Some(*script),
        _ => own,
    };
    let Some(script) = script.map(ScriptId) else { return Ok(Err(format!("endpoint `{}`", letter.script))) };
    if let Some(version) = version {
        let there: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM script_versions WHERE script_id = $1 AND version = $2 AND kind = 'endpoint')",
        )
        .bind(script.0)
        .bind(version)
        .fetch_one(conn)
        .await?;
        if !there {
            return Ok(Err(format!("version {version} of endpoint `{}`", letter.script)));
        }
    }
    Ok(Ok(Aim { trigger: trigger.map(|(id, _script)| TriggerId(id)), script, version }))
}

/// The letter is gone, its delivery is there.
async fn send(tx: &mut Tx<'_>, app: AppId, id: DeadLetterId, letter: &Letter, aim: Aim, act: &Act) -> JobResult<()> {
    insert(tx, app, &event_again(&letter.event, act.at), vec![aim.target(app, letter)]).await?;
    if let Some(request) = letter.request {
        // Whoever asks for its answer waits again.
        sqlx::query(
            "UPDATE async_requests SET status = NULL, headers = NULL, body = NULL, expires_at = NULL, attempts = 0
             WHERE id = $1",
        )
        .bind(request.0.into_bytes())
        .execute(tx.conn())
        .await?;
    }
    sqlx::query("DELETE FROM dead_letters WHERE id = $1").bind(id.0).execute(tx.conn()).await?;
    Ok(())
}
