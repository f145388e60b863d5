//! Every URL of the admin API, on one screen.

use super::access::{Guarded, Known};
use super::api::{
    activity, apps, audit, backup, backup_copies, cluster, dead_letters, deploy, env, executions, files, join_tokens,
    keys, kv, logs, meta, metrics, nodes, publish, replay, routes, run, scripts, sdk, secrets, sweep, timers, topics,
    triggers, versions, watch, whoami,
};
use super::openapi::{BASE, Urls, urls};
use super::refusal::Refusal;
use crate::appliance::Appliance;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{Method, Uri};
use picloud_model::limits::{REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};
use picloud_model::problem::{Code, Problem};
use std::sync::Arc;

/// The URLs, and which handlers answer there. Methods, parameters and answers stand beside the handlers.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a line a URL, and all of them in one place")]
pub(super) fn urls() -> Urls {
    urls! {
        "/health" => meta::health;
        "/ready" => meta::ready;
        "/version" => meta::version;
        "/status" => meta::status;
        "/activity" => activity::activity;
        "/whoami" => whoami::whoami;
        "/limits" => meta::limits;
        "/openapi.json" => meta::openapi;
        "/sdk/docs" => sdk::docs;
        "/sdk/definitions" => sdk::definitions;
        "/apps" => apps::list, apps::create;
        "/apps/{app}" => apps::get, apps::patch, apps::delete;
        "/apps/{app}/deploy" => deploy::deploy;
        "/apps/{app}/export" => deploy::export;
        "/apps/{app}/scripts" => scripts::list;
        "/apps/{app}/scripts/{script}" => scripts::get, scripts::put, scripts::delete;
        "/apps/{app}/scripts/{script}/versions" => versions::list;
        "/apps/{app}/scripts/{script}/versions/{version}" => versions::get;
        "/apps/{app}/scripts/{script}/versions/{version}/diff" => versions::diff;
        "/apps/{app}/scripts/{script}/rollback" => versions::rollback;
        "/apps/{app}/scripts/{script}/imports" => scripts::imports;
        "/apps/{app}/scripts/{script}/check" => scripts::check;
        "/apps/{app}/scripts/{script}/importers" => scripts::importers;
        "/apps/{app}/scripts/{script}/release" => scripts::release;
        "/apps/{app}/scripts/{script}/run" => run::run;
        "/apps/{app}/routes" => routes::list, routes::create;
        "/apps/{app}/routes/{id}" => routes::get, routes::delete;
        "/apps/{app}/triggers" => triggers::list, triggers::create;
        "/apps/{app}/triggers/{name}" => triggers::get, triggers::put, triggers::delete;
        "/apps/{app}/triggers/{name}/fire" => triggers::fire;
        "/apps/{app}/triggers/{name}/pause" => triggers::pause;
        "/apps/{app}/triggers/{name}/resume" => triggers::resume;
        "/apps/{app}/triggers/{name}/next" => triggers::next;
        "/apps/{app}/publish" => publish::publish;
        "/apps/{app}/timers" => timers::list;
        "/apps/{app}/timers/{timer}" => timers::delete;
        "/apps/{app}/dead-letters" => dead_letters::list;
        "/apps/{app}/dead-letters/retry" => dead_letters::retry_all;
        "/apps/{app}/dead-letters/{id}" => dead_letters::get, dead_letters::delete;
        "/apps/{app}/dead-letters/{id}/retry" => dead_letters::retry;
        "/apps/{app}/kv" => kv::collections;
        "/apps/{app}/kv/{collection}" => kv::list, kv::delete_collection;
        // A key may hold `/`, encoded or not.
        "/apps/{app}/kv/{collection}/{*key}" => kv::get, kv::put, kv::delete;
        "/apps/{app}/files" => files::collections;
        "/apps/{app}/files/{collection}" => files::list, files::create;
        "/apps/{app}/files/{collection}/{file}" => files::get, files::head, files::put, files::delete;
        "/apps/{app}/env" => env::list;
        "/apps/{app}/env/{value}" => env::get, env::put, env::delete;
        "/apps/{app}/executions" => executions::list;
        "/apps/{app}/executions/{execution}" => executions::get;
        "/apps/{app}/executions/{execution}/replay" => replay::replay;
        "/executions" => executions::list_all;
        "/apps/{app}/secrets" => secrets::list;
        "/apps/{app}/secrets/{name}" => secrets::get, secrets::put, secrets::delete;
        "/schedules/preview" => triggers::preview_schedule;
        "/apps/{app}/topics" => topics::topics;
        "/watch" => watch::watch;
        "/logs" => logs::logs;
        "/metrics" => metrics::metrics;
        "/nodes" => nodes::list;
        "/nodes/{node}" => nodes::get, nodes::patch, nodes::delete;
        "/nodes/{node}/approve" => nodes::approve;
        "/nodes/{node}/drain" => nodes::drain;
        "/nodes/{node}/resume" => nodes::resume;
        "/nodes/{node}/replace" => nodes::replace;
        "/join-tokens" => join_tokens::list, join_tokens::create;
        "/join-tokens/{id}" => join_tokens::delete;
        "/cluster" => cluster::cluster;
        "/keys" => keys::list, keys::create;
        "/keys/{id}" => keys::get, keys::delete;
        "/audit" => audit::list;
        "/audit/verify" => audit::verify;
        "/backup" => backup::take;
        "/backup/copies" => backup_copies::hold;
        "/backup/outcome" => backup_copies::outcome, backup_copies::set_outcome;
        "/files/sweep" => sweep::sweep;
    }
}

/// The routes, with what answers everything else.
pub(super) fn router(appliance: Arc<Appliance>) -> Router {
    Router::new()
        .nest(BASE, urls().into_router())
        .fallback(no_such_url)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(refuse_large_head))
        // Bodies are bounded where they are read, each with its own bound.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Guarded::new(appliance))
}

/// A head over the bounds is answered as every mistake is; the listener's own bounds are wider, and cut off.
async fn refuse_large_head(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let of_headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let bytes = of_headers + request.uri().to_string().len();
    if headers.len() <= REQUEST_HEADERS_MAX && bytes <= REQUEST_HEAD_BYTES_MAX {
        return next.run(request).await;
    }
    let kib = REQUEST_HEAD_BYTES_MAX / 1024;
    let detail = format!("the head of the request has more than {REQUEST_HEADERS_MAX} headers or {kib} KiB");
    Refusal(Problem::new(Code::HeadTooLarge, detail)).into_response()
}

async fn no_such_url(_known: Known, uri: Uri) -> Refusal {
    Refusal(
        Problem::new(Code::NotFound, format!("`{}` is no URL of the admin API", uri.path()))
            .hint("its URLs begin with /api/v1/"),
    )
}

async fn no_such_method(_known: Known, method: Method, uri: Uri) -> Refusal {
    Refusal(Problem::new(Code::MethodNotAllowed, format!("`{}` does not take {method}", uri.path())))
}
