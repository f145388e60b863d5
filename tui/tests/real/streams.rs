//! What an appliance tells while it happens.

use crate::world::World;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_line_that_a_script_logs_is_followed() {
    let world = World::quickstart();
    world.write("loud.rhai", "log::warn(\"somebody came\", #{ who: ctx.request.query.who ?? \"\" });\n1\n");
    world.ok(&["scripts", "put", "hello", "loud.rhai"]);
    let logs = world.begin(&["logs", "-f", "--app", "quickstart", "--level", "info"]);
    let was_seen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // It is asked until it has been seen: when the following begins is not told.
        scope.spawn(|| {
            while !was_seen.load(Ordering::Relaxed) {
                world.answer("/quickstart/hello?who=ada");
            }
        });
        let line = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| logs.wait_for("somebody came")));
        was_seen.store(true, Ordering::Relaxed);
        let line = line.unwrap();
        assert!(line.contains("warn  quickstart/hello@2  somebody came {\"who\":\"ada\"}"), "{line}");
    });
    let kept = world.until(&["logs", "--script", "hello"], |logs| logs["items"].get(0).is_some());
    assert_eq!(kept["items"][0]["message"], "somebody came");
    assert!(world.ok(&["logs", "--level", "error"]).is_empty());
}

#[test]
fn changes_are_watched_from_where_somebody_left_off() {
    let world = World::quickstart();
    let watch = world.begin(&["watch", "--after", "0"]);
    let line = watch.wait_for("app.deploy");
    assert!(line.starts_with("1  ") || line.contains("quickstart"), "{line}");
    world.ok(&["kv", "set", "rooms", "kitchen", "1"]);
    let line = watch.wait_for("kv.set");
    assert!(line.contains("quickstart: ") && line.contains("kitchen") && line.contains("socket"), "{line}");
    let other = world.begin(&["watch", "--after", "0", "--json", "--app", "quickstart"]);
    let change: serde_json::Value = serde_json::from_str(&other.wait_for("kv.set")).unwrap();
    assert_eq!((&change["action"], &change["app"]), (&"kv.set".into(), &"quickstart".into()));
    world.fails(3, &["watch", "--app", "nothing"]);
}

#[test]
fn metrics_count_what_ran() {
    let world = World::quickstart();
    world.answer("/quickstart/hello");
    // Counts come from the worker about once a second.
    let counted = "picloud_runs_total{app=\"quickstart\",script=\"hello\"";
    let metrics = world.until(&["metrics"], |metrics| metrics["text"].as_str().unwrap().contains(counted));
    assert!(metrics["text"].as_str().unwrap().contains("# TYPE picloud_runs_total counter"), "{metrics}");
}

#[test]
fn how_everything_is_is_told_at_once_and_who_asks() {
    let world = World::quickstart();
    world.answer("/quickstart/hello");
    let activity = world.until(&["activity"], |activity| activity["recent"].get(0).is_some());
    assert_eq!((&activity["apps"], &activity["recent"][0]["cause"]), (&1.into(), &"GET /quickstart/hello".into()));
    let shown = world.ok(&["activity"]);
    assert!(shown.contains("nothing needs you") && shown.contains("GET /quickstart/hello"), "{shown}");
    assert!(world.ok(&["executions", "list", "--all-apps"]).contains("quickstart/hello@1"));
    assert!(world.ok(&["whoami"]).contains("may script:read, script:write"));
}
