//! Triggers, dead letters, publishes, timers and replays: what is sent, and how the answers look.

use crate::support::FakeAdmin;
use insta::assert_snapshot;
use serde_json::{Value, json};

/// Widest line of a table that a terminal of 80 columns shows whole.
const COLUMNS_MAX: usize = 80;

fn trigger() -> Value {
    json!({
        "id": 3, "name": "on-widget", "kind": "kv", "script": "on_widget", "collection": "widgets", "prefix": "a/",
        "version": 2, "failures": 0, "queued": 12, "dead_letters": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T03:04:05.678Z",
    })
}

fn page(items: &[Value]) -> String {
    json!({ "items": items, "cursor": null }).to_string()
}

fn letter() -> Value {
    let error = json!({
        "code": "script-error", "status": 500, "title": "script-error",
        "detail": "the printer in the kitchen does not answer, and it has been so since Monday",
        "at": { "script": "on_widget", "line": 4, "column": 1 },
    });
    json!({
        "id": 17, "trigger": "on-widget", "script": "on_widget", "version": 2, "kind": "kv",
        "event_id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "error": error, "attempts": 2,
        "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:01:00Z", "final": false,
        "event": { "id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "kind": "kv", "key": "a/1", "value": { "n": 5 } },
        "root_execution_id": "01976f2c-0000-7c8e-a2b1-3f0c5a1e9d42", "trigger_depth": 1,
        "tried": [{
            "attempt": 1, "at": "2026-01-01T00:00:01Z", "execution_id": "01976f2c-0001-7c8e-a2b1-3f0c5a1e9d42",
            "version": 2, "node": "pi", "error": error,
        }],
        "chain": [{
            "execution_id": "01976f2c-0000-7c8e-a2b1-3f0c5a1e9d42", "script": "hello", "version": 1,
            "cause": "GET /hello",
        }],
    })
}

#[test]
fn lists_are_narrow_and_say_what_waits() {
    let mut nightly = json!({
        "name": "nightly", "kind": "cron", "script": "report", "schedule": "0 3 * * *",
        "next_at": "2026-01-03T02:00:00Z",
    });
    let mut paused = trigger();
    paused["paused"] = json!({ "since": "2026-01-01T00:00:00Z", "reason": "10 dead letters in a row" });
    for (key, value) in trigger().as_object().unwrap() {
        if nightly.get(key).is_none() && !["collection", "prefix"].contains(&key.as_str()) {
            nightly[key] = value.clone();
        }
    }
    let timer = json!({
        "id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "script": "remind", "due_at": "2026-01-01T00:00:00Z", "attempts": 0,
    });
    let mut all = String::new();
    for (arguments, items) in [
        (&["triggers", "list"], vec![nightly, paused]),
        (&["dead-letters", "list"], vec![letter()]),
        (&["timers", "list"], vec![timer]),
    ] {
        let admin = FakeAdmin::once(200, page(&items));
        let ran = admin.picloud(&[arguments.as_slice(), &["--app", "kitchen"]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        for line in ran.out.lines() {
            assert!(line.chars().count() <= COLUMNS_MAX, "{line}");
        }
        all += &format!("$ picloud {}\n{}", arguments.join(" "), ran.out);
    }
    assert_snapshot!(all);
}

#[test]
fn a_dead_letter_is_told_whole() {
    let admin = FakeAdmin::once(200, letter());
    let ran = admin.picloud(&["dead-letters", "get", "17", "--app", "kitchen"]);
    assert_snapshot!(ran.shown(admin.folder.path()));
}

#[test]
fn what_is_sent_is_what_was_meant() {
    let mut all = String::new();
    let answer = json!({ "retried": 3, "event_id": "e", "script": "s", "queued": 0, "deliveries": 1, "items": [] });
    for arguments in [
        &[
            "triggers",
            "create",
            "on-widget",
            "kv",
            "on_widget",
            "--collection",
            "w",
            "--op",
            "insert",
            "--match",
            "value.n={\"gt\": 5}",
            "--match",
            "value.room=kitchen",
            "--max-attempts",
            "2",
        ][..],
        &["triggers", "put", "trigger.json", "--if-version", "2"],
        &["triggers", "put", "trigger.toml"],
        &["triggers", "fire", "nightly"],
        &["triggers", "fire", "on-widget", "--event", "@event.json"],
        &["triggers", "pause", "on-widget", "--reason", "no paper"],
        &["triggers", "resume", "on-widget"],
        &["triggers", "next", "nightly", "--count", "3"],
        &["triggers", "next", "--schedule", "@daily", "--timezone", "Europe/Berlin"],
        &["publish", "orders/new", "{\"id\": 7}", "--delay-ms", "500"],
        &["publish", "doors", "open", "--string", "--dedup-key", "k"],
        &["timers", "cancel", "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42"],
        &["dead-letters", "retry", "17", "--version", "3", "--event", "{\"value\": 5}"],
        &["dead-letters", "retry", "--all", "--trigger", "on-widget"],
        &["dead-letters", "discard", "17", "--yes"],
        &["executions", "list", "--trigger", "on-widget", "--root", "r"],
        &["scripts", "run", "on_widget", "--event", "{\"value\": 5}", "--dry-run"],
    ] {
        let admin = FakeAdmin::once(200, &answer);
        admin.write("trigger.json", &trigger().to_string());
        admin.write("trigger.toml", "[[triggers]]\nname = \"a\"\nkind = \"dead_letter\"\nscript = \"b\"\n");
        admin.write("event.json", "{\"key\": \"a\"}");
        let ran = admin.picloud(&[arguments, &["--app", "kitchen"]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        let seen = admin.only();
        let headers: Vec<&String> = seen.headers.iter().filter(|header| header.starts_with("if-match")).collect();
        let headers: String = headers.iter().map(|header| format!("{header}\n")).collect();
        all += &format!("$ picloud {}\n{}\n{headers}{}\n{}\n", arguments.join(" "), seen.line, seen.body, ran.out);
    }
    assert_snapshot!(all);
}

#[test]
fn an_event_is_edited_before_it_is_sent_again() {
    let answers = [(200, "", letter().to_string()), (202, "", json!({ "event_id": "e" }).to_string())];
    let admin = FakeAdmin::answering(answers);
    let mut command = crate::support::picloud(admin.folder.path());
    command.env("EDITOR", "sed -i s/5/6/").env("PICLOUD_SOCKET", admin.folder.path().join("admin.sock"));
    command.args(["dead-letters", "retry", "17", "--edit", "--app", "kitchen"]);
    let ran = crate::support::run(command, "");
    assert_eq!(ran.code, 0, "{ran:?}");
    let sent: Value = serde_json::from_str(&admin.seen()[1].body).unwrap();
    assert_eq!(sent, json!({ "event": { "key": "a/1", "value": { "n": 6 } } }), "the head of an event stays");
}

#[test]
fn a_dry_run_prints_what_it_would_have_done() {
    let effect = json!({ "what": "kv.set", "target": "widgets/a", "value": "{\"n\":5}" });
    let execution = json!({ "usage": {}, "logs": [], "duration_us": 1200 });
    let answer = json!({ "status": 204, "headers": [], "execution": execution, "limits": {}, "effects": [effect] });
    let admin = FakeAdmin::once(200, answer);
    let ran = admin.picloud(&["executions", "replay", "id", "--dry-run", "--app", "kitchen"]);
    assert_snapshot!(ran.shown(admin.folder.path()));
    assert_eq!(admin.only().body, json!({ "dry_run": true, "version": null }).to_string());
}
