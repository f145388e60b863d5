//! Dead letters that a person sends again: each becomes a delivery of the same event, its attempts counted anew.

use super::DataTx;
use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::dead_letter_rows::uuid_at;
use super::delivery_ends::event_from_row;
use super::enqueue::insert_again;
use super::error::{JobResult, conflict};
use crate::letters::{Aim, Letter, edited_fields, event_again, merged, shown};
use picloud_model::audit::Act;
use picloud_model::dead_letter::RetryInput;
use picloud_model::ids::{AppId, AsyncRequestId, DeadLetterId, EventId, ScriptId, TriggerId};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

/// Sends one again, with what `how` changes of it.
pub(super) fn retry_one(
    tx: &mut DataTx<'_>,
    app: AppId,
    id: DeadLetterId,
    how: &RetryInput,
    act: &Act,
) -> JobResult<Option<EventId>> {
    let Some(mut letter) = read_letter(tx.conn, app, id)? else { return Ok(None) };
    let aim = match aim(tx.conn, app, &letter, how.version)? {
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
    send(tx, app, id, &letter, aim, act)?;
    let mut after = json!({ "event_id": letter.event.id });
    if let Some(version) = how.version {
        after["version"] = version.into();
    }
    // Which fields, never what they hold.
    if how.event.is_some() {
        after["edited"] = edited.into();
    }
    note_letter(tx, app, act, "dead_letter.retry", &id.to_string(), Some(shown(&letter)), Some(after))?;
    Ok(Some(letter.event.id))
}

/// Sends up to `letters_max` again, oldest first, with one entry in the audit log for all of them.
pub(super) fn retry_many(
    tx: &mut DataTx<'_>,
    app: AppId,
    trigger: Option<&str>,
    letters_max: u32,
    act: &Act,
) -> JobResult<u64> {
    let ids: Vec<i64> = {
        let sql = match trigger {
            Some(_) => "SELECT id FROM dead_letters WHERE app_id = ?1 AND trigger = ?2 ORDER BY id",
            None => "SELECT id FROM dead_letters WHERE app_id = ?1 AND ?2 IS NULL ORDER BY id",
        };
        let mut select = tx.conn.prepare_cached(sql)?;
        // Those whose script is gone stay, and must not hide those behind them.
        select.query_map(params![app.0, trigger], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
    };
    let mut sent = 0;
    for id in ids.into_iter().map(DeadLetterId) {
        if sent >= u64::from(letters_max) {
            break;
        }
        let Some(letter) = read_letter(tx.conn, app, id)? else { continue };
        if let Ok(aim) = aim(tx.conn, app, &letter, None)? {
            send(tx, app, id, &letter, aim, act)?;
            sent += 1;
        }
    }
    if sent > 0 {
        let target = trigger.unwrap_or("*");
        note_letter(tx, app, act, "dead_letter.retry", target, None, Some(json!({ "letters": sent })))?;
    }
    Ok(sent)
}

/// Writes down what was done to letters.
pub(super) fn note_letter(
    tx: &DataTx<'_>,
    app: AppId,
    act: &Act,
    action: &str,
    target: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> JobResult<()> {
    let name = name_of(tx.conn, app)?;
    note(tx, act, Noted { action, app: Some(&name), target, before, after })
}

/// The letter.
pub(super) fn read_letter(conn: &Connection, app: AppId, id: DeadLetterId) -> JobResult<Option<Letter>> {
    let mut select = conn.prepare_cached(
        "SELECT trigger, script, attempts, ordering_key, request_id IS NOT NULL, request_id,
                event_id, kind, event_at, root_id, depth, chain, body
         FROM dead_letters WHERE app_id = ?1 AND id = ?2",
    )?;
    let letter = select.query_row([app.0, id.0], |row| {
        let has_request: bool = row.get(4)?;
        Ok(Letter {
            trigger: row.get(0)?,
            script: row.get(1)?,
            attempts: row.get(2)?,
            ordering_key: row.get(3)?,
            request: if has_request { Some(AsyncRequestId(uuid_at(row, 5)?)) } else { None },
            event: event_from_row(row, 6)?,
        })
    });
    Ok(letter.optional()?)
}

/// The script of its trigger as that is now; of a version that was chosen, and without the trigger, the letter's own.
/// What is missing, otherwise.
fn aim(conn: &Connection, app: AppId, letter: &Letter, version: Option<i64>) -> JobResult<Result<Aim, String>> {
    let mut select = conn.prepare_cached("SELECT id, script_id FROM triggers WHERE app_id = ?1 AND name = ?2")?;
    let trigger = select
        .query_row(params![app.0, letter.trigger], |row| Ok((TriggerId(row.get(0)?), ScriptId(row.get(1)?))))
        .optional()?;
    let mut select =
        conn.prepare_cached("SELECT id FROM scripts WHERE app_id = ?1 AND name = ?2 AND kind = 'endpoint'")?;
    let own = select.query_row(params![app.0, letter.script], |row| row.get(0).map(ScriptId)).optional()?;
    let script = match (version, &trigger) {
        (None, Some((_trigger, script))) => Some(*script),
        _ => own,
    };
    let Some(script) = script else { return Ok(Err(format!("endpoint `{}`", letter.script))) };
    if let Some(version) = version {
        let mut select = conn.prepare_cached(
            "SELECT 1 FROM script_versions WHERE script_id = ?1 AND version = ?2 AND kind = 'endpoint'",
        )?;
        if select.query_row([script.0, version], |_row| Ok(())).optional()?.is_none() {
            return Ok(Err(format!("version {version} of endpoint `{}`", letter.script)));
        }
    }
    Ok(Ok(Aim { trigger: trigger.map(|(id, _script)| id), script, version }))
}

/// The letter is gone, its delivery is there.
fn send(tx: &mut DataTx<'_>, app: AppId, id: DeadLetterId, letter: &Letter, aim: Aim, act: &Act) -> JobResult<()> {
    insert_again(tx, app, &event_again(&letter.event, act.at), aim.target(app, letter))?;
    if let Some(request) = letter.request {
        // Whoever asks for its answer waits again.
        let mut update = tx.conn.prepare_cached(
            "UPDATE async_requests SET status = NULL, headers = NULL, body = NULL, expires_at = NULL, attempts = 0
             WHERE id = ?1",
        )?;
        update.execute([request.0.into_bytes()])?;
    }
    tx.conn.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}
