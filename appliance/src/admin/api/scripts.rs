//! Scripts and modules.

use super::paging::page_of;
use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::App;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::Problem;
use picloud_model::script::{CheckedScript, SavedScript, Script, ScriptInput, ScriptKind, ScriptVersion};
use serde::{Deserialize, Serialize};

/// What stands after `?` of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ListQuery {
    /// Only endpoints or only modules.
    #[param(inline)]
    kind: Option<ScriptKind>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the last page ended.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// What stands after `?` of a delete.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct DeleteQuery {
    /// Although routes lead to it, which then go too, or others import it, which then break.
    #[serde(default)]
    force: bool,
}

/// A script with its live version and source.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ScriptWithSource)]
struct Whole {
    #[serde(flatten)]
    script: Script,
    /// Who saved the live version.
    author: String,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The SDK it was saved under.
    sdk_version: String,
    /// The source of the live version.
    source: Option<String>,
}

/// The answer to lifting a quarantine.
#[derive(Serialize, utoipa::ToSchema)]
struct Released {
    /// Whether there was one.
    released: bool,
}

/// The app's scripts and modules.
#[utoipa::path(get, path = "/apps/{app}/scripts", responses((status = 200, body = Page<Script>)))]
pub(in crate::admin) async fn list(asked: InApp<may::ReadScripts>, Asked(query): Asked<ListQuery>) -> Answer<Response> {
    let page = PageRequest { limit: query.limit, cursor: query.cursor };
    super::check_page(&page)?;
    Ok(ok(&asked.store.scripts(asked.app.id, query.kind, &page).await?))
}

/// One script or module, with its source.
#[utoipa::path(get, path = "/apps/{app}/scripts/{script}", responses((status = 200, body = Whole, headers(("ETag")))))]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadScripts>,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    let (script, live) = find(&asked, &asked.app, &name).await?;
    let version = script.version;
    let ScriptVersion { author, message, sdk_version, source, .. } = live;
    Ok(json(StatusCode::OK, &Whole { script, author, message, sdk_version, source }, Some(version)))
}

/// Saves a version of a script or module; all that is wrong with it is told at once.
#[utoipa::path(
    put,
    path = "/apps/{app}/scripts/{script}",
    responses(
        (status = 200, body = SavedScript, headers(("ETag"))),
        (status = 201, body = SavedScript, headers(("ETag"))),
        Conflict,
        Invalid,
    ),
)]
pub(in crate::admin) async fn put(
    asked: InApp<may::WriteScripts>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
    Json(input): Json<ScriptInput>,
) -> Answer<Response> {
    let now = asked.store.script(asked.app.id, &name).await?.map(|(script, _live)| script.version);
    let expected = seen.expected_at(now)?;
    let saved = asked.save_script(&asked.app, &name, input, expected, &asked.act()).await?;
    let version = saved.script.version;
    let status = if version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &saved, Some(version)))
}

/// Says all that is wrong with a source, as a save would, and saves nothing: for editors, while somebody types.
#[utoipa::path(
    post,
    path = "/apps/{app}/scripts/{script}/check",
    responses((status = 200, body = CheckedScript), Conflict, Invalid),
)]
pub(in crate::admin) async fn check(
    asked: InApp<may::WriteScripts>,
    Named((_app, name)): Named<(String, String)>,
    Json(input): Json<ScriptInput>,
) -> Answer<Response> {
    Ok(ok(&asked.check_script(&asked.app, &name, input).await?))
}

/// Removes a script or module with its versions.
#[utoipa::path(delete, path = "/apps/{app}/scripts/{script}", responses((status = 204), Conflict))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteScripts>,
    Named((_app, name)): Named<(String, String)>,
    Asked(query): Asked<DeleteQuery>,
    seen: Seen,
) -> Answer<Response> {
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    let expected = seen.expected_at(Some(script.version))?;
    if asked.delete_script(&asked.app, &name, expected, query.force, &asked.act()).await? {
        Ok(done())
    } else {
        Err(absent(&asked.app, &name).into())
    }
}

/// The modules that a script or module imports.
#[utoipa::path(get, path = "/apps/{app}/scripts/{script}/imports", responses((status = 200, body = Page<String>)))]
pub(in crate::admin) async fn imports(
    asked: InApp<may::ReadScripts>,
    Named((_app, name)): Named<(String, String)>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    let imports = asked.store.imports(script.id).await?;
    Ok(ok(&page_of(imports, &page, &asked.app.limits.resolve(), |name| name)?))
}

/// The scripts and modules that import it.
#[utoipa::path(get, path = "/apps/{app}/scripts/{script}/importers", responses((status = 200, body = Page<Script>)))]
pub(in crate::admin) async fn importers(
    asked: InApp<may::ReadScripts>,
    Named((_app, name)): Named<(String, String)>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    let importers = asked.store.importers(script.id).await?;
    Ok(ok(&page_of(importers, &page, &asked.app.limits.resolve(), |script| &script.name)?))
}

/// Runs a quarantined script again, although it took its worker down.
#[utoipa::path(post, path = "/apps/{app}/scripts/{script}/release", responses((status = 200, body = Released)))]
pub(in crate::admin) async fn release(
    asked: InApp<may::WriteScripts>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
) -> Answer<Response> {
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    seen.expected_at(Some(script.version))?;
    let released = asked.release_script(&asked.app, &name, &asked.act()).await?;
    Ok(ok(&Released { released }))
}

/// The script and its live version; 404 where there is none.
pub(super) async fn find(state: &Appliance, app: &App, name: &str) -> Answer<(Script, ScriptVersion)> {
    Ok(state.store.script(app.id, name).await?.ok_or_else(|| absent(app, name))?)
}

/// No script or module of that name.
pub(super) fn absent(app: &App, name: &str) -> Problem {
    Problem::not_found("script", format_args!("{name}` of app `{}", app.name))
}
