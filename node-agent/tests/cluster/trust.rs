//! Whoever says to be somebody else.

use crate::lab::{PATIENCE, Process, inside};
use crate::world::{Agent, World, ask, numbered, start_appliance};
use picloud_cluster::lan::{Announcement, Kind, Lan, LanOptions};
use picloud_model::hash::ContentHash;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

#[test]
fn a_rogue_that_announces_itself_as_the_appliance_gets_nothing_from_a_node_that_has_one() {
    inside(|| {
        let mut world = World::of(&["home", "kitchen", "home"]);
        world.join(&["kitchen"]);
        let before = numbered("before", 1);
        world.say(2, &before);
        world.until_noted(&before);
        // The real one goes, and one comes that looks just like it: the same program and name, and it even says to
        // have the same CA, for everybody can read that.
        let ca = ca_of(&mut world.appliance);
        world.appliance.kill();
        let mut rogue = start_appliance(&world.lab, 3, &[]);
        assert_ne!(ca_of(&mut rogue), ca);
        let port = relay(SocketAddr::from((world.lab.host(3).address(), 8443)));
        let lan = Lan::open(LanOptions::default()).unwrap();
        let id = "0123456789abcdef0123".to_owned();
        let (kind, name) = (Kind::Appliance, "home".to_owned());
        lan.announce(&Announcement { kind, id, name, port, ingress: 8080, fingerprint: ca, setup: None }).unwrap();
        let said = numbered("said", 10);
        world.say(2, &said);
        // It meets the rogue, says so, and goes on without any.
        let met = world.node("kitchen").until_said(&format!("10.31.7.254:{port} is not trusted"));
        assert!(met.contains("invalid peer certificate"), "{met}");
        let status = world.status("kitchen");
        assert_eq!((&status["state"], &status["spooled"]), (&"away".into(), &10.into()), "{status}");
        assert_eq!(world.get(2, "/who").json()["node"], "kitchen");
        assert!(!rogue.has_ended());
        world.restart_appliance();
        world.until_up("kitchen");
        let noted = world.until_noted(&said);
        assert!(said.iter().all(|n| noted[n] == 1), "{noted:?}");
    });
}

/// The CA's fingerprint, as an appliance says it at its start.
fn ca_of(appliance: &mut Process) -> ContentHash {
    let said = appliance.until_said("CA fingerprint SHA256 ");
    let (_, rest) = said.split_once("CA fingerprint SHA256 ").unwrap();
    rest[..64].parse().unwrap()
}

/// A port of the test's that leads to `to`.
fn relay(to: SocketAddr) -> u16 {
    let listener = TcpListener::bind((crate::lab::address(254), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for from in listener.incoming() {
            let (from, to) = (from.unwrap(), TcpStream::connect(to).unwrap());
            for (mut read, mut write) in [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from)] {
                std::thread::spawn(move || {
                    // Either end may go at any time.
                    let _gone = std::io::copy(&mut read, &mut write);
                    let _gone = write.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    port
}

#[test]
fn a_machine_with_a_token_joins_the_appliance_that_the_token_means_and_no_other() {
    inside(|| {
        let mut world = World::of(&["home", "kitchen", "rogue"]);
        let _rogue = start_appliance(&world.lab, 3, &[]);
        let token = world.token(1);
        // The rogue's address is typed, the real one's is found.
        let rogue = world.lab.host(3).address().to_string();
        world.start(&Agent::on(2, "kitchen", &["--join-token", &token, "--appliance", &rogue]));
        world.until_up("kitchen");
        assert_eq!(world.status("kitchen")["appliance"], "home");
        assert_eq!(world.get(2, "/who").json()["node"], "kitchen");
        // The token has done its work.
        let flags = ["--join-token", token.as_str()];
        world.start(&Agent { port: 8090, ..Agent::on(3, "thief", &flags) });
        let begun = Instant::now();
        while !world.node("thief").said().contains("token") {
            assert!(begun.elapsed() < PATIENCE, "it says why: {}", world.node("thief").said());
            std::thread::sleep(crate::lab::LOOK_EVERY);
        }
        assert_ne!(world.status("thief")["state"], "up");
    });
}

#[test]
fn a_node_that_is_removed_is_cut_off_within_seconds_and_a_copy_of_its_key_is_worth_nothing() {
    inside(|| {
        let mut world = World::joined(&["home", "kitchen", "thief"]);
        world.node("thief").kill();
        let said = numbered("said", 10);
        world.say(2, &said);
        world.until_noted(&said);
        // All that is on its disk: key, certificate, cache and spool.
        let copied = Command::new("cp").arg("-rT").arg(world.data("kitchen")).arg(world.data("copy")).status().unwrap();
        assert!(copied.success());
        let begun = Instant::now();
        world.ok(&["nodes", "delete", "kitchen", "--yes"]);
        while !world.node("kitchen").said().contains("removed") {
            assert!(begun.elapsed() < PATIENCE, "it is told: {}", world.node("kitchen").said());
            std::thread::sleep(crate::lab::LOOK_EVERY);
        }
        let told = begun.elapsed();
        assert!(told.as_secs() < 10, "it is cut off within seconds: {told:?}");
        assert!(world.entries("puts").is_empty());
        world.start(&Agent::on(3, "copy", &["--appliance", "10.31.7.1"]));
        let begun = Instant::now();
        while !world.node("copy").said().contains("removed") {
            assert!(begun.elapsed() < PATIENCE, "it is refused: {}", world.node("copy").said());
            std::thread::sleep(crate::lab::LOOK_EVERY);
        }
        // Whatever it still serves from its disk, it reaches no data any more.
        if let Ok(answer) = ask(world.lab.host(3).address(), 8080, "POST", "/put/stolen") {
            assert_ne!(answer.status, 200, "{answer:?}");
        }
        assert!(world.entries("puts").is_empty());
        let nodes = world.json(&["nodes", "list"]);
        let kitchen = nodes["items"].as_array().unwrap().iter().find(|node| node["name"] == "kitchen");
        assert!(kitchen.is_none_or(|node| node["state"] == "retired"), "{nodes}");
    });
}
