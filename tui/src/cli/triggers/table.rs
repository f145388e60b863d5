//! A trigger's table: from flags, or from a file.

use super::super::source::read_text;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use picloud_model::trigger::{Missed, Op, Overlap, Retry, TriggerKind, TriggerSpec};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What stands below the help of `create`.
pub(super) const EXAMPLES: &str = "\
The next deploy makes the app its folder again: write it into app.toml to keep it.

Examples:
  picloud triggers create on-widget kv on_widget --collection widgets --prefix a/
  picloud triggers create nightly cron report --schedule '0 3 * * *' --timezone Europe/Berlin
  picloud triggers create on-order pubsub order --topic 'orders/+' --match 'value.total={\"gt\": 100}'
  picloud triggers create on-dead dead_letter alarm";

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Kv,
    Files,
    Cron,
    Pubsub,
    DeadLetter,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Insert,
    Create,
    Update,
    Delete,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Absent {
    Skip,
    Once,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Both {
    Skip,
    Queue,
    Allow,
}

/// A trigger that is to be.
#[derive(Args, Debug)]
pub(super) struct NewTrigger {
    /// Its name
    name: String,
    /// What it listens to
    #[arg(value_enum)]
    kind: Kind,
    /// The endpoint that it starts
    script: String,
    /// kv, files: the collection
    #[arg(long)]
    collection: Option<String>,
    /// kv, files: only keys or names that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// kv, files: only this; may be given more than once
    #[arg(long = "op", value_enum, value_name = "OP")]
    ops: Vec<What>,
    /// pubsub: the topic; `+` is one segment, `#` at the end the rest
    #[arg(long)]
    topic: Option<String>,
    /// dead_letter: only letters of this trigger
    #[arg(long)]
    trigger: Option<String>,
    /// cron: 5 or 6 fields, `@hourly`, `every 90s`
    #[arg(long)]
    schedule: Option<String>,
    /// cron: an IANA time zone [default: UTC]
    #[arg(long)]
    timezone: Option<String>,
    /// cron: what becomes of times that nobody was there for [default: once]
    #[arg(long, value_enum)]
    missed: Option<Absent>,
    /// cron: what becomes of a time while the last run is under way [default: skip]
    #[arg(long, value_enum)]
    overlap: Option<Both>,
    /// Only events where this holds; may be given more than once
    #[arg(long = "match", value_name = "PATH=JSON")]
    matches: Vec<String>,
    /// Attempts, the first one included [default: 5]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// At most so many at once
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Events with the same value there run one after the other
    #[arg(long, value_name = "PATH")]
    ordering_key: Option<String>,
    /// An event older than this is a dead letter
    #[arg(long, value_name = "MS")]
    max_age_ms: Option<u64>,
    /// Dead letters in a row after which it is paused, 0 for never [default: 10]
    #[arg(long, value_name = "N")]
    pause_after: Option<u32>,
    /// Only on nodes with this label: NAME or NAME=VALUE; may be given more than once
    #[arg(long, value_name = "LABEL")]
    needs: Vec<String>,
    /// On no node with this label; may be given more than once
    #[arg(long, value_name = "LABEL")]
    avoid: Vec<String>,
    /// Rather on nodes with this label; may be given more than once
    #[arg(long, value_name = "LABEL")]
    prefers: Vec<String>,
}

impl NewTrigger {
    /// As the admin API takes it.
    pub(super) fn table(self) -> Result<TriggerSpec, Failure> {
        let kind = match self.kind {
            Kind::Kv => TriggerKind::Kv,
            Kind::Files => TriggerKind::Files,
            Kind::Cron => TriggerKind::Cron,
            Kind::Pubsub => TriggerKind::Pubsub,
            Kind::DeadLetter => TriggerKind::DeadLetter,
        };
        let op = |op: &What| match op {
            What::Insert => Op::Insert,
            What::Create => Op::Create,
            What::Update => Op::Update,
            What::Delete => Op::Delete,
        };
        let missed = self.missed.map(|missed| match missed {
            Absent::Skip => Missed::Skip,
            Absent::Once => Missed::Once,
            Absent::All => Missed::All,
        });
        let overlap = self.overlap.map(|overlap| match overlap {
            Both::Skip => Overlap::Skip,
            Both::Queue => Overlap::Queue,
            Both::Allow => Overlap::Allow,
        });
        Ok(TriggerSpec {
            collection: self.collection,
            prefix: self.prefix,
            ops: self.ops.iter().map(op).collect(),
            topic: self.topic,
            trigger: self.trigger,
            schedule: self.schedule,
            timezone: self.timezone,
            missed,
            overlap,
            matches: self.matches.iter().map(|text| condition(text)).collect::<Result<BTreeMap<_, _>, _>>()?,
            retry: self.max_attempts.map(|max_attempts| Retry { max_attempts, ..Retry::default() }),
            concurrency: self.concurrency,
            ordering_key: self.ordering_key,
            max_age_ms: self.max_age_ms,
            pause_after: self.pause_after,
            needs: self.needs,
            avoid: self.avoid,
            prefers: self.prefers,
            ..TriggerSpec::new(&self.name, kind, &self.script)
        })
    }
}

/// `value.room=kitchen` → path and value; what is no JSON is text.
fn condition(text: &str) -> Result<(String, Value), Failure> {
    let Some((path, value)) = text.split_once('=') else {
        return Err(Failure::usage(format!("`{text}` is no condition"), "write --match 'value.room=\"kitchen\"'"));
    };
    Ok((path.to_owned(), serde_json::from_str(value).unwrap_or_else(|_text| value.into())))
}

/// What the appliance adds to a trigger's table.
const STATE: [&str; 9] =
    ["id", "version", "paused", "failures", "queued", "dead_letters", "next_at", "created_at", "updated_at"];

/// A trigger in a file.
pub(super) struct FromFile {
    /// Its name.
    pub(super) name: String,
    /// Its table, without what the appliance adds.
    pub(super) table: Value,
}

/// Reads a trigger's table: JSON, or TOML as in `app.toml`.
pub(super) fn read(file: &Path) -> Result<FromFile, Failure> {
    let text = read_text(file)?;
    let bad = |error: &dyn std::fmt::Display| {
        let said = format!("{} is no table of a trigger: {error}", file.display());
        Failure::other(said, Some("`picloud triggers get NAME --json` prints one"))
    };
    let mut table: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| bad(&error))?
    } else {
        toml::from_str(&text).map_err(|error| bad(&error))?
    };
    if let Some(list) = table.get_mut("triggers").and_then(Value::as_array_mut) {
        let [only] = list.as_mut_slice() else { return Err(bad(&"it has more or fewer than one [[triggers]]")) };
        table = only.take();
    }
    let Some(fields) = table.as_object_mut() else { return Err(bad(&"it is none")) };
    fields.retain(|key, _value| !STATE.contains(&key.as_str()));
    let name = fields.get("name").and_then(Value::as_str).ok_or_else(|| bad(&"it has no `name`"))?.to_owned();
    Ok(FromFile { name, table })
}
