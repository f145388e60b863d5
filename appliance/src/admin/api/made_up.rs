//! Events that did not happen: what a script sees when a person fires a trigger or runs a script with an event.

use picloud_model::clock::{UnixMs, rfc3339};
use picloud_model::event::EventKind;
use picloud_model::ids::EventId;
use picloud_model::problem::{Code, Problem};
use picloud_model::trigger::{TriggerKind, TriggerSpec};
use serde_json::{Map, Value, json};

/// The fields of an event of `kind` beyond its head, as one that the trigger takes would have them; `given` stands in
/// place of what is made up.
pub(super) fn body(
    kind: EventKind,
    trigger: Option<&TriggerSpec>,
    given: &Map<String, Value>,
    now: UnixMs,
) -> Map<String, Value> {
    let mut body = sample(kind, trigger, now);
    body.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    body.insert("manual".to_owned(), true.into());
    body
}

/// `ctx.event` whole: head and body. What `given` says of the head stands in place of what is made up, too.
pub(super) fn whole(
    kind: EventKind,
    trigger: Option<&TriggerSpec>,
    given: &Map<String, Value>,
    now: UnixMs,
) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("id".to_owned(), EventId::new().to_string().into());
    event.insert("kind".to_owned(), kind.as_str().into());
    event.insert("trigger".to_owned(), trigger.map(|trigger| trigger.name.clone()).into());
    event.insert("attempt".to_owned(), 1.into());
    event.insert("at".to_owned(), rfc3339(now).into());
    event.extend(body(kind, trigger, given, now));
    event
}

/// An event as an object.
pub(super) fn object(event: Option<Value>) -> Result<Map<String, Value>, Problem> {
    match event {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields),
        Some(other) => Err(Problem::new(Code::Invalid, format!("`event` is {other}, and must be an object"))
            .hint("send the fields of ctx.event: {\"value\": 1}")),
    }
}

/// The kind of events that a trigger of this kind takes.
pub(super) fn event_kind(kind: TriggerKind) -> EventKind {
    match kind {
        TriggerKind::Kv => EventKind::Kv,
        TriggerKind::Files => EventKind::Files,
        TriggerKind::Cron => EventKind::Cron,
        TriggerKind::Pubsub => EventKind::Pubsub,
        TriggerKind::DeadLetter => EventKind::DeadLetter,
    }
}

fn sample(kind: EventKind, trigger: Option<&TriggerSpec>, now: UnixMs) -> Map<String, Value> {
    let collection = trigger.and_then(|trigger| trigger.collection.clone()).unwrap_or_else(|| "sample".to_owned());
    let name = format!("{}sample", trigger.and_then(|trigger| trigger.prefix.clone()).unwrap_or_default());
    let op = trigger.and_then(|trigger| trigger.ops.first()).map(|op| op.as_str());
    let at = rfc3339(now);
    let body = match kind {
        EventKind::Kv => json!({
            "op": op.unwrap_or("insert"), "collection": collection, "key": name, "value": null, "old_version": null,
            "version": 1,
        }),
        EventKind::Files => json!({
            "op": op.unwrap_or("create"), "collection": collection, "file": {
                "id": EventId::new().to_string(), "name": name, "content_type": "text/plain", "size": 0,
                "sha256": picloud_model::hash::ContentHash::of(b"").to_string(), "version": 1, "created_at": at,
                "updated_at": at, "metadata": {},
            },
        }),
        EventKind::Cron => json!({ "scheduled_at": at, "missed": 0 }),
        EventKind::Pubsub => {
            let topic = trigger.and_then(|trigger| trigger.topic.as_deref()).unwrap_or("sample");
            // A topic has no wildcard.
            let plain =
                |segment: &str| if matches!(segment, "+" | "*" | "#" | "**") { "sample" } else { segment }.to_owned();
            json!({ "topic": topic.split('/').map(plain).collect::<Vec<_>>().join("/"), "value": null })
        }
        EventKind::DeadLetter => json!({ "letter": {
            "id": 0, "event": {}, "trigger": trigger.and_then(|trigger| trigger.trigger.clone()), "script": "sample",
            "version": 1, "error": { "code": "script-error", "detail": "a sample", "status": 500 }, "attempts": 1,
            "first_at": at, "last_at": at,
        } }),
        EventKind::Timer => json!({ "timer_id": EventId::new().to_string(), "value": null }),
        EventKind::Request => json!({}),
    };
    match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_event_has_the_fields_of_its_kind_and_says_that_it_is_made_up() {
        for kind in TriggerKind::ALL {
            let event = whole(event_kind(*kind), None, &Map::new(), 0);
            for field in kind.event_fields() {
                assert!(event.contains_key(*field), "{kind:?} {field}");
            }
            assert_eq!((&event["manual"], &event["kind"]), (&json!(true), &json!(kind.as_str())));
        }
        let trigger =
            TriggerSpec { topic: Some("orders/+/#".to_owned()), ..TriggerSpec::new("t", TriggerKind::Pubsub, "s") };
        let given = object(Some(json!({ "value": 5, "attempt": 3 }))).unwrap();
        let event = whole(EventKind::Pubsub, Some(&trigger), &given, 0);
        assert_eq!(
            (&event["topic"], &event["value"], &event["attempt"]),
            (&json!("orders/sample/sample"), &json!(5), &json!(3))
        );
        assert!(object(Some(json!([1]))).is_err());
    }
}
