//! Runs a script that no request asked for: to try it, also before it is saved.

use super::executions;
use super::scripts::absent;
use crate::admin::access::{InApp, may};
use crate::admin::asked::Named;
use crate::admin::body::{Json, ok};
use crate::admin::openapi::{Deadline, Invalid, WorkerLost};
use crate::admin::refusal::Answer;
use crate::deploy::{check, single};
use axum::response::Response;
use base64::Engine;
use picloud_model::app::App;
use picloud_model::execution::Usage;
use picloud_model::limits::Limits;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunHttp, RunRequest, RunResult};
use picloud_model::script::ScriptKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How much longer than the run itself the worker may take to answer.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

/// The body.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = RunInput)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Run {
    /// The request that the script is to see; `GET /` where absent.
    #[serde(default)]
    request: RequestLike,
    /// A source to run in place of the saved one.
    source: Option<String>,
    /// The event that the script is to see: not yet.
    event: Option<serde_json::Value>,
}

/// The answer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RunResult)]
struct Ran {
    /// What a client would have been answered with.
    status: u16,
    /// Each header, name and value.
    headers: Vec<(String, String)>,
    /// The body, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body, where it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// The run: its logs, and the error with its line.
    execution: executions::ShownExecution,
    /// By the names of the limits table: how much it used of each.
    limits: BTreeMap<&'static str, Used>,
}

/// How much a run used of a limit.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LimitUse)]
struct Used {
    /// So much.
    used: u64,
    /// Of so much.
    limit: u64,
}

/// The request that the script is to see.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RunRequest)]
#[serde(deny_unknown_fields, default)]
struct RequestLike {
    /// `GET` where absent.
    method: String,
    /// With the query; `/` where absent.
    #[schema(pattern = "^/")]
    path: String,
    /// Name → value, or values.
    headers: BTreeMap<String, OneOrMore>,
    /// Text, as it is; any other JSON value, as its text.
    body: Option<serde_json::Value>,
    /// Bytes, in place of `body`.
    body_base64: Option<String>,
}

impl Default for RequestLike {
    fn default() -> Self {
        Self { method: "GET".to_owned(), path: "/".to_owned(), headers: BTreeMap::new(), body: None, body_base64: None }
    }
}

/// One value, or several.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = HeaderValues)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Runs a script with a request that nobody sent, saved or as a draft, and answers with all that came of it.
#[utoipa::path(post, path = "/apps/{app}/scripts/{script}/run", responses((status = 200, body = Ran), Invalid, WorkerLost, Deadline))]
pub(in crate::admin) async fn run(
    asked: InApp<may::RunScripts>,
    Named((_app, name)): Named<(String, String)>,
    Json(run): Json<Run>,
) -> Answer<Response> {
    if run.event.is_some() {
        return Err(Problem::new(Code::Invalid, "`event` cannot be run yet: triggers are not part of this version")
            .hint("send `request`")
            .into());
    }
    let limits = asked.app.limits.resolve();
    let saved = asked.store.script(asked.app.id, &name).await?;
    check_name(&asked.app, &name, saved.map(|(script, _live)| script.kind), run.source.is_some())?;
    if let Some(source) = &run.source {
        check::check_source(&name, ScriptKind::Endpoint, source, &limits)
            .map_err(|errors| single::invalid_draft(&check::file_of(ScriptKind::Endpoint, &name), errors))?;
    }
    let request = RunRequest {
        app: asked.app.id,
        script: name,
        source: run.source,
        request: http_of(run.request)?,
        principal: Some(asked.principal().clone()),
    };
    let mut result = asked.supervisor.run(request, Duration::from_millis(limits.timeout_ms) + ANSWER_SLACK).await?;
    // Also what the script did not read itself, but its caller sent.
    asked.vault.redact(std::slice::from_mut(&mut result.execution)).await;
    // A run that a person asked for is kept in any case; its worker leaves that to us.
    asked.keep(vec![result.execution.clone()]);
    Ok(ok(&ran(result, &limits)))
}

fn ran(result: RunResult, limits: &Limits) -> Ran {
    let RunResult { status, headers, body, execution } = result;
    let (body, body_base64) = match String::from_utf8(body) {
        Ok(text) => (Some(text), None),
        Err(bytes) => (None, Some(base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes()))),
    };
    let Usage { operations, memory_bytes, kv_calls, secret_calls } = execution.usage;
    let used = [
        // A run that has begun has used some of its time.
        ("timeout_ms", execution.duration_us.div_ceil(1000)),
        ("max_operations", operations),
        ("memory_bytes", memory_bytes),
        ("kv_calls", kv_calls),
        ("secret_calls", secret_calls),
    ];
    let of_limit = |(name, used): (&'static str, u64)| (name, Used { used, limit: limits.get(name).unwrap_or(0) });
    let limits = used.into_iter().map(of_limit).collect();
    Ran { status, headers, body, body_base64, execution: executions::shown(&execution), limits }
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
