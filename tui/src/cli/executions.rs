//! `picloud executions`: what ran, how it ended, and what it logged.

use super::show::duration;
use super::{PageArgs, Session};
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand, ValueEnum};
use picloud_model::execution::Outcome;
use serde_json::Value;

/// Look at what ran, how it ended, and what it logged
#[derive(Args, Debug)]
pub(crate) struct Executions {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ended {
    Ok,
    Failed,
    #[value(name = "worker_lost")]
    WorkerLost,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's runs, newest first
    #[command(after_help = "Example:\n  picloud executions list --outcome failed --script hello")]
    List {
        /// Only of this script
        #[arg(long)]
        script: Option<String>,
        /// Only those that ended so
        #[arg(long, value_enum)]
        outcome: Option<Ended>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show one run with its log and its error
    #[command(after_help = "Example:\n  picloud executions get 01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42")]
    Get {
        /// Its id, from `picloud executions list` or an error's `execution_id`
        id: String,
    },
}

impl Executions {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        match self.verb {
            Verb::List { script, outcome, page } => {
                let outcome = outcome.map(|ended| match ended {
                    Ended::Ok => Outcome::Ok.as_str(),
                    Ended::Failed => Outcome::Failed.as_str(),
                    Ended::WorkerLost => Outcome::WorkerLost.as_str(),
                });
                let path =
                    ApiPath::of_app(&app, &["executions"]).query("script", script.as_ref()).query("outcome", outcome);
                let headings = ["id", "started", "script", "cause", "outcome", "status", "took"];
                session.list(path, &page, &headings, row, "nothing of this app ran yet").await
            }
            Verb::Get { id } => session.print(ApiPath::of_app(&app, &["executions", &id])).await,
        }
    }
}

fn row(run: &Value) -> Vec<String> {
    let text = |key: &str| run[key].as_str().unwrap_or_default().to_owned();
    let started: Option<String> = text("started_at").split_once('.').map(|(seconds, _)| format!("{seconds}Z"));
    vec![
        text("id"),
        started.unwrap_or_else(|| text("started_at")),
        format!("{}@{}", text("script"), run["version"]),
        text("cause"),
        text("outcome"),
        // 0 where nothing was answered.
        run["status"].as_u64().filter(|status| *status != 0).map(|status| status.to_string()).unwrap_or_default(),
        duration(run["duration_us"].as_u64().unwrap_or(0)),
    ]
}
