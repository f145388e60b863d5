//! Writes `app.toml` the way a person would: the name first, a table a route, nothing that is a default.

use crate::bundle::Bundle;
use crate::placement::Placement;
use crate::route::{RouteAuth, RouteSpec};
use crate::trigger::TriggerSpec;
use serde_json::Value;
use std::fmt::Write as _;

/// The keys of a trigger in the order in which a person tells of it: what it is, what it listens to, what it starts,
/// and how.
pub(super) const TRIGGER_KEYS: &[&str] = &[
    "name",
    "kind",
    "collection",
    "prefix",
    "ops",
    "topic",
    "trigger",
    "schedule",
    "timezone",
    "missed",
    "overlap",
    "match",
    "script",
    "retry",
    "concurrency",
    "ordering_key",
    "max_age_ms",
    "pause_after",
    "needs",
    "avoid",
    "prefers",
];
/// The same of where a script may run.
pub(super) const PLACEMENT_KEYS: &[&str] = &["needs", "avoid", "prefers"];
/// The same of a trigger's `retry`.
pub(super) const RETRY_KEYS: &[&str] = &["max_attempts", "base_ms", "factor", "max_ms"];

/// `app.toml` of `bundle`.
pub(super) fn write(bundle: &Bundle) -> String {
    let mut out = String::new();
    line(&mut out, "name", &quoted(&bundle.name));
    if !bundle.hosts.is_empty() {
        line(&mut out, "hosts", &list(&bundle.hosts));
    }
    for route in &bundle.routes {
        write_route(&mut out, route);
    }
    for trigger in &bundle.triggers {
        write_trigger(&mut out, trigger);
    }
    for (script, placement) in bundle.placement.iter().filter(|(_script, placement)| !placement.is_empty()) {
        write_placement(&mut out, script, placement);
    }
    if !bundle.env.is_empty() {
        out.push_str("\n[env]\n");
        for (key, text) in &bundle.env {
            line(&mut out, &bare_or_quoted(key), &quoted(text));
        }
    }
    if !bundle.http.is_empty() {
        out.push_str("\n[http]\n");
        line(&mut out, "allow", &list(&bundle.http.allow));
    }
    let limits = serde_json::to_value(&bundle.limits).expect("limits are numbers by name");
    let mut limits = limits.as_object().into_iter().flatten().peekable();
    if limits.peek().is_some() {
        out.push_str("\n[limits]\n");
    }
    for (key, number) in limits {
        line(&mut out, key, &value(number));
    }
    out
}

fn write_route(out: &mut String, route: &RouteSpec) {
    out.push_str("\n[[routes]]\n");
    if !route.methods.is_empty() {
        line(out, "methods", &list(&route.methods));
    }
    line(out, "path", &quoted(&route.path));
    line(out, "script", &quoted(&route.script));
    if route.auth == RouteAuth::Key {
        line(out, "auth", &quoted("key"));
    }
}

fn write_trigger(out: &mut String, trigger: &TriggerSpec) {
    out.push_str("\n[[triggers]]\n");
    let shown = serde_json::to_value(trigger).expect("a trigger holds only text, numbers and tables of them");
    for key in TRIGGER_KEYS {
        match (&shown[key], *key) {
            (Value::Null, _) => {}
            (retry, "retry") => line(out, key, &table(RETRY_KEYS.iter().map(|key| (*key, &retry[key])))),
            (item, _) => line(out, key, &value(item)),
        }
    }
}

fn write_placement(out: &mut String, script: &str, placement: &Placement) {
    writeln!(out, "\n[placement.{}]", bare_or_quoted(script)).expect("a string takes all that is written to it");
    let lists = [&placement.needs, &placement.avoid, &placement.prefers];
    for (key, entries) in PLACEMENT_KEYS.iter().zip(lists).filter(|(_key, entries)| !entries.is_empty()) {
        line(out, key, &list(entries));
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    writeln!(out, "{key} = {value}").expect("a string takes all that is written to it");
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { basic(key) }
}

/// A basic string, which is what a key in quotes must be on one line.
fn basic(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            _ if letter.is_control() => {
                write!(out, "\\U{:08X}", u32::from(letter)).expect("a string takes all that is written to it");
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// JSON as an inline TOML value; `null`, which TOML does not have, as an empty string.
fn value(json: &Value) -> String {
    match json {
        Value::Null => basic(""),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            // Debug writes 4.0 as `4.0` and 1e300 as `1e300`: a float to TOML in either form.
            (None, Some(float)) => format!("{float:?}"),
            (None, None) => number.to_string(),
        },
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => table(entries.iter().map(|(key, item)| (key.as_str(), item))),
    }
}

fn table<'v>(entries: impl Iterator<Item = (&'v str, &'v Value)>) -> String {
    let entries: Vec<String> =
        entries.map(|(key, item)| format!("{} = {}", bare_or_quoted(key), value(item))).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}
