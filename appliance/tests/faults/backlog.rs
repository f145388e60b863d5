//! A crowd of one app's: 100 000 queued deliveries, 10 000 timers, 1 000 schedules. Memory stays bounded, and another app
//! is served as if they were not there.

use crate::support::{Appliance, until};
use serde_json::{Value, json};

/// Publishes of one request.
const PUBLISHED_BY_ONE: i64 = 1_000;
const QUEUED: i64 = 100_000;
/// What the appliance may grow by, however much is queued.
const GROWTH_KIB_MAX: i64 = 64 * 1024;

fn crowd() -> Value {
    let mut triggers = vec![json!({"name": "slowly", "kind": "pubsub", "topic": "crowd", "script": "nothing"})];
    for number in 0..1_000 {
        triggers.push(json!({
            "name": format!("monthly-{number}"), "kind": "cron", "schedule": "0 0 1 * *", "script": "nothing",
        }));
    }
    json!({
        "name": "crowd",
        "routes": [{"path": "/publish", "script": "publish"}, {"path": "/timers", "script": "timers"}],
        "scripts": {
            "publish": r#"
                for _batch in 0..10 {
                    let all = kv::atomic();
                    for number in 0..100 { all.publish("crowd", number); }
                    all.commit();
                }
            "#,
            "timers": r#"for number in 0..1000 { timer::after(86400000, "nothing", number); }"#,
            "nothing": "()",
        },
        "triggers": triggers,
    })
}

fn light() -> Value {
    json!({
        "name": "light",
        "routes": [{"path": "/ask", "script": "ask"}, {"path": "/done", "script": "done"}],
        "scripts": {
            "ask": r#"pubsub::publish("asked", 1)"#,
            "answer": r#"kv::collection("answers").incr("n", ctx.event.value)"#,
            "done": r#"kv::collection("answers").get("n") ?? 0"#,
        },
        "triggers": [{"name": "asked", "kind": "pubsub", "topic": "asked", "script": "answer"}],
    })
}

fn queued(appliance: &Appliance) -> i64 {
    appliance.admin("GET", "/apps/crowd/triggers/slowly", "").json()["queued"].as_i64().unwrap()
}

fn memory_kib(appliance: &Appliance) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", appliance.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_crowd_of_one_app_neither_fills_the_memory_nor_stands_in_the_way_of_another() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&crowd());
    appliance.deploy(&light());
    assert_eq!(appliance.admin("POST", "/apps/crowd/triggers/slowly/pause", "{}").status, 200);
    let ask = |path: &str| assert!(appliance.get(path).status < 300, "{path}");
    ask("/crowd/publish");
    ask("/crowd/timers");
    let before = memory_kib(&appliance);
    for _request in 1..QUEUED / PUBLISHED_BY_ONE {
        ask("/crowd/publish");
    }
    for _request in 1..10 {
        ask("/crowd/timers");
    }
    assert_eq!(queued(&appliance), QUEUED);
    assert_eq!(appliance.admin("POST", "/apps/crowd/triggers/slowly/resume", "{}").status, 200);
    for round in 1..=20 {
        ask("/light/ask");
        until("the other app is served", || appliance.get("/light/done").json() == json!(round));
    }
    let left = queued(&appliance);
    assert!(left > 0, "the crowd was gone before anybody stood beside it");
    let grown = memory_kib(&appliance) - before;
    assert!(grown < GROWTH_KIB_MAX, "it grew by {grown} KiB, with {left} still queued");
}
