//! Versions of a script: looked at, and gone back to.

use super::scripts::find;
use crate::admin::body::{Json, json, ok};
use crate::admin::caller::{Asked, Caller, InApp, Named, Seen, State};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use axum::response::Response;
use http::StatusCode;
use picloud_model::ids::ScriptId;
use picloud_model::page::PageRequest;
use picloud_model::problem::{Code, Problem};
use picloud_model::script::{ScriptInput, ScriptVersion};
use serde::Deserialize;

/// The body of a rollback.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Rollback {
    version: i64,
    message: Option<String>,
}

/// All of a script's versions, newest first.
pub(in crate::admin) async fn list(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    super::check_page(&page)?;
    let (script, _live) = find(&state, &app, &name).await?;
    Ok(ok(&state.store.versions(script.id, &page).await?))
}

/// One of them, with its source.
pub(in crate::admin) async fn get(
    state: State,
    InApp(app): InApp,
    Named((_app, name, version)): Named<(String, String, i64)>,
) -> Answer<Response> {
    let (script, _live) = find(&state, &app, &name).await?;
    Ok(ok(&find_version(&state, script.id, &name, version).await?))
}

/// Saves an earlier version again, as a new one: versions are never changed or removed.
pub(in crate::admin) async fn rollback(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
    Caller(principal): Caller,
    seen: Seen,
    Json(rollback): Json<Rollback>,
) -> Answer<Response> {
    let (script, _live) = find(&state, &app, &name).await?;
    let earlier = find_version(&state, script.id, &name, rollback.version).await?;
    let source = earlier.source.ok_or_else(|| {
        Problem::new(
            Code::Corrupted,
            format!("the source of `{name}` version {} is not stored any more", rollback.version),
        )
    })?;
    let message = rollback.message.unwrap_or_else(|| format!("back to version {}", rollback.version));
    let input = ScriptInput { kind: earlier.kind, source, message: Some(message) };
    // What was live when this was worked out must still be live when it is saved.
    let expected = seen.expected().or(Some(script.version));
    let script = state.save_script(&app, &name, input, &principal.name, expected).await?;
    Ok(json(StatusCode::OK, &script, Some(script.version)))
}

async fn find_version(state: &Appliance, script: ScriptId, name: &str, version: i64) -> Answer<ScriptVersion> {
    let found = state.store.version(script, version).await?;
    Ok(found.ok_or_else(|| Problem::not_found("version", format_args!("{version}` of script `{name}")))?)
}
