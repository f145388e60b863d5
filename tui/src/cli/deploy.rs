//! `picloud deploy`: makes an app exactly what a folder says, or shows what that would change.

use super::Session;
use crate::client::Ask;
use crate::failure::Failure;
use crate::folder;
use crate::output::{Ink, Output};
use crate::path::ApiPath;
use clap::Args;
use http::Method;
use picloud_model::bundle::{Change, ChangeAction, DeployReport};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Make an app exactly what a folder says: all of it or nothing
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  picloud deploy examples/quickstart --plan\n  picloud deploy kitchen -m 'warmer greeting'"
)]
pub(crate) struct Deploy {
    /// The folder that holds app.toml
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Show the exact difference and change nothing
    #[arg(long)]
    plan: bool,
    /// Why; kept with every version this makes
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

impl Deploy {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let mut bundle = folder::read(&self.folder)?;
        bundle.message = self.message;
        if let Some(app) = &session.settings.app_flag {
            bundle.name.clone_from(app);
        }
        let path = ApiPath::of_app(&bundle.name, &["deploy"]).flag("plan", self.plan);
        let answer = session.client.send(Ask::new(Method::POST, path).json(&bundle)).await;
        let value: Value = answer.map_err(|failure| explain(failure, &self.folder))?.value()?;
        if session.output.json {
            session.output.value(&value);
            return Ok(());
        }
        let report: DeployReport = serde_json::from_value(value).map_err(|error| {
            Failure::other(format!("the answer cannot be read: {error}"), Some("see `picloud version`"))
        })?;
        session.output.text(&report_text(&report, session.output));
        for warning in &report.warnings {
            let warning = folder::with_folder(&self.folder, warning.clone());
            session.output.note(&format!("warning: {}", session.output.diagnostic(&warning)));
        }
        Ok(())
    }
}

/// The answer's problem with paths as the person would type them.
fn explain(failure: Failure, folder: &Path) -> Failure {
    let Failure::Answered(mut problem) = failure else { return failure };
    problem.errors = problem.errors.into_iter().map(|error| folder::with_folder(folder, error)).collect();
    if !problem.detail.contains("nothing was changed") {
        problem.detail = format!("{}; nothing was changed", problem.detail.trim_end_matches('.'));
    }
    Failure::Answered(problem)
}

fn report_text(report: &DeployReport, output: &Output) -> String {
    let app = output.paint(Ink::Strong, &report.app);
    let mut text = match (report.changes.is_empty(), report.plan) {
        (true, true) => format!("{app} is exactly this already: a deploy would change nothing\n"),
        (true, false) => format!("{app} is exactly this already (revision {}): nothing was changed\n", report.revision),
        (false, true) => format!("a deploy would change {app}: {}; nothing was changed\n", counts(&report.changes)),
        (false, false) => format!("{app} is deployed (revision {}): {}\n", report.revision, counts(&report.changes)),
    };
    text += &changes_text(&report.changes, report.plan, output);
    if !report.answers.is_empty() {
        text += if report.plan { "it would answer\n" } else { "it answers\n" };
        for answer in &report.answers {
            text += &format!("  {answer}\n");
        }
    }
    text
}

/// Each change on a line, with its difference below it where that is wanted.
pub(super) fn changes_text(changes: &[Change], with_diff: bool, output: &Output) -> String {
    let width = changes.iter().map(|change| change.what.len()).max().unwrap_or(0);
    changes.iter().map(|change| change_text(change, width, with_diff, output)).collect()
}

fn counts(changes: &[Change]) -> String {
    let count = |action| changes.iter().filter(|change| change.action == action).count();
    let parts = [
        (count(ChangeAction::Create), "created"),
        (count(ChangeAction::Update), "changed"),
        (count(ChangeAction::Delete), "deleted"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    parts.join(", ")
}

fn change_text(change: &Change, width: usize, with_diff: bool, output: &Output) -> String {
    let (sign, ink) = match change.action {
        ChangeAction::Create => ("+", Ink::Added),
        ChangeAction::Update => ("~", Ink::Changed),
        ChangeAction::Delete => ("-", Ink::Removed),
    };
    let what = &change.what;
    let mut text = format!("  {} {what:width$}  {}\n", output.paint(ink, sign), change.name);
    let Some(diff) = change.diff.as_deref().filter(|_| with_diff) else { return text };
    for line in diff.lines() {
        text += format!("      {}", output.paint(ink_of(line), line)).trim_end();
        text.push('\n');
    }
    text
}

/// The colour of a line of a unified difference.
pub(super) fn ink_of(line: &str) -> Ink {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Ink::Strong,
        [b'+', ..] => Ink::Added,
        [b'-', ..] => Ink::Removed,
        [b'@', ..] => Ink::Changed,
        _ => Ink::Faint,
    }
}
