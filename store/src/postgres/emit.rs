//! From what happened to deliveries: one for each trigger of the app that matches, in the transaction of the cause.

use super::enqueue::enqueue;
use super::error::JobResult;
use super::transaction::Tx;
use crate::emission::{Emitted, deliveries_of};
use crate::matching::Happened;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::ids::{AppId, EventId};
use picloud_model::limits::{AppLimits, Limits};
use sqlx::PgConnection;

/// Makes the deliveries of what happened, due at `due_at`. `body` is [`picloud_model::event::Event::body`]'s, built only
/// where a trigger may match.
pub(super) async fn emit(
    tx: &mut Tx<'_>,
    app: AppId,
    cause: &Cause,
    happened: &Happened<'_>,
    due_at: UnixMs,
    body: impl FnOnce() -> Vec<u8> + Send,
) -> JobResult<Emitted> {
    emit_as(tx, app, None, cause, happened, due_at, body).await
}

/// The same with the event's id, where somebody chose it.
pub(super) async fn emit_as(
    tx: &mut Tx<'_>,
    app: AppId,
    id: Option<EventId>,
    cause: &Cause,
    happened: &Happened<'_>,
    due_at: UnixMs,
    body: impl FnOnce() -> Vec<u8> + Send,
) -> JobResult<Emitted> {
    let store = tx.store;
    let known = store.triggers.of(tx.conn(), app).await?;
    let Some((mut event, targets)) = deliveries_of(&known, cause, happened, due_at, body)? else {
        return Ok(Emitted::default());
    };
    event.id = id.unwrap_or(event.id);
    let deliveries = enqueue(tx, app, cause, &event, targets).await?;
    Ok(Emitted { event: Some(event.id), deliveries })
}

/// The cause of what a person, a schedule or a test does: nobody's run, within the app's limits.
pub(super) async fn cause_by_hand(conn: &mut PgConnection, app: AppId, at: UnixMs) -> JobResult<Cause> {
    let limits: Option<String> =
        sqlx::query_scalar("SELECT limits FROM apps WHERE id = $1").bind(app.0).fetch_optional(conn).await?;
    let limits = match limits {
        Some(limits) => serde_json::from_str::<AppLimits>(&limits)?.resolve(),
        None => Limits::default(),
    };
    Ok(Cause::first(at, &limits))
}
