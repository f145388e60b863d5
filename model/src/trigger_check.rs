//! What is wrong with a trigger, if anything: which fields its kind has, and what may stand in them.
//!
//! A schedule itself is read where calendars are known; here only its place is checked.

use crate::kv::check_collection;
use crate::name::check_script_name;
use crate::placement::Placement;
use crate::publish::check_topic_pattern;
use crate::trigger::{Missed, Op, Overlap, Retry, TriggerKind, TriggerSpec};
use serde_json::Value;

/// Longest prefix of keys and names, in bytes.
const PREFIX_BYTES_MAX: usize = 512;
/// Longest path into an event, in bytes.
const PATH_BYTES_MAX: usize = 256;
/// Most conditions of one `match`.
const CONDITIONS_MAX: usize = 32;
/// Deepest value that is compared with.
const VALUE_DEPTH_MAX: usize = 8;
/// Longest schedule, in bytes.
const SCHEDULE_BYTES_MAX: usize = 256;
/// Longest time zone, in bytes.
const TIMEZONE_BYTES_MAX: usize = 64;
/// Most attempts.
const ATTEMPTS_MAX: u32 = 100;
/// Largest `base_ms`: a day.
const BASE_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Largest `max_ms`: a week.
const MAX_MS_MAX: u64 = 7 * BASE_MS_MAX;
/// Largest `factor`.
const FACTOR_MAX: f64 = 100.0;
/// Most deliveries of one trigger at once.
const CONCURRENCY_MAX: u32 = 1_000;
/// Largest `max_age_ms`: a year.
const AGE_MS_MAX: u64 = 366 * BASE_MS_MAX;
/// Largest `pause_after`.
const PAUSE_AFTER_MAX: u32 = 10_000;

/// The conditions that a table in `match` may have.
pub const MATCH_OPERATORS: &[&str] = &["eq", "ne", "prefix", "gt", "gte", "lt", "lte", "any", "exists"];

/// One thing that is wrong with a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerFault {
    /// The key of the trigger's table that it is about.
    pub field: &'static str,
    /// A sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl TriggerKind {
    /// The fields that it has beside those of every trigger, the one first that it must have, if any.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Kv | Self::Files => &["collection", "prefix", "ops", "match", "ordering_key"],
            Self::Cron => &["schedule", "timezone", "missed", "overlap"],
            Self::Pubsub => &["topic", "match", "ordering_key"],
            Self::DeadLetter => &["trigger", "match", "ordering_key"],
        }
    }

    /// The field without which it cannot be.
    pub fn required(self) -> Option<&'static str> {
        (self != Self::DeadLetter).then(|| self.fields()[0])
    }

    /// What its events have beside `id`, `kind`, `trigger`, `attempt` and `at`.
    pub fn event_fields(self) -> &'static [&'static str] {
        match self {
            Self::Kv => &["op", "collection", "key", "value", "old_version", "version"],
            Self::Files => &["op", "collection", "file"],
            Self::Cron => &["scheduled_at", "missed"],
            Self::Pubsub => &["topic", "value"],
            Self::DeadLetter => &["letter"],
        }
    }

    /// What can happen to a thing of its kind.
    pub fn ops(self) -> &'static [Op] {
        match self {
            Self::Kv => &[Op::Insert, Op::Update, Op::Delete],
            Self::Files => &[Op::Create, Op::Update, Op::Delete],
            Self::Cron | Self::Pubsub | Self::DeadLetter => &[],
        }
    }
}

impl TriggerSpec {
    /// Everything that is wrong with it; nothing where it may be stored.
    pub fn check(&self) -> Vec<TriggerFault> {
        let mut faults = Faults { found: Vec::new() };
        faults.name("name", &self.name);
        if let Err(problem) = check_script_name(&self.script) {
            faults.add("script", problem.detail, problem.hint.unwrap_or_default());
        }
        self.check_fields(&mut faults);
        self.check_source(&mut faults);
        for (path, wanted) in &self.matches {
            faults.condition(self.kind, path, wanted);
        }
        if self.matches.len() > CONDITIONS_MAX {
            let message = format!("`match` has {} conditions, more than {CONDITIONS_MAX}", self.matches.len());
            faults.add("match", message, "test the rest in the script");
        }
        if let Some(path) = &self.ordering_key {
            faults.path("ordering_key", self.kind, path);
        }
        if let Some(retry) = &self.retry {
            faults.retry(retry);
        }
        self.check_numbers(&mut faults);
        faults.placement(self);
        faults.found
    }

    /// Which fields stand there, beside those of every trigger.
    fn present(&self) -> Vec<&'static str> {
        let there = [
            ("collection", self.collection.is_some()),
            ("prefix", self.prefix.is_some()),
            ("ops", !self.ops.is_empty()),
            ("topic", self.topic.is_some()),
            ("trigger", self.trigger.is_some()),
            ("schedule", self.schedule.is_some()),
            ("timezone", self.timezone.is_some()),
            ("missed", self.missed.is_some()),
            ("overlap", self.overlap.is_some()),
            ("match", !self.matches.is_empty()),
            ("ordering_key", self.ordering_key.is_some()),
        ];
        there.into_iter().filter(|(_field, there)| *there).map(|(field, _there)| field).collect()
    }

    fn check_fields(&self, faults: &mut Faults) {
        let kind = self.kind.as_str();
        let present = self.present();
        if let Some(required) = self.kind.required().filter(|required| !present.contains(required)) {
            let example = match required {
                "collection" => "collection = \"widgets\"",
                "schedule" => "schedule = \"0 3 * * *\" or schedule = \"every 90s\"",
                _ => "topic = \"orders/+\"",
            };
            faults.add(required, format!("a trigger of kind `{kind}` has no `{required}`"), format!("write {example}"));
        }
        for field in present.into_iter().filter(|field| !self.kind.fields().contains(field)) {
            let message = format!("a trigger of kind `{kind}` has no `{field}`");
            faults.add(field, message, format!("its own keys are {}", self.kind.fields().join(", ")));
        }
    }

    fn check_source(&self, faults: &mut Faults) {
        if let Some(Err(message)) = self.collection.as_deref().map(check_collection) {
            faults.add("collection", message, "it is the name that scripts give to collection(…)");
        }
        if let Some(prefix) = self.prefix.as_deref().filter(|prefix| prefix.len() > PREFIX_BYTES_MAX) {
            let message = format!("`prefix` has {} bytes, more than {PREFIX_BYTES_MAX}", prefix.len());
            faults.add("prefix", message, "no key is longer than that");
        }
        for (index, op) in self.ops.iter().enumerate() {
            let known: Vec<&str> = self.kind.ops().iter().map(|op| op.as_str()).collect();
            if !known.is_empty() && !known.contains(&op.as_str()) {
                let message = format!("`{}` does not happen to {}", op.as_str(), self.kind.as_str());
                faults.add("ops", message, format!("what happens there: {}", known.join(", ")));
            } else if self.ops[..index].contains(op) {
                faults.add("ops", format!("`{}` stands twice in `ops`", op.as_str()), "remove one of the two");
            }
        }
        if let Some(Err(message)) = self.topic.as_deref().map(check_topic_pattern) {
            faults.add(
                "topic",
                message,
                "write segments with `/` between; `+` is one segment, `#` at the end the rest",
            );
        }
        if let Some(trigger) = &self.trigger {
            faults.name("trigger", trigger);
        }
        for (field, text, max) in
            [("schedule", &self.schedule, SCHEDULE_BYTES_MAX), ("timezone", &self.timezone, TIMEZONE_BYTES_MAX)]
        {
            match text.as_deref().map(str::trim) {
                Some("") => faults.add(field, format!("`{field}` is empty"), "see docs/events.md"),
                Some(text) if text.len() > max => {
                    faults.add(field, format!("`{field}` has more than {max} bytes"), "see docs/events.md");
                }
                _ => {}
            }
        }
    }

    fn check_numbers(&self, faults: &mut Faults) {
        faults.range("concurrency", self.concurrency.map(u64::from), 1, u64::from(CONCURRENCY_MAX));
        faults.range("max_age_ms", self.max_age_ms, 1, AGE_MS_MAX);
        faults.range("pause_after", self.pause_after.map(u64::from), 0, u64::from(PAUSE_AFTER_MAX));
        let one_at_a_time = self.kind == TriggerKind::Cron && self.overlap.unwrap_or_default() != Overlap::Allow;
        if one_at_a_time && self.concurrency.is_some_and(|many| many > 1) {
            let message = "a schedule whose runs do not overlap has a `concurrency` of 1";
            faults.add("concurrency", message.to_owned(), "write overlap = \"allow\", or leave `concurrency` out");
        }
    }

    /// What becomes of schedule times that nobody was there for.
    pub fn missed(&self) -> Missed {
        self.missed.unwrap_or_default()
    }

    /// What becomes of a schedule time while an earlier one is under way.
    pub fn overlap(&self) -> Overlap {
        self.overlap.unwrap_or_default()
    }
}

struct Faults {
    found: Vec<TriggerFault>,
}

impl Faults {
    fn add(&mut self, field: &'static str, message: String, hint: impl Into<String>) {
        self.found.push(TriggerFault { field, message, hint: hint.into() });
    }

    fn name(&mut self, field: &'static str, name: &str) {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if !first || name.len() > 63 || !name.bytes().all(letter) {
            let hint = "a trigger's name is a lower-case letter and then up to 62 of a-z, 0-9, `-` and `_`";
            self.add(field, format!("`{name}` is no name of a trigger"), hint);
        }
    }

    fn range(&mut self, field: &'static str, number: Option<u64>, min: u64, max: u64) {
        if let Some(number) = number.filter(|number| !(min..=max).contains(number)) {
            let message = format!("`{field}` is {number}, and must be from {min} to {max}");
            self.add(field, message, "leave it out for the default");
        }
    }

    fn retry(&mut self, retry: &Retry) {
        let ranges = [
            ("max_attempts", u64::from(retry.max_attempts), u64::from(ATTEMPTS_MAX)),
            ("base_ms", retry.base_ms, BASE_MS_MAX),
            ("max_ms", retry.max_ms, MAX_MS_MAX),
        ];
        let hint = "leave it out for the default: see docs/events.md";
        for (name, number, max) in ranges.into_iter().filter(|(_name, number, max)| !(1..=*max).contains(number)) {
            self.add("retry", format!("`retry.{name}` is {number}, and must be from 1 to {max}"), hint);
        }
        if !(1.0..=FACTOR_MAX).contains(&retry.factor) {
            let message = format!("`retry.factor` is {}, and must be from 1 to {FACTOR_MAX}", retry.factor);
            self.add("retry", message, hint);
        }
    }

    fn placement(&mut self, spec: &TriggerSpec) {
        for (field, entries) in [("needs", &spec.needs), ("avoid", &spec.avoid), ("prefers", &spec.prefers)] {
            // Each list is checked as if it were the first, so that what is wrong stands at its own key.
            let alone = Placement { needs: entries.clone(), ..Placement::default() };
            for message in alone.check().err().into_iter().flatten() {
                let message = message.replacen("`needs`", &format!("`{field}`"), 1);
                self.add(field, message, "an entry is a label, or label=value: \"camera\", \"arch=aarch64\"");
            }
        }
    }

    /// A path into an event of `kind`: `key`, `value.room`.
    fn path(&mut self, field: &'static str, kind: TriggerKind, path: &str) {
        let fields = kind.event_fields();
        if path.len() > PATH_BYTES_MAX || path.split('.').any(str::is_empty) || path.chars().any(char::is_control) {
            let message = format!("{path:?} in `{field}` is no path into an event");
            self.add(field, message, "write names with `.` between: value.room");
        } else if !path.split('.').next().is_some_and(|first| fields.contains(&first)) {
            let kind = kind.as_str();
            let message = format!("`{path}` in `{field}`: an event of kind `{kind}` has no such field");
            self.add(field, message, format!("its fields are {}", fields.join(", ")));
        }
    }

    fn condition(&mut self, kind: TriggerKind, path: &str, wanted: &Value) {
        self.path("match", kind, path);
        let Value::Object(conditions) = wanted else { return self.comparable(path, wanted) };
        if conditions.is_empty() {
            self.add("match", format!("`match` says nothing of `{path}`"), operators());
        }
        for (operator, operand) in conditions {
            let fits = match operator.as_str() {
                "eq" | "ne" => true,
                "prefix" => operand.is_string(),
                "gt" | "gte" | "lt" | "lte" => operand.is_number() || operand.is_string(),
                "any" => operand.is_array(),
                "exists" => operand.is_boolean(),
                _ => {
                    self.add("match", format!("`{operator}` of `{path}` is no condition"), operators());
                    continue;
                }
            };
            if fits {
                self.comparable(path, operand);
            } else {
                let message = format!("`{operator}` of `{path}` cannot be {operand}");
                let hint =
                    "prefix takes a string, gt gte lt lte a number or a string, any a list, exists true or false";
                self.add("match", message, hint);
            }
        }
    }

    /// Refuses what an app folder cannot say.
    fn comparable(&mut self, path: &str, value: &Value) {
        if !can_be_said(value, 0) {
            let message = format!("the value for `{path}` has a null, a number that is too large, or is too deep");
            self.add("match", message, "for what is not there, write { exists = false }");
        }
    }
}

fn operators() -> String {
    format!("write a value, or a table of {}", MATCH_OPERATORS.join(", "))
}

/// Whether TOML can say it, so that an export is what was stored.
fn can_be_said(value: &Value, depth: usize) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.is_i64() || number.is_f64(),
        Value::Array(items) => depth < VALUE_DEPTH_MAX && items.iter().all(|item| can_be_said(item, depth + 1)),
        Value::Object(fields) => depth < VALUE_DEPTH_MAX && fields.values().all(|item| can_be_said(item, depth + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_kind_has_is_taken_and_what_it_has_not_is_named() {
        let told = |mut json: Value| -> Vec<String> {
            for (key, value) in [("name", "on-x"), ("script", "on_x")] {
                if json.get(key).is_none() {
                    json[key] = value.into();
                }
            }
            let spec: TriggerSpec = serde_json::from_value(json).unwrap();
            spec.check()
                .into_iter()
                .map(|fault| format!("{}: {} ({})", fault.field, fault.message, fault.hint))
                .collect()
        };
        for good in [
            json!({"kind": "kv", "collection": "widgets", "prefix": "a/", "ops": ["insert", "delete"]}),
            json!({"kind": "kv", "collection": "w", "match": {"value.room": "kitchen", "value.t": {"gt": 20, "lte": 30.5}}}),
            json!({"kind": "files", "collection": "photos", "ops": ["create"], "match": {"file.name": {"prefix": "a"}}}),
            json!({"kind": "cron", "schedule": "0 3 * * *", "timezone": "Europe/Berlin", "missed": "all", "overlap": "queue"}),
            json!({"kind": "cron", "schedule": "every 90s", "overlap": "allow", "concurrency": 3}),
            json!({"kind": "pubsub", "topic": "orders/+/#", "ordering_key": "value.device", "max_age_ms": 5}),
            json!({"kind": "dead_letter"}),
            json!({"kind": "dead_letter", "trigger": "on-widget", "pause_after": 0, "retry": {"max_attempts": 1}}),
        ] {
            assert_eq!(told(good.clone()), Vec::<String>::new(), "{good}");
        }
        let bad = [
            json!({"kind": "kv", "name": "On X", "script": "on-x"}),
            json!({"kind": "kv", "collection": "", "topic": "a", "ops": ["create", "insert", "insert"]}),
            json!({"kind": "cron", "collection": "a", "concurrency": 2}),
            json!({"kind": "cron", "schedule": " ", "timezone": "x".repeat(65)}),
            json!({"kind": "pubsub", "topic": "a/#/b", "match": {"value.a": null, "key": 1, "value..b": 2, "topic": {}}}),
            json!({"kind": "pubsub", "topic": "a", "match": {"value": {"gt": true, "like": "x", "exists": 1, "any": 3, "prefix": 4}}}),
            json!({"kind": "dead_letter", "trigger": "A", "retry": {"max_attempts": 0, "base_ms": 0, "factor": 0.5, "max_ms": u64::MAX}}),
            json!({"kind": "dead_letter", "concurrency": 0, "max_age_ms": 0, "pause_after": 10_001, "ordering_key": "x"}),
        ];
        let lines: Vec<String> =
            bad.into_iter().flat_map(|json| [vec![format!("{json}")], told(json)].concat()).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
