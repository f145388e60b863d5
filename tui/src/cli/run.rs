//! `picloud scripts run`: a request or an event that nobody sent, for a script that need not be saved.

use super::Session;
use super::made_up::event_argument;
use super::scripts::{in_file, warn};
use super::show::{duration, size};
use super::source::{read_argument, read_text};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::Method;
use picloud_model::Problem;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What stands below the help.
pub(super) const HELP: &str = "\
The answer goes to standard output; the log, the status, the time it took and what it used of its limits go to
standard error. What the script writes is written, but for --dry-run, which tells what it would have done.

Examples:
  picloud scripts run hello --path '/hello?name=Ada'
  picloud scripts run scripts/hello.rhai          the file as it is now, unsaved
  picloud scripts run on_widget --event '{\"key\": \"a/1\", \"value\": 5}'
  picloud scripts run orders --dry-run -X POST -d @order.json -H 'content-type: application/json'";

/// The extension of sources.
const SOURCE: &str = "rhai";

/// What to run, and on which request.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// Its name, or a file that ends in .rhai, which is run unsaved
    #[arg(value_name = "NAME|FILE")]
    name: String,
    /// The request's method
    #[arg(long, short = 'X', default_value = "GET")]
    method: String,
    /// The request's path and query
    #[arg(long, default_value = "/")]
    path: String,
    /// A header of the request; may be given more than once
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The request's body: text, @FILE, or `-` for standard input
    #[arg(long, short = 'd', value_name = "BODY")]
    body: Option<String>,
    /// Run it with an event: fields of `ctx.event` as JSON; @FILE is a file's content, `-` standard input
    #[arg(long, value_name = "JSON", conflicts_with_all = ["method", "path", "headers", "body"])]
    event: Option<String>,
    /// Change nothing: print what it would have done
    #[arg(long)]
    dry_run: bool,
    /// Run this file in place of the saved source, without saving it; `-` is standard input
    #[arg(long, visible_alias = "file", value_name = "FILE")]
    source: Option<PathBuf>,
}

impl Run {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>, app: &str) -> Result<(), Failure> {
        let (name, file) = self.what()?;
        let mut input = self.input()?;
        if let Some(file) = &file {
            input["source"] = read_text(file)?.into();
        }
        let ask = Ask::new(Method::POST, ApiPath::of_app(app, &["scripts", &name, "run"])).json(&input);
        let file = file.map(|file| file.display().to_string());
        let answer: Value = match (session.client.send(ask).await, &file) {
            (Err(failure), Some(file)) => return Err(in_file(failure, file)),
            (answer, _) => answer?.value()?,
        };
        let ended = told(session, &answer);
        if !session.output.json {
            warn(session, &answer["warnings"], file.as_deref());
        }
        ended
    }

    /// The request or the event.
    fn input(&self) -> Result<Value, Failure> {
        let mut input = json!({});
        if self.dry_run {
            input["dry_run"] = true.into();
        }
        if let Some(event) = &self.event {
            input["event"] = event_argument(event)?;
            return Ok(input);
        }
        input["request"] =
            json!({ "method": self.method.to_ascii_uppercase(), "path": self.path, "headers": self.headers()? });
        let body = self.body.as_deref().map(read_argument).transpose()?.unwrap_or_default();
        match String::from_utf8(body) {
            Ok(text) => input["request"]["body"] = text.into(),
            Err(bytes) => input["request"]["body_base64"] = STANDARD.encode(bytes.as_bytes()).into(),
        }
        Ok(input)
    }

    /// The script's name, and the file to run in its place.
    fn what(&self) -> Result<(String, Option<PathBuf>), Failure> {
        let path = Path::new(&self.name);
        if path.extension().is_none_or(|extension| extension != SOURCE) {
            return Ok((self.name.clone(), self.source.clone()));
        }
        if self.source.is_some() {
            return Err(Failure::usage(format!("{} and --source are two sources", self.name), "give one of them"));
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok((stem, Some(path.to_owned())))
    }

    fn headers(&self) -> Result<serde_json::Map<String, Value>, Failure> {
        let mut headers: serde_json::Map<String, Value> = serde_json::Map::new();
        for header in &self.headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(Failure::usage(format!("`{header}` is no header"), "write -H 'name: value'"));
            };
            let values = headers.entry(name.trim().to_ascii_lowercase()).or_insert_with(|| json!([]));
            if let Value::Array(values) = values {
                values.push(value.trim().into());
            }
        }
        // One value is written as one.
        for values in headers.values_mut() {
            if let Value::Array(list) = values
                && list.len() == 1
            {
                *values = list.remove(0);
            }
        }
        Ok(headers)
    }
}

/// Prints what came of a run; one that failed is a failure.
pub(super) fn told(session: &Session<'_>, answer: &Value) -> Result<(), Failure> {
    if session.output.json {
        session.output.value(answer);
    } else {
        print(session, answer);
    }
    match answer["status"].as_u64() {
        Some(400..) => Err(failed(answer)),
        _ => Ok(()),
    }
}

/// That the script failed, with its reason and line where it has one.
fn failed(answer: &Value) -> Failure {
    let said = format!("the script answered {}", answer["status"]);
    let Ok(problem) = serde_json::from_value::<Problem>(answer["execution"]["error"].clone()) else {
        return Failure::other(said, None);
    };
    let place = problem.at.map(|at| format!(" ({}:{}:{})", at.script, at.line, at.column)).unwrap_or_default();
    Failure::other(format!("{said}: {}{place}", problem.detail), problem.hint.as_deref())
}

/// The log and the figures for a person, the body for whatever comes after the pipe.
fn print(session: &Session<'_>, answer: &Value) {
    let run = &answer["execution"];
    for line in run["logs"].as_array().into_iter().flatten() {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let fields = line["fields"].as_object().map(|_map| line["fields"].to_string()).unwrap_or_default();
        session.output.note(format!("{} {} {fields}", text("level"), text("message")).trim_end());
    }
    if let Some(dropped) = run["logs_dropped"].as_u64().filter(|dropped| *dropped > 0) {
        session.output.note(&format!("{dropped} more lines were over the limit of a run"));
    }
    let took = run["duration_us"].as_u64().map(|took| format!(" in {}", duration(took))).unwrap_or_default();
    session.output.note(&format!("status {}{took}", answer["status"]));
    if let Some(used) = used(run) {
        session.output.note(&format!("used {used}"));
    }
    match (answer["body"].as_str(), answer["body_base64"].as_str()) {
        (Some(body), _) if !body.is_empty() => session.output.text(body),
        (_, Some(encoded)) => match STANDARD.decode(encoded) {
            Ok(bytes) => session.output.bytes(&bytes),
            Err(_no_base64) => session.output.text(encoded),
        },
        _ => {}
    }
    for effect in answer["effects"].as_array().into_iter().flatten() {
        let text = |key: &str| effect[key].as_str().unwrap_or_default();
        session.output.text(format!("would {} {} {}", text("what"), text("target"), text("value")).trim_end());
    }
}

/// What a run used, as people read it; calls only where there were some.
pub(super) fn used(run: &Value) -> Option<String> {
    let usage = run["usage"].as_object()?;
    let number = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
    let memory = size(i64::try_from(number("memory_bytes")).unwrap_or(i64::MAX));
    let mut text = format!("{} operations, {memory} of memory", number("operations"));
    for (key, count) in usage.iter().filter_map(|(key, count)| Some((key.strip_suffix("_calls")?, count.as_u64()?))) {
        if count > 0 {
            text += &format!(", {count} {key} {}", if count == 1 { "call" } else { "calls" });
        }
    }
    Some(text)
}
