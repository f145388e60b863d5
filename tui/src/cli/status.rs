//! `picloud status`: how the appliance is.

use super::Session;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;

/// Show how the appliance is
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud status --json")]
pub(crate) struct Status {}

impl Status {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        session.print(ApiPath::new(&["status"])).await
    }
}
