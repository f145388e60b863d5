//! `picloud watch`: what changes, as it changes.

use super::{Session, audit, follow};
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;
use serde_json::Value;

/// Print every change as it is made, by whom and from where
///
/// With --json, one line for each. Where the connection is lost it goes on after the last change that was shown;
/// where the appliance does not remember that far back, it says so.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  picloud watch\n  picloud watch --app kitchen --json\n  picloud watch --after 412")]
pub(crate) struct Watch {
    /// Begin after this change: the number that `picloud watch` and `picloud audit list` show
    #[arg(long, value_name = "SEQ")]
    after: Option<i64>,
}

impl Watch {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let path = ApiPath::new(&["watch"]).query("app", session.settings.named_app());
        let source = follow::Source { path, resumes: true, last_id: self.after.map(|seq| seq.to_string()) };
        follow::follow(session, source, |name, data| print(session, name, data)).await
    }
}

fn print(session: &Session<'_>, name: &str, data: &Value) {
    match name {
        "change" if session.output.json => session.output.text(&data.to_string()),
        "change" => session.output.text(audit::row(data).join("  ").trim_end()),
        "gap" => session.output.aside(&format!(
            "changes {} to {} were missed: picloud audit list shows them",
            data["missed_from"], data["missed_to"]
        )),
        _ => {}
    }
}
