//! `picloud logs`: what scripts log, now and lately.

use super::show::seconds_of;
use super::{Session, follow};
use crate::failure::Failure;
use crate::output::Ink;
use crate::path::ApiPath;
use clap::{Args, ValueEnum};
use picloud_model::execution::LogLevel;
use picloud_model::page::Page;
use serde_json::{Value, json};

/// Show what scripts logged lately, or with -f what they log now
///
/// Without -f, the lines of the app's latest runs that are kept: failures, runs that logged and runs asked for.
/// With -f, lines of every app that you may see, or of the one of --app, as they are written; lines of a time
/// without connection are not made up for.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  picloud logs --app kitchen\n  picloud logs -f --level warn\n  picloud logs -f --script hello --json"
)]
pub(crate) struct Logs {
    /// Go on with what is logged from now on
    #[arg(long, short)]
    follow: bool,
    /// Only of this script
    #[arg(long)]
    script: Option<String>,
    /// Only of this node
    #[arg(long)]
    node: Option<String>,
    /// Only lines that matter as much, or more
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// From how many of the latest runs, without -f [default: 100]
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    runs: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    fn level(self) -> LogLevel {
        match self {
            Self::Debug => LogLevel::Debug,
            Self::Info => LogLevel::Info,
            Self::Warn => LogLevel::Warn,
            Self::Error => LogLevel::Error,
        }
    }
}

impl Logs {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        if !self.follow {
            return self.recent(session).await;
        }
        let path = ApiPath::new(&["logs"])
            .query("app", session.settings.named_app())
            .query("script", self.script.as_ref())
            .query("node", self.node.as_ref())
            .query("level", self.level.map(|level| level.level().as_str()));
        let source = follow::Source { path, resumes: false, last_id: None };
        follow::follow(session, source, |name, data| match name {
            "log" if session.output.json => session.output.text(&data.to_string()),
            "log" => session.output.text(&line(session, data)),
            "dropped" => session.output.aside(&format!("{} lines came faster than they could be sent", data["lines"])),
            _ => {}
        })
        .await
    }

    async fn recent(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        let path =
            ApiPath::of_app(&app, &["executions"]).query("script", self.script.as_ref()).query("limit", self.runs);
        let runs: Page<Value> = session.client.get(path).await?;
        let mut lines = Vec::new();
        // Runs come newest first, their lines oldest first.
        for run in
            runs.items.iter().rev().filter(|run| self.node.as_ref().is_none_or(|node| run["node"] == node.as_str()))
        {
            for logged in run["logs"].as_array().into_iter().flatten().filter(|logged| self.matters(logged)) {
                lines.push(with_run(logged, run, &app));
            }
        }
        if session.output.json {
            session.output.value(&json!({ "items": lines, "cursor": runs.cursor }));
            return Ok(());
        }
        if lines.is_empty() {
            session.output.note("nothing was logged lately; picloud logs -f shows what is logged from now on");
        }
        for logged in &lines {
            session.output.text(&line(session, logged));
        }
        Ok(())
    }

    fn matters(&self, logged: &Value) -> bool {
        let level: Option<LogLevel> = serde_json::from_value(logged["level"].clone()).ok();
        self.level.is_none_or(|least| level.is_none_or(|level| level >= least.level()))
    }
}

/// A line of a run in the form in which `GET /logs` tells it.
fn with_run(logged: &Value, run: &Value, app: &str) -> Value {
    let mut line = logged.clone();
    line["app"] = app.into();
    for (name, of_run) in [("script", "script"), ("version", "version"), ("node", "node"), ("execution_id", "id")] {
        line[name] = run[of_run].clone();
    }
    line
}

/// `time level app/script message {fields}`
fn line(session: &Session<'_>, logged: &Value) -> String {
    let text = |name: &str| logged[name].as_str().unwrap_or_default().to_owned();
    let level = text("level");
    let ink = match level.as_str() {
        "error" => Ink::Removed,
        "warn" => Ink::Changed,
        "info" => Ink::Strong,
        _ => Ink::Faint,
    };
    let fields = if logged["fields"].is_object() { format!(" {}", logged["fields"]) } else { String::new() };
    format!(
        "{} {} {}/{}@{}  {}{fields}",
        seconds_of(&text("at")),
        session.output.paint(ink, &format!("{level:5}")),
        text("app"),
        text("script"),
        logged["version"],
        text("message"),
    )
}
