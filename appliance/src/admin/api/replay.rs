//! `/apps/{app}/executions/{execution}/replay`: the same event or request again, for real or to see what it would do.

use super::executions::find;
use super::run::{Ran, run_by_hand};
use super::scripts::absent;
use crate::admin::access::{InApp, may};
use crate::admin::asked::Named;
use crate::admin::body::{JsonOrNothing, ok};
use crate::admin::openapi::{Conflict, Deadline, Invalid, WorkerLost};
use crate::admin::refusal::Answer;
use axum::response::Response;
use base64::Engine;
use picloud_model::ExecutionId;
use picloud_model::execution::{Execution, INPUT_BYTES_MAX, KeptInput};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunHttp, RunInput, RunRequest};
use picloud_model::script::ScriptKind;
use serde::Deserialize;

/// How it is run again.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::admin) struct ReplayInput {
    /// The version of the script to run; the live one where absent.
    #[schema(minimum = 1)]
    version: Option<i64>,
    /// Change nothing: reads are answered, and what it would have done is told.
    dry_run: bool,
}

/// Runs a script again with what an earlier run saw, and answers with all that came of it.
#[utoipa::path(post, path = "/apps/{app}/executions/{execution}/replay", responses((status = 200, body = Ran), Conflict, Invalid, WorkerLost, Deadline))]
pub(in crate::admin) async fn replay(
    asked: InApp<may::RunScripts>,
    Named((_app, id)): Named<(String, String)>,
    JsonOrNothing(input): JsonOrNothing<ReplayInput>,
) -> Answer<Response> {
    let earlier = find(&asked, asked.app.id, &id).await?;
    let seen = seen_by(&earlier)?;
    check_target(&asked, &earlier.script, input.version).await?;
    let execution_id = ExecutionId::new();
    let what = if input.dry_run { "dry run" } else { "replay" };
    let request = RunRequest {
        app: asked.app.id,
        script: earlier.script.clone(),
        source: None,
        version: input.version,
        input: seen,
        principal: Some(asked.principal().clone()),
        execution_id,
        root_execution_id: execution_id,
        trigger_depth: 0,
        cause: format!("{what} of {}", earlier.id),
        dry_run: input.dry_run,
    };
    if !input.dry_run {
        // Before it runs: what it does is done even where its answer never comes.
        let after = serde_json::json!({ "execution_id": execution_id, "version": input.version });
        let target = format!("{} of {}", earlier.script, earlier.id);
        asked.store.audit_done(&asked.act(), Some(&asked.app.name), "execution.replay", &target, after).await?;
    }
    Ok(ok(&run_by_hand(&asked, request, &asked.app.limits.resolve()).await?))
}

/// What the run saw, for another run to see.
fn seen_by(earlier: &Execution) -> Result<RunInput, Problem> {
    if earlier.input_json.is_empty() {
        let detail = format!("what run {} saw was not kept", earlier.id);
        return Err(Problem::new(Code::Conflict, detail).hint(format!(
            "requests and events are kept up to {} KiB; use `picloud scripts run` with one of your own",
            INPUT_BYTES_MAX / 1024
        )));
    }
    let corrupted = |what: &str| Problem::new(Code::Corrupted, format!("what run {} saw is {what}", earlier.id));
    match serde_json::from_str(&earlier.input_json).map_err(|_not_ours| corrupted("not what was kept"))? {
        KeptInput::Request { method, path, headers, body } => {
            let body = base64::engine::general_purpose::STANDARD.decode(body);
            let body = body.map_err(|_no_base64| corrupted("no base64"))?;
            Ok(RunInput::Request(RunHttp { method, path, headers, body }))
        }
        KeptInput::Event(event) => Ok(RunInput::Event {
            json: event.to_string().into_bytes(),
            trigger: Some(earlier.trigger.clone()).filter(|trigger| !trigger.is_empty()),
            attempt: earlier.attempt,
        }),
    }
}

/// Refuses a script or version that is not there to be run.
async fn check_target(asked: &InApp<may::RunScripts>, name: &str, version: Option<i64>) -> Answer<()> {
    let (script, _live) = asked.store.script(asked.app.id, name).await?.ok_or_else(|| absent(&asked.app, name))?;
    let kind = match version {
        None => script.kind,
        Some(version) => match asked.store.version(script.id, version).await? {
            Some(version) => version.kind,
            None => return Err(Problem::not_found("version", format_args!("{version}` of script `{name}")).into()),
        },
    };
    if kind != ScriptKind::Endpoint {
        return Err(Problem::new(Code::Conflict, format!("`{name}` is a module, and modules are not run")).into());
    }
    Ok(())
}
