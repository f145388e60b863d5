//! Folders of the machine the program runs on: one is deployed after its plan was shown, or written from an app.

use super::{Apps, forms};
use crate::app::{Answered, Change, Context, Request, Slot};
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::form::Values;
use crate::widgets::reader::Reader;
use picloud_model::bundle::{Bundle, ChangeAction, DeployReport};
use picloud_model::problem::Problem;
use picloud_model::script::Diagnostic;

/// The form for writing an app as a folder, the load of the app, and the writing.
pub(super) const EXPORT: &str = "export";
/// The form for deploying, and the reading of the folder.
const DEPLOY: &str = "deploy";
/// The plan.
const PLAN: &str = "plan";

/// What would be deployed, as its plan was shown.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    folder: String,
    bundle: Bundle,
    /// Absent until the plan came.
    report: Option<DeployReport>,
}

impl Planned {
    /// The app.
    pub(super) fn app(&self) -> &str {
        &self.bundle.name
    }
}

impl Apps {
    /// Asks for a folder; with a plan that was shown, deploys it.
    pub(super) fn deploy(&mut self, cx: &mut Context<'_>) {
        let Some(Planned { bundle, report: Some(report), folder }) = self.planned.clone() else {
            return cx.form(DEPLOY, forms::deploy(cx.facts.caps.in_ssh));
        };
        let path = ApiPath::of_app(&bundle.name, &["deploy"]);
        let post = Request::post(path, &bundle);
        // What was planned is what is done: an app that changed since is refused.
        let request = match report.revision {
            0 => post,
            revision => post.if_match(revision),
        };
        let counts = counts(&report);
        let question = format!("deploy to {}: {counts}, from {folder}", bundle.name);
        cx.change(Change::new(format!("{} is deployed: {counts}", bundle.name), request).asks("deploy", question));
        self.planned = None;
    }

    /// A form about a folder is filled in.
    pub(super) fn folder_filled(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        let folder = values.get("folder").trim().to_owned();
        if form == EXPORT {
            let Some(app) = self.about.clone() else { return };
            return cx.load(Slot::of(EXPORT, folder), ApiPath::of_app(&app, &["export"]));
        }
        // Name and message of the form go with the bundle that comes.
        let bundle = Bundle {
            name: values.get("app").trim().to_owned(),
            message: values.filled("message").map(str::to_owned),
            ..Bundle::default()
        };
        self.planned = Some(Planned { folder: folder.clone(), bundle, report: None });
        cx.read_folder(DEPLOY, folder);
    }

    /// A folder was read or written.
    pub(super) fn folder_came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        let answer = match answered {
            Ok(answer) => answer,
            // The shell has said it; all that is wrong in the folder has more room here.
            Err(problem) => {
                self.planned = None;
                return show_errors(problem, cx);
            }
        };
        if slot.name == EXPORT {
            let files = answer.json::<serde_json::Value>().ok().and_then(|told| told["files"].as_u64()).unwrap_or(0);
            return cx.say(format!("written to {}: {files} files", slot.of));
        }
        let Some(planned) = &mut self.planned else { return };
        match answer.json::<Bundle>() {
            Ok(mut bundle) => {
                bundle.message = planned.bundle.message.take();
                if !planned.bundle.name.is_empty() {
                    bundle.name.clone_from(&planned.bundle.name);
                }
                let path = ApiPath::of_app(&bundle.name, &["deploy"]).flag("plan", true);
                cx.load_with(PLAN, Request::post(path, &bundle));
                planned.bundle = bundle;
            }
            Err(problem) => {
                self.planned = None;
                cx.complain(problem);
            }
        }
    }

    /// An app to be written as a folder came, or a plan.
    pub(super) fn deploy_came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        match (slot.name, answered) {
            (EXPORT, Ok(answer)) => {
                let bundle = String::from_utf8_lossy(&answer.body).into_owned();
                cx.write_folder(Slot::of(EXPORT, slot.of.clone()), slot.of.clone(), bundle);
            }
            (PLAN, Ok(answer)) => {
                let report = answer.json::<DeployReport>();
                match (report, &mut self.planned) {
                    (Ok(report), Some(planned)) => {
                        cx.read(plan(&report));
                        planned.report = Some(report).filter(|report| !report.changes.is_empty());
                        if planned.report.is_none() {
                            self.planned = None;
                        }
                    }
                    (Err(problem), _) => cx.complain(problem),
                    _ => {}
                }
            }
            (EXPORT | PLAN, Err(problem)) => {
                self.planned = None;
                show_errors(problem, cx);
                cx.complain(problem.clone());
            }
            _ => {}
        }
    }
}

/// All that is wrong, where there is more to say than a line holds.
fn show_errors(problem: &Problem, cx: &mut Context<'_>) {
    if !problem.errors.is_empty() {
        let lines = problem.errors.iter().map(|error| vec![(Ink::Bad, told(error))]).collect();
        cx.read(Reader::of(problem.detail.clone(), lines));
    }
}

/// `scripts/hello.rhai:3:7: what is wrong  - what to do`.
fn told(found: &Diagnostic) -> String {
    let file = found.file.as_ref().map(|file| format!("{file}:")).unwrap_or_default();
    let place = if found.line > 0 { format!("{}:{}: ", found.line, found.column) } else { " ".to_owned() };
    let hint = found.hint.as_ref().map(|hint| format!("  - {hint}")).unwrap_or_default();
    format!("{file}{place}{}{hint}", found.message).trim_start().to_owned()
}

/// `2 created, 1 changed, 3 deleted`.
fn counts(report: &DeployReport) -> String {
    let count = |action| report.changes.iter().filter(|change| change.action == action).count();
    let parts = [
        (count(ChangeAction::Create), "created"),
        (count(ChangeAction::Update), "changed"),
        (count(ChangeAction::Delete), "deleted"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// The plan, to be read.
fn plan(report: &DeployReport) -> Reader {
    if report.changes.is_empty() {
        return Reader::new(format!("Plan for {}", report.app), "it is exactly this already: nothing would change");
    }
    let mut lines = vec![vec![(Ink::Strong, counts(report))]];
    for change in &report.changes {
        let (sign, ink) = match change.action {
            ChangeAction::Create => ("+", Ink::Added),
            ChangeAction::Update => ("~", Ink::Warn),
            ChangeAction::Delete => ("-", Ink::Removed),
        };
        lines.push(vec![(ink, format!("{sign} ")), (Ink::Plain, format!("{:7} {}", change.what, change.name))]);
        for line in change.diff.iter().flat_map(|diff| diff.lines()) {
            let ink = match line.as_bytes() {
                [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Ink::Strong,
                [b'+', ..] => Ink::Added,
                [b'-', ..] => Ink::Removed,
                _ => Ink::Faint,
            };
            lines.push(vec![(ink, format!("      {line}"))]);
        }
    }
    for warning in &report.warnings {
        lines.push(vec![(Ink::Warn, format!("warning: {}", told(warning)))]);
    }
    lines.extend(report.answers.iter().map(|answer| vec![(Ink::Faint, format!("would answer {answer}"))]));
    Reader::of(format!("Plan for {}: q closes, then S deploys it", report.app), lines).json(serde_json::json!(report))
}
