//! `picloud cluster`: all machines at a glance.

use super::Session;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};

/// See all machines at a glance: appliances, nodes by state, who is behind, what waits
///
/// Without a verb: status.
#[derive(Args, Debug)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Show appliances, nodes by state, nodes that are behind, and what they hold
    #[command(after_help = "Example:\n  picloud cluster status --json")]
    Status,
}

impl Cluster {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        match self.verb {
            None | Some(Verb::Status) => session.print(ApiPath::new(&["cluster"])).await,
        }
    }
}
