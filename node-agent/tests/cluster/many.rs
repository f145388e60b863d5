//! Many agents on one machine.

use crate::lab::inside;
use crate::world::{Agent, World, ask, numbered};
use std::time::Instant;

/// How many.
const AGENTS: u16 = 20;

#[test]
fn twenty_agents_on_one_machine_are_twenty_nodes() {
    inside(|| {
        let mut world = World::of(&["home", "rack"]);
        let token = world.token(u32::from(AGENTS));
        let names: Vec<String> = (1..=AGENTS).map(|n| format!("rack-{n:02}")).collect();
        for (name, port) in names.iter().zip(8081..) {
            let flags = ["--join-token", &token, "--name", name, "--concurrency", "2"];
            world.start(&Agent { port, ..Agent::on(2, name, &flags) });
        }
        let begun = Instant::now();
        for name in &names {
            world.until_up(name);
        }
        let address = world.lab.host(2).address();
        for (name, port) in names.iter().zip(8081..) {
            assert_eq!(ask(address, port, "GET", "/who").unwrap().json()["node"], **name, "{:?}", begun.elapsed());
        }
        // Each says something; each of these is noted once.
        let mut said = Vec::new();
        for (name, port) in names.iter().zip(8081..) {
            for n in numbered(name, 3) {
                assert_eq!(ask(address, port, "POST", &format!("/say/{n}")).unwrap().status, 200);
                said.push(n);
            }
        }
        let noted = world.until_noted(&said);
        assert_eq!(noted.len(), said.len());
        assert!(noted.values().all(|times| *times == 1), "{noted:?}");
        let places: std::collections::BTreeSet<_> = world.entries("ran_on").values().map(ToString::to_string).collect();
        assert!(places.len() > 1, "more than one took its share: {places:?}");
        // All of them ask for the same name at once when the power comes back.
        for name in &names {
            world.node(name).kill();
        }
        for (name, port) in names.iter().zip(8081..) {
            let flags = ["--concurrency", "2"];
            world.start(&Agent { port, ..Agent::on(2, name, &flags) });
        }
        for name in &names {
            world.until_up(name);
        }
    });
}
