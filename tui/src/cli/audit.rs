//! `picloud audit`: who changed what, who was refused what, and whether the record is whole.

use super::show::seconds_of;
use super::{PageArgs, Session};
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand, ValueEnum};
use picloud_model::audit::AuditOutcome;
use serde_json::Value;

/// Look at who changed what and who was refused what, and check that the record is whole
#[derive(Args, Debug)]
pub(crate) struct Audit {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ended {
    Done,
    Refused,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List what was done and refused, newest first; with --json, also what it was before and after
    #[command(after_help = LIST_HELP)]
    List {
        /// Only by this person or key
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
        /// Only this action, such as script.save; `script.` is all that begins so
        #[arg(long)]
        action: Option<String>,
        /// Only what ended so
        #[arg(long, value_enum)]
        outcome: Option<Ended>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Check that nothing in the audit log was changed, removed or slipped in
    #[command(after_help = "Example:\n  picloud audit verify")]
    Verify,
}

const LIST_HELP: &str = "\
The global --app narrows it to one app; without it, all apps are meant, also in an app folder.

Examples:
  picloud audit list --outcome refused
  picloud audit list --app kitchen --action script. --limit 20";

impl Audit {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::List { who, action, outcome, page } => {
                let outcome = outcome.map(|ended| match ended {
                    Ended::Done => AuditOutcome::Done.as_str(),
                    Ended::Refused => AuditOutcome::Refused.as_str(),
                });
                let path = ApiPath::new(&["audit"])
                    .query("app", session.settings.named_app())
                    .query("who", who.as_ref())
                    .query("action", action.as_ref())
                    .query("outcome", outcome);
                session.list(path, &page, &HEADINGS, row, "there is nothing like that").await
            }
            Verb::Verify => verify(session).await,
        }
    }
}

const HEADINGS: [&str; 7] = ["seq", "when", "who", "from", "outcome", "action", "what"];

/// An audit entry as a row; also a line of `picloud watch`.
pub(super) fn row(entry: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let what = match entry["app"].as_str() {
        Some(app) if entry["target"] != app => format!("{app}: {}", text(&entry["target"])),
        _ => text(&entry["target"]),
    };
    vec![
        entry["seq"].to_string(),
        seconds_of(&text(&entry["at"])),
        format!("{} {}", text(&entry["who"]["kind"]), text(&entry["who"]["name"])),
        text(&entry["from"]),
        text(&entry["outcome"]),
        text(&entry["action"]),
        what,
    ]
}

async fn verify(session: &Session<'_>) -> Result<(), Failure> {
    let verdict: Value = session.client.get(ApiPath::new(&["audit", "verify"])).await?;
    let intact = verdict["intact"] == true;
    if session.output.json {
        session.output.value(&verdict);
    } else if intact {
        let head = verdict["head"].as_str().unwrap_or("none");
        session.output.text(&format!("the audit log is whole: {} entries, head {head}", verdict["entries"]));
    }
    if intact {
        return Ok(());
    }
    let reason = verdict["reason"].as_str().unwrap_or("it is not what was written");
    let place = verdict["broken_at"].as_i64().map(|seq| format!(" at entry {seq}")).unwrap_or_default();
    Err(Failure::other(
        format!("the audit log is broken{place}: {reason}"),
        Some("somebody wrote to the database past the appliance; compare with a backup"),
    ))
}
