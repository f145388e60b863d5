//! `picloud triggers`: what starts which script.

mod table;

use super::made_up::event_argument;
use super::show::{cut, time};
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::trigger::{Trigger, TriggerSpec};
use serde_json::{Value, json};
use std::path::PathBuf;
use table::{FromFile, NewTrigger};

/// List, change, fire, pause and resume triggers: what starts scripts
#[derive(Args, Debug)]
pub(crate) struct Triggers {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's triggers, with what waits in their queues
    #[command(after_help = "Example:\n  picloud triggers list --app kitchen")]
    List(PageArgs),
    /// Show a trigger
    #[command(after_help = "Example:\n  picloud triggers get on-widget")]
    Get {
        /// Its name
        name: String,
    },
    /// Add a trigger
    #[command(after_help = table::EXAMPLES)]
    Create(Box<NewTrigger>),
    /// Change a trigger, or add it: what waits in its queue stays
    #[command(after_help = "\
Example:
  picloud triggers get on-widget --json > on-widget.json
  picloud triggers put on-widget.json

The next deploy makes the app its folder again: change app.toml, too.")]
    Put {
        /// Its table, as JSON or as in app.toml; `-` is standard input
        file: PathBuf,
        /// Only if it is at this version now
        #[arg(long, value_name = "N")]
        if_version: Option<i64>,
    },
    /// Remove a trigger, with what waits in its queue
    #[command(after_help = "Example:\n  picloud triggers delete on-widget")]
    Delete {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Start its script now, with a made-up event
    #[command(after_help = "\
The event goes through the queue as all do: with retries, and a dead letter where it fails. A paused trigger runs it,
too. To try a script without all that: picloud scripts run NAME --event '{…}'

Examples:
  picloud triggers fire nightly
  picloud triggers fire on-widget --event '{\"key\": \"a/1\", \"value\": {\"lamp\": true}}'")]
    Fire {
        /// Its name
        name: String,
        /// Fields of the event as JSON; @FILE is a file's content, `-` standard input
        #[arg(long, value_name = "JSON")]
        event: Option<String>,
    },
    /// Stop starting its script; what happens meanwhile is queued
    #[command(after_help = "Example:\n  picloud triggers pause on-widget --reason 'printer is out of paper'")]
    Pause {
        /// Its name
        name: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let it go on, with what was queued meanwhile
    #[command(after_help = "Example:\n  picloud triggers resume on-widget")]
    Resume {
        /// Its name
        name: String,
    },
    /// Show when a schedule comes next
    #[command(after_help = "\
Examples:
  picloud triggers next nightly
  picloud triggers next --schedule '0 3 * * 1-5' --timezone Europe/Berlin --count 3")]
    Next {
        /// The name of a trigger of kind cron
        #[arg(required_unless_present = "schedule", conflicts_with = "schedule")]
        name: Option<String>,
        /// A schedule that no trigger has yet
        #[arg(long)]
        schedule: Option<String>,
        /// The time zone of that schedule [default: UTC]
        #[arg(long, requires = "schedule")]
        timezone: Option<String>,
        /// So many times
        #[arg(long, value_name = "N", default_value = "10")]
        count: u32,
    },
}

impl Triggers {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        if let Verb::Next { name: None, schedule, timezone, count } = &self.verb {
            let input = json!({ "schedule": schedule, "timezone": timezone, "count": count });
            let ask = Ask::new(Method::POST, ApiPath::new(&["schedules", "preview"])).json(&input);
            return times(session, &session.client.send(ask).await?.value()?);
        }
        let app = session.settings.app()?;
        let one = |name: &str, more: &[&str]| ApiPath::of_app(&app, &["triggers", name]).below(more);
        match self.verb {
            Verb::List(page) => {
                let none = "the app has no triggers";
                session.list(ApiPath::of_app(&app, &["triggers"]), &page, &HEADINGS, row, none).await
            }
            Verb::Get { name } => session.print(one(&name, &[])).await,
            Verb::Create(new) => {
                let spec = new.table()?;
                let ask = Ask::new(Method::POST, ApiPath::of_app(&app, &["triggers"])).json(&spec);
                said(session, &session.client.send(ask).await?.value()?, &saved(&spec))
            }
            Verb::Put { file, if_version } => {
                let FromFile { name, table } = table::read(&file)?;
                let ask = Ask::new(Method::PUT, one(&name, &[])).if_match(if_version).json(&table);
                let answer: Value = session.client.send(ask).await?.value()?;
                let script = answer["script"].as_str().unwrap_or_default();
                said(session, &answer, &format!("trigger {name} starts {script}"))
            }
            Verb::Delete { name, yes } => {
                let before: Trigger = session.client.get(one(&name, &[])).await?;
                if !yes && before.queued > 0 {
                    let question = format!("Delete {name} and the {} deliveries in its queue?", before.queued);
                    session.output.confirm(&question)?;
                }
                session.client.send(Ask::new(Method::DELETE, one(&name, &[]))).await?;
                said(session, &json!({ "deleted": name }), &format!("trigger {name} is removed"))
            }
            Verb::Fire { name, event } => {
                let input = json!({ "event": event.as_deref().map(event_argument).transpose()? });
                let ask = Ask::new(Method::POST, one(&name, &["fire"])).json(&input);
                let answer: Value = session.client.send(ask).await?.value()?;
                let id = answer["event_id"].as_str().unwrap_or_default();
                said(session, &answer, &format!("{name} is fired: event {id}; see picloud executions list"))
            }
            Verb::Pause { name, reason } => {
                let ask = Ask::new(Method::POST, one(&name, &["pause"])).json(&json!({ "reason": reason }));
                let answer: Value = session.client.send(ask).await?.value()?;
                said(session, &answer, &format!("trigger {name} is paused; what happens meanwhile is queued"))
            }
            Verb::Resume { name } => {
                let answer: Value =
                    session.client.send(Ask::new(Method::POST, one(&name, &["resume"]))).await?.value()?;
                said(session, &answer, &format!("trigger {name} goes on; {} wait in its queue", answer["queued"]))
            }
            Verb::Next { name, count, .. } => {
                let path = one(&name.unwrap_or_default(), &["next"]).query("count", Some(count));
                times(session, &session.client.get(path).await?)
            }
        }
    }
}

fn saved(spec: &TriggerSpec) -> String {
    format!("trigger {} starts {}", spec.name, spec.script)
}

fn said(session: &Session<'_>, answer: &Value, sentence: &str) -> Result<(), Failure> {
    session.done(answer, sentence);
    Ok(())
}

fn times(session: &Session<'_>, answer: &Value) -> Result<(), Failure> {
    if session.output.json {
        session.output.value(answer);
        return Ok(());
    }
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |item: &Value| vec![super::show::seconds_of(&text(item, "at")), text(item, "local"), text(item, "note")];
    session.output.table(&["at", "local", "note"], &items.iter().map(row).collect::<Vec<_>>(), "it never comes again");
    Ok(())
}

/// Letters of a reason in the list.
const REASON_LETTERS_MAX: usize = 18;

const HEADINGS: [&str; 6] = ["name", "source", "script", "queue", "dead", "state"];

fn row(trigger: &Trigger) -> Vec<String> {
    let state = match (&trigger.paused, trigger.next_at) {
        (Some(paused), _) => format!("paused: {}", cut(&paused.reason, REASON_LETTERS_MAX)),
        (None, Some(at)) => format!("next {}", time(at)),
        (None, None) => String::new(),
    };
    vec![
        trigger.spec.name.clone(),
        source(&trigger.spec),
        trigger.spec.script.clone(),
        trigger.queued.to_string(),
        trigger.dead_letters.to_string(),
        state,
    ]
}

/// `kv widgets/a/`, `cron 0 3 * * *`
fn source(spec: &TriggerSpec) -> String {
    let what = [&spec.collection, &spec.schedule, &spec.topic, &spec.trigger].into_iter().flatten().next();
    let what = what.map(|what| format!(" {what}")).unwrap_or_default();
    let prefix = spec.prefix.as_ref().map(|prefix| format!("/{prefix}")).unwrap_or_default();
    format!("{}{what}{prefix}", spec.kind.as_str())
}
