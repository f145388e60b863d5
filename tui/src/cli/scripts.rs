//! `picloud scripts`: what answers requests. `versions` has its past, `run` tries it out.

use super::show::{size, time};
use super::source::read_text;
use super::{PageArgs, Session, run, versions};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use picloud_model::script::{Diagnostic, Script, ScriptInput, ScriptKind};
use serde_json::{Value, json};
use std::path::PathBuf;

/// List, show, save, delete and try scripts, and go back to earlier versions
#[derive(Args, Debug)]
pub(crate) struct Scripts {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Endpoint,
    Module,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's scripts and modules
    #[command(after_help = "Example:\n  picloud scripts list --app kitchen")]
    List(PageArgs),
    /// Print a script's source; with --json, all that is known of it
    #[command(after_help = "Example:\n  picloud scripts get hello > hello.rhai")]
    Get {
        /// Its name
        name: String,
        /// An earlier version
        #[arg(long, value_name = "N")]
        version: Option<i64>,
    },
    /// Save a script; the next request runs it
    #[command(after_help = "Example:\n  picloud scripts put hello hello.rhai -m 'say it louder'")]
    Put {
        #[command(flatten)]
        save: Save,
        /// What it is; what it was where it exists already, else an endpoint
        #[arg(long, value_enum)]
        kind: Option<Kind>,
    },
    /// Tell all that is wrong with a source, as a save would, and save nothing
    #[command(after_help = "Example:\n  picloud scripts check hello hello.rhai")]
    Check(Check),
    /// Delete a script
    #[command(after_help = "Example:\n  picloud scripts delete hello")]
    Delete {
        /// Its name
        name: String,
        /// Even if something uses it
        #[arg(long)]
        force: bool,
    },
    /// List a script's versions, newest first
    #[command(after_help = "Example:\n  picloud scripts versions hello")]
    Versions {
        /// Its name
        name: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show what differs between two versions: sources, modules, routes, env and secrets
    #[command(after_help = versions::DIFF_HELP)]
    Diff(versions::Diff),
    /// Make an earlier version live again, as a new version, with the modules and routes it was live with
    #[command(after_help = versions::ROLLBACK_HELP)]
    Rollback(versions::Rollback),
    /// Run a script once, saved or not, and print what it answers; its log goes to standard error
    #[command(after_help = run::HELP)]
    Run(run::Run),
    /// List the modules a script imports
    #[command(after_help = "Example:\n  picloud scripts imports hello")]
    Imports {
        /// Its name
        name: String,
    },
    /// List what imports a module
    #[command(after_help = "Example:\n  picloud scripts importers units")]
    Importers {
        /// Its name
        name: String,
    },
    /// Let a quarantined script run again
    #[command(after_help = "Example:\n  picloud scripts release hello")]
    Release {
        /// Its name
        name: String,
    },
}

/// Arguments of a save.
#[derive(Args, Debug)]
pub(super) struct Save {
    /// Its name
    name: String,
    /// The file with the source; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Why; kept with the version
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
    /// Only if it is at this version now
    #[arg(long, value_name = "N")]
    if_version: Option<i64>,
}

/// Arguments of a check.
#[derive(Args, Debug)]
struct Check {
    /// The name that it has, or would get
    name: String,
    /// The file with the source; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// What it is; what it was where it exists already, else an endpoint
    #[arg(long, value_enum)]
    kind: Option<Kind>,
}

impl Scripts {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        let of = |name: &str, more: &[&str]| ApiPath::of_app(&app, &[&["scripts", name], more].concat());
        match self.verb {
            Verb::List(page) => {
                let none = "the app has no scripts";
                session.list(ApiPath::of_app(&app, &["scripts"]), &page, &HEADINGS, row, none).await
            }
            Verb::Get { name, version } => print_source(session, of(&name, &[]), version).await,
            Verb::Put { save, kind } => save_script(session, &app, save, kind.map(kind_of)).await,
            Verb::Check(check) => check_script(session, of(&check.name, &[]), check).await,
            Verb::Delete { name, force } => delete(session, &app, &name, force).await,
            Verb::Versions { name, page } => versions::list(session, of(&name, &["versions"]), &page).await,
            Verb::Diff(diff) => diff.run(session, &app).await,
            Verb::Rollback(rollback) => rollback.run(session, &app).await,
            Verb::Run(run) => run.run(session, &app).await,
            Verb::Imports { name } => names(session, of(&name, &["imports"]), "it imports nothing").await,
            Verb::Importers { name } => names(session, of(&name, &["importers"]), "nothing imports it").await,
            Verb::Release { name } => {
                let ask = Ask::new(Method::POST, of(&name, &["release"])).json(&json!({}));
                let answer: Value = session.client.send(ask).await?.value()?;
                session.done(&answer, &format!("{name} may run again"));
                Ok(())
            }
        }
    }
}

/// The columns of a list of scripts or modules.
pub(super) const HEADINGS: [&str; 6] = ["name", "kind", "version", "size", "changed", "state"];

/// A script as a row.
pub(super) fn row(script: &Script) -> Vec<String> {
    let state = match &script.quarantine {
        Some(quarantine) => format!("quarantined after {} crashes", quarantine.crashes),
        None => "live".to_owned(),
    };
    vec![
        script.name.clone(),
        script.kind.as_str().to_owned(),
        script.version.to_string(),
        size(script.size_bytes),
        time(script.updated_at),
        state,
    ]
}

fn kind_of(kind: Kind) -> ScriptKind {
    match kind {
        Kind::Endpoint => ScriptKind::Endpoint,
        Kind::Module => ScriptKind::Module,
    }
}

/// Prints a source so that it can be redirected into a file.
async fn print_source(session: &Session<'_>, path: ApiPath, version: Option<i64>) -> Result<(), Failure> {
    let path = match version {
        Some(version) => path.below(&["versions", &version.to_string()]),
        None => path,
    };
    let value: Value = session.client.get(path).await?;
    match value.get("source").and_then(Value::as_str) {
        Some(source) if !session.output.json => session.output.bytes(source.as_bytes()),
        _ => session.show(&value),
    }
    Ok(())
}

/// Saves a script or module.
pub(super) async fn save_script(
    session: &Session<'_>,
    app: &str,
    save: Save,
    kind: Option<ScriptKind>,
) -> Result<(), Failure> {
    let path = ApiPath::of_app(app, &["scripts", &save.name]);
    let kind = match kind {
        Some(kind) => kind,
        None => kind_there(session, &path).await?,
    };
    let source = read_text(&save.file)?;
    let file = save.file.display().to_string();
    let input = ScriptInput { kind, source, message: save.message };
    let ask = Ask::new(Method::PUT, path).if_match(save.if_version).json(&input);
    let answer: Value = session.client.send(ask).await.map_err(|failure| in_file(failure, &file))?.value()?;
    let name = &save.name;
    let sentence = match answer.get("version").and_then(Value::as_i64) {
        Some(version) => format!("{name} is saved as version {version}"),
        None => format!("{name} is saved"),
    };
    session.done(&answer, &sentence);
    warn(session, &answer["warnings"], Some(&file));
    Ok(())
}

/// What the saved one is; an endpoint where there is none.
async fn kind_there(session: &Session<'_>, path: &ApiPath) -> Result<ScriptKind, Failure> {
    match session.client.get::<Value>(path.clone()).await {
        Ok(script) if script["kind"] == "module" => Ok(ScriptKind::Module),
        Ok(_) => Ok(ScriptKind::Endpoint),
        Err(failure) if failure.is_not_found() => Ok(ScriptKind::Endpoint),
        Err(failure) => Err(failure),
    }
}

/// Tells what a save would say.
async fn check_script(session: &Session<'_>, path: ApiPath, check: Check) -> Result<(), Failure> {
    let kind = match check.kind {
        Some(kind) => kind_of(kind),
        None => kind_there(session, &path).await?,
    };
    let source = read_text(&check.file)?;
    let file = check.file.display().to_string();
    let ask = Ask::new(Method::POST, path.below(&["check"])).json(&ScriptInput { kind, source, message: None });
    let answer: Value = session.client.send(ask).await.map_err(|failure| in_file(failure, &file))?.value()?;
    session.done(&answer, &format!("{file} could be saved as {}", check.name));
    warn(session, &answer["warnings"], Some(&file));
    Ok(())
}

/// What does not stop it but should be looked at, on standard error.
pub(super) fn warn(session: &Session<'_>, warnings: &Value, file: Option<&str>) {
    for warning in warnings.as_array().into_iter().flatten() {
        if let Some(sentence) = warning.as_str() {
            session.output.note(&format!("warning: {sentence}"));
        }
        let Ok(mut warning) = serde_json::from_value::<Diagnostic>(warning.clone()) else { continue };
        if let Some(file) = file {
            warning.file = Some(file.to_owned());
        }
        session.output.note(&format!("warning: {}", session.output.diagnostic(&warning)));
    }
}

/// The problem with the file that was sent in place of the name it was to get.
pub(super) fn in_file(failure: Failure, file: &str) -> Failure {
    let Failure::Answered(mut problem) = failure else { return failure };
    for error in &mut problem.errors {
        error.file = Some(file.to_owned());
    }
    Failure::Answered(problem)
}

/// Deletes a script or module.
pub(super) async fn delete(session: &Session<'_>, app: &str, name: &str, force: bool) -> Result<(), Failure> {
    let path = ApiPath::of_app(app, &["scripts", name]).flag("force", force);
    session.client.send(Ask::new(Method::DELETE, path)).await?;
    session.done(&json!({ "deleted": name }), &format!("{name} is deleted"));
    Ok(())
}

/// Prints a list of names, or of things that have one.
pub(super) async fn names(session: &Session<'_>, path: ApiPath, none: &str) -> Result<(), Failure> {
    let value: Value = session.client.get(path).await?;
    if session.output.json {
        session.output.value(&value);
        return Ok(());
    }
    let items = value["items"].as_array().cloned().unwrap_or_default();
    if items.is_empty() {
        session.output.note(none);
    }
    for item in &items {
        let name = item.as_str().or_else(|| item["name"].as_str());
        session.output.text(&name.map_or_else(|| item.to_string(), str::to_owned));
    }
    Ok(())
}
