//! The raw limit: a plain axum server that gives the same answers without scripts, in one process.

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use picloud_model::app::NewApp;
use picloud_model::audit::Act;
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::{AppId, Clock, SystemClock};
use picloud_store::{OpenSettings, Store};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The store that counters are kept in.
#[derive(Clone)]
struct Counters {
    store: Arc<dyn Store>,
    app: AppId,
}

/// Serves on `address` until it is killed.
pub(crate) fn serve(address: SocketAddr, store: Option<&std::path::Path>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let mut router =
            Router::new().route("/hello", get(|| async { Json(json!({"hello": "world"})) })).route("/sum", post(sum));
        if let Some(folder) = store {
            router = router.merge(Router::new().route("/count/{key}", post(count)).with_state(open(folder).await?));
        }
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        axum::serve(listener, router).await.context("serve")
    })
}

/// Knows as little about the body as a script does: any JSON may come.
async fn sum(Json(body): Json<Value>) -> Json<Value> {
    let numbers = body["numbers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum: i64 = numbers.iter().filter_map(Value::as_i64).sum();
    Json(json!({"count": numbers.len(), "sum": sum}))
}

async fn count(State(counters): State<Counters>, Path(key): Path<String>) -> Result<Json<Value>, String> {
    let request = KvRequest::Incr { collection: "counters".to_owned(), key, by: 1 };
    match counters.store.kv(counters.app, request, SystemClock.now_ms()).await {
        Ok(KvReply::Number(count)) => Ok(Json(json!({"count": count}))),
        other => Err(format!("{other:?}")),
    }
}

async fn open(folder: &std::path::Path) -> Result<Counters> {
    let settings = OpenSettings::new(folder.join("data"));
    let store = picloud_store::open(settings, Arc::new(SystemClock)).await.context("open the store")?;
    let app = NewApp { name: "counters".to_owned(), ..NewApp::default() };
    let app =
        store.create_app(&app, &Act::of_appliance("bench", SystemClock.now_ms())).await.context("make the app")?;
    Ok(Counters { store, app: app.id })
}
