//! `picloud files`: the files that an app keeps.

use super::show::{size, time};
use super::transfer::{Transfer, describe, download, hash_of};
use super::{PageArgs, Session};
use crate::client::{Answer, Ask, Outgoing};
use crate::failure::Failure;
use crate::folder::cannot;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::{Method, header};
use picloud_model::file::{File, FileCollection};
use picloud_model::hash::ContentHash;
use picloud_model::problem::Problem;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Look at, bring, fetch and delete the files an app keeps
#[derive(Args, Debug)]
pub(crate) struct Files {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    #[command(flatten)]
    OfApp(OfApp),
    /// Compare the files of all apps with what is on the disk, and remove bytes that are no file's
    #[command(after_help = "Examples:\n  picloud files sweep --dry-run\n  picloud files sweep --json")]
    Sweep {
        /// Only tell; remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Subcommand, Debug)]
enum OfApp {
    /// List the app's collections of files
    #[command(after_help = "Example:\n  picloud files collections --app kitchen")]
    Collections(PageArgs),
    /// List a collection's files by name
    #[command(after_help = "Example:\n  picloud files list photos --prefix 2026-")]
    List {
        /// The collection
        collection: String,
        /// Only names that begin so
        #[arg(long)]
        prefix: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Fetch the bytes of a file, checked against its SHA-256
    #[command(
        after_help = "Examples:\n  picloud files get photos 0199… cat.jpg\n  picloud files get photos 0199… | file -"
    )]
    Get {
        /// The collection
        collection: String,
        /// The file's id, as `list` shows it
        id: String,
        /// Where to write it; `-` is standard output [default: standard output]
        #[arg(value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Show what a file is, without its bytes
    #[command(after_help = "Example:\n  picloud files head photos 0199…")]
    Head {
        /// The collection
        collection: String,
        /// The file's id, as `list` shows it
        id: String,
    },
    /// Bring a file, or with --id other bytes for one that is there
    #[command(
        after_help = "Examples:\n  picloud files put photos cat.jpg --metadata '{\"album\": \"pets\"}'\n  tar c notes | picloud files put archive - --name notes.tar"
    )]
    Put(Put),
    /// Change the name, type or metadata of a file, not its bytes
    #[command(after_help = "Example:\n  picloud files set photos 0199… --name tom.jpg")]
    Set(Set),
    /// Delete a file
    #[command(after_help = "Example:\n  picloud files delete photos 0199…")]
    Delete {
        /// The collection
        collection: String,
        /// The file's id, as `list` shows it
        id: String,
        /// Only if its SHA-256 or version is this now
        #[arg(long, value_name = "TAG")]
        if_match: Option<String>,
    },
}

#[derive(Args, Debug)]
struct Put {
    /// The collection
    collection: String,
    /// The file to bring; `-` is standard input
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// The file that is to have these bytes [default: a new one]
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(Args, Debug)]
struct Set {
    /// The collection
    collection: String,
    /// The file's id, as `list` shows it
    id: String,
    #[command(flatten)]
    said: Said,
}

/// What is said of a file.
#[derive(Args, Debug)]
struct Said {
    /// What to call it [default of a new one: the name of FILE]
    #[arg(long)]
    name: Option<String>,
    /// Its media type [default of a new one: by its name]
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// What else is to be known of it, a JSON object
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    metadata: Option<String>,
    /// Only if its SHA-256 or version is this now
    #[arg(long, value_name = "TAG")]
    if_match: Option<String>,
}

impl Files {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let verb = match self.verb {
            Verb::OfApp(verb) => verb,
            Verb::Sweep { dry_run } => return sweep(session, dry_run).await,
        };
        let app = session.settings.app()?;
        match verb {
            OfApp::Collections(page) => {
                let row = |collection: &FileCollection| {
                    vec![collection.name.clone(), collection.files.to_string(), size(collection.size_bytes)]
                };
                let path = ApiPath::of_app(&app, &["files"]);
                session.list(path, &page, &["collection", "files", "size"], row, "the app keeps no files").await
            }
            OfApp::List { collection, prefix, page } => {
                let path = ApiPath::of_app(&app, &["files", &collection]).query("prefix", prefix);
                let headings = ["name", "id", "size", "type", "changed"];
                session.list(path, &page, &headings, row, "there are no such files").await
            }
            OfApp::Get { collection, id, to } => {
                let path = ApiPath::of_app(&app, &["files", &collection, &id]);
                get(session, path, to).await
            }
            OfApp::Head { collection, id } => {
                let path = ApiPath::of_app(&app, &["files", &collection, &id]);
                let answered = session.client.send(Ask::new(Method::HEAD, path)).await;
                let answer = answered.map_err(|failure| in_words(failure, &collection, &id))?;
                session.show(&described(&answer)?);
                Ok(())
            }
            OfApp::Put(put) => bring(session, &app, put).await,
            OfApp::Set(Set { collection, id, said }) => {
                let path = said.ask_for(ApiPath::of_app(&app, &["files", &collection, &id]));
                let ask = said.conditions(Ask::new(Method::PUT, path.flag("keep_bytes", true)));
                let file: Value = session.client.send(ask).await?.value()?;
                session.done(&file, &format!("{id} is changed"));
                Ok(())
            }
            OfApp::Delete { collection, id, if_match } => {
                let path = ApiPath::of_app(&app, &["files", &collection, &id]);
                session.client.send(with_tag(Ask::new(Method::DELETE, path), if_match.as_deref())).await?;
                session.done(&json!({ "deleted": id }), &format!("{id} is deleted from {collection}"));
                Ok(())
            }
        }
    }
}

async fn sweep(session: &Session<'_>, dry_run: bool) -> Result<(), Failure> {
    let path = ApiPath::new(&["files", "sweep"]).flag("dry_run", dry_run);
    let report: Value = session.client.send(Ask::new(Method::POST, path)).await?.value()?;
    let count = |name: &str| report[name].as_i64().unwrap_or_default();
    let done = if dry_run { "would be removed" } else { "are removed" };
    let orphans = format!("{} blobs without a file ({}) {done}", count("orphans"), size(count("orphan_bytes")));
    let mut told = format!("{} files; {orphans}; {} files without their bytes", count("files"), count("damaged"));
    for file in report["damaged_files"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        told += "\n  damaged: ";
        told += file;
    }
    session.done(&report, &told);
    Ok(())
}

impl Said {
    fn ask_for(&self, path: ApiPath) -> ApiPath {
        path.query("name", self.name.as_ref())
    }

    fn conditions(&self, ask: Ask) -> Ask {
        let ask = match &self.content_type {
            Some(content_type) => ask.header(header::CONTENT_TYPE, content_type),
            None => ask,
        };
        // Not after `?`, where there is room for a quarter of it.
        let ask = match &self.metadata {
            Some(metadata) => ask.header(header::HeaderName::from_static("x-picloud-metadata"), metadata),
            None => ask,
        };
        with_tag(ask, self.if_match.as_deref())
    }
}

/// On one line, as a header must be.
fn json_object(text: &str) -> Result<String, String> {
    let object: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))?;
    Ok(Value::Object(object).to_string())
}

fn with_tag(ask: Ask, tag: Option<&str>) -> Ask {
    match tag.map(|tag| tag.trim_matches('"')) {
        Some("*") => ask.header(header::IF_MATCH, "*"),
        Some(tag) => ask.header(header::IF_MATCH, format!("\"{tag}\"")),
        None => ask,
    }
}

fn row(file: &File) -> Vec<String> {
    let bytes = size(i64::try_from(file.size).unwrap_or(i64::MAX));
    vec![file.name.clone(), file.id.to_string(), bytes, file.content_type.clone(), time(file.updated_at)]
}

/// An answer to HEAD has no body that says what is wrong.
fn in_words(failure: Failure, collection: &str, id: &str) -> Failure {
    match failure {
        Failure::Answered(problem) if problem.status == 404 => {
            let hint = format!("`picloud files list {collection}` shows the ids");
            Failure::Answered(Box::new(Problem::not_found("file", id).hint(hint)))
        }
        other => other,
    }
}

/// The file in the head of an answer.
fn described(answer: &Answer) -> Result<Value, Failure> {
    let file = answer.headers.get("x-picloud-file").and_then(|value| serde_json::from_slice(value.as_bytes()).ok());
    file.ok_or_else(|| {
        let hint = "`picloud version` shows both versions; they should be the same";
        Failure::other("the answer does not say what the file is", Some(hint))
    })
}

async fn get(session: &Session<'_>, path: ApiPath, to: Option<PathBuf>) -> Result<(), Failure> {
    let to = to.filter(|file| file != Path::new("-"));
    if to.is_none() && std::io::stdout().is_terminal() {
        let hint = "picloud files get COLLECTION ID FILE, or lead it into a program or file";
        return Err(Failure::usage("the bytes of a file are nothing for a terminal", hint));
    }
    let streamed = session.client.stream(Ask::new(Method::GET, path)).await?;
    let got = download(session, streamed, to.as_deref()).await?;
    if let Some(to) = to {
        let shown = to.display().to_string();
        let told = size(i64::try_from(got.bytes).unwrap_or(i64::MAX));
        let value = json!({ "file": shown, "bytes": got.bytes, "sha256": got.sha256 });
        session.done(&value, &format!("{shown} is written: {told}"));
    }
    Ok(())
}

/// Sends a file's bytes; its SHA-256 goes ahead where it can be read twice, and is compared in any case.
async fn bring(session: &Session<'_>, app: &str, put: Put) -> Result<(), Failure> {
    let Put { collection, from, id, mut said } = put;
    let is_pipe = from == Path::new("-");
    if id.is_none() && said.name.is_none() {
        let name = from.file_name().filter(|_name| !is_pipe).map(|name| name.to_string_lossy().into_owned());
        let usage = || Failure::usage("the file has no name", "give one with --name");
        said.name = Some(name.ok_or_else(usage)?);
    }
    if id.is_none() && said.content_type.is_none() {
        let name = said.name.as_deref().unwrap_or_default();
        said.content_type = mime_guess::from_path(name).first_raw().map(str::to_owned);
    }
    let (method, path) = match &id {
        Some(id) => (Method::PUT, ApiPath::of_app(app, &["files", &collection, id])),
        None => (Method::POST, ApiPath::of_app(app, &["files", &collection])),
    };
    let mut ask = said.conditions(Ask::new(method, said.ask_for(path)));
    let hashed = if is_pipe { None } else { Some(hash_of(session, &from).await?) };
    let seen = Transfer::default();
    let body = match hashed {
        None => Outgoing::of(std::io::stdin(), None, seen.watcher()),
        Some((sha256, bytes)) => {
            ask = ask.header(header::HeaderName::from_static("content-digest"), describe(&sha256));
            let file = std::fs::File::open(&from).map_err(|error| cannot("read", &from, &error))?;
            Outgoing::of(file, Some(bytes), seen.watcher())
        }
    };
    let sent = body.sent();
    let uploaded = session.client.upload(ask, body);
    let answer = seen.told(session, &sent, hashed.map(|(_, bytes)| bytes), "sent", uploaded).await?;
    let file: File = answer.value()?;
    check(&file, seen.sha256())?;
    let told = size(i64::try_from(file.size).unwrap_or(i64::MAX));
    let sentence = format!("{} is in {collection} as {}: {told}", file.name, file.id);
    session.done(&answer.value()?, &sentence);
    Ok(())
}

/// What was kept is what was sent.
fn check(file: &File, sent: ContentHash) -> Result<(), Failure> {
    if file.sha256 == sent {
        return Ok(());
    }
    let message = format!("what was kept as {} is not what was sent: it has SHA-256 {}", file.id, file.sha256);
    Err(Failure::other(message, Some("delete it, and send it again")))
}
