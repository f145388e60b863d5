//! The appliance as its users meet it: real processes, real sockets.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

#[path = "../support/managed.rs"]
mod managed;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod activity;
mod api;
mod backup;
mod caddy;
mod card;
mod crashes;
mod deploys;
mod dev;
mod events;
mod files;
mod history;
mod http_rules;
mod https;
mod keys;
mod kv;
mod logs;
mod metrics;
mod migrate_store;
mod nodes;
mod postgres;
mod repository;
mod repository_bucket;
mod repository_places;
mod repository_ssh;
mod schedules;
mod scripts;
mod secrets;
mod service;
mod starting;
#[expect(dead_code, reason = "the store's tests freeze servers, and look into them")]
#[path = "../../../store/tests/temp_pg/mod.rs"]
mod temp_pg;
mod triggered;
mod triggers;
mod versions;
mod watch;

use serde_json::{Value, json};

/// An app with one endpoint `hello` at `GET /`.
fn hello(app: &str, source: &str) -> Value {
    json!({
        "name": app,
        "routes": [{ "methods": ["GET"], "path": "/", "script": "hello" }],
        "scripts": { "hello": source },
    })
}
