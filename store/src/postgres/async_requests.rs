//! Requests that are answered later: taken once each, and their answers for whoever asks.

use super::columns::{count_at, uuid_at};
use super::enqueue::storable;
use super::error::JobResult;
use super::events::deliver;
use super::transaction::Tx;
use crate::triggering::ForScript;
use picloud_model::async_request::{Accepted, AsyncAnswer, AsyncState, NewAsyncRequest};
use picloud_model::clock::UnixMs;
use picloud_model::event::{Cause, EventKind};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, AsyncRequestId};
use sqlx::{PgConnection, Row as _};

/// Keeps the request and makes its delivery, unless its idempotency key was used. The event's body is the request. Of two
/// with one key that come at once, the second meets the first one's row and is tried again.
pub(super) async fn accept(
    tx: &mut Tx<'_>,
    app: AppId,
    request: &NewAsyncRequest,
    hash: ContentHash,
    cause: &Cause,
) -> JobResult<Accepted> {
    let key = request.idempotency_key.as_deref().map(storable);
    if let Some(key) = &key
        && let Some(known) = known(tx.conn(), app, key, hash, cause.at).await?
    {
        return Ok(known);
    }
    let id = request.id;
    sqlx::query(
        "INSERT INTO async_requests (id, app_id, idempotency_key, request_hash, created_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id.0.into_bytes())
    .bind(app.0)
    .bind(key)
    .bind(hash.0)
    .bind(cause.at)
    .execute(tx.conn())
    .await?;
    let one = ForScript {
        script: &request.script,
        what: "the request",
        kind: EventKind::Request,
        due_at: cause.at,
        body: serde_json::to_vec(request)?,
        timer: None,
        request: Some(id),
    };
    deliver(tx, app, cause, one).await?;
    Ok(Accepted::New(id))
}

/// What a second use of the key comes to; `None` where it is the first, or the first is over.
async fn known(
    conn: &mut PgConnection,
    app: AppId,
    key: &str,
    hash: ContentHash,
    now: UnixMs,
) -> JobResult<Option<Accepted>> {
    sqlx::query("DELETE FROM async_requests WHERE app_id = $1 AND idempotency_key = $2 AND expires_at <= $3")
        .bind(app.0)
        .bind(key)
        .bind(now)
        .execute(&mut *conn)
        .await?;
    let row = sqlx::query("SELECT id, request_hash FROM async_requests WHERE app_id = $1 AND idempotency_key = $2")
        .bind(app.0)
        .bind(key)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let same = row.try_get::<[u8; 32], _>(1)? == hash.0;
    Ok(Some(if same { Accepted::Known(AsyncRequestId(uuid_at(&row, 0)?)) } else { Accepted::KeyTaken }))
}

/// How far it is; `None` where there is none, or its time is over.
pub(super) async fn state(conn: &mut PgConnection, id: AsyncRequestId, now: UnixMs) -> JobResult<Option<AsyncState>> {
    let row = sqlx::query(
        "SELECT created_at, attempts, status, headers, body,
                EXISTS (SELECT 1 FROM deliveries d WHERE d.request_id = r.id AND d.claimed_by IS NOT NULL)
         FROM async_requests r WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(id.0.into_bytes())
    .bind(now)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let status: Option<i64> = row.try_get(2)?;
    let answer = match status.and_then(|status| u16::try_from(status).ok()) {
        None => None,
        Some(status) => {
            let headers: Option<&str> = row.try_get(3)?;
            let headers = headers.map(serde_json::from_str).transpose()?.unwrap_or_default();
            Some(AsyncAnswer { status, headers, body: row.try_get::<Option<Vec<u8>>, _>(4)?.unwrap_or_default() })
        }
    };
    Ok(Some(AsyncState {
        created_at: row.try_get(0)?,
        attempts: count_at(&row, 1)?,
        running: answer.is_none() && row.try_get::<bool, _>(5)?,
        answer,
    }))
}

/// Keeps the answer for whoever asks.
pub(super) async fn keep_answer(
    conn: &mut PgConnection,
    request: AsyncRequestId,
    answer: &AsyncAnswer,
    expires_at: UnixMs,
) -> JobResult<()> {
    sqlx::query("UPDATE async_requests SET status = $2, headers = $3, body = $4, expires_at = $5 WHERE id = $1")
        .bind(request.0.into_bytes())
        .bind(i64::from(answer.status))
        .bind(serde_json::to_string(&answer.headers)?)
        .bind(&answer.body)
        .bind(expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets up to `rows_max` whose time is over; answers how many.
pub(super) async fn expire(conn: &mut PgConnection, now: UnixMs, rows_max: u32) -> JobResult<u64> {
    let gone = sqlx::query(
        "DELETE FROM async_requests WHERE expires_at <= $1 AND id IN
         (SELECT id FROM async_requests WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(now)
    .bind(i64::from(rows_max))
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
