//! Texts about a script: what is known of it, how it is reached from a shell, what it begins as.

use super::desk::Desk;
use super::id::Id;
use crate::app::{Facts, Request};
use crate::screens::elsewhere::{self, quoted};
use crate::theme::Ink;
use crate::widgets::reader::Reader;
use crate::widgets::text;
use picloud_model::script::ScriptKind;
use serde_json::json;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;

/// All that is known of the script on the desk; none before it was read.
pub(super) fn info(desk: &Desk, zone: &jiff::tz::TimeZone) -> Option<Reader> {
    let live = desk.live.as_ref()?;
    let script = &live.script;
    let size = u64::try_from(script.size_bytes).unwrap_or(0);
    let mut facts = vec![
        ("kind", script.kind.as_str().to_owned()),
        ("version", script.version.to_string()),
        ("saved", at(script.updated_at, zone)),
        ("by", live.author.clone()),
        ("why", live.message.clone().unwrap_or_else(|| "-".to_owned())),
        ("size", text::bytes(size)),
        ("hash", script.hash.to_string()),
        ("SDK", live.sdk_version.clone()),
    ];
    if let Some(quarantine) = &script.quarantine {
        let since = at(quarantine.since, zone);
        facts
            .push(("state", format!("QUARANTINED since {since}, after {} crashes: R releases it", quarantine.crashes)));
        facts.push(("last run", quarantine.execution_id.to_string()));
    }
    if desk.is_changed() {
        facts.push(("draft", format!("of v{}, not saved", desk.base)));
    }
    let imports = desk.related.imports().join(", ");
    facts.push(("uses", if imports.is_empty() { "-".to_owned() } else { imports }));
    facts.extend(desk.related.users().into_iter().map(|user| ("used by", user)));
    let line = |(name, value): (&str, String)| vec![(Ink::Faint, format!("{name:<10}")), (Ink::Plain, value)];
    let json = json!({
        "script": script,
        "author": live.author,
        "message": live.message,
        "sdk_version": live.sdk_version,
        "imports": desk.related.imports(),
        "used_by": desk.related.users(),
    });
    Some(Reader::of(desk.id.to_string(), facts.into_iter().map(line).collect()).json(json))
}

fn at(unix_ms: i64, zone: &jiff::tz::TimeZone) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(unix_ms) else { return "?".to_owned() };
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The command that prints the source.
pub(super) fn get_command(id: &Id) -> String {
    format!("picloud scripts get {} --app {}", id.name, id.app)
}

/// A request as curl sends it.
pub(super) fn curl(facts: &Facts, request: &Request) -> String {
    let body = quoted(&String::from_utf8_lossy(&request.body));
    elsewhere::curl(facts, &request.path, &format!("-X {} -d {body} ", request.method))
}

/// Both texts in one, with what differs one below the other.
pub(super) fn merged(theirs: &str, mine: &str, version: i64) -> String {
    let ends = |text: &str| if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    let (theirs, mine) = (ends(theirs), ends(mine));
    let diff = TextDiff::from_lines(&theirs, &mine);
    let mut merged = String::new();
    let (mut removed, mut added) = (String::new(), String::new());
    for change in diff.iter_all_changes() {
        match change.tag() {
            ChangeTag::Delete => removed += change.value(),
            ChangeTag::Insert => added += change.value(),
            ChangeTag::Equal => {
                close(&mut merged, &mut removed, &mut added, version);
                merged += change.value();
            }
        }
    }
    close(&mut merged, &mut removed, &mut added, version);
    merged
}

fn close(merged: &mut String, theirs: &mut String, mine: &mut String, version: i64) {
    if !theirs.is_empty() || !mine.is_empty() {
        write!(merged, "<<<<<<< mine\n{mine}=======\n{theirs}>>>>>>> v{version}, live\n")
            .expect("a string takes all that is written to it");
    }
    theirs.clear();
    mine.clear();
}

/// What a script may begin as.
pub(super) const TEMPLATES: [&str; 5] = ["answer to a request", "JSON", "reaction to an event", "module", "empty"];

const ANSWER: &str = "\
// The value of the last expression is the answer: a string is sent as text, a map as JSON.

let name = ctx.request.query.name ?? \"world\";

`Hello, ${name}!`
";
const JSON: &str = "\
let visits = kv::collection(\"counters\").incr(\"visits\", 1);

#{ visits: visits }
";
const REACTION: &str = "\
// Started by a trigger: ctx.event says what happened. What throws is tried again.

log::info(\"something happened\", #{ kind: ctx.event.kind });
";
const MODULE: &str = "\
// Scripts import it by its name.

/// Twice as much.
fn twice(x) {
    x * 2
}
";

/// What a template stands for.
pub(super) fn template(name: &str) -> (ScriptKind, &'static str) {
    match name {
        "JSON" => (ScriptKind::Endpoint, JSON),
        "reaction to an event" => (ScriptKind::Endpoint, REACTION),
        "module" => (ScriptKind::Module, MODULE),
        "empty" => (ScriptKind::Endpoint, ""),
        _ => (ScriptKind::Endpoint, ANSWER),
    }
}
