//! `activity`, `whoami`, and the runs of all apps: requests, output, exit codes.

use crate::support::FakeAdmin;
use crate::{page, problem};
use insta::assert_snapshot;
use serde_json::{Value, json};

const STREAM: &str = "content-type: text/event-stream\r\n";
const ID: &str = "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42";

fn activity() -> Value {
    json!({
        "at": "2026-01-02T03:04:05.678Z", "apps": 1, "scripts": 2, "counted_since": "2026-01-01T00:00:00.000Z",
        "nodes": [
            { "id": "a".repeat(20), "name": "pi-02", "kind": "node", "state": "away", "since": "2026-01-02T02:00:00.000Z", "running": 0 },
            { "id": "b".repeat(20), "name": "pi-01", "kind": "appliance", "state": "up", "running": 2, "places": 8, "in_step": false },
        ],
        "nodes_by_state": { "away": 1, "up": 1 },
        "hour": [
            { "minute": "2026-01-02T03:03:00.000Z", "runs": 10, "failed": 1, "p95_ms": 4.5 },
            { "minute": "2026-01-02T03:04:00.000Z", "runs": 2, "failed": 0 },
        ],
        "causes": [{ "cause": "http", "runs": 11 }, { "cause": "dead_letter", "runs": 1 }],
        "recent": [{
            "id": ID, "app": "kitchen", "script": "hello", "cause": "GET /kitchen", "node": "pi-01", "outcome": "failed",
            "status": 500, "duration_us": 1500, "started_at": "2026-01-02T03:04:01.000Z", "error": "no luck",
        }],
        "needs": [
            { "kind": "node_away", "target": "a".repeat(20), "count": 1, "text": "pi-02 is away", "at": "2026-01-02T02:00:00.000Z" },
            { "kind": "dead_letters", "app": "kitchen", "target": "on-job", "count": 2, "text": "2 dead letters, the last: no" },
            { "kind": "dead_letters", "app": "kitchen", "target": "", "count": 1, "text": "1 dead letter: no" },
        ],
    })
}

fn event(data: &Value) -> String {
    format!("event: activity\ndata: {data}\n\n")
}

#[test]
fn how_everything_is_is_told_once() {
    let admin = FakeAdmin::answering([(200, STREAM, format!(": following\n\n{}", event(&activity())))]);
    assert_snapshot!(admin.picloud(&["activity"]).shown(admin.folder.path()));
    assert_eq!(admin.only().line, "GET /api/v1/activity");
    let admin = FakeAdmin::answering([(200, STREAM, event(&activity()))]);
    let ran = admin.picloud(&["activity", "--json"]);
    assert_eq!((ran.code, serde_json::from_str::<Value>(&ran.out).unwrap()), (0, activity()));
    let admin = FakeAdmin::answering([(200, STREAM, ": following\n\n".to_owned())]);
    assert_eq!(admin.picloud(&["activity"]).code, 1, "nothing was told");
    let admin = FakeAdmin::once(403, problem(403, "forbidden", "key `x` lacks the scope `node:read`"));
    assert_eq!(admin.picloud(&["activity"]).code, 4);
}

#[test]
fn who_follows_gets_a_line_of_json_for_each_change() {
    let mut later = activity();
    later["apps"] = json!(2);
    let ended = (401, "", problem(401, "unauthenticated", "the key has expired"));
    let admin = FakeAdmin::answering([(200, STREAM, event(&activity()) + &event(&later)), ended]);
    let ran = admin.picloud(&["activity", "--follow", "--json"]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ran.code, lines), (4, vec![activity(), later]));
}

#[test]
fn who_asks_is_told_what_they_may() {
    let you = json!({ "kind": "key", "name": "laptop", "grants": ["node:read", "script:read@kitchen,garden"] });
    let admin = FakeAdmin::once(200, &you);
    assert_eq!(admin.picloud(&["whoami"]).out, "key laptop\nmay node:read, script:read@kitchen,garden\n");
    assert_eq!(admin.only().line, "GET /api/v1/whoami");
    let admin = FakeAdmin::once(200, &you);
    assert_eq!(serde_json::from_str::<Value>(&admin.picloud(&["whoami", "--json"]).out).unwrap(), you);
}

#[test]
fn runs_of_all_apps_are_listed_with_their_app() {
    let run = json!({
        "id": ID, "app": "kitchen", "script": "hello", "version": 3, "cause": "GET /kitchen", "outcome": "ok",
        "status": 200, "duration_us": 1500, "started_at": "2026-01-02T03:04:05.678Z",
    });
    let admin = FakeAdmin::once(200, page(&[run]));
    assert_snapshot!(admin.picloud(&["executions", "list", "--all-apps", "--outcome", "ok"]).out, @"
    ID                                    STARTED               SCRIPT           CAUSE         OUTCOME  STATUS  TOOK
    01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42  2026-01-02T03:04:05Z  kitchen/hello@3  GET /kitchen  ok       200     1.5 ms
    ");
    assert_eq!(admin.only().line, "GET /api/v1/executions?outcome=ok");
    let admin = FakeAdmin::once(200, page(&[]));
    assert_eq!(admin.picloud(&["executions", "list"]).code, 2, "no app was named");
}
