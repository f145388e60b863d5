//! `picloud timers`: what scripts asked to be run later.

use super::show::time;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::timer::Timer;
use serde_json::json;

/// List and cancel the timers that scripts have set
#[derive(Args, Debug)]
pub(crate) struct Timers {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's timers that wait, soonest first
    #[command(after_help = "Example:\n  picloud timers list --app kitchen")]
    List(PageArgs),
    /// Take a timer back
    #[command(after_help = "Example:\n  picloud timers cancel 01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42")]
    Cancel {
        /// Its id, from `picloud timers list`
        id: String,
    },
}

impl Timers {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        match self.verb {
            Verb::List(page) => {
                let path = ApiPath::of_app(&app, &["timers"]);
                session.list(path, &page, &["id", "due", "script", "tries"], row, "no timer waits").await
            }
            Verb::Cancel { id } => {
                session.client.send(Ask::new(Method::DELETE, ApiPath::of_app(&app, &["timers", &id]))).await?;
                session.done(&json!({ "cancelled": id }), &format!("timer {id} is cancelled"));
                Ok(())
            }
        }
    }
}

fn row(timer: &Timer) -> Vec<String> {
    vec![timer.id.to_string(), time(timer.due_at), timer.script.clone(), timer.attempts.to_string()]
}
