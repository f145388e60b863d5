//! `picloud modules`: functions and constants that scripts import. The same verbs as `scripts`, for modules.

use super::scripts::{HEADINGS, Save, delete, names, row, save_script};
use super::{PageArgs, Session};
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use picloud_model::script::ScriptKind;
use serde_json::Value;

/// List, show, save and delete modules
#[derive(Args, Debug)]
pub(crate) struct Modules {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's modules
    #[command(after_help = "Example:\n  picloud modules list --app kitchen")]
    List(PageArgs),
    /// Print a module's source; with --json, all that is known of it
    #[command(after_help = "Example:\n  picloud modules get units > units.rhai")]
    Get {
        /// Its name
        name: String,
    },
    /// Save a module; the next call of whatever imports it runs it
    #[command(after_help = "Example:\n  picloud modules put units units.rhai -m 'add kelvin'")]
    Put(Save),
    /// Delete a module
    #[command(after_help = "Example:\n  picloud modules delete units")]
    Delete {
        /// Its name
        name: String,
        /// Even if something imports it, which then fails
        #[arg(long)]
        force: bool,
    },
    /// List what imports a module
    #[command(after_help = "Example:\n  picloud modules importers units")]
    Importers {
        /// Its name
        name: String,
    },
}

impl Modules {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        let of = |name: &str, more: &[&str]| ApiPath::of_app(&app, &[&["scripts", name], more].concat());
        match self.verb {
            Verb::List(page) => {
                let path = ApiPath::of_app(&app, &["scripts"]).query("kind", Some("module"));
                session.list(path, &page, &HEADINGS, row, "the app has no modules").await
            }
            Verb::Get { name } => {
                let value: Value = session.client.get(of(&name, &[])).await?;
                if value["kind"] != "module" {
                    let hint = format!("picloud scripts get {name}");
                    return Err(Failure::other(format!("{name} is a script, not a module"), Some(&hint)));
                }
                match value["source"].as_str() {
                    Some(source) if !session.output.json => session.output.bytes(source.as_bytes()),
                    _ => session.show(&value),
                }
                Ok(())
            }
            Verb::Put(save) => save_script(session, &app, save, Some(ScriptKind::Module)).await,
            Verb::Delete { name, force } => delete(session, &app, &name, force).await,
            Verb::Importers { name } => names(session, of(&name, &["importers"]), "nothing imports it").await,
        }
    }
}
