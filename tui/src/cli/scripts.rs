//! `picloud scripts`: what answers requests, its versions, and trying it out.

use super::deploy::ink_of;
use super::show::{size, time};
use super::source::{read_argument, read_text};
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use base64::Engine as _;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use picloud_model::script::{Script, ScriptInput, ScriptKind, ScriptVersion};
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
    /// Show what changed between two versions: by default the last one and the one before
    #[command(after_help = "Example:\n  picloud scripts diff hello --from 1 --to 3")]
    Diff {
        /// Its name
        name: String,
        /// The earlier version
        #[arg(long, value_name = "N")]
        from: Option<i64>,
        /// The later version
        #[arg(long, value_name = "N")]
        to: Option<i64>,
    },
    /// Make an earlier version live again, as a new version
    #[command(after_help = "Example:\n  picloud scripts rollback hello 2")]
    Rollback {
        /// Its name
        name: String,
        /// The version to go back to
        version: i64,
    },
    /// Run a script once and print what it answers; its log goes to standard error
    #[command(after_help = "Example:\n  picloud scripts run hello --path '/hello?name=Ada' --source draft.rhai")]
    Run(Run),
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

#[derive(Args, Debug)]
struct Run {
    /// Its name
    name: String,
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's path and query
    #[arg(long, default_value = "/")]
    path: String,
    /// A header of the request
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The request's body: text, @FILE, or `-` for standard input
    #[arg(long, short = 'd', value_name = "BODY")]
    body: Option<String>,
    /// Run this file in place of the saved source, without saving it
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
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
            Verb::Delete { name, force } => delete(session, &app, &name, force).await,
            Verb::Versions { name, page } => {
                session
                    .list(of(&name, &["versions"]), &page, &VERSION_HEADINGS, version_row, "there are no versions")
                    .await
            }
            Verb::Diff { name, from, to } => diff(session, &app, &name, from, to).await,
            Verb::Rollback { name, version } => {
                let ask = Ask::new(Method::POST, of(&name, &["rollback"])).json(&json!({ "version": version }));
                let answer: Value = session.client.send(ask).await?.value()?;
                session.done(&answer, &format!("{name} is as it was at version {version}"));
                Ok(())
            }
            Verb::Run(run) => run_script(session, of(&run.name, &["run"]), &run).await,
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
const VERSION_HEADINGS: [&str; 6] = ["version", "kind", "hash", "author", "saved", "message"];

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

fn version_row(version: &ScriptVersion) -> Vec<String> {
    vec![
        version.version.to_string(),
        version.kind.as_str().to_owned(),
        version.hash.short(),
        version.author.clone(),
        time(version.created_at),
        version.message.clone().unwrap_or_default(),
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
        None => match session.client.get::<Value>(path.clone()).await {
            Ok(script) if script["kind"] == "module" => ScriptKind::Module,
            Ok(_) => ScriptKind::Endpoint,
            Err(failure) if failure.is_not_found() => ScriptKind::Endpoint,
            Err(failure) => return Err(failure),
        },
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
    Ok(())
}

/// The problem with the file that was sent in place of the name it was to get.
fn in_file(failure: Failure, file: &str) -> Failure {
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

async fn diff(session: &Session<'_>, app: &str, name: &str, from: Option<i64>, to: Option<i64>) -> Result<(), Failure> {
    let path = ApiPath::of_app(app, &["scripts", name]);
    let to = match to {
        Some(to) => to,
        None => session.client.get::<Script>(path.clone()).await?.version,
    };
    let from = from.unwrap_or(to - 1);
    if from < 1 {
        return Err(Failure::other(
            format!("{name} has one version only"),
            Some("there is nothing to compare it with"),
        ));
    }
    let older: ScriptVersion = session.client.get(path.clone().below(&["versions", &from.to_string()])).await?;
    let newer: ScriptVersion = session.client.get(path.below(&["versions", &to.to_string()])).await?;
    let (older_text, newer_text) = (older.source.unwrap_or_default(), newer.source.unwrap_or_default());
    let text = similar::TextDiff::from_lines(&older_text, &newer_text)
        .unified_diff()
        .header(&format!("{name} version {from}"), &format!("{name} version {to}"))
        .to_string();
    if session.output.json {
        session.output.value(&json!({ "script": name, "from": from, "to": to, "diff": text }));
    } else if text.is_empty() {
        session.output.note(&format!("versions {from} and {to} have the same source"));
    } else {
        for line in text.lines() {
            session.output.text(&session.output.paint(ink_of(line), line));
        }
    }
    Ok(())
}

async fn run_script(session: &Session<'_>, path: ApiPath, run: &Run) -> Result<(), Failure> {
    let mut headers = serde_json::Map::new();
    for header in &run.headers {
        let Some((name, value)) = header.split_once(':') else {
            return Err(Failure::usage(format!("`{header}` is no header"), "write -H 'name: value'"));
        };
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().into());
    }
    let body = run.body.as_deref().map(read_argument).transpose()?.unwrap_or_default();
    let mut input = json!({
        "request": { "method": run.method.to_ascii_uppercase(), "path": run.path, "headers": headers },
    });
    match String::from_utf8(body) {
        Ok(text) => input["request"]["body"] = text.into(),
        Err(bytes) => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes());
            input["request"]["body_base64"] = encoded.into();
        }
    }
    if let Some(source) = &run.source {
        input["source"] = read_text(source)?.into();
    }
    let ask = Ask::new(Method::POST, path).json(&input);
    let source_file = run.source.as_ref().map(|file| file.display().to_string());
    let answer: Value = match (session.client.send(ask).await, source_file) {
        (Err(failure), Some(file)) => return Err(in_file(failure, &file)),
        (answer, _) => answer?.value()?,
    };
    if session.output.json {
        session.output.value(&answer);
    } else {
        print_run(session, &answer);
    }
    match answer["status"].as_u64() {
        Some(400..) => Err(Failure::other(format!("the script answered {}", answer["status"]), None)),
        _ => Ok(()),
    }
}

/// The log and the status for a person, the body for whatever comes after the pipe.
fn print_run(session: &Session<'_>, answer: &Value) {
    for line in answer["execution"]["logs"].as_array().into_iter().flatten() {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let fields = line["fields"].as_object().map(|_map| line["fields"].to_string()).unwrap_or_default();
        session.output.note(format!("{} {} {fields}", text("level"), text("message")).trim_end());
    }
    session.output.note(&format!("status {}", answer["status"]));
    match (answer["body"].as_str(), answer["body_base64"].as_str()) {
        (Some(body), _) if !body.is_empty() => session.output.text(body),
        (_, Some(encoded)) => match base64::engine::general_purpose::STANDARD.decode(encoded) {
            Ok(bytes) => session.output.bytes(&bytes),
            Err(_no_base64) => session.output.text(encoded),
        },
        _ => {}
    }
}
