//! Trying a script: the form with what was filled in last, and what came of it.

use super::id::Id;
use crate::app::Request;
use crate::screens::elsewhere::quoted;
use crate::theme::Ink;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::text;
use picloud_model::effect::Effect;
use picloud_model::execution::Usage;
use picloud_model::problem::{Problem, ScriptPosition};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Most lines of a body that are shown; the rest is copied, not read here.
const BODY_LINES_MAX: usize = 1000;

/// What is tried: the script's own last inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    is_event: bool,
    method: String,
    path: String,
    headers: String,
    body: String,
    event: String,
    pub(super) is_dry: bool,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            is_event: false,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: String::new(),
            body: String::new(),
            event: "{}".to_owned(),
            is_dry: true,
        }
    }
}

impl Inputs {
    /// For a request of a route; what else was filled in last stays.
    pub(super) fn for_request(mut self, method: &str, path: &str) -> Self {
        self.is_event = false;
        method.clone_into(&mut self.method);
        path.clone_into(&mut self.path);
        self
    }

    /// The form, filled in as it was last.
    pub(super) fn form(&self, id: &Id, is_draft: bool) -> Form {
        let choice = |choices: &[&str]| FieldKind::Choice(choices.iter().map(|choice| (*choice).to_owned()).collect());
        let what = if self.is_event { "event" } else { "request" };
        let title = format!("Try {id}{}", if is_draft { ", the draft" } else { "" });
        let dry = if self.is_dry { "yes" } else { "no" };
        Form::new(title, "run")
            .field(
                field("what", "What it sees", "a request, or an event as a trigger makes it")
                    .with(what)
                    .kind(choice(&["request", "event"])),
            )
            .field(
                field("dry", "Dry run", "change nothing, and tell what it would have done")
                    .with(dry)
                    .kind(FieldKind::Toggle),
            )
            .field(field("method", "Method", "of the request").with(&self.method).kind(choice(&METHODS)))
            .field(field("path", "Path", "with the query: /hello?name=Ada").with(&self.path))
            .field(field("headers", "Headers", "a line each: name: value").with(&self.headers).kind(FieldKind::Text))
            .field(field("body", "Body", "of the request, as it is").with(&self.body).kind(FieldKind::Text))
            .field(
                field("event", "Event", "fields of ctx.event as JSON; what is absent is made up")
                    .with(&self.event)
                    .kind(FieldKind::Text),
            )
    }

    /// What was filled in; why it cannot be sent, where it cannot.
    pub(super) fn of(values: &Values) -> Result<Self, String> {
        let inputs = Self {
            is_event: values.get("what") == "event",
            method: values.get("method").to_owned(),
            path: values.get("path").to_owned(),
            headers: values.get("headers").to_owned(),
            body: values.get("body").to_owned(),
            event: values.get("event").to_owned(),
            is_dry: values.is_on("dry"),
        };
        inputs.seen().map(|_seen| inputs)
    }

    /// What the script sees, as the body of the request to the appliance.
    fn seen(&self) -> Result<(&'static str, Value), String> {
        if self.is_event {
            let event: Value =
                serde_json::from_str(&self.event).map_err(|error| format!("the event is no JSON: {error}"))?;
            let hint = "the event is no object: write its fields, {\"value\": 1}";
            return if event.is_object() { Ok(("event", event)) } else { Err(hint.to_owned()) };
        }
        if !self.path.starts_with('/') {
            return Err(format!("the path `{}` does not begin with /", self.path));
        }
        let mut headers: Map<String, Value> = Map::new();
        for line in self.headers.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("`{line}` is no header: write name: value"))?;
            let values = headers.entry(name.trim().to_ascii_lowercase()).or_insert_with(|| json!([]));
            if let Value::Array(values) = values {
                values.push(value.trim().into());
            }
        }
        let mut request = json!({ "method": self.method, "path": self.path, "headers": headers });
        if !self.body.is_empty() {
            request["body"] = self.body.clone().into();
        }
        Ok(("request", request))
    }

    /// The body of the request to the appliance; `source` is a draft.
    pub(super) fn body(&self, source: Option<&str>) -> Value {
        let mut body = json!({});
        if let Ok((what, seen)) = self.seen() {
            body[what] = seen;
        }
        if self.is_dry {
            body["dry_run"] = true.into();
        }
        if let Some(source) = source {
            body["source"] = source.into();
        }
        body
    }

    /// The request to the appliance.
    pub(super) fn request(&self, id: &Id, source: Option<&str>) -> Request {
        Request::post(id.path(&["run"]), &self.body(source))
    }

    /// In short: `GET /feed?limit=2`, `event`.
    pub(super) fn title(&self) -> String {
        if self.is_event { "event".to_owned() } else { format!("{} {}", self.method, self.path) }
    }

    /// The same as a command.
    pub(super) fn command(&self, id: &Id) -> String {
        let dry = if self.is_dry { " --dry-run" } else { "" };
        if self.is_event {
            return format!("picloud scripts run {} --app {}{dry} --event {}", id.name, id.app, quoted(&self.event));
        }
        let mut command = format!("picloud scripts run {} --app {}{dry} -X {}", id.name, id.app, self.method);
        command += &format!(" --path {}", quoted(&self.path));
        for line in self.headers.lines().filter(|line| !line.trim().is_empty()) {
            command += &format!(" -H {}", quoted(line.trim()));
        }
        if !self.body.is_empty() {
            command += &format!(" -d {}", quoted(&self.body));
        }
        command
    }
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

fn field(name: &'static str, label: &'static str, help: &'static str) -> Field {
    Field::line(name, label, help)
}

/// What the appliance says of a run.
#[derive(Clone, Debug, Deserialize)]
struct Ran {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
    execution: Run,
    #[serde(default)]
    effects: Vec<Effect>,
}

/// The run itself, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
struct Run {
    id: String,
    #[serde(default)]
    duration_us: u64,
    #[serde(default)]
    usage: Usage,
    #[serde(default)]
    error: Option<Problem>,
    #[serde(default)]
    logs: Vec<Logged>,
    #[serde(default)]
    logs_dropped: u64,
}

/// A line that it logged.
#[derive(Clone, Debug, Deserialize)]
struct Logged {
    level: String,
    message: String,
    #[serde(default)]
    fields: Value,
}

/// What came of a run, to look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Lines, each in parts with a meaning.
    pub(super) lines: Vec<Vec<(Ink, String)>>,
    /// Where it failed.
    pub(super) at: Option<ScriptPosition>,
    /// What it answered.
    pub(super) body: String,
    /// The run, where it is kept.
    pub(super) execution: Option<String>,
}

impl Outcome {
    /// Of an answer.
    pub(super) fn of(answer: &Value, is_dry: bool) -> Result<Self, serde_json::Error> {
        let ran: Ran = serde_json::from_value(answer.clone())?;
        let mut outcome = Self { execution: Some(ran.execution.id.clone()), ..Self::default() };
        outcome.tell_head(&ran);
        outcome.tell_error(&ran.execution);
        // What is short first: a body may be long.
        outcome.tell_effects(&ran.effects, is_dry);
        outcome.tell_logs(&ran.execution);
        outcome.tell_body(&ran);
        Ok(outcome)
    }

    /// Of a run that was refused.
    pub(super) fn refused(problem: &Problem) -> Self {
        let mut outcome = Self::default();
        outcome.say(Ink::Bad, format!("refused: {}", problem.detail));
        for error in &problem.errors {
            outcome.say(Ink::Bad, format!("  {}:{} {}", error.line, error.column, error.message));
        }
        if let Some(hint) = &problem.hint {
            outcome.say(Ink::Plain, format!("  {hint}"));
        }
        outcome
    }

    fn say(&mut self, ink: Ink, line: impl Into<String>) {
        self.lines.push(vec![(ink, line.into())]);
    }

    fn tell_head(&mut self, ran: &Ran) {
        let Run { duration_us, usage, .. } = &ran.execution;
        let ink = if ran.status < 400 { Ink::Good } else { Ink::Bad };
        let word = if ran.status < 400 { "ok" } else { "FAIL" };
        let size = text::bytes(ran.body.as_deref().map_or(0, str::len).try_into().unwrap_or(u64::MAX));
        let used = format!("  in {}  {size}  {} operations", text::duration(*duration_us), usage.operations);
        self.lines.push(vec![(ink, format!("{word} {}", ran.status)), (Ink::Plain, used)]);
    }

    fn tell_error(&mut self, run: &Run) {
        let Some(error) = &run.error else { return };
        self.at.clone_from(&error.at);
        let place =
            error.at.as_ref().map_or_else(String::new, |at| format!("{}:{}:{} ", at.script, at.line, at.column));
        self.say(Ink::Bad, format!("{place}{}", error.detail));
        if let Some(hint) = &error.hint {
            self.say(Ink::Plain, format!("  {hint}"));
        }
        if error.at.is_some() {
            self.say(Ink::Faint, "  Enter goes to that line");
        }
    }

    fn tell_body(&mut self, ran: &Ran) {
        for (name, value) in &ran.headers {
            self.say(Ink::Faint, format!("{name}: {value}"));
        }
        if let Some(encoded) = &ran.body_base64 {
            return self.say(Ink::Plain, format!("(bytes: {} characters of base64)", encoded.len()));
        }
        self.body = ran.body.clone().unwrap_or_default();
        let pretty =
            serde_json::from_str::<Value>(&self.body).ok().filter(|value| value.is_object() || value.is_array());
        let shown = pretty.map_or_else(|| self.body.clone(), |value| format!("{value:#}"));
        let count = shown.lines().count();
        for line in shown.lines().take(BODY_LINES_MAX) {
            self.say(Ink::Plain, line);
        }
        if count > BODY_LINES_MAX {
            self.say(Ink::Faint, format!("and {} lines more: y copies all", count - BODY_LINES_MAX));
        }
    }

    fn tell_logs(&mut self, run: &Run) {
        for line in &run.logs {
            let ink = match line.level.as_str() {
                "error" => Ink::Bad,
                "warn" => Ink::Warn,
                _ => Ink::Faint,
            };
            let fields = if line.fields.is_null() { String::new() } else { format!(" {}", line.fields) };
            let told = format!("{}{fields}", line.message);
            self.lines.push(vec![(ink, format!("{:<5} ", line.level.to_uppercase())), (Ink::Plain, told)]);
        }
        if run.logs_dropped > 0 {
            self.say(Ink::Warn, format!("{} more log lines were over the limit of a run", run.logs_dropped));
        }
    }

    fn tell_effects(&mut self, effects: &[Effect], is_dry: bool) {
        for effect in effects {
            self.say(Ink::Warn, format!("would {} {} {}", effect.what, effect.target, effect.value).trim_end());
        }
        if is_dry && effects.is_empty() {
            self.say(Ink::Faint, "it would have changed nothing");
        }
    }
}
