//! The appliance itself: is it there, what is it, what does it go by.

use crate::admin::body::ok;
use crate::admin::caller::State;
use crate::admin::refusal::Answer;
use axum::response::Response;
use picloud_model::limits::LIMITS;
use picloud_model::page::Page;
use picloud_model::problem::{Code, Problem};
use picloud_model::script::SDK_VERSION;
use serde_json::json;
use std::path::Path;

/// It answers.
pub(in crate::admin) async fn health() -> Response {
    ok(&json!({ "status": "ok" }))
}

/// Its store and its worker answer too.
pub(in crate::admin) async fn ready(state: State) -> Answer<Response> {
    state.store.app("default").await?;
    if state.supervisor.worker_pid().is_none() {
        return Err(Problem::new(Code::NodeAway, "no worker runs at this moment").retry_after_s(1).into());
    }
    Ok(ok(&json!({ "status": "ready" })))
}

/// What it is.
pub(in crate::admin) async fn version() -> Response {
    ok(&json!({ "version": env!("CARGO_PKG_VERSION"), "sdk_version": SDK_VERSION, "api": "v1" }))
}

/// How it is.
pub(in crate::admin) async fn status(state: State) -> Response {
    let apps = state.registry.all();
    let scripts: usize = apps.iter().map(|app| app.scripts.len()).sum();
    let routes: usize = apps.iter().map(|app| app.routes.len()).sum();
    let quarantined =
        apps.iter().flat_map(|app| &app.scripts).filter(|script| script.quarantined_after_crashes.is_some());
    ok(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "node": state.node,
        "uptime_s": state.uptime().as_secs(),
        "ingress_addr": state.ingress_addr().to_string(),
        "admin_socket": absolute(state.admin_socket()),
        "data_dir": absolute(state.data_dir()),
        "pid": std::process::id(),
        "worker": { "pid": state.supervisor.worker_pid() },
        "apps": apps.len(),
        "scripts": scripts,
        "routes": routes,
        "quarantined": quarantined.count(),
    }))
}

/// The path as it is reached from everywhere: whoever asks is in another folder than the appliance.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_unknown| path.to_owned()).display().to_string()
}

/// The limits table.
pub(in crate::admin) async fn limits() -> Response {
    ok(&Page { items: LIMITS.to_vec(), cursor: None })
}
