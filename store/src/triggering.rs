//! Triggers and timers, as far as they are no rows: where they lead, what a person or a schedule makes of them, and in
//! which chain a timer stands.

use crate::cursor::{self, List};
use crate::emission::{NewEvent, Target, own_lane, target};
use crate::matching::KnownTrigger;
use crate::parts::Named;
use crate::{StoreError, TriggerWrite};
use picloud_model::clock::{UnixMs, rfc3339};
use picloud_model::event::{Cause, EventKind};
use picloud_model::ids::{AppId, AsyncRequestId, EventId, ExecutionId, ScriptId, TimerId};
use picloud_model::script::ScriptKind;
use picloud_model::timer::NewTimer;
use picloud_model::trigger::{PAUSE_AFTER_DEFAULT, Trigger, TriggerKind, TriggerSpec};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A timer at least so far ahead begins a chain of its own: a script may set its own next run for ever, and what cannot
/// come round faster than this is no loop that has to be stopped.
const OWN_CHAIN_MS: i64 = 1_000;

/// The endpoint of each; refuses two of one name, and those that lead to none.
pub(crate) fn endpoints_of(triggers: &[TriggerWrite], scripts: &Named<'_>) -> Result<Vec<ScriptId>, StoreError> {
    let mut seen = BTreeSet::new();
    let mut targets = Vec::with_capacity(triggers.len());
    for TriggerWrite { spec, .. } in triggers {
        let title = format!("trigger `{}`", spec.name);
        if !seen.insert(spec.name.as_str()) {
            return Err(in_the_way(format!("{title} stands twice in the app"), title));
        }
        let Some((script, ScriptKind::Endpoint)) = scripts.get(spec.script.as_str()) else {
            let message = format!("{title} leads to `{}`, which is no endpoint of the app", spec.script);
            return Err(in_the_way(message, title));
        };
        targets.push(*script);
    }
    Ok(targets)
}

/// The refusal where `what` leads to something else than an endpoint of the app.
pub(crate) fn leads_nowhere(what: &str, name: &str) -> StoreError {
    in_the_way(format!("{what} leads to `{name}`, which is no endpoint of the app"), what.to_owned())
}

fn in_the_way(message: String, title: String) -> StoreError {
    StoreError::Conflict { message, in_the_way: vec![title] }
}

/// Whether it is paused and how often it failed, for the audit log.
pub(crate) fn state_shown(trigger: &Trigger) -> Value {
    json!({ "paused": trigger.paused.as_ref().map(|paused| &paused.reason), "failures": trigger.failures })
}

/// Whether pausing it for this reason, or resuming it where there is none, would change nothing.
pub(crate) fn is_so_already(trigger: &Trigger, reason: Option<&str>) -> bool {
    match reason {
        Some(_reason) => trigger.paused.is_some(),
        None => trigger.paused.is_none() && trigger.failures == 0,
    }
}

/// Why a trigger is paused that has failed so often in a row; `None` where it is not for that.
pub(crate) fn pause_reason(spec: &TriggerSpec, failures: u32) -> Option<String> {
    let pause_after = spec.pause_after.unwrap_or(PAUSE_AFTER_DEFAULT);
    (pause_after > 0 && failures >= pause_after).then(|| format!("{failures} dead letters in a row"))
}

/// Whether both have their schedule's times alike, so that the next one stays.
pub(crate) fn has_same_times(old: &TriggerSpec, new: &TriggerSpec) -> bool {
    old.kind == new.kind && old.schedule == new.schedule && old.timezone == new.timezone
}

/// What is not for triggers but for one endpoint of the app: a timer, a request.
pub(crate) struct ForScript<'a> {
    pub(crate) script: &'a str,
    /// Who leads there, for the refusal: `timer`.
    pub(crate) what: &'a str,
    pub(crate) kind: EventKind,
    pub(crate) due_at: UnixMs,
    pub(crate) body: Vec<u8>,
    pub(crate) timer: Option<TimerId>,
    pub(crate) request: Option<AsyncRequestId>,
}

impl ForScript<'_> {
    /// Its event and its delivery, where `script` is the endpoint.
    pub(crate) fn delivery(self, app: AppId, script: ScriptId, cause: &Cause) -> (NewEvent, Target) {
        let event = NewEvent { due_at: self.due_at, ..event_of(cause, self.kind, cause.root_id, self.body) };
        let target = Target {
            lane: own_lane(app),
            trigger: None,
            script,
            version: None,
            ordering_key: None,
            expires_at: None,
            timer: self.timer,
            request: self.request,
        };
        (event, target)
    }
}

/// A delivery of an event that never happened. A paused trigger's own lane stands still, so it takes the app's.
pub(crate) fn fired(
    app: AppId,
    trigger: Trigger,
    script: ScriptId,
    body: &[u8],
    cause: &Cause,
) -> serde_json::Result<(NewEvent, Target)> {
    let mut fields: serde_json::Map<String, Value> = serde_json::from_slice(body)?;
    fields.entry("manual").or_insert(true.into());
    let fields = Value::Object(fields);
    let event = event_of(cause, kind_of(trigger.spec.kind), cause.root_id, fields.to_string().into_bytes());
    let paused = trigger.paused.is_some();
    let known = KnownTrigger { id: trigger.id, script, spec: trigger.spec };
    let mut target = target(&known, Some(&fields), cause.at);
    if paused {
        target.lane = own_lane(app);
        target.ordering_key = None;
    }
    Ok((event, target))
}

/// The event of a schedule's time, each the first of its own chain.
pub(crate) fn slot_event(cause: &Cause, scheduled_at: UnixMs, missed: u32) -> NewEvent {
    let body = json!({ "scheduled_at": rfc3339(scheduled_at), "missed": missed }).to_string().into_bytes();
    event_of(cause, EventKind::Cron, ExecutionId::new(), body)
}

fn event_of(cause: &Cause, kind: EventKind, root_id: ExecutionId, body: Vec<u8>) -> NewEvent {
    NewEvent {
        id: EventId::new(),
        kind,
        at: cause.at,
        due_at: cause.at,
        root_id,
        depth: cause.depth.saturating_add(1),
        chain: cause.chain.clone(),
        body,
    }
}

fn kind_of(kind: TriggerKind) -> EventKind {
    match kind {
        TriggerKind::Kv => EventKind::Kv,
        TriggerKind::Files => EventKind::Files,
        TriggerKind::Cron => EventKind::Cron,
        TriggerKind::Pubsub => EventKind::Pubsub,
        TriggerKind::DeadLetter => EventKind::DeadLetter,
    }
}

/// What causes a timer's event: who set it, or nobody where it is far enough ahead.
pub(crate) fn cause_of_timer(timer: &NewTimer, cause: &Cause) -> Cause {
    if timer.due_at.saturating_sub(cause.at) >= OWN_CHAIN_MS {
        Cause { depth: 0, chain: Arc::new([]), ..cause.clone() }
    } else {
        cause.clone()
    }
}

/// Behind which time and delivery a page of timers begins.
pub(crate) fn timers_after(text: Option<&str>) -> Result<(i64, i64), StoreError> {
    let Some(text) = text else { return Ok((i64::MIN, i64::MIN)) };
    let key = cursor::decode(List::Timers, text)?;
    match key.split_first_chunk::<8>() {
        Some((due_at, id)) if id.len() == 8 => {
            let id = id.try_into().expect("it has eight bytes");
            Ok((i64::from_be_bytes(*due_at), i64::from_be_bytes(id)))
        }
        _ => Err(StoreError::BadCursor),
    }
}
