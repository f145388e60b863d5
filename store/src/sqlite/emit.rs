//! From what happened to deliveries: one for each trigger of the app that matches, in the transaction of the cause.

use super::DataTx;
use super::apps::app_by_id;
use super::enqueue::enqueue;
use super::error::JobResult;
use crate::emission::{Emitted, deliveries_of};
use crate::matching::Happened;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::ids::{AppId, EventId};
use picloud_model::limits::Limits;
use rusqlite::Connection;

/// Makes the deliveries of what happened, due at `due_at`. `body` is [`picloud_model::event::Event::body`]'s, built only
/// where a trigger may match. It writes several rows: who calls it must be able to take all of them back.
pub(super) fn emit(
    tx: &mut DataTx<'_>,
    app: AppId,
    cause: &Cause,
    happened: &Happened<'_>,
    due_at: UnixMs,
    body: impl FnOnce() -> Vec<u8>,
) -> JobResult<Emitted> {
    emit_as(tx, app, None, cause, happened, due_at, body)
}

/// The same with the event's id, where somebody chose it.
pub(super) fn emit_as(
    tx: &mut DataTx<'_>,
    app: AppId,
    id: Option<EventId>,
    cause: &Cause,
    happened: &Happened<'_>,
    due_at: UnixMs,
    body: impl FnOnce() -> Vec<u8>,
) -> JobResult<Emitted> {
    let known = tx.state.triggers.of(tx.conn, app)?;
    let Some((mut event, targets)) = deliveries_of(&known, cause, happened, due_at, body)? else {
        return Ok(Emitted::default());
    };
    event.id = id.unwrap_or(event.id);
    let deliveries = enqueue(tx, app, cause, &event, &targets)?;
    Ok(Emitted { event: Some(event.id), deliveries })
}

/// The cause of what a person, a schedule or a test does: nobody's run, within the app's limits.
pub(super) fn cause_by_hand(conn: &Connection, app: AppId, at: UnixMs) -> JobResult<Cause> {
    let limits: Limits = app_by_id(conn, app)?.map(|app| app.limits.resolve()).unwrap_or_default();
    Ok(Cause::first(at, &limits))
}
