//! Events: one thing that happened, why, and what a script sees of it as `ctx.event`.
//!
//! What an event says beyond its head is one JSON object, [`Event::body`], with the fields of its kind as CONTRACT
//! names them. Nobody between the place where it happened and the script takes it apart but filters.

use crate::clock::UnixMs;
use crate::ids::{EventId, ExecutionId};
use crate::limits::Limits;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

// To add one: a variant here, and its source in the appliance.
/// What kinds of things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A key was set or deleted.
    Kv,
    /// A file was created, updated or deleted.
    Files,
    /// A schedule's time came.
    Cron,
    /// Something was published on a topic.
    Pubsub,
    /// A delivery was given up.
    DeadLetter,
    /// A timer of a script is due.
    Timer,
    /// A request that is answered later.
    Request,
}

impl EventKind {
    /// The word in tables, `ctx.event.kind` and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Files => "files",
            Self::Cron => "cron",
            Self::Pubsub => "pubsub",
            Self::DeadLetter => "dead_letter",
            Self::Timer => "timer",
            Self::Request => "request",
        }
    }

    /// The kind called `word`.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Kv, Self::Files, Self::Cron, Self::Pubsub, Self::DeadLetter, Self::Timer, Self::Request]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// One run on the way from what everything began with to here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hop {
    /// The run.
    pub execution_id: ExecutionId,
    /// The script.
    pub script: String,
    /// Its version.
    pub version: i64,
    /// What had started it: `GET /hello`, `trigger on-widget`, `timer`.
    pub cause: String,
}

/// On whose behalf something is written, so that what comes of it knows where it came from.
#[derive(Clone, Debug)]
pub struct Cause {
    /// When.
    pub at: UnixMs,
    /// The run that everything began with.
    pub root_id: ExecutionId,
    /// How many runs the writing one is away from that; 0 for a request, a person, a schedule.
    pub depth: u32,
    /// The app's `trigger_depth`: an event deeper than this is a dead letter at once.
    pub depth_max: u32,
    /// The app's `queued_deliveries`: what would make more of them wait is refused.
    pub queued_max: u64,
    /// The runs from the first to the one that writes; empty where no run writes.
    pub chain: Arc<[Hop]>,
}

impl Cause {
    /// Nobody's run: a person, a schedule, a test.
    pub fn first(at: UnixMs, limits: &Limits) -> Self {
        let depth_max = u32::try_from(limits.trigger_depth).unwrap_or(u32::MAX);
        let queued_max = limits.queued_deliveries;
        Self { at, root_id: ExecutionId::new(), depth: 0, depth_max, queued_max, chain: Arc::new([]) }
    }
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The same at every attempt.
    pub id: EventId,
    /// Which fields `body` has.
    pub kind: EventKind,
    /// When it happened.
    pub at: UnixMs,
    /// The run that everything began with.
    pub root_id: ExecutionId,
    /// How many runs the one that this event starts is away from that: 1 for the first.
    pub depth: u32,
    /// The runs from the first to the one that caused it; empty where none did.
    pub chain: Vec<Hop>,
    /// A JSON object: what `ctx.event` has beyond `id`, `kind`, `trigger`, `attempt` and `at`.
    pub body: Vec<u8>,
}

impl Event {
    /// `ctx.event` as JSON.
    pub fn to_json(&self, trigger: Option<&str>, attempt: u32) -> Vec<u8> {
        let head = serde_json::json!({
            "id": self.id, "kind": self.kind, "trigger": trigger, "attempt": attempt, "at": crate::clock::rfc3339(self.at),
        });
        let mut json = head.to_string().into_bytes();
        let fields = self.body.trim_ascii();
        let fields = fields.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or_default();
        if !fields.trim_ascii().is_empty() {
            json.pop();
            json.push(b',');
            json.extend_from_slice(fields);
            json.push(b'}');
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_object_whatever_its_body() {
        let mut event = Event {
            id: EventId(uuid::Uuid::nil()),
            kind: EventKind::Pubsub,
            at: 0,
            root_id: ExecutionId(uuid::Uuid::nil()),
            depth: 1,
            chain: Vec::new(),
            body: br#" {"topic": "a/b", "value": {"n": 1}} "#.to_vec(),
        };
        let shown: serde_json::Value = serde_json::from_slice(&event.to_json(Some("on-a"), 2)).unwrap();
        assert_eq!(shown["value"]["n"], 1);
        assert_eq!(
            (&shown["kind"], &shown["trigger"], &shown["attempt"]),
            (&"pubsub".into(), &"on-a".into(), &2.into())
        );
        event.body = b"{ }".to_vec();
        let shown: serde_json::Value = serde_json::from_slice(&event.to_json(None, 1)).unwrap();
        assert_eq!(shown["at"], "1970-01-01T00:00:00.000Z");
        assert!(shown["trigger"].is_null());
    }
}
