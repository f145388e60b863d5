//! Rows of dead letters: how a delivery becomes one, with the event of it for those who listen.

use super::columns::{count_at, json_at, kind_at, uuid_at};
use super::emit::{cause_by_hand, emit};
use super::enqueue::storable;
use super::error::JobResult;
use super::transaction::Tx;
use crate::letters::{Dying, LiveScript, cause_of_letter, event_shown, letter_event, letter_of};
use crate::matching::Happened;
use picloud_model::clock::UnixMs;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail};
use picloud_model::event::Event;
use picloud_model::ids::{AppId, DeadLetterId, EventId, ExecutionId, ScriptId, TriggerId};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

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
pub(super) async fn script_at(conn: &mut PgConnection, app: AppId, script: ScriptId) -> JobResult<Option<LiveScript>> {
    let found: Option<(String, i64)> =
        sqlx::query_as("SELECT name, live_version FROM scripts WHERE app_id = $1 AND id = $2")
            .bind(app.0)
            .bind(script.0)
            .fetch_optional(conn)
            .await?;
    Ok(found.map(|(name, version)| LiveScript { name, version }))
}

/// Writes the letter, and makes the deliveries of those who listen for it. The delivery itself is the caller's.
pub(super) async fn bury(tx: &mut Tx<'_>, dying: &Dying, at: UnixMs) -> JobResult<DeadLetterId> {
    let cause = cause_by_hand(tx.conn(), dying.app, at).await?;
    let trigger = match dying.trigger {
        Some(trigger) => trigger_name(tx.conn(), dying.app, trigger).await?,
        None => None,
    };
    let letter = letter_of(dying, trigger, cause.depth_max, at);
    let letter = DeadLetter { id: insert(tx.conn(), dying, &letter).await?, ..letter };
    if !letter.is_final {
        let cause = cause_of_letter(dying, &letter, cause);
        let happened = Happened::DeadLetter { trigger: letter.trigger.as_deref() };
        emit(tx, dying.app, &cause, &happened, at, || letter_event(&letter, &dying.event)).await?;
    }
    Ok(letter.id)
}

async fn insert(conn: &mut PgConnection, dying: &Dying, letter: &DeadLetter) -> JobResult<DeadLetterId> {
    let event = &dying.event;
    let id = sqlx::query_scalar(
        "INSERT INTO dead_letters (app_id, trigger, script, version, kind, event_id, event_at, root_id, depth, attempts,
                                   dead_at, final, error, tried, chain, ordering_key, request_id, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) RETURNING id",
    )
    .bind(dying.app.0)
    .bind(&letter.trigger)
    .bind(&letter.script)
    .bind(letter.version)
    .bind(letter.kind.as_str())
    .bind(event.id.0.into_bytes())
    .bind(event.at)
    .bind(event.root_id.0.into_bytes())
    .bind(i64::from(event.depth))
    .bind(i64::from(letter.attempts))
    .bind(letter.last_at)
    .bind(i64::from(letter.is_final))
    .bind(serde_json::to_string(&letter.error)?)
    .bind(serde_json::to_string(&dying.tried)?)
    .bind(serde_json::to_string(&event.chain)?)
    .bind(dying.ordering_key.as_deref().map(storable))
    .bind(dying.request.map(|request| request.0.into_bytes()))
    .bind(&event.body)
    .fetch_one(conn)
    .await?;
    Ok(DeadLetterId(id))
}

/// The trigger's name.
async fn trigger_name(conn: &mut PgConnection, app: AppId, trigger: TriggerId) -> JobResult<Option<String>> {
    let select = sqlx::query_scalar("SELECT name FROM triggers WHERE app_id = $1 AND id = $2");
    Ok(select.bind(app.0).bind(trigger.0).fetch_optional(conn).await?)
}

/// Reads one that was selected with [`select_letter`].
pub(super) fn detail_from_row(row: &PgRow) -> JobResult<DeadLetterDetail> {
    let letter = DeadLetter {
        id: DeadLetterId(row.try_get(0)?),
        trigger: row.try_get(1)?,
        script: row.try_get(2)?,
        version: row.try_get(3)?,
        kind: kind_at(row, 4)?,
        event_id: EventId(uuid_at(row, 5)?),
        first_at: row.try_get(6)?,
        attempts: count_at(row, 9)?,
        last_at: row.try_get(10)?,
        is_final: row.try_get::<i64, _>(11)? != 0,
        error: json_at(row, 12)?,
    };
    let event = Event {
        id: letter.event_id,
        kind: letter.kind,
        at: letter.first_at,
        root_id: ExecutionId(uuid_at(row, 7)?),
        depth: count_at(row, 8)?,
        chain: json_at(row, 14)?,
        body: row.try_get(15)?,
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
