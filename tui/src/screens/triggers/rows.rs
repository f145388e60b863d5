//! How triggers and dead letters look in lists.

use crate::theme::Ink;
use crate::widgets::list::{Cel, Column, Row, inked};
use crate::widgets::text;
use picloud_model::dead_letter::DeadLetter;
use picloud_model::trigger::{Trigger, TriggerKind, TriggerSpec};
use serde_json::Value;

/// Columns of the list of triggers.
pub(super) static TRIGGERS: [Column; 6] = [
    Column::rest("name"),
    Column::new("kind", 6).spare(1),
    Column::rest("source"),
    Column::new("script", 10).spare(2),
    Column::new("letters", 7).right(),
    Column::new("state", 14),
];

/// Columns of the list of dead letters.
pub(super) static LETTERS: [Column; 4] =
    [Column::new("when", 11), Column::new("tries", 5).right(), Column::rest("why"), Column::rest("payload")];

/// Bytes of a letter's event that the list shows.
const PAYLOAD_BYTES_MAX: usize = 200;

/// The id of a trigger's row: `app/name`; of letters that no trigger led to, `app/`.
pub(super) fn id(app: &str, name: &str) -> String {
    format!("{app}/{name}")
}

/// A trigger's row.
pub(super) fn trigger(app: &str, trigger: &Trigger, now: i64, zone: &jiff::tz::TimeZone) -> Row {
    let spec = &trigger.spec;
    let cells = vec![
        id(app, &spec.name).into(),
        kind(spec.kind).into(),
        source(spec).into(),
        spec.script.clone().into(),
        letters(u64::try_from(trigger.dead_letters).unwrap_or(0)),
        state(trigger, now, zone),
    ];
    Row::new(id(app, &spec.name), cells)
}

/// The row of letters that no trigger led to: of timers, and of requests that are answered later.
pub(super) fn loose(app: &str, count: u64) -> Row {
    let cells = vec![
        format!("{app}/-").into(),
        "-".into(),
        "timers, requests answered later".into(),
        "".into(),
        letters(count),
        "-".into(),
    ];
    Row::new(id(app, ""), cells)
}

fn letters(count: u64) -> Cel {
    if count == 0 { "0".into() } else { inked(Ink::Bad, format!("!{count}")) }
}

/// The kind in few letters.
pub(super) fn kind(kind: TriggerKind) -> &'static str {
    match kind {
        TriggerKind::DeadLetter => "letter",
        other => other.as_str(),
    }
}

/// What it listens to: `widgets/a/`, `0 3 * * *`.
pub(super) fn source(spec: &TriggerSpec) -> String {
    let what = [&spec.collection, &spec.schedule, &spec.topic, &spec.trigger].into_iter().flatten().next();
    let what = what.cloned().unwrap_or_else(|| "all letters".to_owned());
    let prefix = spec.prefix.as_ref().map(|prefix| format!("/{prefix}")).unwrap_or_default();
    let zone = spec.timezone.as_ref().map(|zone| format!(" {zone}")).unwrap_or_default();
    let ops = spec.ops.iter().map(|op| op.as_str()).collect::<Vec<_>>().join(",");
    let ops = if ops.is_empty() { ops } else { format!(" {ops}") };
    format!("{what}{prefix}{zone}{ops}")
}

/// Whether it starts anything now, and when.
fn state(trigger: &Trigger, now: i64, zone: &jiff::tz::TimeZone) -> Cel {
    match (&trigger.paused, trigger.next_at) {
        (Some(paused), _) => inked(Ink::Warn, format!("paused: {}", paused.reason)),
        (None, _) if trigger.failures > 0 => inked(Ink::Warn, format!("on, {} failed", trigger.failures)),
        (None, Some(at)) => inked(Ink::Good, format!("at {}", text::moment(now, at, zone))),
        (None, None) => inked(Ink::Good, "on"),
    }
}

/// A letter's row.
pub(super) fn letter(letter: &DeadLetter, payload: Option<&str>, now: i64, zone: &jiff::tz::TimeZone) -> Row {
    let why = letter.error.detail.lines().next().unwrap_or_default();
    let why = match &letter.error.at {
        Some(at) => format!("{}:{}: {why}", at.script, at.line),
        None => why.to_owned(),
    };
    let cells = vec![
        text::moment(now, letter.last_at, zone).into(),
        letter.attempts.to_string().into(),
        why.into(),
        payload.unwrap_or("").into(),
    ];
    Row::new(letter.id.to_string(), cells)
}

/// What an event is about, in few words: `a/1 {"lamp":true}`.
pub(super) fn payload(event: &Value) -> String {
    let word = |key: &str| event[key].as_str().unwrap_or_default();
    let value = if event["value"].is_null() { String::new() } else { event["value"].to_string() };
    let mut told = match word("kind") {
        "kv" => format!("{} {value}", word("key")),
        "pubsub" => format!("{} {value}", word("topic")),
        "files" => event["file"]["name"].as_str().unwrap_or_default().to_owned(),
        "cron" => word("scheduled_at").to_owned(),
        "dead_letter" => format!("letter {} of {}", event["letter"]["id"], event["letter"]["script"]),
        _ => without_head(event).to_string(),
    };
    let end = told.char_indices().map(|(at, _)| at).find(|at| *at >= PAYLOAD_BYTES_MAX);
    told.truncate(end.unwrap_or(told.len()));
    told.trim_end().to_owned()
}

/// What of an event may be changed before it is sent again.
pub(super) fn without_head(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(fields) = event.as_object_mut() {
        for head in ["id", "kind", "trigger", "attempt", "at"] {
            fields.remove(head);
        }
    }
    event
}
