//! `picloud env`: the plain values that an app's scripts read with `env::get`.

use super::Session;
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::app::{App, AppPatch};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How often a change is tried again when somebody else changes the app at the same moment.
const TRIES_MAX: u32 = 5;

/// Look at and change an app's plain values; a deploy sets them to what app.toml says
#[derive(Args, Debug)]
pub(crate) struct Env {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's values
    #[command(after_help = "Example:\n  picloud env list --app kitchen")]
    List,
    /// Print one value
    #[command(after_help = "Example:\n  picloud env get city")]
    Get {
        /// Its name
        name: String,
    },
    /// Set a value; the next request sees it
    #[command(after_help = "Example:\n  picloud env set city Berlin")]
    Set {
        /// Its name
        name: String,
        /// The value
        value: String,
    },
    /// Remove a value
    #[command(after_help = "Example:\n  picloud env delete city")]
    Delete {
        /// Its name
        name: String,
    },
}

impl Env {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let name_of_app = session.settings.app()?;
        let path = ApiPath::of_app(&name_of_app, &[]);
        match self.verb {
            Verb::List => {
                let app: App = session.client.get(path).await?;
                if session.output.json {
                    session.output.value(&json!(app.env));
                } else {
                    let rows: Vec<Vec<String>> = app.env.into_iter().map(|(name, value)| vec![name, value]).collect();
                    session.output.table(&["name", "value"], &rows, "the app has no values");
                }
                Ok(())
            }
            Verb::Get { name } => {
                let app: App = session.client.get(path).await?;
                let value = app.env.get(&name).ok_or_else(|| no_value(&name_of_app, &name))?;
                session.done(&json!(value), value);
                Ok(())
            }
            Verb::Set { name, value } => {
                let sentence = format!("{name} is set");
                let change = |env: &mut BTreeMap<String, String>| {
                    env.insert(name.clone(), value.clone());
                    Ok(())
                };
                session.done(&patch(session, &path, change).await?, &sentence);
                Ok(())
            }
            Verb::Delete { name } => {
                let change = |env: &mut BTreeMap<String, String>| match env.remove(&name) {
                    Some(_) => Ok(()),
                    None => Err(no_value(&name_of_app, &name)),
                };
                session.done(&patch(session, &path, change).await?, &format!("{name} is removed"));
                Ok(())
            }
        }
    }
}

fn no_value(app: &str, name: &str) -> Failure {
    let problem = picloud_model::Problem::not_found("value", name).hint(format!("picloud env list --app {app}"));
    Failure::Answered(Box::new(problem))
}

/// Changes the values as they are now; if the app has moved on meanwhile, again from what it is then.
async fn patch(
    session: &Session<'_>,
    path: &ApiPath,
    change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    let mut tries = 0;
    loop {
        let app: App = session.client.get(path.clone()).await?;
        let mut env = app.env;
        change(&mut env)?;
        let patch = AppPatch { env: Some(env), ..AppPatch::default() };
        let ask = Ask::new(Method::PATCH, path.clone()).if_match(Some(app.revision)).json(&patch);
        tries += 1;
        match session.client.send(ask).await {
            Err(failure) if failure.is_stale() && tries < TRIES_MAX => {}
            answer => return answer?.value(),
        }
    }
}
