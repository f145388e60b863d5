//! Reads `[[triggers]]`: every key by itself, so that each mistake is told with its place.

use super::canonical::{RETRY_KEYS, TRIGGER_KEYS};
use super::manifest::{Item, Reader, json};
use crate::bundle::Bundle;
use crate::trigger::TriggerSpec;
use serde_json::{Map, Value};
use toml::de::DeTable;

impl Reader<'_, '_> {
    /// The triggers of the folder, in their order.
    pub(super) fn triggers(&mut self, item: &Item<'_>, bundle: &Bundle) -> Vec<TriggerSpec> {
        let mut triggers: Vec<TriggerSpec> = Vec::new();
        for item in self.tables("triggers", item) {
            let Some(trigger) = self.trigger(item, bundle) else { continue };
            if triggers.iter().any(|other| other.name == trigger.name) {
                let message = format!("there are two triggers `{}`", trigger.name);
                self.report(item.span(), message, "give one of the two another name");
            } else {
                triggers.push(trigger);
            }
        }
        triggers
    }

    fn trigger(&mut self, item: &Item<'_>, bundle: &Bundle) -> Option<TriggerSpec> {
        let table = item.get_ref().as_table()?;
        self.refuse_unknown(table, TRIGGER_KEYS, "a trigger");
        let mut whole = true;
        for (key, example) in
            [("name", "name = \"on-widget\""), ("kind", "kind = \"kv\""), ("script", "script = \"on_widget\"")]
        {
            if table.get(key).is_none() {
                whole = false;
                self.report(item.span(), format!("a trigger has no `{key}`"), format!("write {example}"));
            }
        }
        if let Some(script) = table.get("script") {
            whole &= self.script(script, bundle, "a trigger starts a script").is_some();
        }
        let mut fields = Map::new();
        for (key, item) in table.iter().filter(|(key, _item)| TRIGGER_KEYS.contains(&key.get_ref().as_ref())) {
            let key = key.get_ref().as_ref();
            match (key, item.get_ref().as_table()) {
                // Said above.
                ("script", _) => {}
                ("retry", Some(retry)) => whole &= self.retry(retry),
                _ => whole &= self.fits(item, "`", key, &[(key, json(item, 0))]),
            }
            fields.insert(key.to_owned(), json(item, 0));
        }
        if !whole {
            return None;
        }
        // A key that is unknown was told above, and is not in `fields`.
        let trigger: TriggerSpec = serde_json::from_value(Value::Object(fields)).ok()?;
        for fault in trigger.check().into_iter().filter(|fault| fault.field != "script") {
            let span = table.get(fault.field).map_or_else(|| item.span(), toml::Spanned::span);
            self.report(span, fault.message, fault.hint);
        }
        Some(trigger)
    }

    fn retry(&mut self, table: &DeTable<'_>) -> bool {
        self.refuse_unknown(table, RETRY_KEYS, "`retry` of a trigger");
        let mut whole = true;
        for (key, item) in table {
            let key = key.get_ref().as_ref();
            whole &= RETRY_KEYS.contains(&key);
            if RETRY_KEYS.contains(&key) {
                let retry = Value::Object(Map::from_iter([(key.to_owned(), json(item, 0))]));
                whole &= self.fits(item, "`retry.", key, &[("retry", retry)]);
            }
        }
        whole
    }

    /// Whether a trigger that has these fields beside what it must have can be read.
    fn fits(&mut self, item: &Item<'_>, before: &str, key: &str, fields: &[(&str, Value)]) -> bool {
        let mut trigger = serde_json::json!({ "name": "a", "kind": "kv", "script": "a" });
        for (field, value) in fields {
            trigger[*field] = value.clone();
        }
        match serde_json::from_value::<TriggerSpec>(trigger) {
            Ok(_fits) => true,
            Err(error) => {
                self.report(item.span(), format!("{before}{key}`: {error}"), hint(key));
                false
            }
        }
    }
}

/// What stands at a key, by example.
fn hint(key: &str) -> String {
    let example = match key {
        "kind" => "\"kv\"",
        "ops" => "[\"insert\", \"update\", \"delete\"]",
        "match" => "{ \"value.room\" = \"kitchen\", \"value.t\" = { gt = 20 } }",
        "retry" => "{ max_attempts = 5, base_ms = 2000, factor = 4.0, max_ms = 900000 }",
        "missed" => "\"once\"",
        "overlap" => "\"skip\"",
        "concurrency" => "4",
        "max_age_ms" | "max_ms" => "900000",
        "pause_after" => "10",
        "max_attempts" => "5",
        "base_ms" => "2000",
        "factor" => "4.0",
        "needs" | "avoid" | "prefers" => "[\"camera\", \"arch=aarch64\"]",
        _ => "\"…\"",
    };
    format!("write {key} = {example}")
}
