//! What makes deliveries beside keys and files, in Postgres: publishes, timers, requests that are answered later.

use super::emit::emit_as;
use super::enqueue::{enqueue, storable};
use super::error::JobResult;
use super::script_rows::script_by_name;
use super::transaction::{Tx, reading, writing};
use super::{PgStore, async_requests, timers};
use crate::kv_changes::with_value;
use crate::matching::Happened;
use crate::triggering::{ForScript, leads_nowhere};
use crate::{Events, Result};
use async_trait::async_trait;
use picloud_model::async_request::{Accepted, AsyncState, NewAsyncRequest};
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, AsyncRequestId, EventId, ScriptId, TimerId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::publish::{DEDUP_WINDOW_MS, Publish, Published};
use picloud_model::script::ScriptKind;
use picloud_model::timer::{NewTimer, Timer};
use serde_json::json;
use sqlx::PgConnection;

#[async_trait]
impl Events for PgStore {
    async fn publish(&self, app: AppId, one: Publish, cause: &Cause) -> Result<Published> {
        writing!(self, |tx| publish(tx, app, &one, cause).await)
    }

    async fn set_timer(&self, app: AppId, timer: NewTimer, cause: &Cause) -> Result<()> {
        writing!(self, |tx| timers::set(tx, app, &timer, cause).await)
    }

    async fn cancel_timer(&self, app: AppId, timer: TimerId) -> Result<bool> {
        writing!(self, |tx| timers::cancel(tx.conn(), app, timer).await)
    }

    async fn timers(&self, app: AppId, page: &PageRequest) -> Result<Page<Timer>> {
        reading!(self, |conn| timers::list(conn, app, page).await)
    }

    async fn accept(&self, app: AppId, request: NewAsyncRequest, hash: ContentHash, cause: &Cause) -> Result<Accepted> {
        writing!(self, |tx| async_requests::accept(tx, app, &request, hash, cause).await)
    }

    async fn async_state(&self, id: AsyncRequestId, now: UnixMs) -> Result<Option<AsyncState>> {
        reading!(self, |conn| async_requests::state(conn, id, now).await)
    }

    async fn expire_events(&self, now: UnixMs, rows_max: u32) -> Result<u64> {
        writing!(self, |tx| {
            let keys = sqlx::query(
                "DELETE FROM dedup_keys WHERE expires_at <= $1 AND (app_id, topic, key) IN
                 (SELECT app_id, topic, key FROM dedup_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
                  FOR UPDATE SKIP LOCKED)",
            )
            .bind(now)
            .bind(i64::from(rows_max))
            .execute(tx.conn())
            .await?;
            Ok(keys.rows_affected() + async_requests::expire(tx.conn(), now, rows_max).await?)
        })
    }
}

/// Makes the deliveries of one publish, unless it was published already.
pub(super) async fn publish(tx: &mut Tx<'_>, app: AppId, one: &Publish, cause: &Cause) -> JobResult<Published> {
    publish_as(tx, app, one, cause, EventId::new()).await
}

/// The same with the event's id.
pub(super) async fn publish_as(
    tx: &mut Tx<'_>,
    app: AppId,
    one: &Publish,
    cause: &Cause,
    event: EventId,
) -> JobResult<Published> {
    if let Some(key) = &one.dedup_key
        && !is_first(tx.conn(), app, &one.topic, key, cause.at).await?
    {
        return Ok(Published { event: None, deliveries: 0 });
    }
    let due_at = cause.at.saturating_add(i64::try_from(one.delay_ms).unwrap_or(i64::MAX));
    let happened = Happened::Pubsub { topic: &one.topic };
    let body = || with_value(json!({ "topic": one.topic }), &one.value);
    let emitted = emit_as(tx, app, Some(event), cause, &happened, due_at, body).await?;
    // What nobody listens to was published all the same.
    Ok(Published { event: Some(event), deliveries: emitted.deliveries })
}

/// Whether the key was not used on the topic within the window, and from now on it was.
async fn is_first(conn: &mut PgConnection, app: AppId, topic: &str, key: &str, now: UnixMs) -> JobResult<bool> {
    let written = sqlx::query(
        "INSERT INTO dedup_keys (app_id, topic, key, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (app_id, topic, key) DO UPDATE SET expires_at = excluded.expires_at
         WHERE dedup_keys.expires_at <= $5",
    )
    .bind(app.0)
    .bind(topic)
    .bind(storable(key))
    .bind(now.saturating_add(DEDUP_WINDOW_MS))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(written.rows_affected() > 0)
}

/// Makes the delivery of what is for one script. Refuses where that is no endpoint of the app.
pub(super) async fn deliver(tx: &mut Tx<'_>, app: AppId, cause: &Cause, one: ForScript<'_>) -> JobResult<()> {
    let script = endpoint(tx.conn(), app, one.script, one.what).await?;
    let (event, target) = one.delivery(app, script, cause);
    enqueue(tx, app, cause, &event, vec![target]).await?;
    Ok(())
}

/// The endpoint of the app called `name`; refuses everything else.
pub(super) async fn endpoint(conn: &mut PgConnection, app: AppId, name: &str, what: &str) -> JobResult<ScriptId> {
    match script_by_name(conn, app, name).await? {
        Some(script) if script.kind == ScriptKind::Endpoint => Ok(script.id),
        _ => Err(leads_nowhere(what, name).into()),
    }
}
