//! Triggers, dead letters, publishes, timers and replays, as the admin API takes and shows them.

use crate::support::{Appliance, until};
use serde_json::{Value, json};
use tempfile::tempdir;

/// An app with an endpoint for events, one for requests, a module, and two triggers.
fn app() -> Value {
    json!({
        "name": "shop",
        "routes": [{ "methods": ["POST"], "path": "/order", "script": "order" }],
        "triggers": [
            { "name": "on-order", "kind": "pubsub", "topic": "orders/+", "script": "receipt",
              "retry": { "max_attempts": 2, "base_ms": 1, "factor": 1.0, "max_ms": 1 } },
            { "name": "nightly", "kind": "cron", "schedule": "0 3 * * *", "timezone": "Europe/Berlin", "script": "receipt" },
        ],
        "scripts": {
            "order": "kv::collection(\"orders\").set(ctx.request.json().id, ctx.request.json()); ctx.request.json().id",
            "receipt": "if ctx.event.value == \"bad\" { throw terminal(\"no such order\"); }\n\
                        kv::collection(\"receipts\").set(ctx.event.kind, ctx.event);\nctx.event.attempt",
        },
        "modules": { "units": "fn f() { 1 }" },
        "http": { "allow": ["printer.local", "10.0.0.0/8"] },
    })
}

fn served(data: &std::path::Path) -> Appliance {
    let appliance = Appliance::serve(data);
    appliance.deploy(&app());
    appliance
}

/// The value of a key, once it is there.
fn value_of(appliance: &Appliance, path: &str) -> Value {
    let mut value = Value::Null;
    until(path, || {
        let reply = appliance.admin("GET", &format!("/apps/shop/kv/{path}"), "");
        value = if reply.status == 200 { reply.json() } else { Value::Null };
        reply.status == 200
    });
    value
}

fn items(appliance: &Appliance, path: &str) -> Vec<Value> {
    let reply = appliance.admin("GET", path, "");
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()["items"].as_array().unwrap().clone()
}

#[test]
fn a_folder_with_triggers_deploys_exports_and_deploys_again_as_no_change() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    let exported = appliance.admin("GET", "/apps/shop/export", "").json();
    assert_eq!((&exported["triggers"], &exported["http"]), (&app()["triggers"], &app()["http"]));
    assert_eq!(appliance.deploy(&exported)["changes"], json!([]));

    let mut wanted = app();
    wanted["triggers"][0]["topic"] = "orders/#".into();
    wanted["triggers"].as_array_mut().unwrap().remove(1);
    wanted["triggers"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "dead", "kind": "dead_letter", "script": "receipt" }));
    wanted["http"]["allow"] = json!(["printer.local"]);
    let plan = appliance.admin("POST", "/apps/shop/deploy?plan=true", &wanted.to_string()).json();
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan["changes"]).unwrap());
    assert_eq!(items(&appliance, "/apps/shop/triggers").len(), 2, "a plan changes nothing");
    appliance.deploy(&wanted);
    let names: Vec<Value> = items(&appliance, "/apps/shop/triggers").iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["on-order", "dead"]);
}

#[test]
fn everything_wrong_with_the_triggers_of_a_deploy_is_told_at_once_and_nothing_is_changed() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    let mut wanted = app();
    wanted["triggers"] = json!([
        { "name": "On Order", "kind": "pubsub", "topic": "a/#/b", "script": "receipt" },
        { "name": "a", "kind": "kv", "script": "units", "ops": ["create"] },
        { "name": "b", "kind": "cron", "schedule": "every day", "script": "receipt" },
        { "name": "b", "kind": "cron", "schedule": "0 3 * * *", "timezone": "Mars/Olympus", "script": "gone" },
        { "name": "c", "kind": "dead_letter", "collection": "x", "retry": { "max_attempts": 0 }, "script": "receipt" },
    ]);
    wanted["http"]["allow"] = json!(["http://x/"]);
    let reply = appliance.admin("POST", "/apps/shop/deploy", &wanted.to_string());
    assert_eq!(reply.status, 422, "{}", reply.text());
    insta::assert_snapshot!(serde_json::to_string_pretty(&reply.json()["errors"]).unwrap());
    assert_eq!(appliance.admin("GET", "/apps/shop/export", "").json()["triggers"], app()["triggers"]);
}

#[test]
fn a_trigger_is_made_changed_paused_and_removed_by_hand() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    let spec = json!({ "name": "on-key", "kind": "kv", "collection": "widgets", "script": "receipt" });
    let made = appliance.admin("POST", "/apps/shop/triggers", &spec.to_string());
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""), "{}", made.text());
    let again = appliance.admin("POST", "/apps/shop/triggers", &spec.to_string());
    assert_eq!((again.status, &again.json()["conflicts"]), (409, &json!(["trigger `on-key`"])));
    for (script, said) in [("units", "module"), ("gone", "does not exist")] {
        let mut other = spec.clone();
        other["script"] = script.into();
        let refused = appliance.admin("PUT", "/apps/shop/triggers/on-key", &other.to_string());
        assert!(refused.status == 422 && refused.text().contains(said), "{}", refused.text());
    }
    let mut changed = spec.clone();
    changed["prefix"] = "a/".into();
    let stale =
        appliance.admin_with("PUT", "/apps/shop/triggers/on-key", &[("if-match", "\"7\"")], &changed.to_string());
    assert_eq!(stale.status, 412, "{}", stale.text());
    let put = appliance.admin_with("PUT", "/apps/shop/triggers/on-key", &[("if-match", "\"1\"")], &changed.to_string());
    assert_eq!((put.status, &put.json()["prefix"], put.header("etag")), (200, &json!("a/"), "\"2\""));

    let paused = appliance.admin("POST", "/apps/shop/triggers/on-key/pause", r#"{"reason": "no paper"}"#);
    assert_eq!(paused.json()["paused"]["reason"], "no paper", "{}", paused.text());
    appliance.admin("PUT", "/apps/shop/kv/widgets/a/1", "5");
    assert_eq!(appliance.admin("GET", "/apps/shop/triggers/on-key", "").json()["queued"], 1, "it is queued meanwhile");
    let resumed = appliance.admin("POST", "/apps/shop/triggers/on-key/resume", "");
    assert_eq!((resumed.status, &resumed.json()["paused"]), (200, &Value::Null), "{}", resumed.text());
    assert_eq!(value_of(&appliance, "receipts/kv")["value"], 5);

    let conflict = appliance.admin("DELETE", "/apps/shop/scripts/receipt", "");
    assert!(conflict.status == 409 && conflict.text().contains("on-key"), "{}", conflict.text());
    assert_eq!(appliance.admin("DELETE", "/apps/shop/triggers/on-key", "").status, 204);
    assert_eq!(appliance.admin("GET", "/apps/shop/triggers/on-key", "").status, 404);
    let audit = appliance.admin("GET", "/audit?limit=100", "").json();
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["trigger.save", "trigger.pause", "trigger.resume", "trigger.delete"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
}

#[test]
fn a_schedule_tells_when_it_comes_next() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    let next = items(&appliance, "/apps/shop/triggers/nightly/next?count=3");
    assert_eq!(next.len(), 3);
    assert!(next.iter().all(|time| time["local"].as_str().unwrap().contains("03:00:00")), "{next:?}");
    assert_eq!(appliance.admin("GET", "/apps/shop/triggers/on-order/next", "").status, 422);
    assert_eq!(appliance.admin("GET", "/apps/shop/triggers/nightly/next?count=0", "").status, 400);
    let preview = |body: Value| appliance.admin("POST", "/schedules/preview", &body.to_string());
    let shown = preview(json!({ "schedule": "every 90s", "count": 2 }));
    assert_eq!((shown.status, shown.json()["items"].as_array().unwrap().len()), (200, 2));
    for bad in [json!({ "schedule": "* * *" }), json!({ "schedule": "@daily", "timezone": "Mars/Olympus" })] {
        assert_eq!(preview(bad.clone()).status, 422, "{bad}");
    }
}

#[test]
fn what_is_published_fired_and_run_with_an_event_is_seen_by_the_script() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    let published = appliance.admin("POST", "/apps/shop/publish", r#"{"topic": "orders/new", "value": {"id": 7}}"#);
    assert_eq!((published.status, &published.json()["deliveries"]), (200, &json!(1)), "{}", published.text());
    let seen = value_of(&appliance, "receipts/pubsub");
    assert_eq!(
        (&seen["topic"], &seen["value"]["id"], &seen["trigger"], &seen["id"]),
        (&json!("orders/new"), &json!(7), &json!("on-order"), &published.json()["event_id"])
    );
    for bad in [json!({ "topic": "orders/+", "value": 1 }), json!({ "topic": "a", "value": "x".repeat(300_000) })] {
        let refused = appliance.admin("POST", "/apps/shop/publish", &bad.to_string());
        assert!((400..500).contains(&refused.status), "{}", refused.text());
    }
    let fired = appliance.admin("POST", "/apps/shop/triggers/nightly/fire", "");
    assert_eq!(fired.status, 202, "{}", fired.text());
    let seen = value_of(&appliance, "receipts/cron");
    assert_eq!((&seen["manual"], &seen["missed"]), (&json!(true), &json!(0)));

    let run = |body: Value| appliance.admin("POST", "/apps/shop/scripts/receipt/run", &body.to_string());
    let ran = run(json!({ "event": { "value": 3, "attempt": 4 }, "dry_run": true }));
    assert_eq!(ran.status, 200, "{}", ran.text());
    let (ran, execution) = (ran.json(), ran.json()["execution"].clone());
    assert_eq!((&execution["outcome"], &execution["result"]), (&json!("ok"), &json!(4)), "{ran}");
    assert_eq!(ran["effects"][0]["what"], "kv.set", "{ran}");
    assert_eq!(value_of(&appliance, "receipts/pubsub")["value"]["id"], 7, "a dry run changes nothing");
    for bad in [json!({ "event": { "kind": "moon" } }), json!({ "event": 5 }), json!({ "event": {}, "request": {} })] {
        assert!((400..500).contains(&run(bad.clone()).status), "{bad}");
    }
}

#[test]
fn a_dead_letter_is_shown_mended_sent_again_and_discarded() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    let letters = || items(&appliance, "/apps/shop/dead-letters");
    for _letter in 0..2 {
        appliance.admin("POST", "/apps/shop/publish", r#"{"topic": "orders/new", "value": "bad"}"#);
    }
    until("two dead letters", || letters().len() == 2);
    let id = letters()[0]["id"].as_i64().unwrap();
    let letter = appliance.admin("GET", &format!("/apps/shop/dead-letters/{id}"), "").json();
    assert_eq!(
        (&letter["trigger"], &letter["attempts"], &letter["event"]["value"], &letter["error"]["detail"]),
        (&json!("on-order"), &json!(1), &json!("bad"), &json!("no such order")),
        "{letter}"
    );
    assert_eq!(letter["error"]["at"]["line"], 1, "{letter}");
    let retry = |id: i64, body: &str| appliance.admin("POST", &format!("/apps/shop/dead-letters/{id}/retry"), body);
    assert_eq!(retry(id, r#"{"event": 5}"#).status, 422);
    assert_eq!(retry(id, r#"{"version": 0}"#).status, 422);
    for (method, path) in [("DELETE", ""), ("POST", "/retry")] {
        let path = format!("/apps/shop/dead-letters/{id}{path}");
        assert_eq!(appliance.admin_with(method, &path, &[("if-match", "\"7\"")], "").status, 412, "{method} {path}");
    }
    let sent = retry(id, r#"{"event": {"value": "good"}}"#);
    assert_eq!((sent.status, &sent.json()["event_id"]), (202, &letter["event_id"]), "{}", sent.text());
    assert_eq!(value_of(&appliance, "receipts/pubsub")["value"], "good");
    assert_eq!((letters().len(), retry(id, "").status), (1, 404));

    let all = appliance.admin("POST", "/apps/shop/dead-letters/retry", r#"{"trigger": "on-order"}"#);
    assert_eq!((all.status, &all.json()["retried"]), (202, &json!(1)), "{}", all.text());
    until("it is a dead letter again", || letters().len() == 1);
    let id = letters()[0]["id"].as_i64().unwrap();
    assert_eq!(appliance.admin("DELETE", &format!("/apps/shop/dead-letters/{id}"), "").status, 204);
    assert_eq!(appliance.admin("DELETE", &format!("/apps/shop/dead-letters/{id}"), "").status, 404);
    assert_eq!(items(&appliance, "/apps/shop/dead-letters?trigger=on-order"), Vec::<Value>::new());
}

#[test]
fn a_run_is_run_again_with_what_it_saw_for_real_or_to_see_what_it_would_do() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    appliance.admin("POST", "/apps/shop/publish", r#"{"topic": "orders/new", "value": 1}"#);
    let mut run = Value::Null;
    until("the run is listed", || {
        run = items(&appliance, "/apps/shop/executions?trigger=on-order").first().cloned().unwrap_or_default();
        !run.is_null()
    });
    assert_eq!((&run["trigger"], &run["attempt"], &run["replayable"]), (&json!("on-order"), &json!(1), &json!(true)));
    let id = run["id"].as_str().unwrap();
    let whole = appliance.admin("GET", &format!("/apps/shop/executions/{id}"), "").json();
    assert_eq!(whole["input"]["event"]["topic"], "orders/new", "what it saw is told of one run: {whole}");
    assert!(run["input"].is_null(), "and not in lists: {run}");
    let replay = |body: &str| appliance.admin("POST", &format!("/apps/shop/executions/{id}/replay"), body);
    appliance.admin("DELETE", "/apps/shop/kv/receipts/pubsub", "");
    let dry = replay(r#"{"dry_run": true}"#);
    assert_eq!(dry.status, 200, "{}", dry.text());
    assert_eq!(dry.json()["effects"][0]["what"], "kv.set", "{}", dry.text());
    assert_eq!(appliance.admin("GET", "/apps/shop/kv/receipts/pubsub", "").status, 404, "a dry run changes nothing");
    let again = replay("");
    let cause = again.json()["execution"]["cause"].clone();
    assert_eq!((again.status, &cause), (200, &json!(format!("replay of {id}"))), "{}", again.text());
    assert_eq!(value_of(&appliance, "receipts/pubsub")["value"], 1);
    assert_eq!(replay(r#"{"version": 9}"#).status, 404);
    let audit = appliance.admin("GET", "/audit?limit=100", "").text();
    assert!(audit.contains("execution.replay"), "{audit}");
}

#[test]
fn going_back_to_a_version_brings_its_triggers_back() {
    let data = tempdir().unwrap();
    let appliance = served(data.path());
    let mut second = app();
    second["scripts"]["receipt"] = "2".into();
    second["triggers"] = json!([{ "name": "on-order", "kind": "pubsub", "topic": "other", "script": "receipt" }]);
    appliance.deploy(&second);
    let diff = appliance.admin("GET", "/apps/shop/scripts/receipt/versions/1/diff?to=2", "");
    assert_eq!(diff.status, 200, "{}", diff.text());
    let changed: Vec<Value> = diff.json()["triggers"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(changed, ["on-order", "nightly"], "{}", diff.text());
    let back = appliance.admin("POST", "/apps/shop/scripts/receipt/rollback", r#"{"version": 1}"#);
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(appliance.admin("GET", "/apps/shop/export", "").json()["triggers"], app()["triggers"]);
}
