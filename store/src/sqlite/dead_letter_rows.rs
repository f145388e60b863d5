//! Rows of dead letters: how a delivery becomes one, with the event of it for those who listen.

use super::DataTx;
use super::emit::{Happened, cause_by_hand, emit};
use super::error::JobResult;
use picloud_model::clock::{UnixMs, rfc3339};
use picloud_model::dead_letter::{ATTEMPTS_KEPT_MAX, DeadLetter, DeadLetterDetail};
use picloud_model::delivery::Attempt;
use picloud_model::event::{Event, EventKind, Hop};
use picloud_model::ids::{AppId, AsyncRequestId, DeadLetterId, EventId, ExecutionId, ScriptId, TriggerId};
use picloud_model::problem::Problem;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

/// Longest sentence of an error that is kept with an attempt; what is longer is cut.
const DETAIL_BYTES_MAX: usize = 4 * 1024;

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

/// A delivery that is given up.
pub(super) struct Dying {
    pub(super) app: AppId,
    pub(super) trigger: Option<TriggerId>,
    pub(super) script: String,
    pub(super) version: i64,
    pub(super) event: Event,
    pub(super) attempts: u32,
    pub(super) error: Problem,
    /// Every attempt, oldest first.
    pub(super) tried: Vec<Attempt>,
    pub(super) ordering_key: Option<String>,
    pub(super) request: Option<AsyncRequestId>,
}

/// A script and its live version.
pub(super) struct LiveScript {
    pub(super) name: String,
    pub(super) version: i64,
}

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
    let event = &dying.event;
    // Neither does a letter of a letter start anything, nor what came of one that was too deep.
    let is_final = event.kind == EventKind::DeadLetter || event.depth > cause.depth_max.saturating_add(1);
    let mut error = dying.error.clone();
    shorten(&mut error);
    let letter = DeadLetter {
        id: DeadLetterId(0),
        trigger,
        script: dying.script.clone(),
        version: dying.version,
        kind: event.kind,
        event_id: event.id,
        error,
        attempts: dying.attempts,
        first_at: event.at,
        last_at: at,
        is_final,
    };
    let letter = DeadLetter { id: insert(tx.conn, dying, &letter)?, ..letter };
    if !is_final {
        let mut chain = event.chain.clone();
        chain.extend(last_run(dying, letter.trigger.as_deref()));
        let cause =
            picloud_model::event::Cause { root_id: event.root_id, depth: event.depth, chain: chain.into(), ..cause };
        let happened = Happened::DeadLetter { trigger: letter.trigger.as_deref() };
        emit(tx, dying.app, &cause, &happened, at, || letter_event(&letter, event))?;
    }
    Ok(letter.id)
}

/// The run that failed last, for the chain of what comes of it.
fn last_run(dying: &Dying, trigger: Option<&str>) -> Option<Hop> {
    let execution_id = dying.tried.last()?.execution_id?;
    let cause = trigger.map_or_else(|| dying.event.kind.as_str().to_owned(), |name| format!("trigger {name}"));
    Some(Hop { execution_id, script: dying.script.clone(), version: dying.version, cause })
}

/// What a dead-letter trigger's script sees beyond the head: `letter`.
fn letter_event(letter: &DeadLetter, event: &Event) -> Vec<u8> {
    let shown = json!({
        "letter": {
            "id": letter.id,
            "trigger": letter.trigger,
            "script": letter.script,
            "version": letter.version,
            "error": letter.error,
            "attempts": letter.attempts,
            "first_at": rfc3339(letter.first_at),
            "last_at": rfc3339(letter.last_at),
            "event": event_shown(letter, event),
        }
    });
    shown.to_string().into_bytes()
}

/// The event as the script saw it at the last attempt.
fn event_shown(letter: &DeadLetter, event: &Event) -> Value {
    serde_json::from_slice(&event.to_json(letter.trigger.as_deref(), letter.attempts.max(1))).unwrap_or(Value::Null)
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

/// The attempts with one more, the newest kept.
pub(super) fn with_attempt(tried: Option<&str>, attempt: &Attempt) -> Vec<Attempt> {
    // What cannot be read was written by another version: it is only shown.
    let mut tried: Vec<Attempt> = tried.and_then(|tried| serde_json::from_str(tried).ok()).unwrap_or_default();
    let mut attempt = attempt.clone();
    shorten(&mut attempt.error);
    tried.push(attempt);
    let surplus = tried.len().saturating_sub(ATTEMPTS_KEPT_MAX);
    tried.drain(..surplus);
    tried
}

fn shorten(error: &mut Problem) {
    if error.detail.len() > DETAIL_BYTES_MAX {
        let end = (0..=DETAIL_BYTES_MAX).rev().find(|end| error.detail.is_char_boundary(*end));
        error.detail.truncate(end.unwrap_or(0));
        error.detail.push('…');
    }
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
