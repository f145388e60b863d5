//! Scripts and modules.

use crate::admin::body::{Json, done, json, ok};
use crate::admin::caller::{Asked, Caller, InApp, Named, Seen, State};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::App;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::Problem;
use picloud_model::script::{Script, ScriptInput, ScriptKind, ScriptVersion};
use serde::{Deserialize, Serialize};

/// What stands after `?` of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ListQuery {
    kind: Option<ScriptKind>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// What stands after `?` of a delete.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct DeleteQuery {
    #[serde(default)]
    force: bool,
}

/// A script with its live version and source.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    script: Script,
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    sdk_version: String,
    source: Option<String>,
}

/// The app's scripts and modules.
pub(in crate::admin) async fn list(
    state: State,
    InApp(app): InApp,
    Asked(query): Asked<ListQuery>,
) -> Answer<Response> {
    let page = PageRequest { limit: query.limit, cursor: query.cursor };
    super::check_page(&page)?;
    Ok(ok(&state.store.scripts(app.id, query.kind, &page).await?))
}

/// One of them, with its source.
pub(in crate::admin) async fn get(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    let (script, live) = find(&state, &app, &name).await?;
    let version = script.version;
    let ScriptVersion { author, message, sdk_version, source, .. } = live;
    Ok(json(StatusCode::OK, &Whole { script, author, message, sdk_version, source }, Some(version)))
}

/// Saves a version.
pub(in crate::admin) async fn put(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
    Caller(principal): Caller,
    seen: Seen,
    Json(input): Json<ScriptInput>,
) -> Answer<Response> {
    if seen.present {
        find(&state, &app, &name).await.map_err(|_absent| super::gone("script", &name))?;
    }
    let script = state.save_script(&app, &name, input, &principal.name, seen.expected()).await?;
    let status = if script.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &script, Some(script.version)))
}

/// Removes one with its versions.
pub(in crate::admin) async fn delete(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
    Asked(query): Asked<DeleteQuery>,
    seen: Seen,
) -> Answer<Response> {
    if state.delete_script(&app, &name, seen.expected(), query.force).await? {
        Ok(done())
    } else {
        Err(absent(&app, &name).into())
    }
}

/// The modules it imports.
pub(in crate::admin) async fn imports(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    let (script, _live) = find(&state, &app, &name).await?;
    Ok(ok(&Page { items: state.store.imports(script.id).await?, cursor: None }))
}

/// The scripts and modules that import it.
pub(in crate::admin) async fn importers(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    let (script, _live) = find(&state, &app, &name).await?;
    Ok(ok(&Page { items: state.store.importers(script.id).await?, cursor: None }))
}

/// Runs it again although it took its worker down.
pub(in crate::admin) async fn release(
    state: State,
    InApp(app): InApp,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    find(&state, &app, &name).await?;
    let released = state.release_script(&app, &name).await?;
    Ok(ok(&serde_json::json!({ "released": released })))
}

/// The script and its live version; 404 where there is none.
pub(super) async fn find(state: &Appliance, app: &App, name: &str) -> Answer<(Script, ScriptVersion)> {
    Ok(state.store.script(app.id, name).await?.ok_or_else(|| absent(app, name))?)
}

/// No script or module of that name.
pub(super) fn absent(app: &App, name: &str) -> Problem {
    Problem::not_found("script", format_args!("{name}` of app `{}", app.name))
}
