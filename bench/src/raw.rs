//! The raw limit: a plain axum server that gives the same answers without scripts, in one process.

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use picloud_model::app::NewApp;
use picloud_model::audit::Act;
use picloud_model::delivery::DeliveryEnd;
use picloud_model::event::Cause;
use picloud_model::kv::{KvQuery, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::publish::Publish;
use picloud_model::script::ScriptKind;
use picloud_model::trigger::{TriggerKind, TriggerSpec};
use picloud_model::{AppId, Clock, SystemClock};
use picloud_store::{OpenSettings, ScriptWrite, Store, TriggerWrite};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Events that are handled at once.
const HANDLERS_MAX: u32 = 32;

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
            let counters = open(folder).await?;
            tokio::spawn(handle(counters.clone()));
            let stored = Router::new()
                .route("/count/{key}", post(count))
                .route("/event/{key}", post(emit))
                .route("/effects", get(effects));
            router = router.merge(stored.with_state(counters));
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

/// Publishes; the event is on the disk when this is answered.
async fn emit(State(counters): State<Counters>, Path(key): Path<String>) -> Result<Json<Value>, String> {
    let cause = Cause::first(SystemClock.now_ms(), &Limits::default());
    let publish = Publish {
        topic: "work".to_owned(),
        value: serde_json::to_vec(&key).map_err(|error| error.to_string())?,
        delay_ms: 0,
        dedup_key: None,
    };
    match counters.store.publish(counters.app, publish, &cause).await {
        Ok(_published) => Ok(Json(json!({"ok": true}))),
        Err(error) => Err(error.to_string()),
    }
}

/// Adds up all effects.
async fn effects(State(counters): State<Counters>) -> Result<Json<Value>, String> {
    let query = KvQuery { limit: 1000, ..KvQuery::default() };
    let request = KvRequest::List { collection: "effects".to_owned(), query };
    match counters.store.kv(counters.app, request, SystemClock.now_ms()).await {
        Ok(KvReply::List(list)) => {
            let sum: i64 =
                list.entries.iter().filter_map(|entry| serde_json::from_slice::<i64>(&entry.value).ok()).sum();
            Ok(Json(json!({"effects": sum})))
        }
        other => Err(format!("{other:?}")),
    }
}

/// Handles events as long as the process lives: an effect for each, then it is done.
async fn handle(counters: Counters) {
    let mut signal = counters.store.delivery_signal();
    let slots = Arc::new(Semaphore::new(HANDLERS_MAX as usize));
    loop {
        signal.mark_unchanged();
        let free = u32::try_from(slots.available_permits()).unwrap_or(HANDLERS_MAX);
        let claimed = counters.store.claim_deliveries(free, SystemClock.now_ms()).await.unwrap_or_default();
        if claimed.deliveries.is_empty() {
            // An error means that the store is gone, and this process with it.
            let _gone = signal.changed().await;
            continue;
        }
        for delivery in claimed.deliveries {
            let (store, app) = (Arc::clone(&counters.store), counters.app);
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            tokio::spawn(async move {
                let event: Value = serde_json::from_slice(&delivery.event.body).unwrap_or_default();
                let key = event["value"].as_str().unwrap_or_default().to_owned();
                let effect = KvRequest::Incr { collection: "effects".to_owned(), key, by: 1 };
                let now = SystemClock.now_ms();
                drop(store.kv(app, effect, now).await);
                drop(store.end_delivery(delivery.id, DeliveryEnd::Done(None), now).await);
                drop(slot);
            });
        }
        // Claims come in batches: with every slot taken there is nothing to claim for.
        drop(slots.acquire().await);
    }
}

async fn open(folder: &std::path::Path) -> Result<Counters> {
    let settings = OpenSettings::new(folder.join("data"));
    let store = picloud_store::open(settings, Arc::new(SystemClock)).await.context("open the store")?;
    let app = NewApp { name: "counters".to_owned(), ..NewApp::default() };
    let app =
        store.create_app(&app, &Act::of_appliance("bench", SystemClock.now_ms())).await.context("make the app")?;
    let act = Act::of_appliance("bench", SystemClock.now_ms());
    let script = ScriptWrite {
        name: "effect".to_owned(),
        kind: ScriptKind::Endpoint,
        source: "()".to_owned(),
        imports: Vec::new(),
    };
    store.save_script(app.id, &script, None, &act).await.context("save the handler")?;
    let mut spec = TriggerSpec::new("effect", TriggerKind::Pubsub, "effect");
    spec.topic = Some("work".to_owned());
    let trigger = TriggerWrite { spec, next_at: None };
    store.put_trigger(app.id, &trigger, None, &act).await.context("make the trigger")?;
    Ok(Counters { store, app: app.id })
}
