//! What may run only where something is, and what happens elsewhere.

use crate::lab::{LOOK_EVERY, PATIENCE, inside};
use crate::world::{Answer, World, ledger, numbered};
use std::process::Command;
use std::time::Instant;

/// The ledger, but `who` and `note` need a camera.
fn with_a_camera(world: &World) {
    let folder = world.lab.folder("camera");
    assert!(Command::new("cp").arg("-rT").arg(ledger()).arg(&folder).status().unwrap().success());
    let manifest = folder.join("app.toml");
    let needs = "\n[placement.who]\nneeds = [\"cam\"]\n\n[placement.note]\nneeds = [\"cam\"]\n";
    let text = std::fs::read_to_string(&manifest).unwrap() + needs;
    std::fs::write(&manifest, text).unwrap();
    world.ok(&["deploy", folder.to_str().unwrap()]);
}

/// Asks until it is answered so.
fn until(ask: impl Fn() -> Answer, is_so: impl Fn(&Answer) -> bool) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if is_so(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn a_request_is_passed_on_once_to_a_node_that_may_run_it_and_events_wait_for_one() {
    inside(|| {
        let mut world = World::joined(&["home", "kitchen", "attic"]);
        with_a_camera(&world);
        // Nobody has one.
        let refused = world.get(1, "/who");
        assert_eq!((refused.status, refused.json()["code"].clone()), (503, "node-away".into()), "{refused:?}");
        assert!(refused.head.to_lowercase().contains("retry-after:"), "{refused:?}");
        assert!(refused.body.contains("cam"), "it names what is needed: {refused:?}");
        let said = numbered("said", 5);
        world.say(1, &said);
        assert!(world.entries("noted").is_empty());
        // Then the attic has.
        world.ok(&["nodes", "label", "attic", "cam"]);
        let passed_on = until(|| world.get(1, "/who"), |answer| answer.status == 200);
        assert_eq!(passed_on.json()["node"], "attic");
        assert!(passed_on.head.to_lowercase().contains("picloud-node: attic"), "{passed_on:?}");
        let from_node = until(|| world.get(2, "/who"), |answer| answer.status == 200);
        assert_eq!(from_node.json()["node"], "attic", "from one node to another, too");
        let own = until(|| world.get(3, "/who"), |answer| answer.status == 200);
        assert!(!own.head.to_lowercase().contains("picloud-node:"), "it is not passed on where it may run: {own:?}");
        assert!(world.until_noted(&said).values().all(|times| *times == 1));
        assert!(world.entries("ran_on").values().all(|on| *on == "attic"), "{:?}", world.entries("ran_on"));
        // Without the attic there is nobody again.
        world.node("attic").terminate();
        let gone = until(|| world.get(1, "/who"), |answer| answer.status == 503);
        assert_eq!(gone.json()["code"], "node-away");
    });
}
