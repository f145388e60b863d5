//! Rows of events and deliveries, written within the transactions of others.

use super::DataTx;
use super::dead_letter_rows::{Dying, bury, script_at};
use super::error::JobResult;
use crate::StoreError;
use picloud_model::clock::UnixMs;
use picloud_model::event::{Cause, Event, EventKind, Hop};
use picloud_model::ids::{AppId, AsyncRequestId, EventId, ExecutionId, ScriptId, TimerId, TriggerId};
use picloud_model::problem::{Code, Problem};
use rusqlite::params;
use std::sync::Arc;

/// An event to be kept.
#[derive(Clone, Debug)]
pub(super) struct NewEvent {
    pub(super) id: EventId,
    pub(super) kind: EventKind,
    pub(super) at: UnixMs,
    pub(super) due_at: UnixMs,
    pub(super) root_id: ExecutionId,
    pub(super) depth: u32,
    pub(super) chain: Arc<[Hop]>,
    pub(super) body: Vec<u8>,
}

/// For whom it is.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The trigger's id; or [`own_lane`], where no pause, no bound and no key of a trigger counts: for timers, requests
    /// and what a person fires.
    pub(super) lane: i64,
    pub(super) trigger: Option<TriggerId>,
    pub(super) script: ScriptId,
    pub(super) version: Option<i64>,
    pub(super) ordering_key: Option<String>,
    pub(super) expires_at: Option<UnixMs>,
    pub(super) timer: Option<TimerId>,
    pub(super) request: Option<AsyncRequestId>,
}

/// The lane of an app for what is of no trigger.
pub(super) fn own_lane(app: AppId) -> i64 {
    -app.0
}

/// Writes the event and a delivery for each target; answers how many. Refuses above the cause's `queued_max`; above its
/// `depth_max` they are dead letters at once.
pub(super) fn enqueue(
    tx: &mut DataTx<'_>,
    app: AppId,
    cause: &Cause,
    event: &NewEvent,
    targets: &[Target],
) -> JobResult<u32> {
    let count = i64::try_from(targets.len()).expect("an app has few triggers");
    if count == 0 {
        return Ok(0);
    }
    // A dead letter's event is one deeper than what died, which may be too deep already: told of it must be.
    if event.depth > cause.depth_max && event.kind != EventKind::DeadLetter {
        for target in targets {
            bury_too_deep(tx, app, cause, event, target)?;
        }
        return Ok(targets.len() as u32);
    }
    // What nobody can be refused for is let in: a schedule's time, a delivery given up.
    if !matches!(event.kind, EventKind::DeadLetter | EventKind::Cron) {
        let waiting = tx.state.waiting.count(tx.conn, app)?.unsigned_abs();
        if waiting + count.unsigned_abs() > cause.queued_max {
            return Err(StoreError::Backlog { waiting, limit: cause.queued_max }.into());
        }
    }
    insert(tx, app, event, targets)?;
    tx.state.waiting.changed_by(app, count);
    tx.state.waiting.wake();
    Ok(targets.len() as u32)
}

fn insert(tx: &DataTx<'_>, app: AppId, event: &NewEvent, targets: &[Target]) -> JobResult<()> {
    let count = i64::try_from(targets.len()).expect("an app has few triggers");
    let first = tx.state.waiting.draw_ids(tx.conn, count)?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO events (id, event_id, app_id, kind, at, root_id, depth, chain, deliveries, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let chain = serde_json::to_string(&*event.chain)?;
    insert.execute(params![
        first,
        event.id.0.into_bytes(),
        app.0,
        event.kind.as_str(),
        event.at,
        event.root_id.0.into_bytes(),
        event.depth,
        chain,
        count,
        event.body
    ])?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO deliveries (id, app_id, lane, event, trigger_id, script_id, version, due_at, ordering_key,
                                 blocked, expires_at, timer_id, request_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
                 ?9 IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries WHERE lane = ?3 AND ordering_key = ?9),
                 ?10, ?11, ?12)",
    )?;
    for (id, target) in (first..).zip(targets) {
        insert.execute(params![
            id,
            app.0,
            target.lane,
            first,
            target.trigger.map(|trigger| trigger.0),
            target.script.0,
            target.version,
            event.due_at,
            target.ordering_key,
            target.expires_at,
            target.timer.map(|timer| timer.0.into_bytes()),
            target.request.map(|request| request.0.into_bytes())
        ])?;
    }
    Ok(())
}

/// Makes the delivery of an event that was delivered before, whatever waits and however deep it is.
pub(super) fn insert_again(tx: &DataTx<'_>, app: AppId, event: &NewEvent, target: Target) -> JobResult<()> {
    insert(tx, app, event, &[target])?;
    tx.state.waiting.changed_by(app, 1);
    tx.state.waiting.wake();
    Ok(())
}

/// Removes the timers that wait for a script that goes; answers how many. Requests stay until they would be claimed, which
/// answers them.
pub(super) fn forget_script(tx: &DataTx<'_>, app: AppId, script: ScriptId) -> JobResult<u64> {
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM deliveries WHERE app_id = ?1 AND lane = ?2 AND script_id = ?3 AND request_id IS NULL",
    )?;
    let gone = delete.execute([app.0, own_lane(app), script.0])?;
    tx.state.waiting.changed_by(app, -i64::try_from(gone).unwrap_or(i64::MAX));
    Ok(gone as u64)
}

/// The dead letter of what would run too many runs away from the first.
fn bury_too_deep(tx: &mut DataTx<'_>, app: AppId, cause: &Cause, event: &NewEvent, target: &Target) -> JobResult<()> {
    let Some(script) = script_at(tx.conn, app, target.script)? else { return Ok(()) };
    let mut way: Vec<&str> = event.chain.iter().map(|hop| hop.script.as_str()).collect();
    way.push(&script.name);
    let detail = format!("runs start runs in a circle: {}", way.join(" → "));
    let error = Problem::new(Code::Loop, detail)
        .limit("trigger_depth", u64::from(cause.depth_max))
        .hint("let the trigger match less than what its script writes, or raise `trigger_depth` in [limits]");
    let dying = Dying {
        app,
        trigger: target.trigger,
        version: target.version.unwrap_or(script.version),
        script: script.name,
        event: Event {
            id: event.id,
            kind: event.kind,
            at: event.at,
            root_id: event.root_id,
            depth: event.depth,
            chain: event.chain.to_vec(),
            body: event.body.clone(),
        },
        attempts: 0,
        error,
        tried: Vec::new(),
        ordering_key: target.ordering_key.clone(),
        request: target.request,
    };
    bury(tx, &dying, cause.at)?;
    Ok(())
}
