//! `picloud routes`: which methods and paths lead to which script.

use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use picloud_model::route::{Route, RouteAuth, RouteSpec};
use serde_json::{Value, json};

/// List, show, add and remove routes
#[derive(Args, Debug)]
pub(crate) struct Routes {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Auth {
    Public,
    Key,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's routes
    #[command(after_help = "Example:\n  picloud routes list --app kitchen")]
    List(PageArgs),
    /// Show a route
    #[command(after_help = "Example:\n  picloud routes get 7")]
    Get {
        /// Its id, from `picloud routes list`
        id: i64,
    },
    /// Add a route
    #[command(after_help = "Example:\n  picloud routes create '/rooms/{room}' hello --method GET")]
    Create {
        /// The path: `{name}` is one segment, `{*name}` the rest
        path: String,
        /// The script that answers
        script: String,
        /// A method it answers; all of them where none is given
        #[arg(long = "method", short = 'X', value_name = "METHOD")]
        methods: Vec<String>,
        /// Who may call it: everybody, or whoever shows an API key
        #[arg(long, value_enum, default_value = "public")]
        auth: Auth,
    },
    /// Remove a route
    #[command(after_help = "Example:\n  picloud routes delete 7")]
    Delete {
        /// Its id, from `picloud routes list`
        id: i64,
    },
}

impl Routes {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        let one = |id: i64| ApiPath::of_app(&app, &["routes", &id.to_string()]);
        match self.verb {
            Verb::List(page) => {
                let none = "the app has no routes";
                session.list(ApiPath::of_app(&app, &["routes"]), &page, &HEADINGS, row, none).await
            }
            Verb::Get { id } => session.print(one(id)).await,
            Verb::Create { path, script, methods, auth } => {
                let auth = match auth {
                    Auth::Public => RouteAuth::Public,
                    Auth::Key => RouteAuth::Key,
                };
                let mut methods: Vec<String> = methods.iter().map(|method| method.to_ascii_uppercase()).collect();
                methods.sort();
                methods.dedup();
                let spec = RouteSpec { methods, path, script, auth };
                let ask = Ask::new(Method::POST, ApiPath::of_app(&app, &["routes"])).json(&spec);
                let answer: Value = session.client.send(ask).await?.value()?;
                session.done(&answer, &format!("route {} leads to {}", spec.title(), spec.script));
                Ok(())
            }
            Verb::Delete { id } => {
                session.client.send(Ask::new(Method::DELETE, one(id))).await?;
                session.done(&json!({ "deleted": id }), &format!("route {id} is removed"));
                Ok(())
            }
        }
    }
}

const HEADINGS: [&str; 5] = ["id", "methods", "path", "script", "auth"];

fn row(route: &Route) -> Vec<String> {
    let spec = &route.spec;
    let methods = if spec.methods.is_empty() { "every".to_owned() } else { spec.methods.join(",") };
    let auth = match spec.auth {
        RouteAuth::Public => "public",
        RouteAuth::Key => "key",
    };
    vec![route.id.to_string(), methods, spec.path.clone(), spec.script.clone(), auth.to_owned()]
}
