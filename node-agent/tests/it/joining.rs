//! How a machine is let in, and how it is not.

use crate::world::{Node, World};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_machine_with_a_token_is_let_in_at_once_and_serves_what_the_appliance_serves() {
    let world = World::new();
    let node = world.joined("pi2");
    assert_eq!(node.get("/led/who").body, "pi2!");
    assert_eq!(node.get("/led/").body, "<p>hello</p>");
    let status = node.status();
    assert_eq!((status["name"].as_str(), status["asked"].as_object()), (Some("pi2"), None), "{status}");
    let there = world.until_node("pi2", |there| there["state"] == "up" && there["in_step"] == true);
    assert_eq!(there["id"], status["id"]);
    assert!(there["facts"]["arch"].is_string() && there["facts"]["memory_mb"].is_string(), "{there}");
    assert_eq!(there["urls"], serde_json::json!([format!("http://{}", node.address)]));
    for file in ["identity/node.key", "identity/member.json", "cache/snapshot", "node.sock"] {
        let mode = std::fs::metadata(node.data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_machine_without_a_token_waits_until_somebody_who_compared_its_fingerprint_approves_it() {
    let world = World::new();
    let node = world.node("pi2", &[]);
    let said = node.process.until_says("fingerprint: ");
    let fingerprint = said.trim_start_matches("fingerprint: ").to_owned();
    let waiting = world.until_node("pi2", |there| there["state"] == "waiting");
    let shown = waiting["fingerprint"].as_str().unwrap().replace(' ', "");
    assert!(shown.starts_with(&fingerprint.replace(' ', "")), "{shown} {fingerprint}");
    let asked = node.until(|status| status["asked"][world.admin.to_string()]["ca"].is_string());
    assert_eq!(asked["state"], "waiting");
    assert!(node.try_get("/led/who").is_err(), "nobody listens where nothing is served");
    let refused = world.picloud(&["nodes", "approve", "pi2", "--node-fingerprint", &"0".repeat(64), "--yes"]);
    assert!(!refused.status.success(), "{refused:?}");
    world.ok(&["nodes", "approve", "pi2", "--node-fingerprint", &shown, "--label", "room=hall", "--yes"]);
    let status = node.until_state("up");
    node.until_serves();
    let ca = asked["asked"][world.admin.to_string()]["ca"].as_str();
    assert_eq!(status["ca"].as_str(), ca, "the one that it showed is the one that it trusts");
    let there = world.until_node("pi2", |there| there["state"] == "up");
    assert_eq!(there["labels"], serde_json::json!({"room": "hall"}));
}

#[test]
fn a_token_that_was_used_up_lets_nobody_in_and_another_one_said_later_does() {
    let world = World::new();
    let token = world.token();
    let _first = world.node("first", &["--join-token", &token]);
    world.until_node("first", |there| there["state"] == "up");
    let second = world.node("second", &["--join-token", &token]);
    second.process.until_says("not known here, has expired, or is used up");
    assert_eq!(second.status()["state"], "waiting");
    let another = world.token();
    let told = second.run(&["join", &another]);
    assert!(told.status.success(), "{told:?}");
    second.until_state("up");
    let again = second.run(&["join", &another]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("picloud-node reset"), "{again:?}");
}

#[test]
fn an_appliance_of_another_ca_than_the_tokens_hears_nothing_of_the_token() {
    let (ours, other) = (World::empty(), World::empty());
    let node = Node::start(
        ours.folder.path(),
        "pi2",
        "127.0.0.1:0".parse().unwrap(),
        &["--appliance", &other.admin.to_string(), "--join-token", &ours.token()],
    );
    node.process.until_says("this node is not let in yet");
    assert!(node.process.log().contains("is not trusted"), "{}", node.process.log());
    assert_eq!(other.json(&["nodes", "list"])["items"].as_array().map(Vec::len), Some(1), "only itself");
    assert_eq!(node.status()["state"], "waiting");
}

#[test]
fn a_node_that_was_let_in_talks_to_no_other_ca_at_its_appliances_address() {
    let mut world = World::new();
    let node = world.joined("pi2");
    world.appliance.stop();
    let data = world.folder.path().join("appliance");
    std::fs::rename(&data, world.folder.path().join("before")).unwrap();
    world.restart_appliance();
    node.process.until_says("is not trusted");
    assert_eq!(node.status()["state"], "away");
    assert_eq!(node.get("/led/who").body, "pi2!", "it serves what it knows");
    let strangers = world.json(&["nodes", "list"]);
    assert_eq!(strangers["items"].as_array().map(Vec::len), Some(1), "{strangers}");
    world.appliance.stop();
    std::fs::rename(&data, world.folder.path().join("rogue")).unwrap();
    std::fs::rename(world.folder.path().join("before"), &data).unwrap();
    world.restart_appliance();
    node.until_state("up");
}

#[test]
fn two_agents_cannot_share_a_data_folder_and_a_bad_setting_stops_the_start() {
    let world = World::empty();
    let node = world.node("pi2", &[]);
    node.process.until_says("fingerprint: ");
    let second = node.run(&["run", "--ingress-addr", "127.0.0.1:0", "--mdns", "false"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another picloud-node runs"), "{second:?}");
    let bad = node.run(&["run", "--concurrency", "none"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("--concurrency: `concurrency` cannot be `none`"), "{bad:?}");
    let reset = node.run(&["reset"]);
    assert!(!reset.status.success(), "an agent that runs is not reset: {reset:?}");
    assert_ne!(node.status(), Value::Null);
}
