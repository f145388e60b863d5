//! `picloud env`: the plain values that an app's scripts read with `env::get`.

use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

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
    List(PageArgs),
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
        /// The value; everybody who may see the app sees it: `picloud secrets set` is for what nobody should
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
        let app = session.settings.app()?;
        let all = ApiPath::of_app(&app, &["env"]);
        let one = |name: &str| ApiPath::of_app(&app, &["env", name]);
        match self.verb {
            Verb::List(page) => session.list(all, &page, &["name", "value"], row, "the app has no values").await,
            Verb::Get { name } => {
                let answer: Value = session.client.get(one(&name)).await?;
                let value = answer["value"].as_str().unwrap_or_default();
                session.done(&answer, value);
                Ok(())
            }
            Verb::Set { name, value } => {
                let ask = Ask::new(Method::PUT, one(&name)).json(&json!({ "value": value }));
                let answer: Value = session.client.send(ask).await?.value()?;
                session.done(&answer, &format!("{name} is set"));
                Ok(())
            }
            Verb::Delete { name } => {
                session.client.send(Ask::new(Method::DELETE, one(&name))).await?;
                session.done(&json!({ "deleted": name }), &format!("{name} is removed"));
                Ok(())
            }
        }
    }
}

fn row(item: &Value) -> Vec<String> {
    let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    vec![text("name"), text("value")]
}
