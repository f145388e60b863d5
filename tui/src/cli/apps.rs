//! `picloud apps`: the apps there are.

use super::show::time;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::app::{App, NewApp};
use serde_json::json;

/// List, show, make and delete apps
#[derive(Args, Debug)]
pub(crate) struct Apps {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the apps
    #[command(after_help = "Example:\n  picloud apps list")]
    List(PageArgs),
    /// Show an app
    #[command(after_help = "Example:\n  picloud apps get kitchen")]
    Get {
        /// Its name
        #[arg(value_name = "APP")]
        name: String,
    },
    /// Make an empty app; `picloud deploy` makes it as well
    #[command(after_help = "Example:\n  picloud apps create kitchen --host kitchen.example.org")]
    Create {
        /// Its name: a-z, 0-9 and `-`, beginning with a letter
        #[arg(value_name = "APP")]
        name: String,
        /// A host that leads to it; without one it is reached at /APP/…
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// Delete an app with its scripts, routes, files and stored values
    #[command(after_help = "Example:\n  picloud export kitchen ./kitchen && picloud apps delete kitchen --yes")]
    Delete {
        /// Its name
        #[arg(value_name = "APP")]
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Apps {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::List(page) => list(session, &page).await,
            Verb::Get { name } => session.print(ApiPath::of_app(&name, &[])).await,
            Verb::Create { name, hosts } => {
                let app = NewApp { name: name.clone(), hosts, ..NewApp::default() };
                let answer = session.client.send(Ask::new(Method::POST, ApiPath::new(&["apps"])).json(&app)).await?;
                session.done(&answer.value()?, &format!("app {name} is made"));
                Ok(())
            }
            Verb::Delete { name, yes } => {
                if !yes {
                    session.output.confirm(&format!("Delete {name} and everything it stores?"))?;
                }
                session.client.send(Ask::new(Method::DELETE, ApiPath::of_app(&name, &[]))).await?;
                session.done(&json!({ "deleted": name }), &format!("app {name} is deleted"));
                Ok(())
            }
        }
    }
}

async fn list(session: &Session<'_>, page: &PageArgs) -> Result<(), Failure> {
    let row = |app: &App| {
        let at = if app.hosts.is_empty() { format!("/{}/", app.name) } else { app.hosts.join(", ") };
        vec![app.name.clone(), at, app.revision.to_string(), time(app.updated_at)]
    };
    let headings = ["name", "reached at", "revision", "changed"];
    session.list(ApiPath::new(&["apps"]), page, &headings, row, "there are no apps yet: picloud deploy DIR").await
}
