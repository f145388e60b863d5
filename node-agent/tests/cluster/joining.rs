//! A second machine is plugged in.

use crate::lab::inside;
use crate::world::{Agent, World, ask, numbered, serves};
use picloud_model::hash::ContentHash;
use std::time::{Duration, Instant};

/// From a machine's announcement until it is to be seen in `nodes`; a debug build on a loaded machine is given more.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_machine_that_is_plugged_in_is_found_compared_approved_and_takes_its_share() {
    inside(|| {
        let mut world = World::of(&["home", "kitchen"]);
        // Nobody tells it anything.
        world.start(&Agent::on(2, "kitchen", &[]));
        world.node("kitchen").until_said("fingerprint");
        let begun = Instant::now();
        let stranger =
            world.until_node("kitchen", |node| node["state"] == "waiting" && !node["facts"]["arch"].is_null());
        assert!(begun.elapsed() < SEEN_WITHIN, "{:?}", begun.elapsed());
        // What its console shows and what `nodes` shows are the same.
        let console = world.status("kitchen");
        assert_eq!(console["state"], "waiting");
        let digits = |text: &serde_json::Value| text.as_str().unwrap().replace(' ', "");
        let shown = digits(&console["fingerprint"]);
        assert_eq!(shown.len(), 32);
        assert!(digits(&stranger["fingerprint"]).starts_with(&shown), "{stranger} {console}");
        // Somebody who compares wrongly lets nobody in.
        let another = ContentHash::of(b"another").to_string();
        let refused = world.picloud(&["nodes", "approve", "kitchen", "--node-fingerprint", &another]);
        assert!(!refused.status.success());
        world.ok(&["nodes", "approve", "kitchen", "--node-fingerprint", &shown, "--label", "room=kitchen"]);
        let node = world.until_up("kitchen");
        assert_eq!((&node["labels"]["room"], &node["kind"]), (&"kitchen".into(), &"node".into()));
        // It shows whom it belongs to.
        let fingerprint = world.json(&["cluster", "status"])["ca_fingerprint"].clone();
        if let Some(ca) = fingerprint.as_str() {
            assert!(ca.replace(' ', "").starts_with(&digits(&world.status("kitchen")["ca"])), "{ca}");
        }

        // It answers the same URLs.
        let answer = world.get(2, "/who");
        assert_eq!((answer.status, answer.json()["node"].clone()), (200, "kitchen".into()));
        let kept = world.post(2, "/put/one");
        assert_eq!((kept.status, kept.body.as_str()), (200, "kept"));
        assert_eq!(world.entries("puts")["one"], "kitchen");
        // And takes its share of the events, whoever published them.
        let holder = crate::holder::Holder::new();
        world.post(1, "/wait/a");
        world.post(2, "/wait/b");
        let both = [holder.next(), holder.next()];
        let mut places: Vec<String> = both.iter().map(|held| held.node.clone()).collect();
        places.sort();
        assert_eq!(places, ["home", "kitchen"], "the least loaded is chosen");
        both.into_iter().for_each(crate::holder::Held::release);
        let said = [numbered("home", 20), numbered("kitchen", 20)];
        world.say(1, &said[0]);
        world.say(2, &said[1]);
        let noted = world.until_noted(&said.concat());
        assert!(noted.values().all(|times| *times == 1), "{noted:?}");
        assert_eq!(noted.len(), 40);
    });
}

#[test]
fn a_deploy_is_answered_by_every_node_at_once_and_a_node_that_stops_says_goodbye() {
    inside(|| {
        let mut world = World::joined(&["home", "kitchen"]);
        assert_eq!(world.get(2, "/who").json()["version"], 1);
        let folder = world.lab.folder("changed");
        for name in ["app.toml", "scripts"] {
            let from = crate::world::ledger().join(name);
            let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(&folder).status().unwrap();
            assert!(copied.success());
        }
        std::fs::write(folder.join("scripts/who.rhai"), "#{ node: ctx.node, version: ctx.version, is_new: true }")
            .unwrap();
        world.ok(&["deploy", folder.to_str().unwrap()]);
        let answer = world.get(2, "/who").json();
        assert_eq!((&answer["version"], &answer["is_new"]), (&2.into(), &true.into()), "no wait after the deploy");
        assert!(world.node("kitchen").terminate().success());
        let away = world.until_node("kitchen", |node| node["state"] == "away");
        assert!(away["since"].is_string());
    });
}

#[test]
fn two_machines_with_one_host_name_are_two_nodes() {
    inside(|| {
        let mut world = World::of(&["home", "raspberrypi", "raspberrypi"]);
        world.start(&Agent::on(2, "first", &[]));
        world.start(&Agent::on(3, "second", &[]));
        let ids = world.until(&["nodes", "list"], |nodes| {
            let waiting = nodes["items"].as_array()?.iter().filter(|node| node["state"] == "waiting");
            let ids: Vec<String> = waiting.map(|node| node["id"].as_str().unwrap().to_owned()).collect();
            (ids.len() == 2).then_some(ids)
        });
        assert_ne!(ids[0], ids[1]);
        world.ok(&["nodes", "approve", &ids[0], "--yes"]);
        // A second of the name is refused, or gets another: never two of one name.
        let second = world.picloud(&["nodes", "approve", &ids[1], "--yes"]);
        if !second.status.success() {
            world.ok(&["nodes", "approve", &ids[1], "--name", "attic", "--yes"]);
        }
        let names = world.until(&["nodes", "list"], |nodes| {
            let nodes = nodes["items"].as_array()?.iter().filter(|node| node["kind"] == "node" && serves(node));
            let names: std::collections::BTreeSet<_> =
                nodes.map(|node| node["name"].as_str().unwrap().to_owned()).collect();
            (names.len() == 2).then_some(names)
        });
        let answered: std::collections::BTreeSet<String> =
            [2, 3].map(|host| world.get(host, "/who").json()["node"].as_str().unwrap().to_owned()).into();
        assert_eq!(answered, names);
    });
}

#[test]
fn a_machine_whose_clock_is_wrong_joins_and_works() {
    inside(|| {
        let mut world = World::of(&["home", "past", "ahead"]);
        let token = world.token(2);
        let preload = faketime();
        for (host, name, offset) in [(2, "past", "-400d"), (3, "ahead", "+20d")] {
            let environment = [("LD_PRELOAD", preload.as_str()), ("FAKETIME", offset), ("DONT_FAKE_MONOTONIC", "1")];
            let flags = ["--join-token", token.as_str()];
            let agent = Agent { environment: &environment, flags: &flags, ..Agent::on(host, name, &[]) };
            world.start(&agent);
        }
        for (host, name) in [(2, "past"), (3, "ahead")] {
            world.until_up(name);
            assert_eq!(world.get(host, "/who").json()["node"], name);
            let said = numbered(name, 5);
            world.say(host, &said);
            assert!(world.until_noted(&said).values().all(|times| *times == 1));
        }
    });
}

/// The library that gives a program another time.
pub(crate) fn faketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let found = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|library| library.exists());
    let found = found.expect("Debian's package faketime: `cargo xtask test` installs it");
    found.to_str().unwrap().to_owned()
}

#[test]
fn a_machine_without_multicast_joins_by_a_typed_address() {
    inside(|| {
        let mut world = World::of(&["home", "kitchen"]);
        let (token, address) = (world.token(1), world.lab.host(1).address().to_string());
        let flags = ["--mdns", "false", "--appliance", &address, "--join-token", &token];
        let agent = Agent { port: 8090, ..Agent::on(2, "kitchen", &flags) };
        world.start(&agent);
        world.until_up("kitchen");
        let answer = ask(world.lab.host(2).address(), 8090, "GET", "/who").unwrap();
        assert_eq!(answer.json()["node"], "kitchen");
    });
}
