//! What scripts react to: a trigger made by hand, events sent by hand, a dead letter that is mended and sent again.

use crate::world::World;
use serde_json::{Value, json};

/// Fails for a door that is stuck.
const HANDLER: &str = r#"
    let v = ctx.event.value;
    if v.state == "stuck" { throw terminal("the door is stuck"); }
    kv::collection("doors").set(v.name, v.state);
    v.state
"#;

fn world() -> World {
    let world = World::quickstart();
    world.write("scripts/on_door.rhai", HANDLER);
    world.write("scripts/on_letter.rhai", "kv::collection(\"letters\").set(ctx.event.letter.trigger, true)");
    world.ok(&["deploy"]);
    world.ok(&["triggers", "create", "on-door", "pubsub", "on_door", "--topic", "home/+/door"]);
    world
}

#[test]
fn a_published_value_starts_the_script_and_a_stuck_one_is_mended_and_sent_again() {
    let world = world();
    world.ok(&["triggers", "create", "on-letter", "dead_letter", "on_letter"]);
    assert_eq!(
        world.json(&["publish", "home/shed/door", r#"{"name": "shed", "state": "open"}"#])["deliveries"],
        json!(1)
    );
    assert_eq!(world.json(&["publish", "home/shed", "1"])["deliveries"], 0, "no trigger takes that topic");
    let is = |wanted: &'static str| move |value: &Value| value == wanted;
    world.until(&["kv", "get", "doors", "shed"], is("open"));

    world.ok(&["publish", "home/barn/door", r#"{"name": "barn", "state": "stuck"}"#]);
    let letters = world.until(&["dead-letters", "list"], |list| list["items"][0].is_object());
    world.until(&["kv", "get", "letters", "on-door"], |value| *value == true);
    let id = letters["items"][0]["id"].to_string();
    let letter = world.json(&["dead-letters", "get", &id]);
    assert_eq!((&letter["script"], &letter["attempts"]), (&json!("on_door"), &json!(1)));
    assert_eq!((&letter["error"]["detail"], &letter["error"]["at"]["line"]), (&json!("the door is stuck"), &json!(3)));
    let runs = world.json(&["executions", "list", "--trigger", "on-door"]);
    let outcomes: Vec<&str> =
        runs["items"].as_array().unwrap().iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["failed", "ok"]);

    world.ok(&["dead-letters", "retry", &id, "--event", r#"{"value": {"name": "barn", "state": "shut"}}"#]);
    world.until(&["kv", "get", "doors", "barn"], is("shut"));
    assert_eq!(world.json(&["dead-letters", "list"])["items"], json!([]));
    assert_eq!(world.problem(3, &["dead-letters", "get", &id])["code"], "not-found");
}

#[test]
fn a_paused_trigger_queues_a_fired_one_runs_and_a_dry_replay_changes_nothing() {
    let world = world();
    world.ok(&["triggers", "pause", "on-door"]);
    world.ok(&["publish", "home/shed/door", r#"{"name": "shed", "state": "open"}"#]);
    let paused = world.json(&["triggers", "get", "on-door"]);
    assert_eq!((&paused["queued"], paused["paused"].is_object()), (&json!(1), true), "{paused}");
    world.fails(3, &["kv", "get", "doors", "shed"]);
    world.ok(&["triggers", "resume", "on-door"]);
    world.until(&["kv", "get", "doors", "shed"], |value| value == "open");

    world.ok(&["triggers", "fire", "on-door", "--event", r#"{"value": {"name": "gate", "state": "shut"}}"#]);
    world.until(&["kv", "get", "doors", "gate"], |value| value == "shut");
    world.ok(&["kv", "delete", "doors", "gate"]);
    let runs = world.until(&["executions", "list", "--trigger", "on-door"], |runs| {
        runs["items"].as_array().is_some_and(|items| items.len() == 2)
    });
    let run = runs["items"][0]["id"].as_str().unwrap();
    let dry = world.picloud(&["executions", "replay", run, "--dry-run"]);
    assert!(dry.code == 0 && dry.out.contains("would kv.set doors/gate \"shut\""), "{dry:?}");
    world.fails(3, &["kv", "get", "doors", "gate"]);
    world.ok(&["executions", "replay", run]);
    assert_eq!(world.ok(&["kv", "get", "doors", "gate"]), "\"shut\"\n");
}

#[test]
fn a_schedule_tells_its_next_times_and_runs_when_it_is_told_to() {
    let world = world();
    world.write("scripts/report.rhai", "kv::collection(\"reports\").incr(\"n\", 1)");
    world.ok(&["deploy"]);
    world.ok(&[
        "triggers",
        "create",
        "nightly",
        "cron",
        "report",
        "--schedule",
        "0 3 * * *",
        "--timezone",
        "Europe/Berlin",
    ]);
    let next = world.json(&["triggers", "next", "nightly"]);
    let times: Vec<&str> =
        next["items"].as_array().unwrap().iter().map(|time| time["local"].as_str().unwrap()).collect();
    assert!(times.len() == 10 && times.is_sorted() && times.iter().all(|time| time.contains(" 03:00:00 CE")), "{next}");
    world.ok(&["triggers", "fire", "nightly"]);
    world.until(&["kv", "get", "reports", "n"], |value| *value == 1);
    let wrong = world.fails(1, &["triggers", "create", "odd", "cron", "report", "--schedule", "61 * * * *"]);
    assert!(wrong.contains("61 * * * *"), "{wrong}");
    let nobody = world.fails(1, &["triggers", "create", "odd", "pubsub", "missing", "--topic", "x"]);
    assert!(nobody.contains("missing"), "{nobody}");
}

#[test]
fn timers_are_listed_and_cancelled() {
    let world = world();
    world.write("scripts/later.rhai", "timer::after(3600000, \"on_door\", #{ name: \"shed\" })");
    world.ok(&["deploy"]);
    world.ok(&["scripts", "run", "later"]);
    let timers = world.json(&["timers", "list"]);
    assert_eq!(timers["items"][0]["script"], "on_door");
    let id = timers["items"][0]["id"].as_str().unwrap();
    world.ok(&["timers", "cancel", id]);
    assert_eq!(world.json(&["timers", "list"])["items"], json!([]));
    assert_eq!(world.problem(3, &["timers", "cancel", id])["code"], "not-found");
}
