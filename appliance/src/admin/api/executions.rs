//! What is kept of runs.

use crate::admin::body::ok;
use crate::admin::caller::{Asked, InApp, Named, State};
use crate::admin::refusal::Answer;
use axum::response::Response;
use picloud_model::execution::{Execution, ExecutionQuery};
use picloud_model::problem::Problem;
use serde_json::{Value, json};

/// The app's runs, newest first.
pub(in crate::admin) async fn list(
    state: State,
    InApp(app): InApp,
    Asked(query): Asked<ExecutionQuery>,
) -> Answer<Response> {
    query.limit.map_or(Ok(()), crate::kv::check_page)?;
    // Whoever lists right after a run looks for that run.
    state.keep_now().await;
    Ok(ok(&state.store.executions(app.id, &query).await?.map(|execution| shown(&execution))))
}

/// One of them.
pub(in crate::admin) async fn get(
    state: State,
    InApp(app): InApp,
    Named((_app, id)): Named<(String, String)>,
) -> Answer<Response> {
    state.keep_now().await;
    let found = match id.parse() {
        Ok(id) => state.store.execution(app.id, id).await?,
        // What is no id names nothing.
        Err(_no_id) => None,
    };
    Ok(ok(&shown(&found.ok_or_else(|| Problem::not_found("execution", &id))?)))
}

/// An execution as people read it: the error and the fields of log lines as JSON, not as text that holds JSON.
pub(super) fn shown(execution: &Execution) -> Value {
    let mut shown = json!(execution);
    let Some(fields) = shown.as_object_mut() else { return shown };
    fields.remove("error_json");
    fields.insert("error".to_owned(), execution.error().map_or(Value::Null, |problem| json!(problem)));
    for (line, stored) in
        fields.get_mut("logs").and_then(Value::as_array_mut).into_iter().flatten().zip(&execution.logs)
    {
        line["fields"] = serde_json::from_str(&stored.fields).unwrap_or(Value::Null);
    }
    shown
}
