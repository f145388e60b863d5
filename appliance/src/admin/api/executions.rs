//! What is kept of runs.

use crate::admin::access::{InApp, MaySome, may};
use crate::admin::asked::{Asked, Named};
use crate::admin::body::ok;
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use axum::response::Response;
use picloud_model::clock::rfc3339;
use picloud_model::execution::{Execution, ExecutionQuery, LogLevel, LogLine, Outcome, Usage};
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::page::Page;
use picloud_model::problem::Problem;
use picloud_model::scope::Capability;
use serde::Serialize;
use serde_json::Value;

/// The app's runs, newest first.
#[utoipa::path(get, path = "/apps/{app}/executions", responses((status = 200, body = Page<ShownExecution>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadExecutions>,
    Asked(query): Asked<ExecutionQuery>,
) -> Answer<Response> {
    query.limit.map_or(Ok(()), crate::kv::check_page)?;
    Ok(ok(&asked.history.page(asked.app.id, &query).await?.map(|execution| shown(&execution))))
}

/// The runs of all apps that may be read, newest first; those of apps that were deleted are among them where all may be.
#[utoipa::path(get, path = "/executions", responses((status = 200, body = Page<ShownExecution>)))]
pub(in crate::admin) async fn list_all(
    asked: MaySome<may::ReadExecutions>,
    Asked(query): Asked<ExecutionQuery>,
) -> Answer<Response> {
    query.limit.map_or(Ok(()), crate::kv::check_page)?;
    let all = asked.may(Capability::ReadExecutions, None);
    let seen: Option<Vec<AppId>> = (!all).then(|| {
        let apps = asked.registry.all();
        apps.iter().filter(|app| asked.sees(&app.name)).map(|app| app.id).collect()
    });
    Ok(ok(&asked.history.page_of_apps(seen.as_deref(), &query).await?.map(|execution| shown(&execution))))
}

/// One run.
#[utoipa::path(get, path = "/apps/{app}/executions/{execution}", responses((status = 200, body = ShownExecution)))]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadExecutions>,
    Named((_app, id)): Named<(String, String)>,
) -> Answer<Response> {
    let found = find(&asked, asked.app.id, &id).await?;
    let input = serde_json::from_str(&found.input_json).ok();
    Ok(ok(&ShownExecution { input, ..shown(&found) }))
}

/// The run with this id; 404 where there is none.
pub(super) async fn find(state: &Appliance, app: AppId, id: &str) -> Answer<Execution> {
    let found = match id.parse() {
        Ok(id) => state.history.get(app, id).await?,
        // What is no id names nothing.
        Err(_no_id) => None,
    };
    Ok(found.ok_or_else(|| Problem::not_found("execution", id))?)
}

/// An execution as people read it: the error and the fields of log lines as JSON, not as text that holds JSON.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Execution)]
pub(super) struct ShownExecution {
    /// Its id.
    id: ExecutionId,
    /// The run that everything began with; its own id for a request.
    root_id: ExecutionId,
    /// The app.
    app_id: AppId,
    /// The app's name at that time.
    app: String,
    /// The script.
    script: String,
    /// The script's version.
    version: i64,
    /// The machine.
    node: String,
    /// What started it: `GET /hello`, `run`, …
    cause: String,
    /// How it ended.
    outcome: Outcome,
    /// The status it was answered with; 0 where nothing was answered.
    status: u16,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long it took, in microseconds.
    duration_us: u64,
    /// What it used of its limits.
    usage: Usage,
    /// Why it failed.
    error: Option<Problem>,
    /// What it logged.
    logs: Vec<ShownLine>,
    /// Log lines that were over `log_run_bytes` and are not in `logs`.
    logs_dropped: u64,
    /// How many runs it was away from the one that everything began with.
    trigger_depth: u32,
    /// The trigger that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<String>,
    /// Counting from 1 for an event; absent for a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// Of a triggered run that went well: its value, where it is not too large to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// Whether what it saw was kept, so that it can be run again.
    replayable: bool,
    /// What it saw: `request` (its body in base64) or `event`. Only where this run alone is asked for, and it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
}

/// One line a script wrote.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LogLine)]
struct ShownLine {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// How much it matters.
    level: LogLevel,
    /// The sentence.
    message: String,
    /// Its fields; `null` for none.
    fields: Value,
}

/// The execution as it is answered.
pub(super) fn shown(execution: &Execution) -> ShownExecution {
    let line = |line: &LogLine| ShownLine {
        at: rfc3339(line.at),
        level: line.level,
        message: line.message.clone(),
        fields: serde_json::from_str(&line.fields).unwrap_or(Value::Null),
    };
    ShownExecution {
        id: execution.id,
        root_id: execution.root_id,
        app_id: execution.app_id,
        app: execution.app.clone(),
        script: execution.script.clone(),
        version: execution.version,
        node: execution.node.clone(),
        cause: execution.cause.clone(),
        outcome: execution.outcome,
        status: execution.status,
        started_at: rfc3339(execution.started_at),
        duration_us: execution.duration_us,
        usage: execution.usage,
        error: execution.error(),
        logs: execution.logs.iter().map(line).collect(),
        logs_dropped: execution.logs_dropped,
        trigger_depth: execution.trigger_depth,
        trigger: Some(execution.trigger.clone()).filter(|trigger| !trigger.is_empty()),
        attempt: Some(execution.attempt).filter(|attempt| *attempt > 0),
        result: serde_json::from_str(&execution.result_json).ok(),
        replayable: !execution.input_json.is_empty(),
        input: None,
    }
}
