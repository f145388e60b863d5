//! A whole app, in and out.

use crate::admin::access::{ForApp, InApp, may};
use crate::admin::asked::{Asked, Seen};
use crate::admin::body::{self, DEPLOY_BODY_BYTES_MAX, json};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use picloud_model::bundle::{Bundle, DeployReport};
use picloud_model::problem::{Code, Problem};
use serde::Deserialize;

/// What stands after `?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Query {
    /// Only tell what would change.
    #[serde(default)]
    plan: bool,
}

/// Makes the app what the body says, or tells what that would change.
#[utoipa::path(post, path = "/apps/{app}/deploy", request_body = Bundle, responses((status = 200, body = DeployReport, headers(("ETag"))), Conflict, Invalid))]
pub(in crate::admin) async fn deploy(
    asked: ForApp<may::Deploy>,
    Asked(query): Asked<Query>,
    seen: Seen,
    body: Body,
) -> Answer<Response> {
    let app = &asked.name;
    let bytes = body::read(body, DEPLOY_BODY_BYTES_MAX).await?;
    let bundle: Bundle = body::parse_object(&bytes)?;
    drop(bytes);
    if bundle.name != *app {
        let detail = format!("the URL names app `{app}`, the body app `{}`", bundle.name);
        return Err(Problem::new(Code::Invalid, detail).hint("deploy to the app that `name` in app.toml says").into());
    }
    let now = asked.store.app(app).await?.map(|app| app.revision);
    let expected = seen.expected_at(now)?;
    let report = asked.deploy(bundle, query.plan, expected, &asked.act()).await?;
    if !report.plan && !report.changes.is_empty() {
        let (revision, changes) = (report.revision, report.changes.len());
        tracing::info!(%app, revision, changes, by = %asked.principal().name, "an app was deployed");
    }
    Ok(json(StatusCode::OK, &report, Some(report.revision)))
}

/// The app as a bundle.
#[utoipa::path(get, path = "/apps/{app}/export", responses((status = 200, body = Bundle, headers(("ETag")))))]
pub(in crate::admin) async fn export(asked: InApp<may::ReadScripts>) -> Answer<Response> {
    let bundle = asked.export(asked.app.id, &asked.app.name).await?;
    Ok(json(StatusCode::OK, &bundle, Some(asked.app.revision)))
}
