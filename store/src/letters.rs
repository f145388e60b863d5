//! Dead letters, as far as they are no rows: what a delivery that is given up leaves, and what is made of it again.

use crate::StoreError;
use crate::emission::{NewEvent, Target, own_lane};
use picloud_model::async_request::AsyncAnswer;
use picloud_model::clock::{UnixMs, rfc3339};
use picloud_model::dead_letter::{ATTEMPTS_KEPT_MAX, DeadLetter};
use picloud_model::delivery::Attempt;
use picloud_model::event::{Cause, Event, EventKind, Hop};
use picloud_model::ids::{AppId, AsyncRequestId, DeadLetterId, ScriptId, TriggerId};
use picloud_model::problem::{Code, Problem};
use serde_json::{Map, Value, json};

/// Longest sentence of an error that is kept with an attempt; what is longer is cut.
const DETAIL_BYTES_MAX: usize = 4 * 1024;

/// A delivery that is given up.
pub(crate) struct Dying {
    pub(crate) app: AppId,
    pub(crate) trigger: Option<TriggerId>,
    pub(crate) script: String,
    pub(crate) version: i64,
    pub(crate) event: Event,
    pub(crate) attempts: u32,
    pub(crate) error: Problem,
    /// Every attempt, oldest first.
    pub(crate) tried: Vec<Attempt>,
    pub(crate) ordering_key: Option<String>,
    pub(crate) request: Option<AsyncRequestId>,
}

/// What a delivery and its event hold, as far as a dead letter needs them.
pub(crate) struct DyingRow {
    pub(crate) app: AppId,
    pub(crate) trigger: Option<TriggerId>,
    pub(crate) script: ScriptId,
    pub(crate) script_name: String,
    pub(crate) version: Option<i64>,
    pub(crate) attempts: u32,
    pub(crate) tried: Option<String>,
    pub(crate) ordering_key: Option<String>,
    pub(crate) request: Option<AsyncRequestId>,
    pub(crate) event: Event,
}

impl DyingRow {
    /// It dies of this attempt, its `attempts`th.
    pub(crate) fn of_attempt(self, version: i64, attempts: u32, attempt: &Attempt) -> Dying {
        let tried = with_attempt(self.tried.as_deref(), attempt);
        self.dying(version, attempts, attempt.error.clone(), tried)
    }

    /// It dies without another attempt; `live` is the version that would be run now.
    pub(crate) fn unrun(self, live: i64, error: Problem) -> Dying {
        let (version, attempts) = (self.version.unwrap_or(live), self.attempts);
        let tried = attempts_in(self.tried.as_deref());
        self.dying(version, attempts, error, tried)
    }

    fn dying(self, version: i64, attempts: u32, error: Problem, tried: Vec<Attempt>) -> Dying {
        Dying {
            app: self.app,
            trigger: self.trigger,
            script: self.script_name,
            version,
            event: self.event,
            attempts,
            error,
            tried,
            ordering_key: self.ordering_key,
            request: self.request,
        }
    }
}

/// What a request is answered with whose script went while it waited.
pub(crate) fn script_gone() -> Problem {
    Problem::new(Code::NotFound, "the script that was to answer the request does not exist any more")
}

/// A script and its live version.
pub(crate) struct LiveScript {
    pub(crate) name: String,
    pub(crate) version: i64,
}

/// The letter of it, without its number yet. `trigger` is the trigger's name, where that is there still.
pub(crate) fn letter_of(dying: &Dying, trigger: Option<String>, depth_max: u32, at: UnixMs) -> DeadLetter {
    let event = &dying.event;
    // Neither does a letter of a letter start anything, nor what came of one that was too deep.
    let is_final = event.kind == EventKind::DeadLetter || event.depth > depth_max.saturating_add(1);
    let mut error = dying.error.clone();
    shorten(&mut error);
    DeadLetter {
        id: DeadLetterId(0),
        trigger,
        script: dying.script.clone(),
        version: dying.version,
        kind: event.kind,
        event_id: event.id,
        error,
        attempts: dying.attempts,
        first_at: event.at,
        last_at: at,
        is_final,
    }
}

/// What causes the event of the letter: the run that failed last. `cause` holds the app's limits.
pub(crate) fn cause_of_letter(dying: &Dying, letter: &DeadLetter, cause: Cause) -> Cause {
    let event = &dying.event;
    let mut chain = event.chain.clone();
    chain.extend(last_run(dying, letter.trigger.as_deref()));
    Cause { root_id: event.root_id, depth: event.depth, chain: chain.into(), ..cause }
}

/// The run that failed last, for the chain of what comes of it.
fn last_run(dying: &Dying, trigger: Option<&str>) -> Option<Hop> {
    let execution_id = dying.tried.last()?.execution_id?;
    let cause = trigger.map_or_else(|| dying.event.kind.as_str().to_owned(), |name| format!("trigger {name}"));
    Some(Hop { execution_id, script: dying.script.clone(), version: dying.version, cause })
}

/// What a dead-letter trigger's script sees beyond the head: `letter`.
pub(crate) fn letter_event(letter: &DeadLetter, event: &Event) -> Vec<u8> {
    let shown = json!({
        "letter": {
            "id": letter.id,
            "trigger": letter.trigger,
            "script": letter.script,
            "version": letter.version,
            "error": letter.error,
            "attempts": letter.attempts,
            "first_at": rfc3339(letter.first_at),
            "last_at": rfc3339(letter.last_at),
            "event": event_shown(letter, event),
        }
    });
    shown.to_string().into_bytes()
}

/// The event as the script saw it at the last attempt.
pub(crate) fn event_shown(letter: &DeadLetter, event: &Event) -> Value {
    serde_json::from_slice(&event.to_json(letter.trigger.as_deref(), letter.attempts.max(1))).unwrap_or(Value::Null)
}

/// The attempts with one more, the newest kept.
pub(crate) fn with_attempt(tried: Option<&str>, attempt: &Attempt) -> Vec<Attempt> {
    let mut tried = attempts_in(tried);
    let mut attempt = attempt.clone();
    shorten(&mut attempt.error);
    tried.push(attempt);
    let surplus = tried.len().saturating_sub(ATTEMPTS_KEPT_MAX);
    tried.drain(..surplus);
    tried
}

/// What cannot be read was written by another version: it is only shown.
fn attempts_in(tried: Option<&str>) -> Vec<Attempt> {
    tried.and_then(|tried| serde_json::from_str(tried).ok()).unwrap_or_default()
}

fn shorten(error: &mut Problem) {
    if error.detail.len() > DETAIL_BYTES_MAX {
        let end = (0..=DETAIL_BYTES_MAX).rev().find(|end| error.detail.is_char_boundary(*end));
        error.detail.truncate(end.unwrap_or(0));
        error.detail.push('…');
    }
}

/// What is given up of an event whose delivery would run too many runs away from the first.
pub(crate) fn too_deep(app: AppId, depth_max: u32, event: &NewEvent, target: &Target, script: LiveScript) -> Dying {
    let mut way: Vec<&str> = event.chain.iter().map(|hop| hop.script.as_str()).collect();
    way.push(&script.name);
    let detail = format!("runs start runs in a circle: {}", way.join(" → "));
    let error = Problem::new(Code::Loop, detail)
        .limit("trigger_depth", u64::from(depth_max))
        .hint("let the trigger match less than what its script writes, or raise `trigger_depth` in [limits]");
    Dying {
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
    }
}

/// The letter's event, to be delivered again at `due_at`.
pub(crate) fn event_again(event: &Event, due_at: UnixMs) -> NewEvent {
    NewEvent {
        id: event.id,
        kind: event.kind,
        at: event.at,
        due_at,
        root_id: event.root_id,
        depth: event.depth,
        chain: event.chain.clone().into(),
        body: event.body.clone(),
    }
}

/// Why a delivery is not run though it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    /// It is older than its trigger's `max_age_ms`.
    TooOld { since: UnixMs },
    /// As often as its trigger allows it was begun, and never ended.
    NeverEnded { attempts: u32 },
    /// Its trigger, its script or its event is gone.
    NothingLeft,
}

/// What a delivery that is given up without a run died of; none where nothing of it is left.
pub(crate) fn why_given_up(why: GiveUp) -> Option<Problem> {
    match why {
        GiveUp::TooOld { since } => Some(
            Problem::new(Code::Deadline, format!("it was not done by {}, its trigger's max_age_ms", rfc3339(since)))
                .hint("raise max_age_ms, or send it again with `picloud dead-letters retry`"),
        ),
        GiveUp::NeverEnded { attempts } => Some(
            Problem::new(Code::WorkerLost, format!("it was begun {attempts} times, and the last time it never ended"))
                .hint("the machine or the appliance stopped while it ran: look at its log of that time"),
        ),
        GiveUp::NothingLeft => None,
    }
}

/// What a request that is given up is answered with: its last error.
pub(crate) fn refusal(error: &Problem) -> serde_json::Result<AsyncAnswer> {
    let headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
    Ok(AsyncAnswer { status: error.status, headers, body: serde_json::to_vec(error)? })
}

/// What is kept of a letter, as far as sending it again needs it.
pub(crate) struct Letter {
    pub(crate) trigger: Option<String>,
    pub(crate) script: String,
    pub(crate) attempts: u32,
    pub(crate) ordering_key: Option<String>,
    pub(crate) request: Option<AsyncRequestId>,
    pub(crate) event: Event,
}

/// A letter as the audit log shows it: nothing of what its event holds.
pub(crate) fn shown(letter: &Letter) -> Value {
    json!({
        "trigger": letter.trigger, "script": letter.script, "event_id": letter.event.id, "kind": letter.event.kind,
        "attempts": letter.attempts,
    })
}

/// Where a letter is sent again.
pub(crate) struct Aim {
    pub(crate) trigger: Option<TriggerId>,
    pub(crate) script: ScriptId,
    pub(crate) version: Option<i64>,
}

impl Aim {
    /// The delivery of the letter that is sent there.
    pub(crate) fn target(&self, app: AppId, letter: &Letter) -> Target {
        Target {
            lane: self.trigger.map_or_else(|| own_lane(app), |trigger| trigger.0),
            trigger: self.trigger,
            script: self.script,
            version: self.version,
            // Without its trigger there is nothing to be in order with.
            ordering_key: letter.ordering_key.clone().filter(|_key| self.trigger.is_some()),
            // Somebody wants it now, however old it is.
            expires_at: None,
            timer: None,
            request: letter.request,
        }
    }
}

/// The fields that somebody wants replaced in an event.
pub(crate) fn edited_fields(edited: &Value) -> Result<&Map<String, Value>, StoreError> {
    edited.as_object().ok_or_else(|| StoreError::Conflict {
        message: "`event` must be an object with the fields to replace".to_owned(),
        in_the_way: vec!["event".to_owned()],
    })
}

/// The event's fields with those of `edited` instead, and which these are. What is the event's own head stays.
pub(crate) fn merged(body: &[u8], edited: &Map<String, Value>) -> serde_json::Result<(Vec<u8>, Vec<String>)> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body)?;
    let mut names = Vec::new();
    for (name, value) in edited {
        if !["id", "kind", "trigger", "attempt", "at"].contains(&name.as_str()) {
            fields.insert(name.clone(), value.clone());
            names.push(name.clone());
        }
    }
    Ok((serde_json::to_vec(&fields)?, names))
}
