//! All that is known of an app.

use super::load::Queue;
use super::rows;
use crate::theme::Ink;
use crate::widgets::reader::Reader;
use crate::widgets::text;
use picloud_model::app::App;
use serde_json::{Value, json};

/// Columns of what stands before each line.
const LABEL_COLUMNS: usize = 12;

/// As a text, and as JSON.
pub(super) fn reader(app: &App, queue: Option<&Queue>, now: i64, zone: &jiff::tz::TimeZone) -> Reader {
    let mut lines = Vec::new();
    let mut line = |label: &str, said: String| {
        if !said.is_empty() {
            lines.push(vec![(Ink::Faint, format!("{label:LABEL_COLUMNS$}")), (Ink::Plain, said)]);
        }
    };
    line("reached at", rows::reached_at(app));
    line("revision", app.revision.to_string());
    line("made", text::moment(now, app.created_at, zone));
    line("changed", text::moment(now, app.updated_at, zone));
    for (name, value) in &app.env {
        line("env", format!("{name} = {value}"));
    }
    if let Value::Object(limits) = json!(app.limits) {
        for (name, value) in limits {
            line("limit", format!("{name} = {value}"));
        }
    }
    line("may reach", app.http.allow.join(", "));
    for (script, placement) in &app.placement {
        let part = |word: &str, labels: &[String]| {
            if labels.is_empty() { String::new() } else { format!("  {word} {}", labels.join(", ")) }
        };
        let (needs, avoid) = (part("needs", &placement.needs), part("avoid", &placement.avoid));
        line("placement", format!("{script}{needs}{avoid}{}", part("prefers", &placement.prefers)));
    }
    if let Some(queue) = queue {
        let oldest = match queue.oldest_due_ms {
            0 => String::new(),
            ms => format!(", the oldest due for {}", text::duration(ms.saturating_mul(1000))),
        };
        let waiting = match queue.waiting_for_node {
            0 => String::new(),
            waiting => format!(", {waiting} of them for a node that may run them"),
        };
        line("queue", format!("{} deliveries{oldest}{waiting}", queue.deliveries));
        line("letters", queue.dead_letters.to_string());
        line("written", format!("{} since the appliance started", text::bytes(queue.bytes_written)));
    }
    Reader::of(format!("App {}", app.name), lines).json(json!(app))
}
