//! The plug is pulled: its work runs elsewhere.

use crate::holder::Holder;
use crate::lab::inside;
use crate::world::{World, numbered};
use std::time::{Duration, Instant};

/// From a node's death until its work runs elsewhere.
const ELSEWHERE_WITHIN: Duration = Duration::from_secs(35);

#[test]
fn the_work_of_a_node_that_vanishes_in_the_middle_of_it_runs_elsewhere() {
    inside(|| {
        let mut world = World::joined(&["home", "kitchen"]);
        world.ok(&["nodes", "label", "kitchen", "holds"]);
        let holder = Holder::new();
        let before = numbered("before", 10);
        world.say(2, &before);
        world.until_noted(&before);
        world.post(1, "/wait/a");
        let held = holder.next();
        assert_eq!((held.n.as_str(), held.node.as_str()), ("a", "kitchen"), "it prefers the label");
        // Nothing more is heard of it, not even that its connections are closed.
        world.lab.partition(2);
        world.node("kitchen").kill();
        let begun = Instant::now();
        let again = holder.within(ELSEWHERE_WITHIN).expect("it runs elsewhere in time");
        assert_eq!((again.n.as_str(), again.node.as_str()), ("a", "home"), "after {:?}", begun.elapsed());
        again.release();
        world.until(&["nodes", "get", "kitchen"], |node| (node["state"] == "away").then_some(()));
        let begun = Instant::now();
        while !world.entries("held").contains_key("a") {
            assert!(begun.elapsed() < crate::lab::PATIENCE);
        }
        assert_eq!((&world.entries("held")["a"], &world.entries("held_times")["a"]), (&"home".into(), &1.into()));
        assert!(world.until_noted(&before).values().all(|times| *times == 1));
        // What is published now goes to those that are there.
        let after = numbered("after", 10);
        world.say(1, &after);
        world.until_noted(&after);
        assert!(world.entries("ran_on").iter().filter(|(n, _)| n.starts_with("after")).all(|(_, on)| *on == "home"));
    });
}

#[test]
fn a_node_that_is_drained_finishes_what_it_has_and_takes_nothing_new() {
    inside(|| {
        let world = World::joined(&["home", "kitchen"]);
        world.ok(&["nodes", "label", "kitchen", "holds"]);
        let holder = Holder::new();
        world.post(1, "/wait/a");
        let held = holder.next();
        assert_eq!(held.node, "kitchen");
        world.ok(&["nodes", "drain", "kitchen"]);
        world.until_node("kitchen", |node| node["state"] == "draining");
        world.post(1, "/wait/b");
        let other = holder.next();
        assert_eq!((other.n.as_str(), other.node.as_str()), ("b", "home"));
        held.release();
        other.release();
        let begun = Instant::now();
        while world.entries("held").len() < 2 {
            assert!(begun.elapsed() < crate::lab::PATIENCE);
        }
        assert_eq!((&world.entries("held")["a"], &world.entries("held")["b"]), (&"kitchen".into(), &"home".into()));
        world.ok(&["nodes", "resume", "kitchen"]);
        world.until_up("kitchen");
        world.post(1, "/wait/c");
        let third = holder.next();
        assert_eq!(third.node, "kitchen");
        third.release();
    });
}
