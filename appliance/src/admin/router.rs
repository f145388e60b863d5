//! Every URL of the admin API, on one screen.

use super::api::{apps, deploy, executions, kv, meta, routes, run, scripts, sdk, versions};
use super::refusal::Refusal;
use crate::appliance::Appliance;
use axum::Router;
use axum::routing::{get, post};
use http::{Method, Uri};
use picloud_model::problem::{Code, Problem};
use std::sync::Arc;

/// The routes, with what answers everything else.
pub(super) fn router(appliance: Arc<Appliance>) -> Router {
    let api = Router::new()
        .route("/health", get(meta::health))
        .route("/ready", get(meta::ready))
        .route("/version", get(meta::version))
        .route("/status", get(meta::status))
        .route("/limits", get(meta::limits))
        .route("/sdk/docs", get(sdk::docs))
        .route("/sdk/definitions", get(sdk::definitions))
        .route("/apps", get(apps::list).post(apps::create))
        .route("/apps/{app}", get(apps::get).patch(apps::patch).delete(apps::delete))
        .route("/apps/{app}/deploy", post(deploy::deploy))
        .route("/apps/{app}/export", get(deploy::export))
        .route("/apps/{app}/scripts", get(scripts::list))
        .route("/apps/{app}/scripts/{script}", get(scripts::get).put(scripts::put).delete(scripts::delete))
        .route("/apps/{app}/scripts/{script}/versions", get(versions::list))
        .route("/apps/{app}/scripts/{script}/versions/{version}", get(versions::get))
        .route("/apps/{app}/scripts/{script}/rollback", post(versions::rollback))
        .route("/apps/{app}/scripts/{script}/imports", get(scripts::imports))
        .route("/apps/{app}/scripts/{script}/importers", get(scripts::importers))
        .route("/apps/{app}/scripts/{script}/release", post(scripts::release))
        .route("/apps/{app}/scripts/{script}/run", post(run::run))
        .route("/apps/{app}/routes", get(routes::list).post(routes::create))
        .route("/apps/{app}/routes/{id}", get(routes::get).delete(routes::delete))
        .route("/apps/{app}/kv", get(kv::collections))
        .route("/apps/{app}/kv/{collection}", get(kv::list).delete(kv::delete_collection))
        // A key may hold `/`, encoded or not.
        .route("/apps/{app}/kv/{collection}/{*key}", get(kv::get).put(kv::put).delete(kv::delete))
        .route("/apps/{app}/executions", get(executions::list))
        .route("/apps/{app}/executions/{id}", get(executions::get));
    Router::new()
        .nest("/api/v1", api)
        .fallback(no_such_url)
        .method_not_allowed_fallback(no_such_method)
        // Bodies are bounded where they are read, each with its own bound.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(appliance)
}

async fn no_such_url(uri: Uri) -> Refusal {
    Refusal(
        Problem::new(Code::NotFound, format!("`{}` is no URL of the admin API", uri.path()))
            .hint("its URLs begin with /api/v1/"),
    )
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    Refusal(Problem::new(Code::MethodNotAllowed, format!("`{}` does not take {method}", uri.path())))
}
