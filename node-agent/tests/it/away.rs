//! What a node does while nobody answers, and what is made up for afterwards.

use crate::world::{Process, World, numbered, until};
use std::time::{Duration, Instant};

/// A call that fails because nobody answers does so within this.
const FAST: Duration = Duration::from_secs(1);

#[test]
fn a_node_alone_serves_fails_data_calls_fast_and_keeps_publishes_which_arrive_once_and_in_order() {
    let mut world = World::new();
    let node = world.joined("pi2");
    let before = numbered("before", 5);
    node.say(&before);
    world.until_noted(&before);
    world.appliance.stop();
    node.until_state("away");
    assert_eq!(node.get("/led/who").body, "pi2!");
    assert_eq!(node.get("/led/").body, "<p>hello</p>");
    let begun = Instant::now();
    let failed = node.get("/led/get/x").body;
    assert!(begun.elapsed() < FAST, "{:?}", begun.elapsed());
    assert!(failed.contains("node-away") && failed.contains("no appliance answers (since "), "{failed}");
    let alone = numbered("alone", 30);
    let events = node.say(&alone);
    assert_eq!(node.status()["spooled"], 30);
    world.restart_appliance();
    let noted = world.until_noted(&alone);
    node.until(|status| status["state"] == "up" && status["spooled"] == 0);
    for (n, event) in alone.iter().zip(&events) {
        assert_eq!(noted[n]["event"].as_str(), Some(event.as_str()), "{n}");
    }
    let after = numbered("after", 5);
    node.say(&after);
    let noted = world.until_noted(&after);
    assert_eq!(noted["count"], 40, "each ran once");
}

#[test]
fn a_node_that_is_killed_with_a_full_spool_boots_alone_and_forwards_it_later() {
    let mut world = World::new();
    let mut node = world.joined("pi2");
    world.appliance.stop();
    node.until_state("away");
    let said = numbered("a", 10);
    node.say(&said);
    node.process.kill();
    // It is told nothing: what it was let in with is on its disk.
    node.restart(&[]);
    node.until_serves();
    assert_eq!(node.get("/led/who").body, "pi2!");
    assert_eq!(node.get("/led/").body, "<p>hello</p>");
    assert_eq!((node.status()["state"].as_str(), node.status()["spooled"].as_u64()), (Some("away"), Some(10)));
    let more = numbered("b", 5);
    node.say(&more);
    world.restart_appliance();
    let all = [said, more].concat();
    assert_eq!(world.until_noted(&all)["count"], 15, "each ran once");
    node.until(|status| status["spooled"] == 0);
}

#[test]
fn an_appliance_that_stands_still_is_away_and_what_was_said_to_it_happens_once() {
    let world = World::new();
    let node = world.joined("pi2");
    world.appliance.freeze(true);
    let said = numbered("a", 8);
    node.say(&said);
    node.until_state("away");
    world.appliance.freeze(false);
    assert_eq!(world.until_noted(&said)["count"], 8, "also the one that was on its way is said again, and stored once");
    node.until(|status| status["state"] == "up" && status["spooled"] == 0);
}

#[test]
fn a_publish_that_is_refused_for_good_leaves_the_spool_into_the_log() {
    let mut world = World::new();
    let node = world.joined("pi2");
    world.appliance.stop();
    node.until_state("away");
    let events = node.say(&numbered("a", 2));
    // The app goes while the node cannot hear of it.
    let data = world.folder.path().join("appliance");
    assert!(data.exists());
    node.process.freeze(true);
    world.restart_appliance();
    world.ok(&["apps", "delete", "led", "--yes"]);
    node.process.freeze(false);
    for event in events {
        let line = node.process.until_says(&event);
        assert!(line.contains("refused for good"), "{line}");
    }
    node.until(|status| status["spooled"] == 0);
}

#[test]
fn a_node_says_in_a_few_words_that_the_connection_was_lost_however_the_appliance_ended() {
    let mut world = World::new();
    let node = world.joined("pi2");
    for (ends, said) in [
        (Process::kill as fn(&mut Process), &["the connection was closed"][..]),
        (Process::stop, &["the connection was closed", "the appliance hung up"]),
    ] {
        let before = node.process.log().lines().count();
        ends(&mut world.appliance);
        let lost = until(
            || {
                let log = node.process.log();
                let mut lines = log.lines().skip(before);
                lines.find(|line| line.contains("no appliance answers: ")).map(str::to_owned)
            },
            || node.process.log(),
        );
        let (_, why) = lost.split_once("no appliance answers: ").unwrap();
        assert!(said.contains(&why), "{lost}");
        world.restart_appliance();
        node.until_state("up");
    }
}
