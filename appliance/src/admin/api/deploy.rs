//! A whole app, in and out.

use crate::admin::body::{self, DEPLOY_BODY_BYTES_MAX, json};
use crate::admin::caller::{Asked, Caller, InApp, Named, Seen, State};
use crate::admin::refusal::Answer;
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use picloud_model::bundle::Bundle;
use picloud_model::problem::{Code, Problem};
use serde::Deserialize;

/// What stands after `?`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Query {
    #[serde(default)]
    plan: bool,
}

/// Makes the app what the body says, or tells what that would change.
pub(in crate::admin) async fn deploy(
    state: State,
    Named(app): Named<String>,
    Asked(query): Asked<Query>,
    Caller(principal): Caller,
    seen: Seen,
    body: Body,
) -> Answer<Response> {
    let bytes = body::read(body, DEPLOY_BODY_BYTES_MAX).await?;
    let bundle: Bundle = body::parse(&bytes)?;
    drop(bytes);
    if bundle.name != app {
        let detail = format!("the URL names app `{app}`, the body app `{}`", bundle.name);
        return Err(Problem::new(Code::Invalid, detail).hint("deploy to the app that `name` in app.toml says").into());
    }
    let report = state.deploy(bundle, &principal.name, query.plan, seen.expected()).await?;
    if !report.plan && !report.changes.is_empty() {
        let (revision, changes) = (report.revision, report.changes.len());
        tracing::info!(%app, revision, changes, by = %principal.name, "an app was deployed");
    }
    Ok(json(StatusCode::OK, &report, Some(report.revision)))
}

/// The app as a bundle.
pub(in crate::admin) async fn export(state: State, InApp(app): InApp) -> Answer<Response> {
    let bundle = state.export(app.id, &app.name).await?;
    Ok(json(StatusCode::OK, &bundle, Some(app.revision)))
}
