//! `picloud dead-letters`: what was given up, read, mended and sent again.

use super::edit::edit;
use super::made_up::event_argument;
use super::show::{cut, lines, time};
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail, RetryInput};
use picloud_model::problem::Problem;
use serde_json::{Value, json};

/// Look at events that were given up, send them again, discard them
#[derive(Args, Debug)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's dead letters, newest first
    #[command(after_help = "Example:\n  picloud dead-letters list --trigger on-widget")]
    List {
        /// Only of this trigger
        #[arg(long)]
        trigger: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show one: the event, the error with its line, every attempt, and the runs that led to it
    #[command(after_help = "Example:\n  picloud dead-letters get 17")]
    Get {
        /// Its id, from `picloud dead-letters list`
        id: i64,
    },
    /// Send one again, or with --all all of them
    #[command(after_help = "\
Attempts count from 1 again. Where it fails again, it is a dead letter again.

Examples:
  picloud dead-letters retry 17
  picloud dead-letters retry 17 --edit                    change the event in $EDITOR first
  picloud dead-letters retry 17 --event '{\"value\": 5}'    these fields are others
  picloud dead-letters retry --all --trigger on-widget")]
    Retry(Retry),
    /// Remove one for good
    #[command(after_help = "Example:\n  picloud dead-letters discard 17")]
    Discard {
        /// Its id, from `picloud dead-letters list`
        id: i64,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
struct Retry {
    /// Its id, from `picloud dead-letters list`
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<i64>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Only those of this trigger
    #[arg(long, requires = "all")]
    trigger: Option<String>,
    /// Fields of the event that are to be others, as JSON; @FILE is a file's content, `-` standard input
    #[arg(long, value_name = "JSON", conflicts_with_all = ["all", "edit"])]
    event: Option<String>,
    /// Change the event in $VISUAL or $EDITOR first
    #[arg(long, conflicts_with = "all")]
    edit: bool,
    /// Run this version of the script, not the live one
    #[arg(long, value_name = "N", conflicts_with = "all")]
    version: Option<i64>,
}

impl DeadLetters {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        let one = |id: i64| ApiPath::of_app(&app, &["dead-letters", &id.to_string()]);
        match self.verb {
            Verb::List { trigger, page } => {
                let path = ApiPath::of_app(&app, &["dead-letters"]).query("trigger", trigger.as_ref());
                session.list(path, &page, &HEADINGS, row, "nothing was given up").await
            }
            Verb::Get { id } => {
                let letter: Value = session.client.get(one(id)).await?;
                if session.output.json {
                    session.output.value(&letter);
                } else {
                    session.output.text(&told(session, &letter));
                }
                Ok(())
            }
            Verb::Retry(retry) => retry.run(session, &app).await,
            Verb::Discard { id, yes } => {
                if !yes {
                    session.output.confirm(&format!("Discard dead letter {id} for good?"))?;
                }
                session.client.send(Ask::new(Method::DELETE, one(id))).await?;
                session.done(&json!({ "discarded": id }), &format!("dead letter {id} is discarded"));
                Ok(())
            }
        }
    }
}

impl Retry {
    async fn run(self, session: &Session<'_>, app: &str) -> Result<(), Failure> {
        let Some(id) = self.id else {
            let input = json!({ "trigger": self.trigger });
            let path = ApiPath::of_app(app, &["dead-letters", "retry"]);
            let answer: Value = session.client.send(Ask::new(Method::POST, path).json(&input)).await?.value()?;
            session.done(&answer, &format!("{} dead letters are sent again", answer["retried"]));
            return Ok(());
        };
        let path = ApiPath::of_app(app, &["dead-letters", &id.to_string()]);
        let mut event = self.event.as_deref().map(event_argument).transpose()?;
        if self.edit {
            let letter: DeadLetterDetail = session.client.get(path.clone()).await?;
            let changed = edit(&format!("event-of-dead-letter-{id}"), &letter.event)?;
            event = Some(without_head(changed)?);
        }
        let input = RetryInput { event, version: self.version };
        let ask = Ask::new(Method::POST, path.below(&["retry"])).json(&input);
        let answer: Value = session.client.send(ask).await?.value()?;
        let event = answer["event_id"].as_str().unwrap_or_default();
        session.done(&answer, &format!("dead letter {id} is sent again: event {event}"));
        Ok(())
    }
}

/// What of an event may be changed.
fn without_head(event: Value) -> Result<Value, Failure> {
    let Value::Object(mut fields) = event else {
        return Err(Failure::other(
            "the event is no object any more",
            Some("leave the outer braces; nothing was sent"),
        ));
    };
    for head in ["id", "kind", "trigger", "attempt", "at"] {
        fields.remove(head);
    }
    Ok(Value::Object(fields))
}

const HEADINGS: [&str; 6] = ["id", "given up", "trigger", "script", "tries", "error"];
/// Letters of an error in the list.
const ERROR_LETTERS_MAX: usize = 22;

fn row(letter: &DeadLetter) -> Vec<String> {
    vec![
        letter.id.to_string(),
        time(letter.last_at),
        letter.trigger.clone().unwrap_or_else(|| letter.kind.as_str().to_owned()),
        format!("{}@{}", letter.script, letter.version),
        letter.attempts.to_string(),
        cut(letter.error.detail.lines().next().unwrap_or_default(), ERROR_LETTERS_MAX),
    ]
}

/// A letter as people read it.
fn told(session: &Session<'_>, letter: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut said = vec![
        format!(
            "letter   {}{}",
            letter["id"],
            if letter["final"] == true { " (final: starts no dead-letter trigger)" } else { "" }
        ),
        format!("trigger  {}", letter["trigger"].as_str().unwrap_or("none")),
        format!("script   {}@{}", text(&letter["script"]), letter["version"]),
        format!("happened {}, given up {}", text(&letter["first_at"]), text(&letter["last_at"])),
        format!("began    with run {}, depth {}", text(&letter["root_execution_id"]), letter["trigger_depth"]),
    ];
    if let Ok(problem) = serde_json::from_value::<Problem>(letter["error"].clone()) {
        said.push(session.output.failure_text(&problem));
    }
    let attempts = letter["tried"].as_array().map(Vec::as_slice).unwrap_or_default();
    said.push(format!("attempts: {}", letter["attempts"]));
    for attempt in attempts {
        let run = attempt["execution_id"].as_str().map(|run| format!(", run {run}")).unwrap_or_default();
        let error = text(&attempt["error"]["detail"]);
        said.push(format!(
            "  {} at {} on {}, version {}{run}\n    {error}",
            attempt["attempt"],
            text(&attempt["at"]),
            text(&attempt["node"]),
            attempt["version"]
        ));
    }
    let chain = letter["chain"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !chain.is_empty() {
        let hops =
            chain.iter().map(|hop| format!("{}@{} ({})", text(&hop["script"]), hop["version"], text(&hop["cause"])));
        said.push(format!("chain: {}", hops.collect::<Vec<_>>().join(" → ")));
    }
    said.push("event:".to_owned());
    said.extend(lines(&letter["event"]).lines().map(|line| format!("  {line}")));
    said.push(format!("\nsend it again: picloud dead-letters retry {}", letter["id"]));
    said.join("\n")
}
