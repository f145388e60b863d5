//! From what happened to deliveries: one for each trigger of the app that matches, in the transaction of the cause.

use super::DataTx;
use super::apps::app_by_id;
use super::enqueue::{NewEvent, Target, enqueue};
use super::error::JobResult;
use super::filter::{matches, ordering_text};
use super::matching::KnownTrigger;
use picloud_model::clock::UnixMs;
use picloud_model::event::{Cause, EventKind};
use picloud_model::ids::{AppId, EventId};
use picloud_model::limits::Limits;
use picloud_model::trigger::Op;
use rusqlite::Connection;
use serde_json::Value;
use std::sync::Arc;

/// What happened, as far as triggers choose by it before anything is built.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happened<'a> {
    /// A key changed.
    Kv { op: Op, collection: &'a str, key: &'a str },
    /// A file changed.
    Files { op: Op, collection: &'a str, name: &'a str },
    /// Something was published.
    Pubsub { topic: &'a str },
    /// A delivery was given up, of this trigger if of any.
    DeadLetter { trigger: Option<&'a str> },
}

impl Happened<'_> {
    fn kind(&self) -> EventKind {
        match self {
            Self::Kv { .. } => EventKind::Kv,
            Self::Files { .. } => EventKind::Files,
            Self::Pubsub { .. } => EventKind::Pubsub,
            Self::DeadLetter { .. } => EventKind::DeadLetter,
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Emitted {
    /// The event, where any trigger matched.
    pub(super) event: Option<EventId>,
    /// Deliveries that were made, those that are dead letters at once included.
    pub(super) deliveries: u32,
}

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
    let known = tx.state.triggers.of(tx.conn, app)?;
    let mut chosen: Vec<&Arc<KnownTrigger>> = known.choose(happened).collect();
    if chosen.is_empty() {
        return Ok(Emitted::default());
    }
    let body = body();
    let mut fields = None;
    if chosen.iter().any(|trigger| trigger.reads_body()) {
        let parsed: Value = serde_json::from_slice(&body)?;
        chosen.retain(|trigger| matches(&trigger.spec.matches, &parsed));
        fields = Some(parsed);
    }
    if chosen.is_empty() {
        return Ok(Emitted::default());
    }
    let targets: Vec<Target> = chosen.into_iter().map(|trigger| target(trigger, fields.as_ref(), due_at)).collect();
    let event = NewEvent {
        id: EventId::new(),
        kind: happened.kind(),
        at: cause.at,
        due_at,
        root_id: cause.root_id,
        depth: cause.depth.saturating_add(1),
        chain: cause.chain.clone(),
        body,
    };
    let deliveries = enqueue(tx, app, cause, &event, &targets)?;
    Ok(Emitted { event: Some(event.id), deliveries })
}

/// The delivery of a trigger. `fields` is the event's body, where the trigger reads it.
pub(super) fn target(trigger: &KnownTrigger, fields: Option<&Value>, due_at: UnixMs) -> Target {
    let max_age = trigger.spec.max_age_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
    let ordering_key = trigger.spec.ordering_key.as_deref();
    Target {
        lane: trigger.id.0,
        trigger: Some(trigger.id),
        script: trigger.script,
        version: None,
        ordering_key: ordering_key.map(|path| ordering_text(path, fields.unwrap_or(&Value::Null))),
        expires_at: max_age.map(|max_age| due_at.saturating_add(max_age)),
        timer: None,
        request: None,
    }
}

/// The cause of what a person, a schedule or a test does: nobody's run, within the app's limits.
pub(super) fn cause_by_hand(conn: &Connection, app: AppId, at: UnixMs) -> JobResult<Cause> {
    let limits: Limits = app_by_id(conn, app)?.map(|app| app.limits.resolve()).unwrap_or_default();
    Ok(Cause::first(at, &limits))
}
