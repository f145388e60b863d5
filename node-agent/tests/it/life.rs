//! How a node ends, is removed, and begins anew.

use crate::world::{World, numbered};
use std::fs;

#[test]
fn a_node_that_is_told_to_stop_says_goodbye_and_is_back_as_the_same() {
    let world = World::new();
    let mut node = world.joined("pi2");
    let id = node.status()["id"].clone();
    node.process.stop();
    world.until_node("pi2", |there| there["state"] == "away");
    assert!(world.appliance.log().contains("a node's connection is over: it stops"), "{}", world.appliance.log());
    assert_eq!(node.status()["state"], "stopped");
    assert!(!node.process.log().contains("no appliance answers"), "it is the node that went: {}", node.process.log());
    node.restart(&[]);
    node.until_state("up");
    assert_eq!(node.status()["id"], id);
}

#[test]
fn a_node_that_was_removed_ends_forgets_and_is_not_let_in_again_before_it_is_reset() {
    let world = World::new();
    let mut node = world.joined("pi2");
    world.ok(&["nodes", "delete", "pi2", "--yes"]);
    assert_eq!(node.process.until_ends(), 0);
    assert!(!node.data.join("cache/snapshot").exists());
    assert_eq!(fs::read_dir(node.data.join("cache/content")).unwrap().count(), 0);
    assert_eq!(node.status()["state"], "retired");
    let again = node.run(&["run", "--ingress-addr", "127.0.0.1:0", "--mdns", "false"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("was removed from its appliance"), "{again:?}");
    let reset = node.run(&["reset"]);
    assert!(reset.status.success(), "{reset:?}");
    let address = world.admin.to_string();
    node.restart(&["--appliance", &address, "--join-token", &world.token()]);
    node.until_state("up");
}

#[test]
fn a_node_that_was_removed_while_it_was_away_learns_it_when_it_is_back() {
    let world = World::new();
    let mut node = world.joined("pi2");
    node.process.kill();
    world.ok(&["nodes", "delete", "pi2", "--yes"]);
    node.restart(&[]);
    assert_eq!(node.process.until_ends(), 0);
    assert_eq!(node.status()["state"], "retired");
}

#[test]
fn a_reset_gives_up_waiting_publishes_only_where_that_is_said() {
    let mut world = World::new();
    let mut node = world.joined("pi2");
    world.appliance.stop();
    node.until_state("away");
    node.say(&numbered("a", 3));
    node.process.stop();
    let refused = node.run(&["reset"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("3 publishes wait"), "{refused:?}");
    assert!(node.data.join("identity/node.key").exists());
    assert!(node.run(&["reset", "--force"]).status.success());
    assert!(!node.data.join("identity").exists() && !node.data.join("spool.db").exists());
}

#[test]
fn a_node_whose_worker_is_killed_answers_again() {
    let world = World::new();
    let node = world.joined("pi2");
    let worker = node.status()["worker_pid"].as_i64().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(worker).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    node.until(|status| status["worker_pid"].as_i64().is_some_and(|pid| pid != worker));
    assert_eq!(node.get("/led/who").body, "pi2!");
    assert_eq!(node.status()["state"], "up");
}

#[test]
fn an_idle_agent_is_small() {
    let world = World::new();
    let node = world.joined("pi2");
    let status = fs::read_to_string(format!("/proc/{}/status", node.process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // What is of its own; the program's file is shared, and twice as large as the one that is shipped.
    assert!(kib < 12 * 1024, "{line}");
}
