//! The cable is pulled: what goes on, what waits, and what comes of it when the cable is back.

use crate::lab::inside;
use crate::world::{Agent, World, numbered};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// How long a call of the SDK may take to say that no appliance answers, on a loaded machine.
const FAILS_WITHIN: Duration = Duration::from_secs(15);

/// A node that is cut off by `cut` serves, keeps what it publishes, and forwards it once and in order when healed.
fn is_cut_off_and_healed(cut: impl Fn(&World)) {
    let mut world = World::joined(&["home", "kitchen"]);
    let before = numbered("before", 5);
    world.say(2, &before);
    world.until_noted(&before);
    cut(&world);
    // Said while nobody has noticed yet: whatever was acknowledged counts.
    let during = numbered("during", 30);
    world.say(2, &during);
    assert_eq!(world.get(2, "/who").json()["node"], "kitchen");
    let begun = Instant::now();
    let put = world.post(2, "/put/lost");
    assert!(begun.elapsed() < FAILS_WITHIN, "{:?}", begun.elapsed());
    assert!(put.status >= 500, "data is at the appliance: {put:?}");
    assert!(world.status("kitchen")["spooled"].as_u64() > Some(0), "{}", world.status("kitchen"));
    // The other half goes on.
    let elsewhere = numbered("elsewhere", 5);
    world.say(1, &elsewhere);
    world.until_noted(&elsewhere);
    // A plug that is pulled while it is away loses nothing that was acknowledged.
    world.node("kitchen").kill();
    world.start(&Agent::on(2, "kitchen", &[]));
    let after_boot = numbered("rebooted", 10);
    world.until_answers(2);
    world.say(2, &after_boot);
    world.lab.heal();
    world.until_up("kitchen");
    let all = [before, during, elsewhere, after_boot].concat();
    let noted = world.until_noted(&all);
    assert_eq!(noted.len(), all.len());
    assert!(noted.values().all(|times| *times == 1), "each once: {noted:?}");
    // In the order in which the node said them.
    let entries = world.entries("entries");
    let order: Vec<&str> = (1..=45).map(|place| entries[&format!("kitchen/{place}")].as_str().unwrap()).collect();
    let said: Vec<String> = [numbered("before", 5), numbered("during", 30), numbered("rebooted", 10)].concat();
    assert_eq!(order, said);
    // What never left the node is not done later; of what did, the script was told that nobody knows.
    let unsent = put.body.contains("no appliance answers");
    assert!(unsent || put.body.contains("may have been done") || put.body.contains("no answer"), "{put:?}");
    assert!(!unsent || !world.entries("puts").contains_key("lost"), "{put:?}");
    assert_eq!(world.status("kitchen")["spooled"], 0, "all that waited is forwarded");
}

#[test]
fn a_node_that_is_cut_off_serves_and_what_it_says_arrives_once_and_in_order() {
    inside(|| is_cut_off_and_healed(|world| world.lab.partition(2)));
}

#[test]
fn a_node_that_is_heard_but_hears_nothing_is_cut_off_all_the_same() {
    inside(|| is_cut_off_and_healed(|world| world.lab.one_way(1, 2)));
}

#[test]
fn a_node_that_hears_but_is_not_heard_is_cut_off_all_the_same() {
    inside(|| is_cut_off_and_healed(|world| world.lab.one_way(2, 1)));
}

#[test]
fn an_appliance_that_is_killed_and_comes_back_finds_everything_as_it_was_acknowledged() {
    inside(|| {
        let mut world = World::joined(&["home", "kitchen", "cellar"]);
        let holder = crate::holder::Holder::new();
        for node in ["kitchen", "cellar"] {
            world.ok(&["nodes", "label", node, "holds"]);
        }
        world.post(1, "/wait/a");
        let held = holder.next();
        assert!(held.node == "kitchen" || held.node == "cellar", "it prefers those: {}", held.node);
        let before = numbered("before", 10);
        world.say(2, &before);
        world.appliance.kill();
        let during = numbered("during", 10);
        world.say(2, &during);
        // It ends while nobody is there to be told; its last step needs the appliance and fails, or waits.
        assert_eq!(world.get(3, "/who").json()["node"], "cellar");
        world.restart_appliance();
        world.until_up("kitchen");
        world.until_up("cellar");
        held.release();
        let noted = world.until_noted(&[before, during.clone()].concat());
        // What was running when it was killed may run twice; what waited on the node was never running.
        assert!(during.iter().all(|n| noted[n] == 1), "{noted:?}");
        // The run that was under way went on on its node, or was run again; it is accounted for in any case.
        let begun = Instant::now();
        while !world.entries("held").contains_key("a") {
            if let Some(again) = holder.within(Duration::from_millis(100)) {
                again.release();
            }
            assert!(begun.elapsed() < crate::lab::PATIENCE, "the run that was under way is lost");
        }
    });
}

#[test]
fn an_appliance_that_is_stopped_waits_for_what_a_node_runs_and_has_it_run_once() {
    inside(|| {
        let mut world = World::joined(&["home", "kitchen"]);
        let holder = crate::holder::Holder::new();
        world.ok(&["nodes", "label", "kitchen", "holds"]);
        world.post(1, "/wait/a");
        let held = holder.next();
        assert_eq!(held.node, "kitchen", "it prefers that");
        world.appliance.signal(Signal::SIGTERM);
        world.appliance.until_said("stops: waits for deliveries that are under way");
        // What the run does last needs the appliance, which answers its nodes still.
        held.release();
        assert!(world.appliance.until_ended().success(), "{}", world.appliance.said());
        world.restart_appliance();
        assert!(world.entries("held").contains_key("a"));
        let metrics = world.ok(&["metrics"]);
        let mut queued = metrics.lines().filter(|line| line.starts_with("picloud_queued_deliveries{"));
        assert!(queued.next().is_some_and(|app| app.ends_with(" 0")), "it runs again: {metrics}");
    });
}
