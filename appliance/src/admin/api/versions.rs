//! Versions of a script: looked at, and gone back to.

use super::scripts::find;
use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use picloud_model::page::{Page, PageRequest};
use picloud_model::script::{RollbackInput, ScriptVersion};
use picloud_model::version::{RollbackReport, VersionDiff, VersionWithContext};
use serde::Deserialize;

/// What stands after `?` of a difference.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct DiffQuery {
    /// The version to compare with; the live one where absent.
    #[param(minimum = 1)]
    to: Option<i64>,
}

/// All of a script's versions, newest first.
#[utoipa::path(get, path = "/apps/{app}/scripts/{script}/versions", responses((status = 200, body = Page<ScriptVersion>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadScripts>,
    Named((_app, name)): Named<(String, String)>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    super::check_page(&page)?;
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    Ok(ok(&asked.store.versions(script.id, &page).await?))
}

/// One version of a script, with its source and what it was live with.
#[utoipa::path(
    get,
    path = "/apps/{app}/scripts/{script}/versions/{version}",
    responses((status = 200, body = VersionWithContext)),
)]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadScripts>,
    Named((_app, name, version)): Named<(String, String, i64)>,
) -> Answer<Response> {
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    let (version, context) = asked.recorded(&script, version).await?;
    Ok(ok(&VersionWithContext { version, context }))
}

/// What differs between a version and another, the live one where none is named.
#[utoipa::path(
    get,
    path = "/apps/{app}/scripts/{script}/versions/{version}/diff",
    responses((status = 200, body = VersionDiff)),
)]
pub(in crate::admin) async fn diff(
    asked: InApp<may::ReadScripts>,
    Named((_app, name, version)): Named<(String, String, i64)>,
    Asked(query): Asked<DiffQuery>,
) -> Answer<Response> {
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    let to = query.to.unwrap_or(script.version);
    Ok(ok(&asked.version_diff(&script, version, to).await?))
}

/// Makes an earlier version live again, with what it was live with; or tells what that would change.
#[utoipa::path(
    post,
    path = "/apps/{app}/scripts/{script}/rollback",
    responses((status = 200, body = RollbackReport, headers(("ETag"))), Conflict, Invalid),
)]
pub(in crate::admin) async fn rollback(
    asked: InApp<may::WriteScripts>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
    Json(rollback): Json<RollbackInput>,
) -> Answer<Response> {
    let (script, _live) = find(&asked, &asked.app, &name).await?;
    let expected = seen.expected_at(Some(script.version))?;
    let report = asked.rollback(&asked.app, &name, rollback, expected, &asked.act()).await?;
    Ok(json(StatusCode::OK, &report, Some(report.script.version)))
}
