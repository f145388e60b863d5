//! `check-config`: what holds, and where each value comes from.

use super::terminal;
use crate::config::{Config, SETTINGS};
use std::collections::BTreeMap;

/// Prints the settings; that they were read at all means that they are valid.
pub(super) fn run(config: &Config, json: bool) {
    if json {
        let settings: BTreeMap<&str, serde_json::Value> = SETTINGS
            .iter()
            .map(|row| {
                let value = (row.show)(&config.settings);
                (row.key, serde_json::json!({ "value": value, "from": config.origin(row.key).to_string() }))
            })
            .collect();
        terminal::say(&serde_json::json!(settings).to_string());
        return;
    }
    let width = SETTINGS.iter().map(|row| row.key.len()).max().unwrap_or_default();
    for row in SETTINGS {
        let value = (row.show)(&config.settings);
        let value = if value.is_empty() { "-".to_owned() } else { value };
        terminal::say(&format!("{:width$}  {value}  ({})", row.key, config.origin(row.key)));
    }
}
