//! Requests that are answered later: taken once each, and their answers for whoever asks.

use super::DataTx;
use super::error::JobResult;
use super::events::deliver;
use crate::triggering::ForScript;
use picloud_model::async_request::{Accepted, AsyncAnswer, AsyncState, NewAsyncRequest};
use picloud_model::clock::UnixMs;
use picloud_model::event::{Cause, EventKind};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, AsyncRequestId};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Keeps the request and makes its delivery, unless its idempotency key was used. The event's body is the request.
pub(super) fn accept(
    tx: &mut DataTx<'_>,
    app: AppId,
    request: &NewAsyncRequest,
    hash: ContentHash,
    cause: &Cause,
) -> JobResult<Accepted> {
    if let Some(key) = &request.idempotency_key
        && let Some(known) = known(tx, app, key, hash, cause.at)?
    {
        return Ok(known);
    }
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO async_requests (id, app_id, idempotency_key, request_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let id = request.id;
    insert.execute(params![id.0.into_bytes(), app.0, request.idempotency_key, hash.0, cause.at])?;
    let one = ForScript {
        script: &request.script,
        what: "the request",
        kind: EventKind::Request,
        due_at: cause.at,
        body: serde_json::to_vec(request)?,
        timer: None,
        request: Some(id),
    };
    deliver(tx, app, cause, one)?;
    Ok(Accepted::New(id))
}

/// What a second use of the key comes to; `None` where it is the first, or the first is over.
fn known(tx: &DataTx<'_>, app: AppId, key: &str, hash: ContentHash, now: UnixMs) -> JobResult<Option<Accepted>> {
    let mut forget = tx
        .conn
        .prepare_cached("DELETE FROM async_requests WHERE app_id = ?1 AND idempotency_key = ?2 AND expires_at <= ?3")?;
    forget.execute(params![app.0, key, now])?;
    let mut select = tx
        .conn
        .prepare_cached("SELECT id, request_hash FROM async_requests WHERE app_id = ?1 AND idempotency_key = ?2")?;
    let known = select.query_row(params![app.0, key], |row| {
        let id = AsyncRequestId(uuid::Uuid::from_bytes(row.get(0)?));
        Ok(if row.get::<_, [u8; 32]>(1)? == hash.0 { Accepted::Known(id) } else { Accepted::KeyTaken })
    });
    Ok(known.optional()?)
}

/// How far it is; `None` where there is none, or its time is over.
pub(super) fn state(
    conn: &Connection,
    id: AsyncRequestId,
    running: bool,
    now: UnixMs,
) -> JobResult<Option<AsyncState>> {
    let mut select = conn.prepare_cached(
        "SELECT created_at, attempts, status, headers, body FROM async_requests
         WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
    )?;
    let mut rows = select.query(params![id.0.into_bytes(), now])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let status: Option<u16> = row.get(2)?;
    let answer = match status {
        None => None,
        Some(status) => {
            let headers: Option<String> = row.get(3)?;
            let headers = headers.map(|headers| serde_json::from_str(&headers)).transpose()?.unwrap_or_default();
            Some(AsyncAnswer { status, headers, body: row.get::<_, Option<Vec<u8>>>(4)?.unwrap_or_default() })
        }
    };
    // Whoever runs it knows whether one is under way: a claim is written nowhere.
    Ok(Some(AsyncState {
        created_at: row.get(0)?,
        attempts: row.get(1)?,
        running: running && answer.is_none(),
        answer,
    }))
}

/// Forgets up to `rows_max` whose time is over; answers how many.
pub(super) fn expire(tx: &DataTx<'_>, now: UnixMs, rows_max: u32) -> JobResult<u64> {
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM async_requests WHERE id IN
         (SELECT id FROM async_requests WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
    )?;
    Ok(delete.execute([now, i64::from(rows_max)])? as u64)
}
