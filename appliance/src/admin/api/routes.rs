//! `/apps/{app}/routes`: routes are listed, shown, added and removed, each checked for ambiguity.

use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use picloud_model::ids::RouteId;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::Problem;
use picloud_model::route::{Route, RouteSpec, ServedRoute};
use std::collections::HashMap;

/// The version of every route: one that is to change is removed and added.
const ROUTE_VERSION: i64 = 1;

/// The app's routes.
#[utoipa::path(get, path = "/apps/{app}/routes", responses((status = 200, body = Page<ServedRoute>)))]
pub(in crate::admin) async fn list(asked: InApp<may::ReadRoutes>, Asked(page): Asked<PageRequest>) -> Answer<Response> {
    super::check_page(&page)?;
    let routes = asked.store.routes(asked.app.id, &page).await?;
    let mut served_by = HashMap::new();
    let routes = routes.map(|route| {
        let script = route.spec.script.clone();
        let served_by = served_by.entry(script).or_insert_with_key(|script| asked.served_by(asked.app.id, script));
        ServedRoute { served_by: served_by.clone(), route }
    });
    Ok(ok(&routes))
}

/// Adds a route.
#[utoipa::path(
    post,
    path = "/apps/{app}/routes",
    responses((status = 201, body = Route, headers(("ETag"))), Conflict, Invalid),
)]
pub(in crate::admin) async fn create(
    asked: InApp<may::WriteRoutes>,
    seen: Seen,
    Json(route): Json<RouteSpec>,
) -> Answer<Response> {
    let expected = seen.expected_at(Some(asked.app.revision))?;
    let route = asked.create_route(&asked.app, route, expected, &asked.act()).await?;
    Ok(json(StatusCode::CREATED, &route, Some(ROUTE_VERSION)))
}

/// One route.
#[utoipa::path(get, path = "/apps/{app}/routes/{id}", responses((status = 200, body = ServedRoute, headers(("ETag")))))]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadRoutes>,
    Named((_app, id)): Named<(String, i64)>,
) -> Answer<Response> {
    let route = asked.store.route(asked.app.id, RouteId(id)).await?;
    let route = route.ok_or_else(|| Problem::not_found("route", id))?;
    let served_by = asked.served_by(asked.app.id, &route.spec.script);
    Ok(json(StatusCode::OK, &ServedRoute { route, served_by }, Some(ROUTE_VERSION)))
}

/// Removes a route.
#[utoipa::path(delete, path = "/apps/{app}/routes/{id}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteRoutes>,
    Named((_app, id)): Named<(String, i64)>,
    seen: Seen,
) -> Answer<Response> {
    let now = asked.store.route(asked.app.id, RouteId(id)).await?.map(|_route| ROUTE_VERSION);
    now.ok_or_else(|| Problem::not_found("route", id))?;
    seen.expected_at(now)?;
    if asked.delete_route(&asked.app, RouteId(id), &asked.act()).await? {
        Ok(done())
    } else {
        Err(Problem::not_found("route", id).into())
    }
}
