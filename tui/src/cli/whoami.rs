//! `picloud whoami`: who asks, and what they may do.

use super::Session;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;
use picloud_model::principal::You;

/// Show who the appliance takes you for, and what you may do
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud whoami --url https://pi.local:8443")]
pub(crate) struct Whoami {}

impl Whoami {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        if session.output.json {
            return session.print(ApiPath::new(&["whoami"])).await;
        }
        let you: You = session.client.get(ApiPath::new(&["whoami"])).await?;
        let grants: Vec<String> = you.grants.iter().map(ToString::to_string).collect();
        session.output.text(&format!("{} {}\nmay {}", you.kind.as_str(), you.name, grants.join(", ")));
        Ok(())
    }
}
