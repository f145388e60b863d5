//! Runs a script that no request asked for: to try it, also before it is saved.

use super::scripts::absent;
use super::{executions, made_up};
use crate::admin::access::{InApp, may};
use crate::admin::asked::Named;
use crate::admin::body::{Json, ok};
use crate::admin::openapi::{Deadline, Invalid, WorkerLost};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use crate::deploy::{check, single};
use crate::host::check_event_value;
use axum::response::Response;
use base64::Engine;
use picloud_model::app::App;
use picloud_model::effect::Effect;
use picloud_model::event::EventKind;
use picloud_model::limits::Limits;
use picloud_model::page::PageRequest;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunHttp, RunInput, RunRequest, RunResult};
use picloud_model::script::ScriptKind;
use picloud_model::trigger::TriggerSpec;
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
    request: Option<RequestLike>,
    /// A source to run in place of the saved one.
    source: Option<String>,
    /// The event that the script is to see, in place of a request: fields of `ctx.event`. What is absent is made up, and
    /// its kind is that of the first trigger that starts the script.
    #[schema(value_type = Option<Object>)]
    event: Option<serde_json::Value>,
    /// Change nothing: reads are answered, and what it would have done is told.
    #[serde(default)]
    dry_run: bool,
}

/// The answer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RunResult)]
pub(super) struct Ran {
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
    /// Of a dry run: what it would have done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    effects: Vec<Effect>,
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

/// Runs a script with a request or event that nobody sent, saved or as a draft, and answers with all that came of it.
#[utoipa::path(post, path = "/apps/{app}/scripts/{script}/run", responses((status = 200, body = Ran), Invalid, WorkerLost, Deadline))]
pub(in crate::admin) async fn run(
    asked: InApp<may::RunScripts>,
    Named((_app, name)): Named<(String, String)>,
    Json(run): Json<Run>,
) -> Answer<Response> {
    let limits = asked.app.limits.resolve();
    let saved = asked.store.script(asked.app.id, &name).await?;
    check_name(&asked.app, &name, saved.map(|(script, _live)| script.kind), run.source.is_some())?;
    if let Some(source) = &run.source {
        check::check_source(&name, ScriptKind::Endpoint, source, &limits)
            .map_err(|errors| single::invalid_draft(&check::file_of(ScriptKind::Endpoint, &name), errors))?;
    }
    let (cause, input) = match (run.request, run.event) {
        (Some(_), Some(_)) => {
            let problem = Problem::new(Code::Malformed, "there are both `request` and `event`");
            return Err(problem.hint("send one of them").into());
        }
        (request, None) => {
            let request = request.unwrap_or_default();
            let cause = format!("run {} {}", request.method, request.path.split('?').next().unwrap_or_default());
            (cause, RunInput::Request(http_of(request)?))
        }
        (None, Some(event)) => event_of(&asked, &asked.app, &name, event).await?,
    };
    let execution_id = picloud_model::ExecutionId::new();
    let request = RunRequest {
        app: asked.app.id,
        script: name,
        source: run.source,
        version: None,
        cause,
        input,
        principal: Some(asked.principal().clone()),
        execution_id,
        root_execution_id: execution_id,
        trigger_depth: 0,
        dry_run: run.dry_run,
    };
    Ok(ok(&run_by_hand(&asked, request, &limits).await?))
}

/// Runs what a person asked for, keeps the run, and tells all that came of it.
pub(super) async fn run_by_hand(state: &Appliance, request: RunRequest, limits: &Limits) -> Answer<Ran> {
    let is_request = matches!(request.input, RunInput::Request(_));
    let time = if is_request { limits.timeout_ms } else { limits.triggered_timeout_ms };
    // A draft may be tried anywhere, and a dry run does nothing to the world.
    let is_placed = request.source.is_none() && !request.dry_run;
    let app = state.registry.app(request.app).filter(|_app| is_placed);
    let script = app.as_ref().and_then(|app| app.script(&request.script));
    let placement = script.map(|script| script.placement.clone()).unwrap_or_default();
    let wait_max = Duration::from_millis(time) + ANSWER_SLACK;
    let (mut result, _node) = state.host.run_placed(&placement, request, wait_max).await?;
    // Also what the script did not read itself, but its caller sent.
    state.vault.redact(std::slice::from_mut(&mut result.execution)).await;
    // A run that a person asked for is kept in any case; its worker leaves that to us.
    state.keep(vec![result.execution.clone()]);
    Ok(ran(result, limits, is_request))
}

/// The event that a script is to see, whole, and what to call it. Its kind is what it says, or that of the first trigger
/// that starts the script.
async fn event_of(state: &Appliance, app: &App, script: &str, event: serde_json::Value) -> Answer<(String, RunInput)> {
    let given = made_up::object(Some(event))?;
    let triggers = triggers_of(state, app, script).await?;
    let said = given.get("kind").and_then(serde_json::Value::as_str);
    let (kind, trigger) = match said {
        Some(word) => {
            let kind = EventKind::parse(word).filter(|kind| *kind != EventKind::Request);
            let kind = kind.ok_or_else(|| no_kind(&format!("`{word}` is no kind of event")))?;
            (kind, triggers.iter().find(|trigger| made_up::event_kind(trigger.kind) == kind))
        }
        None => {
            let first = triggers.first();
            let first =
                first.ok_or_else(|| no_kind(&format!("no trigger starts `{script}`, and `event` has no kind")))?;
            (made_up::event_kind(first.kind), Some(first))
        }
    };
    let whole = made_up::whole(kind, trigger, &given, state.clock.now_ms());
    let named = whole.get("trigger").and_then(serde_json::Value::as_str).map(str::to_owned);
    let attempt = whole.get("attempt").and_then(serde_json::Value::as_u64).and_then(|attempt| attempt.try_into().ok());
    let json = serde_json::Value::Object(whole).to_string().into_bytes();
    check_event_value("the event", &json, &app.limits.resolve())?;
    Ok((
        format!("run {} event", kind.as_str()),
        RunInput::Event { json, trigger: named, attempt: attempt.unwrap_or(1) },
    ))
}

fn no_kind(detail: &str) -> Problem {
    Problem::new(Code::Invalid, detail)
        .hint("write one of them: {\"kind\": \"kv\"}, files, cron, pubsub, dead_letter, timer")
}

/// The triggers that start a script.
async fn triggers_of(state: &Appliance, app: &App, script: &str) -> Answer<Vec<TriggerSpec>> {
    let mut found = Vec::new();
    let mut page = PageRequest::default();
    loop {
        let triggers = state.store.triggers(app.id, &page).await?;
        found.extend(triggers.items.into_iter().map(|trigger| trigger.spec).filter(|spec| spec.script == script));
        match triggers.cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(found),
        }
    }
}

fn ran(result: RunResult, limits: &Limits, is_request: bool) -> Ran {
    let RunResult { status, headers, body, execution, effects, .. } = result;
    let (body, body_base64) = match String::from_utf8(body) {
        Ok(text) => (Some(text), None),
        Err(bytes) => (None, Some(base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes()))),
    };
    let usage = execution.usage;
    let used = [
        // A run that has begun has used some of its time.
        (if is_request { "timeout_ms" } else { "triggered_timeout_ms" }, execution.duration_us.div_ceil(1000)),
        ("max_operations", usage.operations),
        ("memory_bytes", usage.memory_bytes),
        ("kv_calls", usage.kv_calls),
        ("secret_calls", usage.secret_calls),
        ("publish_calls", usage.publish_calls),
        ("file_calls", usage.file_calls),
        ("http_calls", usage.http_calls),
    ];
    let of_limit = |(name, used): (&'static str, u64)| (name, Used { used, limit: limits.get(name).unwrap_or(0) });
    let limits = used.into_iter().map(of_limit).collect();
    Ran { status, headers, body, body_base64, execution: executions::shown(&execution), limits, effects }
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
