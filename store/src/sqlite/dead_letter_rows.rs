//! Rows of dead letters: how a delivery becomes one, with the event of it for those who listen.

use super::DataTx;
use super::emit::{cause_by_hand, emit};
use super::error::JobResult;
use crate::letters::{Dying, LiveScript, cause_of_letter, event_shown, letter_event, letter_of};
use crate::matching::Happened;
use picloud_model::clock::UnixMs;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail};
use picloud_model::event::{Event, EventKind};
use picloud_model::ids::{AppId, DeadLetterId, EventId, ExecutionId, ScriptId, TriggerId};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The columns of [`detail_from_row`], in its order.
macro_rules! select_letter {
    ($rest:literal) => {
        concat!(
            "SELECT id, trigger, script, version, kind, event_id, event_at, root_id, depth, attempts, dead_at, final,
                    error, tried, chain, body
             FROM dead_letters ",
            $rest
        )
    };
}
pub(super) use select_letter;

/// The script of the app with this id.
pub(super) fn script_at(conn: &Connection, app: AppId, script: ScriptId) -> JobResult<Option<LiveScript>> {
    let mut select = conn.prepare_cached("SELECT name, live_version FROM scripts WHERE app_id = ?1 AND id = ?2")?;
    let found = select.query_row([app.0, script.0], |row| Ok(LiveScript { name: row.get(0)?, version: row.get(1)? }));
    Ok(found.optional()?)
}

/// Writes the letter, and makes the deliveries of those who listen for it. The delivery itself is the caller's.
pub(super) fn bury(tx: &mut DataTx<'_>, dying: &Dying, at: UnixMs) -> JobResult<DeadLetterId> {
    let cause = cause_by_hand(tx.conn, dying.app, at)?;
    let trigger = dying.trigger.map(|trigger| trigger_name(tx.conn, dying.app, trigger)).transpose()?.flatten();
    let letter = letter_of(dying, trigger, cause.depth_max, at);
    let letter = DeadLetter { id: insert(tx.conn, dying, &letter)?, ..letter };
    if !letter.is_final {
        let cause = cause_of_letter(dying, &letter, cause);
        let happened = Happened::DeadLetter { trigger: letter.trigger.as_deref() };
        emit(tx, dying.app, &cause, &happened, at, || letter_event(&letter, &dying.event))?;
    }
    Ok(letter.id)
}

fn insert(conn: &Connection, dying: &Dying, letter: &DeadLetter) -> JobResult<DeadLetterId> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO dead_letters (app_id, trigger, script, version, kind, event_id, event_at, root_id, depth, attempts,
                                   dead_at, final, error, tried, chain, ordering_key, request_id, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    let event = &dying.event;
    let id = insert.insert(params![
        dying.app.0,
        letter.trigger,
        letter.script,
        letter.version,
        letter.kind.as_str(),
        event.id.0.into_bytes(),
        event.at,
        event.root_id.0.into_bytes(),
        event.depth,
        letter.attempts,
        letter.last_at,
        letter.is_final,
        serde_json::to_string(&letter.error)?,
        serde_json::to_string(&dying.tried)?,
        serde_json::to_string(&event.chain)?,
        dying.ordering_key,
        dying.request.map(|request| request.0.into_bytes()),
        event.body,
    ])?;
    Ok(DeadLetterId(id))
}

/// The trigger's name.
pub(super) fn trigger_name(conn: &Connection, app: AppId, trigger: TriggerId) -> JobResult<Option<String>> {
    let mut select = conn.prepare_cached("SELECT name FROM triggers WHERE app_id = ?1 AND id = ?2")?;
    Ok(select.query_row([app.0, trigger.0], |row| row.get(0)).optional()?)
}

/// Reads one that was selected with [`select_letter`].
pub(super) fn detail_from_row(row: &Row<'_>) -> rusqlite::Result<DeadLetterDetail> {
    let kind = row.get_ref(4)?.as_str()?;
    let kind = EventKind::parse(kind)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, "an unknown kind".into()))?;
    let letter = DeadLetter {
        id: DeadLetterId(row.get(0)?),
        trigger: row.get(1)?,
        script: row.get(2)?,
        version: row.get(3)?,
        kind,
        event_id: EventId(uuid_at(row, 5)?),
        first_at: row.get(6)?,
        attempts: row.get(9)?,
        last_at: row.get(10)?,
        is_final: row.get(11)?,
        error: json_at(row, 12)?,
    };
    let event = Event {
        id: letter.event_id,
        kind,
        at: letter.first_at,
        root_id: ExecutionId(uuid_at(row, 7)?),
        depth: row.get(8)?,
        chain: json_at(row, 14)?,
        body: row.get(15)?,
    };
    Ok(DeadLetterDetail {
        event: event_shown(&letter, &event),
        root_execution_id: event.root_id,
        trigger_depth: event.depth,
        tried: json_at(row, 13)?,
        chain: event.chain,
        letter,
    })
}

/// The UUID in the column.
pub(super) fn uuid_at(row: &Row<'_>, column: usize) -> rusqlite::Result<uuid::Uuid> {
    row.get(column).map(uuid::Uuid::from_bytes)
}

/// What is in the column as JSON.
pub(super) fn json_at<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
