//! `/apps` and `/apps/{app}`: apps are listed, made, shown, changed and removed.

use crate::admin::body::{Json, done, json, ok};
use crate::admin::caller::{Asked, InApp, Seen, State};
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::{AppPatch, NewApp};
use picloud_model::page::PageRequest;
use picloud_model::problem::Problem;

/// All apps.
pub(in crate::admin) async fn list(state: State, Asked(page): Asked<PageRequest>) -> Answer<Response> {
    super::check_page(&page)?;
    Ok(ok(&state.store.apps(&page).await?))
}

/// Makes one.
pub(in crate::admin) async fn create(state: State, Json(new): Json<NewApp>) -> Answer<Response> {
    let app = state.create_app(new).await?;
    Ok(json(StatusCode::CREATED, &app, Some(app.revision)))
}

/// One of them.
pub(in crate::admin) async fn get(InApp(app): InApp) -> Response {
    json(StatusCode::OK, &app, Some(app.revision))
}

/// Changes hosts, env or limits.
pub(in crate::admin) async fn patch(
    state: State,
    InApp(app): InApp,
    seen: Seen,
    Json(patch): Json<AppPatch>,
) -> Answer<Response> {
    let app = state.patch_app(&app, patch, seen.expected()).await?;
    Ok(json(StatusCode::OK, &app, Some(app.revision)))
}

/// Removes one with everything in it.
pub(in crate::admin) async fn delete(state: State, InApp(app): InApp, seen: Seen) -> Answer<Response> {
    if state.delete_app(&app, seen.expected()).await? {
        Ok(done())
    } else {
        Err(Problem::not_found("app", &app.name).into())
    }
}
