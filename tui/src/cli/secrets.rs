//! `picloud secrets`: what an app's scripts may know and nobody may read.

use super::scripts::warn;
use super::show::time;
use super::source::read_secret;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::secret::{EVERY_SCRIPT, SECRET_VALUE_BYTES_MAX, Secret, SecretInput};
use serde_json::{Value, json};

/// List, set, grant and delete an app's secrets; no command prints their values
///
/// A script reads one with secrets::get(name), if it is granted to it. Values are encrypted where they are stored,
/// and taken out of logs and of what is kept of runs.
#[derive(Args, Debug)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's secrets and the scripts that may read them
    #[command(after_help = "Example:\n  picloud secrets list --app kitchen")]
    List(PageArgs),
    /// Set a secret; the next call of a script that may read it sees it
    #[command(after_help = SET_HELP)]
    Set {
        /// Its name
        name: String,
        /// The value; other users of this machine may see it, so prefer standard input
        #[arg(long, value_name = "VALUE")]
        value: Option<String>,
        #[command(flatten)]
        granted: Granted,
    },
    /// Let further scripts read a secret; its value stays, and so do those that may read it
    #[command(after_help = GRANT_HELP)]
    Grant {
        /// Its name
        name: String,
        /// A script that is to read it; may be given more than once
        #[arg(long = "script", value_name = "SCRIPT", conflicts_with = "every_script")]
        scripts: Vec<String>,
        /// Every script of the app may read it
        #[arg(long, conflicts_with = "only")]
        every_script: bool,
        /// No other script than these may read it any more
        #[arg(long)]
        only: bool,
    },
    /// Delete a secret
    #[command(after_help = "Example:\n  picloud secrets delete API_TOKEN")]
    Delete {
        /// Its name
        name: String,
    },
}

const SET_HELP: &str = "\
The value is read from standard input, without the line end after it; at a terminal it is asked for and not shown.

Examples:
  picloud secrets set API_TOKEN --script weather
  picloud secrets set API_TOKEN --script weather < token.txt
  pass show weather | picloud secrets set API_TOKEN";

const GRANT_HELP: &str = "\
Examples:
  picloud secrets grant API_TOKEN --script weather --script report
  picloud secrets grant API_TOKEN --script weather --only";

/// Whom a secret is granted to when it is set.
#[derive(Args, Debug)]
struct Granted {
    /// A script that may read it, and no other but those given; may be given more than once
    #[arg(long = "script", value_name = "SCRIPT", conflicts_with = "every_script")]
    scripts: Vec<String>,
    /// Every script of the app may read it [default for a new secret]
    #[arg(long)]
    every_script: bool,
}

impl Granted {
    fn names(self) -> Option<Vec<String>> {
        match (self.every_script, self.scripts.is_empty()) {
            (true, _) => Some(vec![EVERY_SCRIPT.to_owned()]),
            (false, true) => None,
            (false, false) => Some(self.scripts),
        }
    }
}

impl Secrets {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        let one = |name: &str| ApiPath::of_app(&app, &["secrets", name]);
        match self.verb {
            Verb::List(page) => {
                let path = ApiPath::of_app(&app, &["secrets"]);
                session.list(path, &page, &HEADINGS, row, "the app has no secrets").await
            }
            Verb::Set { name, value, granted } => {
                let value = match value {
                    Some(value) => value,
                    None => read_secret(&format!("value of {name}: "), SECRET_VALUE_BYTES_MAX)?,
                };
                if value.is_empty() {
                    let hint = "give it on standard input: picloud secrets set NAME < FILE";
                    return Err(Failure::usage("the value is empty", hint));
                }
                let input = SecretInput { value: Some(value), scripts: granted.names() };
                put(session, Ask::new(Method::PUT, one(&name)).json(&input), &format!("{name} is set")).await
            }
            Verb::Grant { name, scripts, every_script, only } => {
                let Some(scripts) = (Granted { scripts, every_script }).names() else {
                    return Err(Failure::usage("no script was named", "give --script SCRIPT, or --every-script"));
                };
                if only || every_script {
                    let input = SecretInput { value: None, scripts: Some(scripts) };
                    return put(session, Ask::new(Method::PUT, one(&name)).json(&input), &keeps(&name)).await;
                }
                grant(session, one(&name), &name, scripts).await
            }
            Verb::Delete { name } => {
                session.client.send(Ask::new(Method::DELETE, one(&name))).await?;
                session.done(&json!({ "deleted": name }), &format!("{name} is deleted"));
                Ok(())
            }
        }
    }
}

/// Adds scripts to those that may read it.
async fn grant(session: &Session<'_>, path: ApiPath, name: &str, scripts: Vec<String>) -> Result<(), Failure> {
    let before: Secret = session.client.get(path.clone()).await?;
    if before.scripts.iter().any(|script| script == EVERY_SCRIPT) {
        let done = format!("every script may read {name} already; with --only, no other than those named");
        session.done(&json!(before), &done);
        return Ok(());
    }
    let mut granted = before.scripts;
    for script in scripts {
        if !granted.contains(&script) {
            granted.push(script);
        }
    }
    let input = SecretInput { value: None, scripts: Some(granted) };
    // Only if it is as it was read: a grant that somebody takes back meanwhile must not come back with this one.
    put(session, Ask::new(Method::PUT, path).if_match(Some(before.version)).json(&input), &keeps(name)).await
}

fn keeps(name: &str) -> String {
    format!("{name} keeps its value")
}

async fn put(session: &Session<'_>, ask: Ask, done: &str) -> Result<(), Failure> {
    let answer: Value = session.client.send(ask).await?.value()?;
    let scripts = answer["scripts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let whom = whom(&scripts.map(str::to_owned).collect::<Vec<_>>());
    session.done(&answer, &format!("{done}; it is read by {whom}"));
    warn(session, &answer["warnings"], None);
    Ok(())
}

fn whom(scripts: &[String]) -> String {
    if scripts.iter().any(|script| script == EVERY_SCRIPT) {
        "every script".to_owned()
    } else if scripts.is_empty() {
        "no script".to_owned()
    } else {
        scripts.join(", ")
    }
}

const HEADINGS: [&str; 4] = ["name", "read by", "version", "changed"];

fn row(secret: &Secret) -> Vec<String> {
    vec![secret.name.clone(), whom(&secret.scripts), secret.version.to_string(), time(secret.updated_at)]
}
