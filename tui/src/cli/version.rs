//! `picloud version`: this program's version and the appliance's.

use super::Session;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;
use serde_json::{Value, json};

/// Show the version of this program and of the appliance
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud version")]
pub(crate) struct Version {}

impl Version {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let mine = env!("CARGO_PKG_VERSION");
        if !session.output.json {
            session.output.text(&format!("picloud {mine}"));
        }
        let appliance: Value = session.client.get(ApiPath::new(&["version"])).await?;
        if session.output.json {
            session.output.value(&json!({ "picloud": mine, "appliance": appliance }));
        } else {
            session.output.text("appliance");
            for line in super::show::lines(&appliance).lines() {
                session.output.text(&format!("  {line}"));
            }
        }
        Ok(())
    }
}
