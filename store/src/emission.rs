//! From what happened to the deliveries it makes: which event, and for whom.

use crate::filter::{matches, ordering_text};
use crate::matching::{AppTriggers, Happened, KnownTrigger};
use picloud_model::clock::UnixMs;
use picloud_model::event::{Cause, EventKind, Hop};
use picloud_model::ids::{AppId, AsyncRequestId, EventId, ExecutionId, ScriptId, TimerId, TriggerId};
use serde_json::Value;
use std::sync::Arc;

/// An event to be kept.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent {
    pub(crate) id: EventId,
    pub(crate) kind: EventKind,
    pub(crate) at: UnixMs,
    pub(crate) due_at: UnixMs,
    pub(crate) root_id: ExecutionId,
    pub(crate) depth: u32,
    pub(crate) chain: Arc<[Hop]>,
    pub(crate) body: Vec<u8>,
}

/// For whom it is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The trigger's id; or [`own_lane`], where no pause, no bound and no key of a trigger counts: for timers, requests
    /// and what a person fires.
    pub(crate) lane: i64,
    pub(crate) trigger: Option<TriggerId>,
    pub(crate) script: ScriptId,
    pub(crate) version: Option<i64>,
    pub(crate) ordering_key: Option<String>,
    pub(crate) expires_at: Option<UnixMs>,
    pub(crate) timer: Option<TimerId>,
    pub(crate) request: Option<AsyncRequestId>,
}

/// The lane of an app for what is of no trigger.
pub(crate) fn own_lane(app: AppId) -> i64 {
    -app.0
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Emitted {
    /// The event, where any trigger matched.
    pub(crate) event: Option<EventId>,
    /// Deliveries that were made, those that are dead letters at once included.
    pub(crate) deliveries: u32,
}

/// The event of what happened and the delivery for each trigger that takes it, due at `due_at`; `None` where none does.
/// `body` is [`picloud_model::event::Event::body`]'s, built only where a trigger may match.
pub(crate) fn deliveries_of(
    known: &AppTriggers,
    cause: &Cause,
    happened: &Happened<'_>,
    due_at: UnixMs,
    body: impl FnOnce() -> Vec<u8>,
) -> serde_json::Result<Option<(NewEvent, Vec<Target>)>> {
    let mut chosen: Vec<&Arc<KnownTrigger>> = known.choose(happened).collect();
    if chosen.is_empty() {
        return Ok(None);
    }
    let body = body();
    let mut fields = None;
    if chosen.iter().any(|trigger| trigger.reads_body()) {
        let parsed: Value = serde_json::from_slice(&body)?;
        chosen.retain(|trigger| matches(&trigger.spec.matches, &parsed));
        fields = Some(parsed);
    }
    if chosen.is_empty() {
        return Ok(None);
    }
    let targets = chosen.into_iter().map(|trigger| target(trigger, fields.as_ref(), due_at)).collect();
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
    Ok(Some((event, targets)))
}

/// The delivery of a trigger. `fields` is the event's body, where the trigger reads it.
pub(crate) fn target(trigger: &KnownTrigger, fields: Option<&Value>, due_at: UnixMs) -> Target {
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
