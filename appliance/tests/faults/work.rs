//! The app under load: each request leaves a job, a publish and a change, and each of those must have its effect.

use crate::client::Client;
use crate::support::{Appliance, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

/// The app.
pub(crate) fn bundle() -> Value {
    json!({
        "name": "faults",
        "routes": [{"methods": ["POST"], "path": "/work/{id}", "script": "take"}],
        "scripts": {
            "take": r#"
                let id = ctx.request.params.id;
                kv::atomic().set("jobs", id, #{ id: id }).publish("work", #{ id: id }).commit();
                id
            "#,
            "effect": r#"kv::collection("effects").incr(ctx.event.value.id, 1)"#,
            "mirror": r#"kv::collection("mirrors").set(ctx.event.key, ctx.event.value)"#,
        },
        "triggers": [
            {"name": "on-work", "kind": "pubsub", "topic": "work", "script": "effect"},
            {"name": "on-job", "kind": "kv", "collection": "jobs", "ops": ["insert"], "script": "mirror"},
        ],
    })
}

/// Ids that were never used before, over all rounds.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Sends work until the server is gone, and tells what was acknowledged as it comes.
pub(crate) fn load(address: SocketAddr, acknowledged: &Sender<String>) {
    let Ok(mut client) = Client::connect(address) else { return };
    loop {
        let id = format!("job-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        match client.post(&format!("/faults/work/{id}")) {
            Ok(200) => drop(acknowledged.send(id)),
            // Refused: overloaded, the disk is full. It may not be there, so nobody counts on it.
            Ok(_refused) => {}
            Err(_gone) => return,
        }
    }
}

/// Waits until nothing is queued, then checks each acknowledged id, and that nothing is there without its cause.
pub(crate) fn check(appliance: &Appliance, acknowledged: &BTreeSet<String>) {
    until("the queue is empty", || queued(appliance) == 0);
    let letters = appliance.admin("GET", "/apps/faults/dead-letters", "").json();
    assert_eq!(letters["items"], json!([]), "{letters:#}");
    let [jobs, effects, mirrors] = ["jobs", "effects", "mirrors"].map(|collection| all(appliance, collection));
    let lost: Vec<_> = acknowledged.iter().filter(|id| !jobs.contains_key(*id)).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    for (name, done) in [("effects", &effects), ("mirrors", &mirrors)] {
        let without: Vec<_> = jobs.keys().filter(|id| !done.contains_key(*id)).collect();
        assert!(without.is_empty(), "jobs without {name}: {without:?}");
        let causeless: Vec<_> = done.keys().filter(|id| !jobs.contains_key(*id)).collect();
        assert!(causeless.is_empty(), "{name} without a job: {causeless:?}");
    }
}

/// Deliveries that wait or are under way.
pub(crate) fn queued(appliance: &Appliance) -> i64 {
    let triggers = appliance.admin("GET", "/apps/faults/triggers", "").json();
    triggers["items"].as_array().unwrap().iter().map(|trigger| trigger["queued"].as_i64().unwrap()).sum()
}

/// All keys of a collection with their values.
fn all(appliance: &Appliance, collection: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut path = format!("/apps/faults/kv/{collection}?limit=1000");
    loop {
        let page = appliance.admin("GET", &path, "").json();
        for entry in page["items"].as_array().unwrap() {
            found.insert(entry["key"].as_str().unwrap().to_owned(), entry["value"].clone());
        }
        let Some(cursor) = page["cursor"].as_str() else { return found };
        path = format!("/apps/faults/kv/{collection}?limit=1000&cursor={cursor}");
    }
}
