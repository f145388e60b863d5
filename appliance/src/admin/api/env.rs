//! `/apps/{app}/env`: the plain values of an app, one by one. They are part of the app, and so is their ETag.

use super::paging::page_of;
use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, done, json};
use crate::admin::openapi::Invalid;
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::App;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::Problem;
use serde::{Deserialize, Serialize};

/// One value.
#[derive(Serialize, utoipa::ToSchema)]
struct EnvValue {
    /// Its name.
    name: String,
    /// What `env::get` gives.
    value: String,
}

/// The body of a put.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct EnvInput {
    /// What `env::get` is to give.
    value: String,
}

/// The app's env values by name.
#[utoipa::path(get, path = "/apps/{app}/env", responses((status = 200, body = Page<EnvValue>, headers(("ETag")))))]
pub(in crate::admin) async fn list(asked: InApp<may::ReadApps>, Asked(page): Asked<PageRequest>) -> Answer<Response> {
    let App { env, limits, revision, .. } = &asked.app;
    let values = env.iter().map(|(name, value)| EnvValue { name: name.clone(), value: value.clone() }).collect();
    let page = page_of(values, &page, &limits.resolve(), |value| &value.name)?;
    Ok(json(StatusCode::OK, &page, Some(*revision)))
}

/// One env value.
#[utoipa::path(get, path = "/apps/{app}/env/{value}", responses((status = 200, body = EnvValue, headers(("ETag")))))]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadApps>,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    let value = asked.app.env.get(&name).ok_or_else(|| absent(&asked.app, &name))?.clone();
    Ok(json(StatusCode::OK, &EnvValue { name, value }, Some(asked.app.revision)))
}

/// Sets an env value; `If-Match` takes the ETag of the app.
#[utoipa::path(
    put,
    path = "/apps/{app}/env/{value}",
    responses(
        (status = 200, body = EnvValue, headers(("ETag"))),
        (status = 201, body = EnvValue, headers(("ETag"))),
        Invalid,
    ),
)]
pub(in crate::admin) async fn put(
    asked: InApp<may::ChangeApps>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
    Json(EnvInput { value }): Json<EnvInput>,
) -> Answer<Response> {
    let expected = expected(&asked.app, &name, &seen)?;
    let (app, was) = asked.change_env(&asked.app, &name, Some(value.clone()), expected, &asked.act()).await?;
    let status = if was { StatusCode::OK } else { StatusCode::CREATED };
    Ok(json(status, &EnvValue { name, value }, Some(app.revision)))
}

/// Removes an env value; `If-Match` takes the ETag of the app.
#[utoipa::path(delete, path = "/apps/{app}/env/{value}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::ChangeApps>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
) -> Answer<Response> {
    let expected = expected(&asked.app, &name, &seen)?;
    let (_app, was) = asked.change_env(&asked.app, &name, None, expected, &asked.act()).await?;
    if was { Ok(done()) } else { Err(absent(&asked.app, &name).into()) }
}

/// The revision that the app must be at: a value that is not there is at none.
fn expected(app: &App, name: &str, seen: &Seen) -> Result<Option<i64>, Problem> {
    let now = app.env.contains_key(name).then_some(app.revision);
    // "Must not be there" was just found to hold; that it still does is for the revision to say.
    Ok(seen.expected_at(now)?.map(|expected| if expected == 0 { app.revision } else { expected }))
}

fn absent(app: &App, name: &str) -> Problem {
    Problem::not_found("env value", format_args!("{name}` of app `{}", app.name))
}
