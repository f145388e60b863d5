//! What a node does while its appliance answers: the same as the appliance itself.

use crate::world::{World, numbered, until};

#[test]
fn data_events_secrets_and_deploys_are_the_same_on_a_node() {
    let world = World::new();
    let node = world.joined("pi2");
    let said = numbered("a", 20);
    let events = node.say(&said);
    let noted = world.until_noted(&said);
    for (n, event) in said.iter().zip(&events) {
        assert_eq!(noted[n]["event"].as_str(), Some(event.as_str()), "{n} is the event that the script was told");
    }
    assert_eq!(noted["count"], 20, "each ran once");
    assert!(node.get("/led/get/a-3").body.contains("\"event\""));

    assert_eq!(node.get("/led/secret").body, "not-found");
    world.ok(&["--app", "led", "secrets", "set", "door", "--value", "1234"]);
    until(|| (node.get("/led/secret").body == "1234").then_some(()), || node.get("/led/secret").body);

    let source = world.folder.path().join("app/scripts/who.rhai");
    std::fs::write(source, "\"new \" + ctx.node").unwrap();
    world.ok(&["deploy", world.folder.path().join("app").to_str().unwrap()]);
    assert_eq!(node.get("/led/who").body, "new pi2", "a deploy that is answered is answered from");
    world.ok(&["apps", "delete", "led", "--yes"]);
    until(|| (node.get("/led/who").status == 404).then_some(()), || node.get("/led/who").body);
}

#[test]
fn deliveries_that_need_a_node_run_on_it_and_are_in_the_history_with_its_name() {
    let world = World::new();
    let node = world.joined("pi2");
    let manifest = world.folder.path().join("app/app.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text + "[placement.note]\nneeds = [\"name=pi2\"]\n").unwrap();
    world.ok(&["deploy", world.folder.path().join("app").to_str().unwrap()]);
    let said = numbered("a", 30);
    node.say(&said);
    assert_eq!(world.until_noted(&said)["count"], 30);
    let runs = until(
        || {
            let listed = world.json(&["--app", "led", "executions", "list", "--limit", "100"]);
            let runs = listed["items"].as_array()?.iter().filter(|run| run["script"] == "note");
            let runs: Vec<_> = runs.cloned().collect();
            (runs.len() == 30).then_some(runs)
        },
        || world.ok(&["--app", "led", "executions", "list", "--json"]),
    );
    assert!(runs.iter().all(|run| run["node"] == "pi2" && run["outcome"] == "ok"), "{runs:?}");
}

#[test]
fn a_node_that_is_renamed_or_drained_says_so_and_goes_on() {
    let world = World::new();
    let node = world.joined("pi2");
    world.ok(&["nodes", "rename", "pi2", "kitchen"]);
    until(|| (node.get("/led/who").body == "kitchen!").then_some(()), || node.get("/led/who").body);
    assert_eq!(node.status()["name"], "kitchen");
    world.ok(&["nodes", "drain", "kitchen"]);
    let health = || node.get("/.picloud/health").status;
    until(|| (health() == 503).then_some(()), || health().to_string());
    assert_eq!(node.get("/led/who").status, 200, "whoever asks is answered");
    world.ok(&["nodes", "resume", "kitchen"]);
    until(|| (health() == 200).then_some(()), || health().to_string());
}
