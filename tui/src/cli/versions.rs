//! `picloud scripts versions`, `diff` and `rollback`: what a script was, and the way back.

use super::deploy::{changes_text, ink_of};
use super::scripts::warn;
use super::show::time;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::output::Ink;
use crate::path::ApiPath;
use clap::Args;
use http::Method;
use picloud_model::bundle::Change;
use picloud_model::page::Page;
use picloud_model::script::{RollbackInput, ScriptVersion};
use serde_json::Value;

/// Examples of `diff`.
pub(super) const DIFF_HELP: &str = "\
Examples:
  picloud scripts diff hello        the version before the live one, and the live one
  picloud scripts diff hello 3      version 3 and the live one
  picloud scripts diff hello 1 3    version 1 and version 3";

/// Examples of `rollback`.
pub(super) const ROLLBACK_HELP: &str = "\
It is refused where env values or secrets are gone that the version had and its source names; --force does it
all the same. To try a version without making it live, send the header X-PiCloud-Version: N and a key.

Examples:
  picloud scripts rollback hello 2 --plan
  picloud scripts rollback hello 2 -m 'the new one was slow'";

/// Lists the versions, newest first.
pub(super) async fn list(session: &Session<'_>, path: ApiPath, page: &PageArgs) -> Result<(), Failure> {
    let headings = ["version", "kind", "hash", "author", "saved", "message"];
    session.list(path, page, &headings, row, "there are no versions").await
}

fn row(version: &ScriptVersion) -> Vec<String> {
    vec![
        version.version.to_string(),
        version.kind.as_str().to_owned(),
        version.hash.short(),
        version.author.clone(),
        time(version.created_at),
        version.message.clone().unwrap_or_default(),
    ]
}

/// Which versions to compare.
#[derive(Args, Debug)]
pub(super) struct Diff {
    /// Its name
    name: String,
    /// The earlier version [default: the one before the live one]
    #[arg(value_name = "V1", conflicts_with = "from_flag")]
    from: Option<i64>,
    /// The later version [default: the live one]
    #[arg(value_name = "V2", conflicts_with = "to_flag")]
    to: Option<i64>,
    /// The same as V1
    #[arg(long = "from", value_name = "N", hide = true)]
    from_flag: Option<i64>,
    /// The same as V2
    #[arg(long = "to", value_name = "N", hide = true)]
    to_flag: Option<i64>,
}

impl Diff {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>, app: &str) -> Result<(), Failure> {
        let name = &self.name;
        let path = ApiPath::of_app(app, &["scripts", name, "versions"]);
        let to = self.to.or(self.to_flag);
        let from = match self.from.or(self.from_flag) {
            Some(from) => from,
            None => before(session, name, path.clone(), to).await?,
        };
        let path = path.below(&[&from.to_string(), "diff"]).query("to", to);
        let diff: Value = session.client.get(path).await?;
        if session.output.json {
            session.output.value(&diff);
            return Ok(());
        }
        let source = diff["diff"].as_str().unwrap_or_default();
        let heading = format!("{name}: version {from} and version {}", diff["to"]);
        session.output.text(&session.output.paint(Ink::Strong, &heading));
        for line in source.lines() {
            session.output.text(&session.output.paint(ink_of(line), line));
        }
        let around: Vec<Change> = ["modules", "routes", "triggers", "env", "secrets"]
            .into_iter()
            .filter_map(|part| serde_json::from_value::<Vec<Change>>(diff[part].clone()).ok())
            .flatten()
            .collect();
        if source.is_empty() {
            session.output.note("both have the same source");
        }
        if !around.is_empty() {
            session.output.text("what it was live with:");
            session.output.text(&changes_text(&around, true, session.output));
        }
        Ok(())
    }
}

/// The version before `version`, or before the live one; numbers in between may not be kept any more.
async fn before(session: &Session<'_>, name: &str, path: ApiPath, version: Option<i64>) -> Result<i64, Failure> {
    let newest = session.client.get::<Page<ScriptVersion>>(path.clone().query("limit", Some(2))).await?;
    let known = match version {
        None => newest.items,
        Some(_) => session.all(path).await?,
    };
    let later = version.or(known.first().map(|newest| newest.version)).unwrap_or_default();
    known.iter().map(|earlier| earlier.version).filter(|earlier| *earlier < later).max().ok_or_else(|| {
        let message = format!("{name} has no version before {later}");
        Failure::other(message, Some("there is nothing to compare it with"))
    })
}

/// Where to go back to.
#[derive(Args, Debug)]
pub(super) struct Rollback {
    /// Its name
    name: String,
    /// The version to go back to
    version: i64,
    /// Show what would change, and change nothing
    #[arg(long)]
    plan: bool,
    /// Only the source; modules, routes and triggers stay as they are
    #[arg(long)]
    only_script: bool,
    /// Even if env values or secrets are gone that it had
    #[arg(long)]
    force: bool,
    /// Why; kept with the new version
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
    /// Only if the script is at this version now
    #[arg(long, value_name = "N")]
    if_version: Option<i64>,
}

impl Rollback {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>, app: &str) -> Result<(), Failure> {
        let Self { name, version, plan, only_script, force, message, if_version } = self;
        let input = RollbackInput { version, message, plan, only_script, force };
        let path = ApiPath::of_app(app, &["scripts", &name, "rollback"]);
        let ask = Ask::new(Method::POST, path).if_match(if_version).json(&input);
        let answer: Value = session.client.send(ask).await?.value()?;
        if session.output.json {
            session.output.value(&answer);
            return Ok(());
        }
        let changes: Vec<Change> = serde_json::from_value(answer["changes"].clone()).unwrap_or_default();
        let sentence = match (plan, changes.is_empty()) {
            (true, true) => format!("a rollback of {name} to version {version} would change nothing"),
            (true, false) => {
                format!("a rollback of {name} to version {version} would change this; nothing was changed")
            }
            (false, _) => format!("{name} is as it was at version {version}, as version {}", answer["version"]),
        };
        session.output.text(&sentence);
        if !changes.is_empty() {
            session.output.text(&changes_text(&changes, plan, session.output));
        }
        warn(session, &answer["warnings"], None);
        Ok(())
    }
}
