//! Runs a script that no request asked for: to try it, also before it is saved.

use super::executions;
use super::scripts::absent;
use crate::admin::body::{Json, ok};
use crate::admin::caller::{Caller, InApp, Named, State};
use crate::admin::refusal::Answer;
use crate::deploy::{check, single};
use axum::response::Response;
use base64::Engine;
use picloud_model::app::App;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunHttp, RunRequest};
use picloud_model::script::ScriptKind;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How much longer than the run itself the worker may take to answer.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Run {
    #[serde(default)]
    request: RequestLike,
    /// A source to run in place of the saved one.
    source: Option<String>,
    event: Option<serde_json::Value>,
}

/// The request that the script is to see.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RequestLike {
    method: String,
    path: String,
    headers: BTreeMap<String, OneOrMore>,
    /// Text, as it is; any other JSON value, as its text.
    body: Option<serde_json::Value>,
    body_base64: Option<String>,
}

impl Default for RequestLike {
    fn default() -> Self {
        Self { method: "GET".to_owned(), path: "/".to_owned(), headers: BTreeMap::new(), body: None, body_base64: None }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Runs it.
pub(in crate::admin) async fn run(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
    Caller(principal): Caller,
    Json(run): Json<Run>,
) -> Answer<Response> {
    if run.event.is_some() {
        return Err(Problem::new(Code::Invalid, "`event` cannot be run yet: triggers are not part of this version")
            .hint("send `request`")
            .into());
    }
    let limits = app.limits.resolve();
    let saved = state.store.script(app.id, &name).await?;
    check_name(&app, &name, saved.map(|(script, _live)| script.kind), run.source.is_some())?;
    if let Some(source) = &run.source {
        check::check_source(&name, ScriptKind::Endpoint, source, &limits)
            .map_err(|errors| single::invalid_draft(&check::file_of(ScriptKind::Endpoint, &name), errors))?;
    }
    let request = RunRequest {
        app: app.id,
        script: name,
        source: run.source,
        request: http_of(run.request)?,
        principal: Some(principal),
    };
    let result = state.supervisor.run(request, Duration::from_millis(limits.timeout_ms) + ANSWER_SLACK).await?;
    // A run that a person asked for is kept in any case; its worker leaves that to us.
    state.keep(vec![result.execution.clone()]);
    let mut answer = serde_json::json!({
        "status": result.status,
        "headers": result.headers,
        "execution": executions::shown(&result.execution),
    });
    match String::from_utf8(result.body) {
        Ok(text) => answer["body"] = text.into(),
        Err(bytes) => {
            answer["body_base64"] = base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes()).into();
        }
    }
    Ok(ok(&answer))
}

/// Refuses what is no endpoint; a draft need not be saved.
fn check_name(app: &App, name: &str, saved: Option<ScriptKind>, is_draft: bool) -> Result<(), Problem> {
    match saved {
        Some(ScriptKind::Endpoint) => Ok(()),
        Some(ScriptKind::Module) => {
            let problem = Problem::new(Code::Invalid, format!("`{name}` is a module; only endpoints are run"));
            Err(problem.hint("run a script that imports it"))
        }
        // It is not saved yet: it runs under the name it may get.
        None if is_draft => Ok(()),
        None => Err(absent(app, name)),
    }
}

fn http_of(request: RequestLike) -> Result<RunHttp, Problem> {
    let body = match (request.body, request.body_base64) {
        (None, None) => Vec::new(),
        (Some(serde_json::Value::String(text)), None) => text.into_bytes(),
        (Some(json), None) => json.to_string().into_bytes(),
        (None, Some(encoded)) => base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|error| Problem::new(Code::Malformed, format!("`request.body_base64` is no base64: {error}")))?,
        (Some(_), Some(_)) => {
            return Err(
                Problem::new(Code::Malformed, "`request` has both `body` and `body_base64`").hint("send one of them")
            );
        }
    };
    if !request.path.starts_with('/') {
        let detail = format!("`request.path` is `{}`, which does not begin with `/`", request.path);
        return Err(Problem::new(Code::Malformed, detail));
    }
    let mut headers = Vec::new();
    for (name, values) in request.headers {
        let values = match values {
            OneOrMore::One(value) => vec![value],
            OneOrMore::More(values) => values,
        };
        headers.extend(values.into_iter().map(|value| (name.to_lowercase(), value)));
    }
    Ok(RunHttp { method: request.method.to_uppercase(), path: request.path, headers, body })
}
