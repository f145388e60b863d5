//! Events start scripts: from the write to the effect, retries, dead letters, order, depth, restarts.

use crate::events::Events;
use crate::support::{Appliance, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::tempdir;

/// Fast retries, for tests that wait for several.
fn fast(max_attempts: u32) -> Value {
    json!({ "max_attempts": max_attempts, "base_ms": 1, "factor": 1.0, "max_ms": 1 })
}

/// An app with endpoints by name, each at `/NAME`, and triggers.
fn app(name: &str, scripts: &[(&str, &str)], triggers: Value) -> Value {
    let routes: Vec<Value> =
        scripts.iter().map(|(name, _)| json!({ "path": format!("/{name}"), "script": name })).collect();
    let scripts: serde_json::Map<String, Value> =
        scripts.iter().map(|(name, source)| ((*name).to_owned(), json!(source))).collect();
    json!({ "name": name, "routes": routes, "scripts": scripts, "triggers": triggers })
}

/// The value of a key of app `kitchen`, once it is there.
fn value(appliance: &Appliance, collection: &str, key: &str) -> Value {
    let read = || appliance.admin("GET", &format!("/apps/kitchen/kv/{collection}/{key}"), "");
    until(&format!("{collection}/{key} is there"), || read().status == 200);
    read().json()
}

fn items(appliance: &Appliance, what: &str) -> Vec<Value> {
    let reply = appliance.admin("GET", &format!("/apps/kitchen/{what}"), "");
    assert_eq!(reply.status, 200, "{what}: {}", reply.text());
    reply.json()["items"].as_array().unwrap().clone()
}

fn publish(appliance: &Appliance, topic: &str, value: Value) {
    let body = json!({ "topic": topic, "value": value }).to_string();
    let reply = appliance.admin("POST", "/apps/kitchen/publish", &body);
    assert!((200..300).contains(&reply.status), "{}", reply.text());
}

fn post(appliance: &Appliance, path: &str) -> Value {
    let reply = appliance.admin("POST", &format!("/apps/kitchen/{path}"), "{}");
    assert!((200..300).contains(&reply.status), "{path}: {}", reply.text());
    reply.json()
}

#[test]
fn a_write_of_a_request_starts_a_script_that_knows_where_it_comes_from() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&app(
        "kitchen",
        &[
            ("order", r#"kv::collection("orders").set("a/1", #{ n: 2 }); ctx.execution_id"#),
            (
                "on_order",
                r#"kv::collection("seen").set(ctx.event.key, #{
                    event: ctx.event, root: ctx.root_execution_id, depth: ctx.trigger_depth, request: "request" in ctx
                }); 42"#,
            ),
        ],
        json!([{ "name": "on-order", "kind": "kv", "collection": "orders", "prefix": "a/", "ops": ["insert"], "script": "on_order" }]),
    ));
    let request = appliance.get("/kitchen/order");
    assert_eq!(request.status, 200, "{}", request.text());
    let seen = value(&appliance, "seen", "a/1");
    let event = &seen["event"];
    let shown = [&event["kind"], &event["op"], &event["collection"], &event["key"], &event["value"], &event["attempt"]];
    assert_eq!(json!(shown), json!(["kv", "insert", "orders", "a/1", { "n": 2 }, 1]));
    assert_eq!((&event["trigger"], &seen["depth"], &seen["request"]), (&json!("on-order"), &json!(1), &json!(false)));
    assert_eq!(seen["root"], request.text());
    let runs = || items(&appliance, "executions?script=on_order");
    until("the run is kept", || !runs().is_empty());
    let run = &runs()[0];
    assert_eq!((&run["cause"], &run["outcome"]), (&json!("trigger on-order"), &json!("ok")), "{run}");
    assert_eq!(run["root_id"], seen["root"], "{run}");
    // An update is none of the ops, and another prefix is not meant either.
    appliance.get("/kitchen/order");
    appliance.admin("PUT", "/apps/kitchen/kv/orders/b", "1");
    appliance.admin("PUT", "/apps/kitchen/kv/orders/a%2F2", "1");
    value(&appliance, "seen", "a/2");
    assert_eq!(items(&appliance, "kv/seen").len(), 2);
    assert_eq!(runs().len(), 2);
}

#[test]
fn failures_are_tried_again_until_they_are_done_or_dead() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let handler = r#"
        let tries = kv::collection("tries").incr(ctx.event.value, 1);
        if tries != ctx.event.attempt { throw terminal("attempt " + ctx.event.attempt + " is no. " + tries) }
        switch ctx.event.value {
            "third" => if tries < 3 { throw "not yet" },
            "terminal" => throw terminal("never"),
            "later" => if tries < 2 { throw retry_after(0, "soon") },
            "refused" => throw http_error(404, "no such thing"),
            "always" => throw "no",
        }
        kv::collection("done").set(ctx.event.value, ctx.event.id);"#;
    appliance.deploy(&app(
        "kitchen",
        &[("on_job", handler)],
        json!([{ "name": "on-job", "kind": "pubsub", "topic": "jobs/+", "script": "on_job", "retry": fast(4) }]),
    ));
    for job in ["third", "terminal", "later", "refused", "always"] {
        publish(&appliance, "jobs/new", json!(job));
    }
    value(&appliance, "done", "third");
    value(&appliance, "done", "later");
    until("all others are dead", || items(&appliance, "dead-letters").len() == 3);
    let tries = |job: &str| value(&appliance, "tries", job);
    let counted = ["third", "terminal", "later", "refused", "always"].map(tries);
    assert_eq!(json!(counted), json!([3, 1, 2, 1, 4]));
    let letters = items(&appliance, "dead-letters");
    let always = letters.iter().find(|letter| letter["attempts"] == 4).unwrap();
    let letter = appliance.admin("GET", &format!("/apps/kitchen/dead-letters/{}", always["id"]), "").json();
    assert_eq!((&letter["event"]["value"], &letter["trigger"]), (&json!("always"), &json!("on-job")));
    assert_eq!(letter["tried"].as_array().unwrap().len(), 4);
    assert_eq!(letter["error"]["code"], "script-error");
    assert!(letter["error"]["at"]["line"].as_u64().unwrap() > 1, "{letter}");
    appliance.output.wait_for(0, "a delivery is a dead letter");
    let metrics = appliance.admin("GET", "/metrics", "").text();
    assert!(metrics.contains("picloud_deliveries_total{app=\"kitchen\",outcome=\"dead\"} 3"), "{metrics}");
    let status = appliance.admin("GET", "/status", "").json();
    let queue = &status["queues"][0];
    assert_eq!(
        (&queue["app"], &queue["deliveries"], &queue["dead_letters"]),
        (&json!("kitchen"), &json!(0), &json!(3))
    );
    assert!(queue["bytes_written"].as_u64().unwrap() > 0);
}

#[test]
fn a_dead_letter_starts_its_handler_and_a_handler_that_fails_starts_nothing() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&app(
        "kitchen",
        &[
            ("on_job", r#"throw terminal("broken")"#),
            (
                "on_letter",
                r#"kv::collection("letters").set("last", ctx.event.letter);
                kv::collection("letters").incr("count", 1);
                throw terminal("me too")"#,
            ),
        ],
        json!([
            { "name": "on-job", "kind": "pubsub", "topic": "jobs", "script": "on_job" },
            { "name": "on-letter", "kind": "dead_letter", "script": "on_letter" },
        ]),
    ));
    publish(&appliance, "jobs", json!({ "n": 1 }));
    until("both are dead", || items(&appliance, "dead-letters").len() == 2);
    let letter = value(&appliance, "letters", "last");
    assert_eq!(
        (&letter["trigger"], &letter["script"], &letter["attempts"]),
        (&json!("on-job"), &json!("on_job"), &json!(1))
    );
    assert_eq!(
        (&letter["event"]["value"], &letter["error"]["detail"]),
        (&json!({ "n": 1 }), &json!("broken")),
        "{letter}"
    );
    // Newest first: the handler's own is the last of all.
    let finals: Vec<Value> = items(&appliance, "dead-letters").iter().map(|letter| letter["final"].clone()).collect();
    assert_eq!(finals, [true, false]);
    assert_eq!(value(&appliance, "letters", "count"), 1);
}

#[test]
fn events_of_one_key_run_in_their_order_and_those_of_others_beside() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let handler = r#"
        let e = ctx.event.value;
        if e.n == 2 && ctx.event.attempt < 3 { throw "again" }
        let c = kv::collection("order");
        let before = c.get(e.device);
        c.set(e.device, (if before == () { [] } else { before }) + [e.n]);
        if e.n == 7 { kv::collection("ended").set(e.device, true) }"#;
    appliance.deploy(&app(
        "kitchen",
        &[("on_move", handler)],
        json!([{ "name": "on-move", "kind": "pubsub", "topic": "moves", "script": "on_move", "ordering_key": "value.device", "retry": fast(5) }]),
    ));
    for n in 0..8 {
        for device in ["a", "b", "c"] {
            publish(&appliance, "moves", json!({ "device": device, "n": n }));
        }
    }
    for device in ["a", "b", "c"] {
        value(&appliance, "ended", device);
        assert_eq!(value(&appliance, "order", device), json!([0, 1, 2, 3, 4, 5, 6, 7]), "{device}");
    }
}

#[test]
fn no_more_of_a_trigger_run_at_once_than_it_says() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let handler = r#"
        let c = kv::collection("at");
        c.set(`seen-${c.incr("now", 1)}`, true);
        // The first two wait for each other.
        if ctx.event.value < 2 { while c.get("seen-2") == () { for n in 0..20000 {} } }
        c.incr("now", -1);
        kv::collection("done").set(ctx.event.value.to_string(), true)"#;
    appliance.deploy(&app(
        "kitchen",
        &[("on_job", handler)],
        json!([{ "name": "on-job", "kind": "pubsub", "topic": "jobs", "script": "on_job", "concurrency": 2 }]),
    ));
    for n in 0..12 {
        publish(&appliance, "jobs", json!(n));
    }
    for n in 0..12 {
        value(&appliance, "done", &n.to_string());
    }
    let seen = appliance.admin("GET", "/apps/kitchen/kv/at?prefix=seen-", "").json();
    let seen: Vec<&Value> = seen["items"].as_array().unwrap().iter().map(|item| &item["key"]).collect();
    assert_eq!(seen, ["seen-1", "seen-2"]);
}

#[test]
fn a_trigger_that_only_fails_is_paused_queues_and_goes_on_when_it_is_resumed() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let triggers = json!([{
        "name": "on-job", "kind": "pubsub", "topic": "jobs", "script": "on_job", "retry": fast(1), "pause_after": 2, "concurrency": 1,
    }]);
    appliance.deploy(&app("kitchen", &[("on_job", "throw \"broken\"")], triggers.clone()));
    for n in 0..5 {
        publish(&appliance, "jobs", json!(n));
    }
    let trigger = || appliance.admin("GET", "/apps/kitchen/triggers/on-job", "").json();
    until("it is paused", || trigger()["paused"].is_object());
    assert_eq!((&trigger()["dead_letters"], &trigger()["queued"]), (&json!(2), &json!(3)), "{}", trigger());
    assert!(trigger()["paused"]["reason"].as_str().unwrap().contains("2 dead letters in a row"), "{}", trigger());
    appliance.output.wait_for(0, "triggers resume on-job");
    let audit = appliance.admin("GET", "/audit?app=kitchen", "").text();
    assert!(audit.contains("trigger.pause"), "{audit}");
    let mended = "kv::collection(\"done\").set(ctx.event.value.to_string(), true)";
    appliance.deploy(&app("kitchen", &[("on_job", mended)], triggers));
    assert!(trigger()["paused"].is_object(), "a deploy resumes nothing");
    post(&appliance, "triggers/on-job/resume");
    for n in ["2", "3", "4"] {
        value(&appliance, "done", n);
    }
    post(&appliance, "dead-letters/retry");
    for n in ["0", "1"] {
        value(&appliance, "done", n);
    }
    until("nothing is left", || items(&appliance, "dead-letters").is_empty() && trigger()["queued"] == 0);
}

#[test]
fn timers_and_delayed_publishes_come_at_their_time_and_not_before() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&app(
        "kitchen",
        &[
            (
                "set",
                r#"timer::after(300, "ring", #{ what: "timer" });
                let gone = timer::after(200, "ring", #{ what: "cancelled" });
                pubsub::publish("bell", #{ what: "delayed" }, #{ delay_ms: 300 });
                pubsub::publish("bell", #{ what: "once" }, #{ dedup_key: "k" });
                pubsub::publish("bell", #{ what: "twice" }, #{ dedup_key: "k" });
                timer::cancel(gone)"#,
            ),
            (
                "ring",
                r#"kv::collection("rung").set(ctx.event.value.what, #{ kind: ctx.event.kind, late: time::now_ms() - kv::collection("t").get("0") })"#,
            ),
            ("start", r#"kv::collection("t").set("0", time::now_ms())"#),
        ],
        json!([{ "name": "bell", "kind": "pubsub", "topic": "bell", "script": "ring" }]),
    ));
    assert_eq!(appliance.get("/kitchen/start").status, 200);
    let set = appliance.get("/kitchen/set");
    assert_eq!(set.text(), "true", "the cancelled one was there");
    for (what, kind) in [("timer", "timer"), ("delayed", "pubsub")] {
        let rung = value(&appliance, "rung", what);
        assert_eq!(rung["kind"], kind);
        assert!(rung["late"].as_i64().unwrap() >= 300, "{what}: {rung}");
    }
    value(&appliance, "rung", "once");
    let keys: Vec<Value> = items(&appliance, "kv/rung").iter().map(|item| item["key"].clone()).collect();
    assert_eq!(json!(keys), json!(["delayed", "once", "timer"]));
    assert!(items(&appliance, "timers").is_empty());
}

#[test]
fn what_is_queued_survives_a_kill_and_runs_after_the_next_start() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    appliance.deploy(&app(
        "kitchen",
        &[("on_job", "kv::collection(\"done\").set(ctx.event.value.to_string(), ctx.event.attempt)")],
        json!([{ "name": "on-job", "kind": "pubsub", "topic": "jobs", "script": "on_job" }]),
    ));
    post(&appliance, "triggers/on-job/pause");
    for n in 0..5 {
        publish(&appliance, "jobs", json!(n));
    }
    appliance.end(Signal::SIGKILL);
    let appliance = Appliance::serve(data.path());
    assert_eq!(items(&appliance, "kv").len(), 0, "it is still paused");
    post(&appliance, "triggers/on-job/resume");
    for n in 0..5 {
        assert_eq!(value(&appliance, "done", &n.to_string()), 1);
    }
}

/// A handler that spins at its first attempt.
const SPINS_ONCE: &str = r#"
    kv::collection("began").set("n" + ctx.event.attempt, ctx.event.id);
    if kv::collection("spin").get("on") != () { let x = 0; loop { x += 1; } }
    kv::collection("done").set("by", ctx.event.attempt)"#;

#[test]
fn a_worker_that_dies_under_a_delivery_costs_an_attempt_and_no_event() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let triggers =
        json!([{ "name": "on-job", "kind": "pubsub", "topic": "jobs", "script": "on_job", "retry": fast(3) }]);
    appliance.deploy(&app("kitchen", &[("on_job", SPINS_ONCE)], triggers));
    appliance.admin("PUT", "/apps/kitchen/kv/spin/on", "1");
    publish(&appliance, "jobs", json!(1));
    let first = value(&appliance, "began", "n1");
    appliance.admin("DELETE", "/apps/kitchen/kv/spin/on", "");
    kill(Pid::from_raw(appliance.worker_pid()), Signal::SIGKILL).unwrap();
    assert_eq!(value(&appliance, "done", "by"), 2);
    assert_eq!(value(&appliance, "began", "n2"), first, "it is the same event");
    let lost = || items(&appliance, "executions?outcome=worker_lost");
    until("the lost run is kept", || lost().len() == 1);
    assert_eq!(lost()[0]["cause"], "trigger on-job");
}

#[test]
fn a_stop_in_the_middle_of_a_delivery_is_no_attempt() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    let mut bundle = app(
        "kitchen",
        &[("on_job", SPINS_ONCE)],
        json!([{ "name": "on-job", "kind": "pubsub", "topic": "jobs", "script": "on_job", "retry": fast(1) }]),
    );
    bundle["limits"] = json!({ "max_operations": 50_000_000, "triggered_timeout_ms": 600_000 });
    appliance.deploy(&bundle);
    appliance.admin("PUT", "/apps/kitchen/kv/spin/on", "1");
    publish(&appliance, "jobs", json!(1));
    value(&appliance, "began", "n1");
    appliance.admin("DELETE", "/apps/kitchen/kv/spin/on", "");
    assert!(appliance.end(Signal::SIGTERM).success());
    let appliance = Appliance::serve(data.path());
    // Either the run was cut off and is the same attempt again, or it came to its own end within the drain.
    until("it is done or dead", || {
        appliance.admin("GET", "/apps/kitchen/kv/done/by", "").status == 200
            || !items(&appliance, "dead-letters").is_empty()
    });
    assert_eq!(appliance.admin("GET", "/status", "").json()["queues"][0]["deliveries"], 0);
}

#[test]
fn runs_that_start_each_other_end_in_a_dead_letter_with_the_whole_chain() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = app(
        "kitchen",
        &[
            ("begin", r#"kv::collection("ping").set("k", 0); "begun""#),
            ("ping", r#"kv::collection("pong").set("k", ctx.trigger_depth)"#),
            ("pong", r#"kv::collection("ping").set("k", ctx.trigger_depth)"#),
        ],
        json!([
            { "name": "on-ping", "kind": "kv", "collection": "ping", "script": "ping" },
            { "name": "on-pong", "kind": "kv", "collection": "pong", "script": "pong" },
        ]),
    );
    bundle["limits"] = json!({ "trigger_depth": 3 });
    appliance.deploy(&bundle);
    assert_eq!(appliance.get("/kitchen/begin").text(), "begun");
    until("the loop is found", || !items(&appliance, "dead-letters").is_empty());
    let letters = items(&appliance, "dead-letters");
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["error"]["code"], &letters[0]["error"]["status"]), (&json!("loop"), &json!(508)));
    let detail = letters[0]["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("begin → ping → pong → ping"), "{detail}");
    let letter = appliance.admin("GET", &format!("/apps/kitchen/dead-letters/{}", letters[0]["id"]), "").json();
    let hops: Vec<Value> =
        letter["chain"].as_array().unwrap().iter().map(|hop| json!([hop["script"], hop["cause"]])).collect();
    assert_eq!(
        json!(hops),
        json!([
            ["begin", "request"],
            ["ping", "trigger on-ping"],
            ["pong", "trigger on-pong"],
            ["ping", "trigger on-ping"]
        ])
    );
}

#[test]
fn what_is_published_for_listeners_reaches_those_of_its_app_and_topic() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let say = r#"pubsub::publish_ephemeral(ctx.request.query.topic, #{ n: 1 }); "said""#;
    appliance.deploy(&app("kitchen", &[("say", say)], json!([])));
    appliance.deploy(&app("cellar", &[("say", say)], json!([])));
    let events = Events::of(&appliance, "/apps/kitchen/topics?topic=rooms/%2B");
    for path in ["/cellar/say?topic=rooms/a", "/kitchen/say?topic=doors/a", "/kitchen/say?topic=rooms/b"] {
        assert_eq!(appliance.get(path).text(), "said");
    }
    let event = events.next().unwrap();
    assert_eq!(
        (event.kind.as_str(), &event.data["topic"], &event.data["value"]),
        ("message", &json!("rooms/b"), &json!({ "n": 1 }))
    );
    assert_eq!(Events::of(&appliance, "/apps/kitchen/topics?topic=a//b").status, 400);
    assert_eq!(Events::of(&appliance, "/apps/attic/topics").status, 404);
}

#[test]
fn a_request_may_be_answered_later() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let slow = r#"if ctx.request.text() == "bad" { throw http_error(422, "no good") }
        respond(201, #{ said: ctx.request.text(), path: ctx.request.path }).header("x-a", "b")"#;
    appliance.deploy(&app("kitchen", &[("slow", slow)], json!([])));
    let ask = |body: &str, key: &str| {
        appliance.send(
            "POST",
            "/kitchen/slow",
            &[("prefer", "respond-async"), ("idempotency-key", key)],
            body.as_bytes(),
        )
    };
    let taken = ask("hello", "one");
    assert_eq!(taken.status, 202, "{}", taken.text());
    let place = taken.header("location").to_owned();
    assert!(place.starts_with("/.picloud/requests/"), "{place}");
    until("it is answered", || appliance.get(&place).status != 202);
    let answer = appliance.get(&place);
    assert_eq!((answer.status, answer.header("x-a")), (201, "b"));
    assert_eq!(answer.json(), json!({ "said": "hello", "path": "/kitchen/slow" }));
    assert_eq!(ask("hello", "one").header("location"), place);
    assert_eq!(ask("another", "one").status, 422);
    let bad = ask("bad", "two").header("location").to_owned();
    until("it is answered", || appliance.get(&bad).status != 202);
    assert_eq!(appliance.get(&bad).status, 422);
    assert!(items(&appliance, "dead-letters").is_empty(), "an answer is an answer");
}
