//! Two appliances on one Postgres: either may go, and so may the database for a while.

use crate::lab::{LOOK_EVERY, PATIENCE, Process, inside};
use crate::temp_pg::TempPg;
use crate::world::{Agent, World, ask, data_of, numbered, start_appliance};
use std::time::Instant;
use tempfile::TempDir;

/// Appliances on hosts 1 and 2, and a node on host 3 that has joined.
fn two_appliances(postgres: &TempPg) -> (World, Process, TempDir) {
    let (url, files) = (postgres.url(), tempfile::tempdir().unwrap());
    let flags = ["--database-url", &url, "--files-root", files.path().to_str().unwrap()];
    let mut world = World::with(&["home", "study", "kitchen"], &flags);
    // They are one to whoever has secrets: the second is given the key.
    let key = "keys/secrets.key";
    std::fs::create_dir_all(world.data(&data_of(2)).join("keys")).unwrap();
    std::fs::copy(world.data(&data_of(1)).join(key), world.data(&data_of(2)).join(key)).unwrap();
    let second = start_appliance(&world.lab, 2, &flags);
    let token = world.token(1);
    world.start(&Agent::on(3, "kitchen", &["--join-token", &token]));
    world.until_up_anywhere("kitchen");
    (world, second, files)
}

impl World {
    /// Waits until the node says that an appliance answers it.
    fn until_up_anywhere(&self, name: &str) -> String {
        let begun = Instant::now();
        loop {
            let status = self.status(name);
            if status["state"] == "up" {
                return status["appliance"].as_str().unwrap().to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "{status}");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

#[test]
fn when_one_of_two_appliances_is_killed_its_nodes_and_its_work_go_over_to_the_other() {
    inside(|| {
        let postgres = TempPg::own();
        let (mut world, mut second, _files) = two_appliances(&postgres);
        // What is deployed at one is answered by the other and by the node.
        for host in [1, 2, 3] {
            world.until_answers(host);
        }
        let before = [numbered("one", 5), numbered("two", 5), numbered("three", 5)];
        for (said, host) in before.iter().zip(1..) {
            world.say(host, said);
        }
        let serving = world.until_up_anywhere("kitchen");
        let stays = if serving == "home" { 2 } else { 1 };
        if stays == 2 {
            world.appliance.kill()
        } else {
            second.kill()
        };
        world.asked = data_of(stays);
        let during = numbered("during", 10);
        world.say(3, &during);
        let after = numbered("after", 5);
        world.say(stays, &after);
        let other = world.until_up_anywhere("kitchen");
        assert_ne!(other, serving);
        let noted = world.until_noted(&[before.concat(), during.clone(), after].concat());
        assert!(during.iter().all(|n| noted[n] == 1), "each once: {noted:?}");
        assert_eq!(world.get(3, "/who").json()["node"], "kitchen");
    });
}

#[test]
fn a_database_that_is_killed_and_comes_back_has_all_that_was_acknowledged() {
    inside(|| {
        let postgres = TempPg::own();
        let (world, _second, _files) = two_appliances(&postgres);
        for host in [1, 2, 3] {
            world.until_answers(host);
        }
        let before = numbered("before", 5);
        world.say(3, &before);
        world.until_noted(&before);
        postgres.kill();
        // Nothing is acknowledged that is not kept; what needs no data goes on.
        let refused = world.post(1, "/put/lost");
        assert!(refused.status >= 500, "{refused:?}");
        assert_eq!(world.get(3, "/who").status, 200);
        let mut acknowledged = Vec::new();
        for n in numbered("during", 5) {
            if ask(world.lab.host(3).address(), 8080, "POST", &format!("/say/{n}")).is_ok_and(|it| it.status == 200) {
                acknowledged.push(n);
            }
        }
        postgres.start();
        let after = numbered("after", 5);
        let begun = Instant::now();
        for n in &after {
            while world.post(2, &format!("/say/{n}")).status != 200 {
                assert!(begun.elapsed() < PATIENCE, "nobody is needed for it to go on");
                std::thread::sleep(LOOK_EVERY);
            }
        }
        world.until_noted(&[acknowledged, after].concat());
        assert!(!world.entries("puts").contains_key("lost"));
    });
}
