//! `watch` and `logs`: events as they come, and lost connections.

use crate::control::entry;
use crate::support::FakeAdmin;
use crate::{page, problem};
use insta::assert_snapshot;
use serde_json::{Value, json};

const STREAM: &str = "content-type: text/event-stream\r\n";

fn event(id: Option<i64>, name: &str, data: &Value) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{id}event: {name}\ndata: {data}\n\n")
}

fn ended() -> (u16, &'static str, String) {
    (401, "", problem(401, "unauthenticated", "the key has expired"))
}

#[test]
fn changes_are_printed_and_a_lost_connection_goes_on_after_the_last_one() {
    let first = format!(": hello\n\n{}{}", event(Some(7), "change", &entry(7)), event(Some(8), "change", &entry(8)));
    let gap = event(None, "gap", &json!({"missed_from": 9, "missed_to": 11})) + &event(Some(12), "change", &entry(12));
    let admin = FakeAdmin::answering([(200, STREAM, first), (200, STREAM, gap), ended()]);
    let ran = admin.picloud(&["watch", "--after", "6"]);
    assert_snapshot!(ran.shown(admin.folder.path()), @"
    exit 4
    --- stdout
    7  2026-01-02T03:04:05Z  key ci  10.0.0.7  done  script.save  kitchen: hello
    8  2026-01-02T03:04:05Z  key ci  10.0.0.7  done  script.save  kitchen: hello
    12  2026-01-02T03:04:05Z  key ci  10.0.0.7  done  script.save  kitchen: hello
    --- stderr
    the appliance ended the connection; trying again in 1 s
    connected again
    changes 9 to 11 were missed: picloud audit list shows them
    the appliance ended the connection; trying again in 1 s
    error: the key has expired
    hint: do this
    ");
    let seen = admin.seen();
    assert!(seen.iter().all(|seen| seen.line == "GET /api/v1/watch"), "{seen:?}");
    let resumed: Vec<&String> =
        seen.iter().flat_map(|seen| &seen.headers).filter(|header| header.starts_with("last-event-id")).collect();
    assert_eq!(resumed, ["last-event-id: 6", "last-event-id: 8", "last-event-id: 12"]);
}

#[test]
fn each_event_is_a_line_of_json_for_programs() {
    let text = event(Some(7), "change", &entry(7)) + &event(Some(8), "change", &entry(8));
    let admin = FakeAdmin::answering([(200, STREAM, text), ended()]);
    let ran = admin.picloud(&["watch", "--json"]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ran.code, lines), (4, vec![entry(7), entry(8)]));
}

fn logged(level: &str, message: &str) -> Value {
    json!({
        "at": "2026-01-02T03:04:05.678Z", "app": "kitchen", "script": "hello", "version": 3, "node": "pi",
        "level": level, "message": message, "fields": {"n": 1}, "execution_id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42",
    })
}

#[test]
fn logs_are_followed_and_what_is_missed_is_said() {
    let text = event(None, "log", &logged("warn", "look")) + &event(None, "dropped", &json!({"lines": 30}));
    let admin = FakeAdmin::answering([(200, STREAM, text), ended()]);
    let arguments = ["logs", "-f", "--app", "kitchen", "--script", "hello", "--node", "pi", "--level", "info"];
    assert_snapshot!(admin.picloud(&arguments).shown(admin.folder.path()), @r#"
    exit 4
    --- stdout
    2026-01-02T03:04:05Z warn  kitchen/hello@3  look {"n":1}
    --- stderr
    30 lines came faster than they could be sent
    the appliance ended the connection; trying again in 1 s; what comes meanwhile is not shown
    error: the key has expired
    hint: do this
    "#);
    let seen = admin.seen();
    assert_eq!(seen[0].line, "GET /api/v1/logs?app=kitchen&script=hello&node=pi&level=info");
    assert!(seen[0].headers.contains(&"accept: text/event-stream".to_owned()), "{seen:?}");
}

#[test]
fn a_stream_that_never_began_is_told_at_once() {
    let admin = FakeAdmin::answering([ended()]);
    assert_eq!(admin.picloud(&["logs", "-f"]).code, 4);
    assert_eq!(admin.picloud(&["watch", "--socket", "no.sock"]).code, 5);
}

#[test]
fn without_following_the_lines_of_the_latest_runs_are_shown_oldest_first() {
    let line = |level: &str, message: &str| json!({"at": "2026-01-02T03:04:05Z", "level": level, "message": message, "fields": null});
    let run = |id: &str, node: &str, logs: &[Value]| json!({"id": id, "script": "hello", "version": 3, "node": node, "logs": logs, "started_at": "2026-01-02T03:04:05Z"});
    let runs = page(&[
        run("2", "pi", &[line("debug", "third"), line("error", "fourth")]),
        run("1", "pi", &[line("info", "first"), line("warn", "second")]),
        run("0", "other", &[line("error", "elsewhere")]),
    ]);
    let admin = FakeAdmin::answering([(200, "", runs.clone()), (200, "", runs)]);
    assert_snapshot!(admin.picloud(&["logs", "--app", "kitchen", "--node", "pi", "--level", "info"]).out, @"
    2026-01-02T03:04:05Z info  kitchen/hello@3  first
    2026-01-02T03:04:05Z warn  kitchen/hello@3  second
    2026-01-02T03:04:05Z error kitchen/hello@3  fourth
    ");
    let ran = admin.picloud(&["logs", "--app", "kitchen", "--json", "--runs", "3"]);
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(printed["items"].as_array().unwrap().len(), 5);
    assert_eq!((&printed["items"][1]["execution_id"], &printed["items"][1]["app"]), (&json!("1"), &json!("kitchen")));
    assert_eq!(admin.seen()[1].line, "GET /api/v1/apps/kitchen/executions?limit=3");
}
