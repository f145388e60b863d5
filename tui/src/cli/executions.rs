//! `picloud executions`: what ran, how it ended, and what it logged.

use super::run::{self, used};
use super::show::{duration, lines as all_lines, seconds_of};
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use picloud_model::Problem;
use picloud_model::execution::Outcome;
use serde_json::{Value, json};

/// Look at what ran, how it ended, and what it logged
#[derive(Args, Debug)]
pub(crate) struct Executions {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ended {
    Ok,
    Failed,
    #[value(name = "worker_lost")]
    WorkerLost,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's runs, newest first
    #[command(after_help = "\
Examples:
  picloud executions list --outcome failed --script hello
  picloud executions list --all-apps")]
    List {
        /// Of all apps that you may read
        #[arg(long)]
        all_apps: bool,
        /// Only of this script
        #[arg(long)]
        script: Option<String>,
        /// Only those that this trigger started
        #[arg(long)]
        trigger: Option<String>,
        /// Only the run with this id and all that came of it
        #[arg(long, value_name = "ID")]
        root: Option<String>,
        /// Only those that ended so
        #[arg(long, value_enum)]
        outcome: Option<Ended>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show one run: how it ended, what it used, what it logged, and its error with the line
    #[command(after_help = "Example:\n  picloud executions get 01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42")]
    Get {
        /// Its id, from `picloud executions list` or an error's `execution_id`
        id: String,
    },
    /// Run the same event or request again
    #[command(after_help = "\
What it wrote the first time is there: look at --dry-run first, which reads and changes nothing.

Examples:
  picloud executions replay 01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42 --dry-run
  picloud executions replay 01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42 --version 3")]
    Replay {
        /// Its id, from `picloud executions list`
        id: String,
        /// Run this version of the script, not the live one
        #[arg(long, value_name = "N")]
        version: Option<i64>,
        /// Change nothing: print what it would have done
        #[arg(long)]
        dry_run: bool,
    },
}

impl Executions {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = || session.settings.app();
        match self.verb {
            Verb::List { all_apps, script, trigger, root, outcome, page } => {
                let outcome = outcome.map(|ended| match ended {
                    Ended::Ok => Outcome::Ok.as_str(),
                    Ended::Failed => Outcome::Failed.as_str(),
                    Ended::WorkerLost => Outcome::WorkerLost.as_str(),
                });
                let path = match all_apps {
                    true => ApiPath::new(&["executions"]),
                    false => ApiPath::of_app(&app()?, &["executions"]),
                };
                let path = path
                    .query("script", script.as_ref())
                    .query("trigger", trigger.as_ref())
                    .query("root_execution_id", root.as_ref())
                    .query("outcome", outcome);
                let headings = ["id", "started", "script", "cause", "outcome", "status", "took"];
                match all_apps {
                    true => session.list(path, &page, &headings, row_of_any, "nothing ran yet").await,
                    false => session.list(path, &page, &headings, row, "nothing of this app ran yet").await,
                }
            }
            Verb::Replay { id, version, dry_run } => {
                let path = ApiPath::of_app(&app()?, &["executions", &id, "replay"]);
                let input = json!({ "version": version, "dry_run": dry_run });
                let answer: Value = session.client.send(Ask::new(Method::POST, path).json(&input)).await?.value()?;
                run::told(session, &answer)
            }
            Verb::Get { id } => {
                let run: Value = session.client.get(ApiPath::of_app(&app()?, &["executions", &id])).await?;
                if session.output.json {
                    session.output.value(&run);
                } else {
                    session.output.text(&told(session, &run));
                }
                Ok(())
            }
        }
    }
}

/// A run as people read it.
fn told(session: &Session<'_>, run: &Value) -> String {
    let text = |key: &str| run[key].as_str().unwrap_or_default();
    let status = run["status"].as_u64().filter(|status| *status != 0).map(|status| format!(" ({status})"));
    let mut lines = vec![
        format!("run      {}", text("id")),
        format!("script   {}/{}@{} on {}", text("app"), text("script"), run["version"], text("node")),
        format!("cause    {}", text("cause")),
        format!("started  {}, took {}", text("started_at"), duration(run["duration_us"].as_u64().unwrap_or(0))),
        format!("outcome  {}{}", text("outcome"), status.unwrap_or_default()),
    ];
    if run["root_id"].is_string() && run["root_id"] != run["id"] {
        lines.push(format!("began    with run {}, depth {}", text("root_id"), run["trigger_depth"]));
    }
    if let Some(attempt) = run["attempt"].as_u64() {
        lines.push(format!("attempt  {attempt}"));
    }
    if !run["result"].is_null() {
        lines.push(format!("result   {}", run["result"]));
    }
    lines.extend(used(run).map(|used| format!("used     {used}")));
    lines.extend(saw(&run["input"]));
    if let Ok(problem) = serde_json::from_value::<Problem>(run["error"].clone()) {
        lines.push(session.output.failure_text(&problem));
    }
    let logs = run["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !logs.is_empty() {
        lines.push("log:".to_owned());
    }
    for line in logs {
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        let fields = if line["fields"].is_object() { format!(" {}", line["fields"]) } else { String::new() };
        lines.push(format!("  {} {:5} {}{fields}", text("at"), text("level"), text("message")));
    }
    if let Some(dropped) = run["logs_dropped"].as_u64().filter(|dropped| *dropped > 0) {
        lines.push(format!("  {dropped} more lines were over the limit of a run"));
    }
    lines.join("\n")
}

/// The same with the script's app.
fn row_of_any(run: &Value) -> Vec<String> {
    let mut cells = row(run);
    cells[2] = format!("{}/{}", run["app"].as_str().unwrap_or_default(), cells[2]);
    cells
}

/// The request or event that a run saw, where it was kept.
fn saw(input: &Value) -> Vec<String> {
    let indented = |text: &str| text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>();
    if input["event"].is_object() {
        return [vec!["saw the event:".to_owned()], indented(&all_lines(&input["event"]))].concat();
    }
    let Some(request) = input["request"].as_object() else { return Vec::new() };
    let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![format!("saw      {} {}", text("method"), text("path"))];
    for header in request.get("headers").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("  {}: {}", header[0].as_str().unwrap_or_default(), header[1].as_str().unwrap_or_default()));
    }
    let body = STANDARD.decode(text("body")).unwrap_or_default();
    match String::from_utf8(body) {
        Ok(body) => lines.extend(indented(&body)),
        Err(bytes) => lines.push(format!("  {} bytes that are no text", bytes.as_bytes().len())),
    }
    lines
}

fn row(run: &Value) -> Vec<String> {
    let text = |key: &str| run[key].as_str().unwrap_or_default().to_owned();
    vec![
        text("id"),
        seconds_of(&text("started_at")),
        format!("{}@{}", text("script"), run["version"]),
        text("cause"),
        text("outcome"),
        // 0 where nothing was answered.
        run["status"].as_u64().filter(|status| *status != 0).map(|status| status.to_string()).unwrap_or_default(),
        duration(run["duration_us"].as_u64().unwrap_or(0)),
    ]
}
