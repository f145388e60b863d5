//! What makes deliveries beside keys and files, in SQLite: publishes, timers, requests that are answered later.

use super::emit::emit_as;
use super::enqueue::enqueue;
use super::error::JobResult;
use super::script_rows::script_by_name;
use super::{DataTx, SqliteStore, async_requests, timers};
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
use rusqlite::{Connection, params};
use serde_json::json;

#[async_trait]
impl Events for SqliteStore {
    async fn publish(&self, app: AppId, one: Publish, cause: &Cause) -> Result<Published> {
        let cause = cause.clone();
        self.write(move |tx| publish(tx, app, &one, &cause)).await
    }

    async fn set_timer(&self, app: AppId, timer: NewTimer, cause: &Cause) -> Result<()> {
        let cause = cause.clone();
        self.write(move |tx| timers::set(tx, app, &timer, &cause)).await
    }

    async fn cancel_timer(&self, app: AppId, timer: TimerId) -> Result<bool> {
        self.write(move |tx| timers::cancel(tx, app, timer)).await
    }

    async fn timers(&self, app: AppId, page: &PageRequest) -> Result<Page<Timer>> {
        let page = page.clone();
        self.read(move |conn| timers::list(conn, app, &page)).await
    }

    async fn accept(&self, app: AppId, request: NewAsyncRequest, hash: ContentHash, cause: &Cause) -> Result<Accepted> {
        let cause = cause.clone();
        self.write(move |tx| async_requests::accept(tx, app, &request, hash, &cause)).await
    }

    async fn async_state(&self, id: AsyncRequestId, now: UnixMs) -> Result<Option<AsyncState>> {
        let running = self.claims.answers(id);
        self.read(move |conn| async_requests::state(conn, id, running, now)).await
    }

    async fn expire_events(&self, now: UnixMs, rows_max: u32) -> Result<u64> {
        self.write(move |tx| {
            let mut delete = tx.conn.prepare_cached(
                "DELETE FROM dedup_keys WHERE (app_id, topic, key) IN
                 (SELECT app_id, topic, key FROM dedup_keys WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?;
            let keys = delete.execute([now, i64::from(rows_max)])?;
            Ok(keys as u64 + async_requests::expire(tx, now, rows_max)?)
        })
        .await
    }
}

/// Makes the deliveries of one publish, unless it was published already.
pub(super) fn publish(tx: &mut DataTx<'_>, app: AppId, one: &Publish, cause: &Cause) -> JobResult<Published> {
    publish_as(tx, app, one, cause, EventId::new())
}

/// The same with the event's id.
pub(super) fn publish_as(
    tx: &mut DataTx<'_>,
    app: AppId,
    one: &Publish,
    cause: &Cause,
    event: EventId,
) -> JobResult<Published> {
    if let Some(key) = &one.dedup_key
        && !is_first(tx, app, &one.topic, key, cause.at)?
    {
        return Ok(Published { event: None, deliveries: 0 });
    }
    let due_at = cause.at.saturating_add(i64::try_from(one.delay_ms).unwrap_or(i64::MAX));
    let happened = Happened::Pubsub { topic: &one.topic };
    let body = || with_value(json!({ "topic": one.topic }), &one.value);
    let emitted = emit_as(tx, app, Some(event), cause, &happened, due_at, body)?;
    // What nobody listens to was published all the same.
    Ok(Published { event: Some(event), deliveries: emitted.deliveries })
}

/// Whether the key was not used on the topic within the window, and from now on it was.
fn is_first(tx: &DataTx<'_>, app: AppId, topic: &str, key: &str, now: UnixMs) -> JobResult<bool> {
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO dedup_keys (app_id, topic, key, expires_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (app_id, topic, key) DO UPDATE SET expires_at = excluded.expires_at WHERE expires_at <= ?5",
    )?;
    Ok(insert.execute(params![app.0, topic, key, now.saturating_add(DEDUP_WINDOW_MS), now])? > 0)
}

/// Makes the delivery of what is for one script. Refuses where that is no endpoint of the app.
pub(super) fn deliver(tx: &mut DataTx<'_>, app: AppId, cause: &Cause, one: ForScript<'_>) -> JobResult<()> {
    let script = endpoint(tx.conn, app, one.script, one.what)?;
    let (event, target) = one.delivery(app, script, cause);
    enqueue(tx, app, cause, &event, &[target])?;
    Ok(())
}

/// The endpoint of the app called `name`; refuses everything else.
pub(super) fn endpoint(conn: &Connection, app: AppId, name: &str, what: &str) -> JobResult<ScriptId> {
    match script_by_name(conn, app, name)? {
        Some(script) if script.kind == ScriptKind::Endpoint => Ok(script.id),
        _ => Err(leads_nowhere(what, name).into()),
    }
}
