//! Forms of triggers: from a table to fields, and back.

use crate::widgets::form::{Field, FieldKind, Form, Values};
use picloud_model::trigger::{Missed, Op, Overlap, Retry, TriggerKind, TriggerSpec};
use serde_json::Value;
use std::str::FromStr;

/// The form for a new trigger, in one of these apps.
pub(super) fn new(kind: TriggerKind, apps: Vec<String>, app: Option<&str>) -> Form {
    let mut form = Form::new(format!("New trigger of kind {}", kind.as_str()), "create");
    let mut choice = Field::line("app", "app", "the app whose script it starts");
    if let Some(app) = app {
        choice = choice.with(app);
    }
    form = form.field(choice.kind(FieldKind::Choice(apps)).needed());
    form = form.field(Field::line("name", "name", "small letters, digits, - and _").needed());
    with_fields(form, &TriggerSpec::new("", kind, ""))
}

/// The form for one that is there.
pub(super) fn edit(app: &str, spec: &TriggerSpec) -> Form {
    with_fields(Form::new(format!("Change trigger {app}/{}", spec.name), "save"), spec)
}

/// A line with something in it.
fn line(name: &'static str, label: &'static str, help: &'static str, value: Option<impl ToString>) -> Field {
    Field::line(name, label, help).with(value.map(|value| value.to_string()).unwrap_or_default())
}

fn choice(name: &'static str, label: &'static str, help: &'static str, of: &[&str], now: &str) -> Field {
    let choices = of.iter().map(|choice| (*choice).to_owned()).collect();
    Field::line(name, label, help).with(now).kind(FieldKind::Choice(choices))
}

fn with_fields(form: Form, spec: &TriggerSpec) -> Form {
    let script = line("script", "script", "the endpoint that it starts", Some(&spec.script)).needed();
    let form = of_source(form.field(script), spec);
    let is_filtered = spec.kind != TriggerKind::Cron;
    let form = if is_filtered {
        let conditions =
            if spec.matches.is_empty() { String::new() } else { serde_json::json!(spec.matches).to_string() };
        form.field(line("match", "match", "only where this holds: {\"value.total\": {\"gt\": 100}}", Some(conditions)))
            .field(line(
                "ordering_key",
                "ordering key",
                "events alike there run one by one",
                spec.ordering_key.as_ref(),
            ))
    } else {
        form
    };
    let attempts = spec.retry.map(|retry| retry.max_attempts);
    let words = |words: &[String]| Some(words.join(" "));
    form.field(line("attempts", "attempts", "the first one included; 5 where empty", attempts))
        .field(line("concurrency", "at once", "at most so many runs at once", spec.concurrency))
        .field(line("max_age_ms", "max age ms", "an older event is a dead letter", spec.max_age_ms))
        .field(line("pause_after", "pause after", "dead letters in a row; 0 never, 10 where empty", spec.pause_after))
        .field(line("needs", "needs", "labels that a node must have, with blanks between", words(&spec.needs)))
        .field(line("avoid", "avoid", "labels that a node must not have", words(&spec.avoid)))
        .field(line("prefers", "prefers", "labels that a node had better have", words(&spec.prefers)))
}

/// The fields that only one kind has.
fn of_source(form: Form, spec: &TriggerSpec) -> Form {
    let ops = spec.ops.iter().map(|op| op.as_str()).collect::<Vec<_>>().join(" ");
    match spec.kind {
        TriggerKind::Kv => form
            .field(line("collection", "collection", "whose keys it listens to", spec.collection.as_ref()).needed())
            .field(line("prefix", "prefix", "only keys that begin so", spec.prefix.as_ref()))
            .field(line("ops", "ops", "insert update delete; all where empty", Some(ops))),
        TriggerKind::Files => form
            .field(line("collection", "collection", "whose files it listens to", spec.collection.as_ref()).needed())
            .field(line("prefix", "prefix", "only names that begin so", spec.prefix.as_ref()))
            .field(line("ops", "ops", "create update delete; all where empty", Some(ops))),
        TriggerKind::Cron => form
            .field(line("schedule", "schedule", "0 3 * * 1-5, @hourly, every 90s", spec.schedule.as_ref()).needed())
            .field(line("timezone", "time zone", "Europe/Berlin; UTC where empty", spec.timezone.as_ref()))
            .field(choice(
                "missed",
                "missed",
                "times that nobody was there for",
                &["once", "skip", "all"],
                missed(spec),
            ))
            .field(choice("overlap", "overlap", "while the last one runs", &["skip", "queue", "allow"], overlap(spec))),
        TriggerKind::Pubsub => {
            let help = "+ is one segment, # at the end the rest";
            form.field(line("topic", "topic", help, spec.topic.as_ref()).needed())
        }
        TriggerKind::DeadLetter => {
            form.field(line("trigger", "of trigger", "only its letters; all where empty", spec.trigger.as_ref()))
        }
    }
}

fn missed(spec: &TriggerSpec) -> &'static str {
    match spec.missed.unwrap_or_default() {
        Missed::Once => "once",
        Missed::Skip => "skip",
        Missed::All => "all",
    }
}

fn overlap(spec: &TriggerSpec) -> &'static str {
    match spec.overlap.unwrap_or_default() {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Allow => "allow",
    }
}

/// The table that the fields say; what has no field stays as it was. What is wrong is told in one sentence.
pub(super) fn table(was: &TriggerSpec, values: &Values) -> Result<TriggerSpec, String> {
    let text = |name: &str| values.filled(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let words = |name: &str| values.get(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut spec = was.clone();
    if let Some(name) = text("name") {
        spec.name = name;
    }
    spec.script = text("script").unwrap_or_default();
    (spec.collection, spec.prefix) = (text("collection"), text("prefix"));
    (spec.topic, spec.trigger) = (text("topic"), text("trigger"));
    (spec.schedule, spec.timezone) = (text("schedule"), text("timezone"));
    spec.ordering_key = text("ordering_key");
    spec.ops = values.get("ops").split([' ', ',']).filter(|op| !op.is_empty()).map(op).collect::<Result<_, _>>()?;
    if spec.kind == TriggerKind::Cron {
        let (missed_now, overlap_now) = (values.get("missed"), values.get("overlap"));
        let to_missed =
            || [Missed::Skip, Missed::All].into_iter().zip(["skip", "all"]).find(|(_, word)| *word == missed_now);
        if missed_now != missed(was) {
            spec.missed = Some(to_missed().map_or(Missed::Once, |(missed, _)| missed));
        }
        if overlap_now != overlap(was) {
            let all = [Overlap::Queue, Overlap::Allow].into_iter().zip(["queue", "allow"]);
            spec.overlap =
                Some(all.into_iter().find(|(_, word)| *word == overlap_now).map_or(Overlap::Skip, |found| found.0));
        }
    }
    spec.matches = match text("match") {
        None => std::collections::BTreeMap::new(),
        Some(text) => match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(fields)) => fields.into_iter().collect(),
            Ok(_) => return Err("match is no object: write {\"value.total\": {\"gt\": 100}}".to_owned()),
            Err(error) => return Err(format!("match is no JSON: {error}")),
        },
    };
    spec.retry = match number::<u32>("attempts", text("attempts"))? {
        None => was.retry.map(|retry| Retry { max_attempts: Retry::default().max_attempts, ..retry }),
        Some(max_attempts) => Some(Retry { max_attempts, ..was.retry() }),
    };
    spec.retry = spec.retry.filter(|retry| was.retry.is_some() || *retry != Retry::default());
    spec.concurrency = number("at once", text("concurrency"))?;
    spec.max_age_ms = number("max age ms", text("max_age_ms"))?;
    spec.pause_after = number("pause after", text("pause_after"))?;
    (spec.needs, spec.avoid, spec.prefers) = (words("needs"), words("avoid"), words("prefers"));
    match spec.check().first() {
        Some(fault) => Err(format!("{}: {}", fault.message, fault.hint)),
        None => Ok(spec),
    }
}

fn op(word: &str) -> Result<Op, String> {
    let all = [Op::Insert, Op::Create, Op::Update, Op::Delete];
    all.into_iter().find(|op| op.as_str() == word).ok_or_else(|| format!("`{word}` is no op: insert, update, delete"))
}

fn number<T: FromStr>(label: &str, text: Option<String>) -> Result<Option<T>, String> {
    text.map(|text| text.parse().map_err(|_no_number| format!("{label}: `{text}` is no number"))).transpose()
}

/// The form for firing: fields of the event, made up by the appliance where they are empty.
pub(super) fn fire(app: &str, spec: &TriggerSpec) -> Form {
    let form = Form::new(format!("Fire {app}/{} with a made-up event", spec.name), "fire");
    let ops: Vec<&str> = spec.kind.ops().iter().map(|op| op.as_str()).collect();
    let ops = |wanted: &str| {
        let of_trigger: Vec<&str> = spec.ops.iter().map(|op| op.as_str()).collect();
        let choices = if of_trigger.is_empty() { ops.clone() } else { of_trigger };
        choice("op", "op", "what happened", &choices, choices.first().copied().unwrap_or(wanted))
    };
    let json = |name: &'static str, label: &'static str, help: &'static str| {
        Field::line(name, label, help).kind(FieldKind::Text)
    };
    match spec.kind {
        TriggerKind::Kv => form
            .field(ops("insert"))
            .field(line("key", "key", "made up where empty", spec.prefix.as_ref()))
            .field(json("value", "value", "JSON; null where empty")),
        TriggerKind::Files => form.field(ops("create")).field(json(
            "file",
            "file",
            "JSON: {\"id\": ..., \"name\": ...}; made up where empty",
        )),
        TriggerKind::Cron => form
            .field(line("scheduled_at", "scheduled at", "2026-01-31T03:00:00Z; now where empty", None::<String>))
            .field(line("missed", "missed", "how many times were missed; 0 where empty", None::<u32>)),
        TriggerKind::Pubsub => {
            let plain = spec.topic.as_deref().filter(|topic| !topic.contains(['+', '#']));
            form.field(line("topic", "topic", "made up where empty", plain)).field(json(
                "value",
                "value",
                "JSON; null where empty",
            ))
        }
        TriggerKind::DeadLetter => form.field(json("letter", "letter", "JSON; made up where empty")),
    }
}

/// The event that the fields of [`fire`] say.
pub(super) fn event(values: &Values) -> Result<Value, String> {
    let mut event = serde_json::Map::new();
    for (name, text) in values.0.iter().filter(|(_, text)| !text.trim().is_empty()) {
        let value = match *name {
            "value" | "file" | "letter" | "missed" => {
                serde_json::from_str(text).map_err(|error| format!("{name} is no JSON: {error}"))?
            }
            _ => Value::from(text.trim()),
        };
        event.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(event))
}

/// The form for a letter that is changed and sent again.
pub(super) fn letter(id: i64, event: &Value) -> Form {
    let text = crate::widgets::json::set_out(&event.to_string());
    Form::new(format!("Change letter {id} and send it again"), "send")
        .field(Field::line("event", "event", "the fields of ctx.event").kind(FieldKind::Text).with(text).needed())
        .field(Field::line("version", "version", "of the script; the live one where empty"))
}
