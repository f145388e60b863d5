//! The appliance itself: is it there, what is it, what does it go by.

use super::paging::page_of;
use crate::admin::access::{Anyone, Known, May, may};
use crate::admin::asked::Asked;
use crate::admin::body::ok;
use crate::admin::openapi::document;
use crate::admin::refusal::Answer;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use picloud_model::limits::{LIMITS, LimitRow, Limits};
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_model::script::SDK_VERSION;
use serde::Serialize;
use std::path::Path;

/// That it is well.
#[derive(Serialize, utoipa::ToSchema)]
struct Health {
    /// `ok`, `ready`.
    status: &'static str,
}

/// What it is.
#[derive(Serialize, utoipa::ToSchema)]
struct Version {
    /// The appliance's.
    version: &'static str,
    /// That of the SDK which scripts see.
    sdk_version: &'static str,
    /// That of this API.
    api: &'static str,
}

/// Whether the appliance answers.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
pub(in crate::admin) async fn health() -> Response {
    ok(&Health { status: "ok" })
}

/// Whether its store and its worker answer, too.
#[utoipa::path(get, path = "/ready", responses((status = 200, body = Health)))]
pub(in crate::admin) async fn ready(state: Anyone) -> Answer<Response> {
    state.store.app("default").await?;
    if state.supervisor.worker_pid().is_none() {
        return Err(Problem::new(Code::NodeAway, "no worker runs at this moment").retry_after_s(1).into());
    }
    Ok(ok(&Health { status: "ready" }))
}

/// The versions of the appliance, of this API and of the SDK.
#[utoipa::path(get, path = "/version", responses((status = 200, body = Version)))]
pub(in crate::admin) async fn version(_known: Known) -> Response {
    ok(&Version { version: env!("CARGO_PKG_VERSION"), sdk_version: SDK_VERSION, api: "v1" })
}

/// How the appliance is.
#[derive(Serialize, utoipa::ToSchema)]
struct Status {
    /// The appliance's version.
    version: &'static str,
    /// This machine's name.
    node: String,
    /// For how long it has been running.
    uptime_s: u64,
    /// Where routes are answered.
    ingress_addr: String,
    /// The admin socket's file.
    admin_socket: String,
    /// Where this API is reached over the network, if at all.
    admin_url: Option<String>,
    /// SHA-256 of the certificate to trust there.
    ca_fingerprint: Option<String>,
    /// Whose certificate that is: `own` or `owner`.
    tls: Option<&'static str>,
    /// Where data lives.
    data_dir: String,
    /// The appliance's process.
    pid: u32,
    /// The worker's.
    worker: Worker,
    /// How many apps there are.
    apps: usize,
    /// Scripts and modules of all apps.
    scripts: usize,
    /// Routes of all apps.
    routes: usize,
    /// Scripts that are not run any more because they took their worker down.
    quarantined: usize,
    /// API keys.
    keys: usize,
    /// Since the appliance started.
    runs: Runs,
    /// Bytes that both processes have had written to disk.
    bytes_written: u64,
    /// What waits in each app, and what its scripts wrote since the start; the first 100 apps.
    queues: Vec<Queue>,
    /// What came of the last backups into the repository, and where that is.
    backup: Backups,
}

/// Backups into the repository.
#[derive(Serialize, utoipa::ToSchema)]
struct Backups {
    /// Where they go; absent where no repository is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// The last of them.
    #[serde(flatten)]
    outcomes: crate::repository::Outcomes,
}

/// What waits in one app.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AppQueue)]
struct Queue {
    /// The app.
    app: String,
    /// Deliveries that wait or are under way, timers included.
    deliveries: u64,
    /// For how long the oldest of them has been due, in milliseconds.
    oldest_due_ms: u64,
    /// Deliveries of those that wait for a node: none that is connected may run them, or those that may are full.
    waiting_for_node: u64,
    /// Dead letters.
    dead_letters: u64,
    /// Bytes that its scripts wrote since the appliance started.
    bytes_written: u64,
}

/// The worker's process.
#[derive(Serialize, utoipa::ToSchema)]
struct Worker {
    /// Absent while none runs.
    pid: Option<u32>,
}

/// How runs ended.
#[derive(Serialize, utoipa::ToSchema)]
struct Runs {
    /// With an answer.
    ok: u64,
    /// With an error, a limit, or the end of their worker.
    failed: u64,
}

/// How the appliance is: addresses, processes, counts.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Status)))]
pub(in crate::admin) async fn status(state: May<may::ReadNodes>) -> Response {
    let apps = state.registry.all();
    let quarantined =
        apps.iter().flat_map(|app| &app.scripts).filter(|script| script.quarantined_after_crashes.is_some());
    let https = state.https();
    let runs = state.metrics.run_totals();
    ok(&Status {
        version: env!("CARGO_PKG_VERSION"),
        node: state.node.clone(),
        uptime_s: state.uptime().as_secs(),
        ingress_addr: state.ingress_addr().to_string(),
        admin_socket: absolute(state.admin_socket()),
        admin_url: https.map(crate::admin::Https::url),
        ca_fingerprint: https.map(|https| https.fingerprint().to_string()),
        tls: https.map(crate::admin::Https::tls_kind),
        data_dir: absolute(state.data_dir()),
        pid: std::process::id(),
        worker: Worker { pid: state.supervisor.worker_pid() },
        apps: apps.len(),
        scripts: apps.iter().map(|app| app.scripts.len()).sum(),
        routes: apps.iter().map(|app| app.routes.len()).sum(),
        quarantined: quarantined.count(),
        keys: state.keys.count(),
        runs: Runs { ok: runs.ok, failed: runs.failed },
        bytes_written: state.bytes_written(),
        queues: queues(&state).await,
        backup: Backups {
            repository: state.backup_repository(),
            outcomes: crate::repository::Outcomes::read(state.data_dir()),
        },
    })
}

async fn queues(state: &crate::appliance::Appliance) -> Vec<Queue> {
    let mut written = state.metrics.written_by_app();
    let queues = state.queues().await.into_iter().map(|queue| Queue {
        bytes_written: written.remove(&queue.app).unwrap_or(0),
        app: queue.app,
        deliveries: queue.deliveries,
        oldest_due_ms: queue.oldest_due_ms,
        waiting_for_node: queue.waiting_for_node,
        dead_letters: queue.dead_letters,
    });
    queues.collect()
}

/// The path as it is reached from everywhere: whoever asks is in another folder than the appliance.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_unknown| path.to_owned()).display().to_string()
}

/// Every limit, with its default and its ceiling.
#[utoipa::path(get, path = "/limits", responses((status = 200, body = Page<LimitRow>)))]
pub(in crate::admin) async fn limits(_known: Known, Asked(page): Asked<PageRequest>) -> Answer<Response> {
    Ok(ok(&page_of(LIMITS.to_vec(), &page, &Limits::default(), |row| row.name)?))
}

/// This API as an OpenAPI document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = serde_json::Value)))]
pub(in crate::admin) async fn openapi(_known: Known) -> Response {
    ([(CONTENT_TYPE, "application/json")], document()).into_response()
}
