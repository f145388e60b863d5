//! A run as people read it.

use crate::theme::Ink;
use crate::widgets::text;
use picloud_model::Problem;
use serde_json::Value;

/// A line in parts.
pub(super) type Parts = Vec<(Ink, String)>;
/// Lines of a request's body or an event that are shown.
const INPUT_LINES_MAX: usize = 200;

/// All that is known of a run; `came` are the runs that everything it began with led to.
pub(super) fn run(run: &Value, came: &[Value], now: i64, zone: &jiff::tz::TimeZone) -> Vec<Parts> {
    let text = |key: &str| run[key].as_str().unwrap_or_default().to_owned();
    let outcome = text("outcome");
    let ink = if outcome == "ok" { Ink::Good } else { Ink::Bad };
    let status = run["status"].as_u64().filter(|status| *status != 0).map(|status| format!("  status {status}"));
    let took = text::duration(run["duration_us"].as_u64().unwrap_or(0));
    let attempt = run["attempt"].as_u64().map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
    let mut lines = vec![
        vec![label("outcome"), (ink, outcome), (Ink::Plain, status.unwrap_or_default())],
        fact("script", format!("{}/{}@{} on {}", text("app"), text("script"), run["version"], text("node"))),
        fact("cause", format!("{}{attempt}", text("cause"))),
        fact("started", format!("{}, took {took}", when(&text("started_at"), now, zone))),
        fact("run", text("id")),
    ];
    if run["root_id"].is_string() && run["root_id"] != run["id"] {
        lines.push(fact("began with", format!("run {}, depth {}", text("root_id"), run["trigger_depth"])));
    }
    lines.extend(used(run).map(|used| fact("used", used)));
    error(&run["error"], &mut lines);
    if !run["result"].is_null() {
        heading("result", &mut lines);
        json(&run["result"], &mut lines);
    }
    logs(run, zone, &mut lines);
    input(run, &mut lines);
    lineage(run, came, now, zone, &mut lines);
    lines
}

/// What a run printed, answered and would have done, after it was asked for.
pub(super) fn ran(answer: &Value, zone: &jiff::tz::TimeZone) -> Vec<Parts> {
    let run = &answer["execution"];
    let took = text::duration(run["duration_us"].as_u64().unwrap_or(0));
    let ink = if answer["status"].as_u64().is_some_and(|status| status < 400) { Ink::Good } else { Ink::Bad };
    let mut lines =
        vec![vec![label("status"), (ink, answer["status"].to_string()), (Ink::Plain, format!(" in {took}"))]];
    lines.extend(used(run).map(|used| fact("used", used)));
    error(&run["error"], &mut lines);
    if let Some(effects) = answer["effects"].as_array().filter(|effects| !effects.is_empty()) {
        heading("it would have", &mut lines);
        for effect in effects {
            let text = |key: &str| effect[key].as_str().unwrap_or_default().to_owned();
            let parts = [text("what"), text("target"), text("value")];
            lines.push(vec![(Ink::Plain, format!("  {}", parts.join(" ").trim_end()))]);
        }
    }
    logs(run, zone, &mut lines);
    if let Some(body) = answer["body"].as_str().filter(|body| !body.is_empty()) {
        heading("body", &mut lines);
        lines.extend(body.lines().map(|line| vec![(Ink::Plain, format!("  {line}"))]));
    } else if answer["body_base64"].is_string() {
        heading("body: bytes that are no text", &mut lines);
    }
    lines
}

/// The place of the error in a script, where it has one.
pub(super) fn place(error: &Value) -> Option<(String, usize)> {
    let line = error["at"]["line"].as_u64()?;
    Some((error["at"]["script"].as_str()?.to_owned(), usize::try_from(line).ok()?))
}

/// A problem with its place and hint.
pub(super) fn error(error: &Value, lines: &mut Vec<Parts>) {
    let Ok(problem) = serde_json::from_value::<Problem>(error.clone()) else { return };
    heading("error", lines);
    let mut sentences = problem.detail.lines();
    let first = sentences.next().unwrap_or_default();
    lines.push(vec![(Ink::Bad, format!("  {}", problem.code)), (Ink::Plain, format!("  {first}"))]);
    lines.extend(sentences.map(|line| vec![(Ink::Plain, format!("  {line}"))]));
    if let Some(at) = &problem.at {
        let place = format!("{}.rhai:{}:{}", at.script, at.line, at.column);
        lines.push(vec![(Ink::Plain, "  at ".to_owned()), (Ink::Link, place)]);
    }
    if let Some(limit) = &problem.limit {
        lines.push(vec![(Ink::Plain, format!("  limit {} is {}", limit.name, limit.value))]);
    }
    lines.extend(problem.conflicts.iter().map(|conflict| vec![(Ink::Plain, format!("  {conflict}"))]));
    if let Some(hint) = &problem.hint {
        lines.push(vec![(Ink::Faint, format!("  hint: {hint}"))]);
    }
}

fn logs(run: &Value, zone: &jiff::tz::TimeZone, lines: &mut Vec<Parts>) {
    let logs = run["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !logs.is_empty() {
        heading("log", lines);
    }
    for line in logs {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let fields = if line["fields"].is_object() { format!(" {}", line["fields"]) } else { String::new() };
        let at = text("at").parse::<jiff::Timestamp>().map(|at| text::time_of_day(at.as_millisecond(), zone));
        let level = serde_json::from_value(line["level"].clone()).map_or(Ink::Plain, super::live_view::ink_of);
        lines.push(vec![
            (Ink::Faint, format!("  {} ", at.unwrap_or_default())),
            (level, format!("{:5} ", text("level"))),
            (Ink::Plain, format!("{}{fields}", text("message"))),
        ]);
    }
    if let Some(dropped) = run["logs_dropped"].as_u64().filter(|dropped| *dropped > 0) {
        lines.push(vec![(Ink::Warn, format!("  {dropped} more lines were over the limit of a run"))]);
    }
}

/// The request or event that it saw, where the appliance tells of it.
fn input(run: &Value, lines: &mut Vec<Parts>) {
    let request = &run["input"]["request"];
    if request.is_object() {
        heading("request", lines);
        let text = |key: &str| request[key].as_str().unwrap_or_default();
        lines.push(vec![(Ink::Strong, format!("  {} {}", text("method"), text("path")))]);
        for header in request["headers"].as_array().into_iter().flatten() {
            let part = |at: usize| header[at].as_str().unwrap_or_default().to_owned();
            lines.push(vec![(Ink::Faint, format!("  {}: ", part(0))), (Ink::Plain, part(1))]);
        }
        if let Some(body) = body_of(request) {
            lines.extend(body.lines().take(INPUT_LINES_MAX).map(|line| vec![(Ink::Plain, format!("  {line}"))]));
        }
    }
    if run["input"]["event"].is_object() {
        heading("event", lines);
        json(&run["input"]["event"], lines);
    }
}

/// The body of a kept request, where it is text and there is one.
pub(super) fn body_of(request: &Value) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(request["body"].as_str()?).ok()?;
    String::from_utf8(bytes).ok().filter(|body| !body.is_empty())
}

/// What began with the same run: this one is among them.
fn lineage(run: &Value, came: &[Value], now: i64, zone: &jiff::tz::TimeZone, lines: &mut Vec<Parts>) {
    if came.len() < 2 {
        return;
    }
    heading("began with the same run, newest first", lines);
    for other in came {
        let text = |key: &str| other[key].as_str().unwrap_or_default().to_owned();
        let here = if other["id"] == run["id"] { "> " } else { "  " };
        let ink = if text("outcome") == "ok" { Ink::Plain } else { Ink::Bad };
        lines.push(vec![
            (Ink::Strong, format!("{here}{} ", when(&text("started_at"), now, zone))),
            (ink, format!("{:11} ", text("outcome"))),
            (Ink::Plain, format!("{}  {}", text("script"), text("cause"))),
        ]);
    }
}

/// What a run used; calls only where there were some.
fn used(run: &Value) -> Option<String> {
    let usage = run["usage"].as_object()?;
    let number = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
    let memory = text::bytes(number("memory_bytes"));
    let mut told = format!("{} operations, {memory} of memory", number("operations"));
    for (key, count) in usage.iter().filter_map(|(key, count)| Some((key.strip_suffix("_calls")?, count.as_u64()?))) {
        if count > 0 {
            told += &format!(", {count} {key} {}", if count == 1 { "call" } else { "calls" });
        }
    }
    Some(told)
}

/// JSON over lines, indented.
pub(super) fn json(value: &Value, lines: &mut Vec<Parts>) {
    let text = crate::widgets::json::set_out(&value.to_string());
    lines.extend(text.lines().take(INPUT_LINES_MAX).map(|line| vec![(Ink::Plain, format!("  {line}"))]));
}

/// A heading after an empty line.
pub(super) fn heading(words: &str, lines: &mut Vec<Parts>) {
    lines.push(Vec::new());
    lines.push(vec![(Ink::Strong, words.to_owned())]);
}

/// `name      value`
pub(super) fn fact(name: &str, value: impl Into<String>) -> Parts {
    vec![label(name), (Ink::Plain, value.into())]
}

fn label(name: &str) -> (Ink, String) {
    (Ink::Faint, format!("{name:11}"))
}

/// A time of an answer, as the list shows it.
pub(super) fn when(at: &str, now: i64, zone: &jiff::tz::TimeZone) -> String {
    at.parse::<jiff::Timestamp>().map_or_else(|_| at.to_owned(), |at| text::moment(now, at.as_millisecond(), zone))
}
