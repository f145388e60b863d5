//! Schedules, as their users meet them: they come, they leave out, they wait, they are made up for.

use crate::support::{Appliance, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::tempdir;

/// An app whose schedule `tick` starts `script`.
fn ticking(script: &str, trigger: Value) -> Value {
    let mut tick = json!({ "name": "tick", "kind": "cron", "script": "on_tick" });
    tick.as_object_mut().unwrap().extend(trigger.as_object().unwrap().clone());
    json!({ "name": "kitchen", "routes": [], "scripts": { "on_tick": script }, "triggers": [tick] })
}

fn value(appliance: &Appliance, key: &str) -> Option<Value> {
    let reply = appliance.admin("GET", &format!("/apps/kitchen/kv/ticks/{key}"), "");
    (reply.status == 200).then(|| reply.json())
}

const COUNTS: &str = r#"
    let ticks = kv::collection("ticks");
    ticks.set("last", ctx.event);
    ticks.incr("count", 1)"#;

#[test]
fn a_schedule_comes_again_and_again_and_says_when() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&ticking(COUNTS, json!({ "schedule": "every 1s" })));
    until("it came twice", || value(&appliance, "count").is_some_and(|count| count.as_i64() >= Some(2)));
    let last = value(&appliance, "last").unwrap();
    assert_eq!(
        (&last["kind"], &last["trigger"], &last["missed"]),
        (&json!("cron"), &json!("tick"), &json!(0)),
        "{last}"
    );
    let at: jiff::Timestamp = last["scheduled_at"].as_str().unwrap().parse().unwrap();
    let late = jiff::Timestamp::now().duration_since(at);
    assert!(late.as_secs() < 30, "{late}");
    let trigger = appliance.admin("GET", "/apps/kitchen/triggers/tick", "").json();
    assert!(trigger["next_at"].is_string(), "{trigger}");
}

#[test]
fn a_run_that_is_not_over_leaves_the_next_times_out() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let spins = r#"
        let ticks = kv::collection("ticks");
        ticks.incr("began", 1);
        let x = 0;
        while ticks.get("go") == () { for n in 0..20000 { x += 1 } }"#;
    appliance.deploy(&ticking(spins, json!({ "schedule": "every 1s", "overlap": "skip" })));
    appliance.output.wait_for(0, "a schedule's time was left out");
    assert_eq!(value(&appliance, "began"), Some(json!(1)));
    appliance.admin("PUT", "/apps/kitchen/kv/ticks/go", "true");
    until("it comes again", || value(&appliance, "began").is_some_and(|began| began.as_i64() >= Some(2)));
    let metrics = appliance.admin("GET", "/metrics", "").text();
    assert!(metrics.contains("picloud_schedule_times_skipped_total "), "{metrics}");
    assert!(!metrics.contains("picloud_schedule_times_skipped_total 0"), "{metrics}");
}

#[test]
fn times_that_nobody_was_there_for_are_made_up_for_at_the_next_start() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    appliance.deploy(&ticking(COUNTS, json!({ "schedule": "every 1s", "missed": "once" })));
    until("it came", || value(&appliance, "count").is_some());
    assert!(appliance.end(Signal::SIGKILL).code().is_none());
    let mut ended = std::time::Instant::now();
    // Two of its times go by while nobody is there.
    until("time passes", || ended.elapsed().as_millis() > 2_200);
    ended = std::time::Instant::now();
    let appliance = Appliance::serve(data.path());
    let missed = || value(&appliance, "last").and_then(|last| last["missed"].as_i64());
    // The first after the start says how many went by; the ones after it none again.
    until("it is told, or over", || missed().is_some_and(|missed| missed >= 1) || ended.elapsed().as_secs() > 20);
    assert!(appliance.admin("GET", "/apps/kitchen/triggers/tick", "").json()["next_at"].is_string());
}

#[test]
fn a_schedule_is_fired_by_hand_and_previewed() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&ticking(COUNTS, json!({ "schedule": "30 2 * * *", "timezone": "Europe/Berlin" })));
    let fired = appliance.admin("POST", "/apps/kitchen/triggers/tick/fire", "{}");
    assert!((200..300).contains(&fired.status), "{}", fired.text());
    until("it ran", || value(&appliance, "count") == Some(json!(1)));
    assert_eq!(value(&appliance, "last").unwrap()["manual"], true);
    let next = appliance.admin("GET", "/apps/kitchen/triggers/tick/next?count=10", "");
    assert_eq!(next.status, 200, "{}", next.text());
    assert!(next.text().matches("02:30:00").count() >= 9, "{}", next.text());
    let mut bad = ticking(COUNTS, json!({ "schedule": "61 * * * *" }));
    let refused = appliance.admin("POST", "/apps/kitchen/deploy", &bad.to_string());
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("out of bounds"), "{}", refused.text());
    bad["triggers"][0]["schedule"] = json!("@hourly");
    bad["triggers"][0]["timezone"] = json!("Mars/Olympus");
    let refused = appliance.admin("POST", "/apps/kitchen/deploy", &bad.to_string());
    assert!(refused.status == 422 && refused.text().contains("Mars/Olympus"), "{}", refused.text());
}
