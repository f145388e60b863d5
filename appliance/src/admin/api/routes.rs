//! `/apps/{app}/routes`: routes are listed, shown, added and removed, each checked for ambiguity.

use crate::admin::body::{Json, done, json, ok};
use crate::admin::caller::{Asked, InApp, Named, Seen, State};
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use picloud_model::ids::RouteId;
use picloud_model::page::PageRequest;
use picloud_model::problem::Problem;
use picloud_model::route::RouteSpec;

/// The app's routes.
pub(in crate::admin) async fn list(
    state: State,
    InApp(app): InApp,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    super::check_page(&page)?;
    Ok(ok(&state.store.routes(app.id, &page).await?))
}

/// Adds one.
pub(in crate::admin) async fn create(
    state: State,
    InApp(app): InApp,
    seen: Seen,
    Json(route): Json<RouteSpec>,
) -> Answer<Response> {
    let route = state.create_route(&app, route, seen.version).await?;
    Ok(json(StatusCode::CREATED, &route, None))
}

/// One of them.
pub(in crate::admin) async fn get(
    state: State,
    InApp(app): InApp,
    Named((_app, id)): Named<(String, i64)>,
) -> Answer<Response> {
    let route = state.store.route(app.id, RouteId(id)).await?;
    Ok(ok(&route.ok_or_else(|| Problem::not_found("route", id))?))
}

/// Removes one.
pub(in crate::admin) async fn delete(
    state: State,
    InApp(app): InApp,
    Named((_app, id)): Named<(String, i64)>,
) -> Answer<Response> {
    if state.delete_route(&app, RouteId(id)).await? { Ok(done()) } else { Err(Problem::not_found("route", id).into()) }
}
