//! Certificates end: while a node is there it gets the next one in time, and after a year away its key is enough.

use crate::joining::faketime;
use crate::lab::inside;
use crate::world::{Agent, World, numbered, start_appliance_with};
use serde_json::Value;

/// Plays the same with everybody's clock, or only some, set forward.
struct Later {
    world: World,
    preload: String,
    /// The node as it was before.
    before: Value,
    lines: usize,
}

impl Later {
    /// A node with a name and a label of its own, and then it and its appliance stop.
    fn stopped() -> Self {
        let mut world = World::joined(&["home", "kitchen"]);
        world.ok(&["nodes", "label", "kitchen", "room=kitchen"]);
        world.ok(&["nodes", "rename", "kitchen", "pantry"]);
        world.until_node("pantry", |node| node["state"] == "up" && node["labels"]["room"] == "kitchen");
        let before = world.until_node("pantry", |node| node["certificate_expires_at"].is_string());
        let status = world.status("kitchen");
        assert_eq!(
            status["certificate_expires_at"].as_str().map(day),
            before["certificate_expires_at"].as_str().map(day)
        );
        assert!(world.node("kitchen").terminate().success());
        assert!(world.appliance.terminate().success());
        let said = world.node("kitchen").said();
        assert!(!said.contains("no appliance answers"), "it is the node that went: {said}");
        Self { preload: faketime(), before, lines: said.lines().count(), world }
    }

    /// Starts both again, so much later by the clock of each.
    fn start(&mut self, appliance: &str, node: &str) {
        let [appliance, node] = [appliance, node]
            .map(|offset| [("LD_PRELOAD", self.preload.as_str()), ("FAKETIME", offset), ("DONT_FAKE_MONOTONIC", "1")]);
        self.world.appliance = start_appliance_with(&self.world.lab, 1, &[], &appliance);
        self.world.start(&Agent { environment: &node, ..Agent::on(2, "kitchen", &[]) });
    }

    /// Waits until the node is up as the one it was, with a certificate that ends later; answers what its agent said.
    fn until_renewed(&mut self, number: &str) -> String {
        let before = self.before.clone();
        let ended = before["certificate_expires_at"].as_str().unwrap();
        let is_later = |ends: &Value| ends.as_str().is_some_and(|ends| ends > ended);
        let node = self.world.until_node("pantry", |node| {
            node["state"] == "up" && node["in_step"] == true && is_later(&node["certificate_expires_at"])
        });
        for what in ["id", "fingerprint", "labels", "kind"] {
            assert_eq!(node[what], before[what], "{what}");
        }
        let nodes = self.world.json(&["nodes", "list"]);
        assert_eq!(nodes["items"].as_array().map(Vec::len), Some(2), "{nodes}");
        let status = self.world.status("kitchen");
        assert!(is_later(&status["certificate_expires_at"]), "{status}");
        assert_eq!((&status["state"], &status["name"]), (&"up".into(), &"pantry".into()));
        // What is on its disk is what it goes on with.
        let said = numbered(number, 3);
        self.world.say(2, &said);
        assert!(self.world.until_noted(&said).values().all(|times| *times == 1));
        let said = self.world.node("kitchen").said();
        said.lines().skip(self.lines).collect::<Vec<_>>().join("\n")
    }
}

/// The day of a time.
fn day(time: &str) -> &str {
    &time[..10]
}

#[test]
fn a_certificate_is_renewed_while_the_one_before_still_holds_and_the_connection_goes_on() {
    inside(|| {
        let mut later = Later::stopped();
        later.start("+40d", "+40d");
        let said = later.until_renewed("renewed");
        assert!(said.contains("this node has its next certificate"), "{said}");
        assert!(!said.contains("asks for another certificate"), "{said}");
        assert_eq!(said.matches("an appliance answers").count(), 1, "{said}");
        // The next connection is made with it, nothing is renewed again, and the appliance has written it down, too.
        assert!(later.world.node("kitchen").terminate().success());
        later.lines = later.world.node("kitchen").said().lines().count();
        assert!(later.world.appliance.terminate().success());
        later.start("+60d", "+60d");
        let said = later.until_renewed("again");
        assert!(!said.contains("certificate"), "{said}");
    });
}

#[test]
fn a_node_that_was_away_for_a_year_is_back_with_its_key_alone_as_the_one_it_was() {
    inside(|| {
        let mut later = Later::stopped();
        later.start("+400d", "+400d");
        let said = later.until_renewed("back");
        assert!(said.contains("asks for another certificate: it has ended"), "{said}");
    });
}

#[test]
fn a_node_whose_clock_stood_still_meanwhile_learns_from_the_appliance_that_its_certificate_has_ended() {
    inside(|| {
        let mut later = Later::stopped();
        later.start("+400d", "+0d");
        let said = later.until_renewed("back");
        assert!(said.contains("asks for another certificate: it does not accept"), "{said}");
    });
}
