//! `/apps` and `/apps/{app}`: apps are listed, made, shown, changed and removed.

use crate::admin::access::{InApp, MaySome, may};
use crate::admin::asked::{Asked, Seen};
use crate::admin::body::{Json, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::{App, AppPatch, NewApp};
use picloud_model::name::check_app_name;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::Problem;

/// All apps.
#[utoipa::path(get, path = "/apps", responses((status = 200, body = Page<App>)))]
pub(in crate::admin) async fn list(asked: MaySome<may::ReadApps>, Asked(page): Asked<PageRequest>) -> Answer<Response> {
    super::check_page(&page)?;
    let mut page = asked.store.apps(&page).await?;
    // A page may come out shorter than asked for; the cursor still leads to the next.
    page.items.retain(|app| asked.sees(&app.name));
    Ok(ok(&page))
}

/// Makes an app.
#[utoipa::path(post, path = "/apps", responses((status = 201, body = App, headers(("ETag"))), Conflict, Invalid))]
pub(in crate::admin) async fn create(
    asked: MaySome<may::CreateApps>,
    seen: Seen,
    Json(new): Json<NewApp>,
) -> Answer<Response> {
    asked.check(&new.name)?;
    check_app_name(&new.name)?;
    seen.expected_at(None)?;
    let app = asked.create_app(new, &asked.act()).await?;
    Ok(json(StatusCode::CREATED, &app, Some(app.revision)))
}

/// One app.
#[utoipa::path(get, path = "/apps/{app}", responses((status = 200, body = App, headers(("ETag")))))]
pub(in crate::admin) async fn get(asked: InApp<may::ReadApps>) -> Response {
    json(StatusCode::OK, &asked.app, Some(asked.app.revision))
}

/// Changes the hosts, env or limits of an app.
#[utoipa::path(patch, path = "/apps/{app}", responses((status = 200, body = App, headers(("ETag"))), Conflict, Invalid))]
pub(in crate::admin) async fn patch(
    asked: InApp<may::ChangeApps>,
    seen: Seen,
    Json(patch): Json<AppPatch>,
) -> Answer<Response> {
    let expected = seen.expected_at(Some(asked.app.revision))?;
    let app = asked.patch_app(&asked.app, patch, expected, &asked.act()).await?;
    Ok(json(StatusCode::OK, &app, Some(app.revision)))
}

/// Removes an app with everything in it.
#[utoipa::path(delete, path = "/apps/{app}", responses((status = 204)))]
pub(in crate::admin) async fn delete(asked: InApp<may::DeleteApps>, seen: Seen) -> Answer<Response> {
    let expected = seen.expected_at(Some(asked.app.revision))?;
    if asked.delete_app(&asked.app, expected, &asked.act()).await? {
        Ok(done())
    } else {
        Err(Problem::not_found("app", &asked.app.name).into())
    }
}
