//! Triggers and dead letters as people read them whole.

use super::rows;
use crate::theme::Ink;
use crate::widgets::reader::Reader;
use crate::widgets::text;
use picloud_model::Problem;
use picloud_model::trigger::Trigger;
use serde_json::Value;

type Parts = Vec<(Ink, String)>;

/// All that is known of a trigger: its table, its state, when it comes next, what it started lately.
pub(super) fn trigger(
    app: &str,
    trigger: &Trigger,
    next: &Value,
    runs: &Value,
    now: i64,
    zone: &jiff::tz::TimeZone,
) -> Reader {
    let spec = &trigger.spec;
    let mut lines = vec![
        fact("trigger", format!("{app}/{}", spec.name)),
        fact("kind", spec.kind.as_str()),
        fact("source", rows::source(spec)),
        fact("script", &spec.script),
    ];
    lines.push(match &trigger.paused {
        Some(paused) => vec![
            label("state"),
            (Ink::Warn, format!("paused since {}: {}", text::moment(now, paused.since, zone), paused.reason)),
        ],
        None => fact("state", "on"),
    });
    lines.push(fact("queue", format!("{} wait or run", trigger.queued)));
    lines.push(fact("letters", format!("{}, {} in a row", trigger.dead_letters, trigger.failures)));
    let retry = spec.retry();
    lines.push(fact("attempts", format!("{}, {} ms apart at first", retry.max_attempts, retry.base_ms)));
    lines.push(fact("version", format!("{}, of {}", trigger.version, text::moment(now, trigger.updated_at, zone))));
    let more: [(&str, Option<String>); 5] = [
        ("match", (!spec.matches.is_empty()).then(|| serde_json::json!(spec.matches).to_string())),
        ("in order by", spec.ordering_key.clone()),
        ("needs", Some(spec.needs.join(" "))),
        ("avoid", Some(spec.avoid.join(" "))),
        ("prefers", Some(spec.prefers.join(" "))),
    ];
    lines.extend(more.into_iter().filter_map(|(name, value)| Some(fact(name, value.filter(|v| !v.is_empty())?))));
    let times = next["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !times.is_empty() {
        heading("next times", &mut lines);
    }
    for time in times {
        let note = time["note"].as_str().map(|note| format!("  {note}")).unwrap_or_default();
        lines.push(vec![(Ink::Plain, format!("  {}", word(&time["local"]))), (Ink::Warn, note)]);
    }
    let items = runs["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    heading("last runs", &mut lines);
    if items.is_empty() {
        lines.push(vec![(Ink::Plain, "  none that is kept".to_owned())]);
    }
    for run in items {
        let ink = if run["outcome"] == "ok" { Ink::Good } else { Ink::Bad };
        let why = run["error"]["detail"].as_str().and_then(|why| why.lines().next()).unwrap_or_default();
        lines.push(vec![
            (Ink::Plain, format!("  {:12}", when(&run["started_at"], now, zone))),
            (ink, format!("{:12}", word(&run["outcome"]))),
            (Ink::Plain, format!("{}  {why}", text::duration(run["duration_us"].as_u64().unwrap_or(0)))),
        ]);
    }
    let json = serde_json::json!(trigger);
    Reader::of(format!("Trigger {app}/{}", spec.name), lines).json(json)
}

/// A letter: event, error, chain, attempts.
pub(super) fn letter(letter: &Value, now: i64, zone: &jiff::tz::TimeZone) -> Reader {
    let is_final = if letter["final"] == true { " (final: starts no dead-letter trigger)" } else { "" };
    let mut lines = vec![
        fact("letter", format!("{}{is_final}", letter["id"])),
        fact("trigger", letter["trigger"].as_str().unwrap_or("none")),
        fact("script", format!("{}@{}", word(&letter["script"]), letter["version"])),
        fact("happened", when(&letter["first_at"], now, zone)),
        fact("given up", when(&letter["last_at"], now, zone)),
        fact("began with", format!("run {}, depth {}", word(&letter["root_execution_id"]), letter["trigger_depth"])),
    ];
    problem(&letter["error"], &mut lines);
    heading("event", &mut lines);
    let event = crate::widgets::json::set_out(&letter["event"].to_string());
    lines.extend(event.lines().map(|line| vec![(Ink::Plain, format!("  {line}"))]));
    heading(&format!("attempts: {}", letter["attempts"]), &mut lines);
    for attempt in letter["tried"].as_array().into_iter().flatten() {
        let run = attempt["execution_id"].as_str().map(|run| format!(", run {run}")).unwrap_or_default();
        let told = format!(
            "  {} at {} on {}, version {}{run}",
            attempt["attempt"],
            when(&attempt["at"], now, zone),
            word(&attempt["node"]),
            attempt["version"]
        );
        lines.push(vec![(Ink::Plain, told)]);
        lines.push(vec![(Ink::Bad, format!("    {}", word(&attempt["error"]["detail"])))]);
    }
    let chain = letter["chain"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !chain.is_empty() {
        heading("chain: what led to it", &mut lines);
    }
    for hop in chain {
        lines.push(vec![(
            Ink::Plain,
            format!(
                "  {}@{} ({}), run {}",
                word(&hop["script"]),
                hop["version"],
                word(&hop["cause"]),
                word(&hop["execution_id"])
            ),
        )]);
    }
    Reader::of(format!("Dead letter {}", letter["id"]), lines).json(letter.clone())
}

/// A problem with its place and hint.
fn problem(error: &Value, lines: &mut Vec<Parts>) {
    let Ok(problem) = serde_json::from_value::<Problem>(error.clone()) else { return };
    heading("error", lines);
    lines.extend(problem.detail.lines().map(|line| vec![(Ink::Bad, format!("  {line}"))]));
    if let Some(at) = &problem.at {
        lines.push(vec![
            (Ink::Plain, "  at ".to_owned()),
            (Ink::Link, format!("{}.rhai:{}:{}", at.script, at.line, at.column)),
        ]);
    }
    if let Some(hint) = &problem.hint {
        lines.push(vec![(Ink::Faint, format!("  hint: {hint}"))]);
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn when(at: &Value, now: i64, zone: &jiff::tz::TimeZone) -> String {
    let at = at.as_str().unwrap_or_default();
    at.parse::<jiff::Timestamp>().map_or_else(|_| at.to_owned(), |at| text::moment(now, at.as_millisecond(), zone))
}

fn heading(words: &str, lines: &mut Vec<Parts>) {
    lines.push(Vec::new());
    lines.push(vec![(Ink::Strong, words.to_owned())]);
}

fn label(name: &str) -> (Ink, String) {
    (Ink::Faint, format!("{name:12}"))
}

fn fact(name: &str, value: impl Into<String>) -> Parts {
    vec![label(name), (Ink::Plain, value.into())]
}
