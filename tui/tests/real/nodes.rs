//! Nodes and join tokens, as a person sees to them, before any of these machines has come.

use crate::world::World;
use serde_json::{Value, json};

#[test]
fn a_machine_that_is_to_come_is_let_in_labelled_drained_replaced_and_removed() {
    let world = World::with_https();
    let (old, new) = ("3f".repeat(32), "7e".repeat(32));
    let ok = |arguments: &[&str]| {
        let ran = world.picloud(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.out
    };
    let json_of = |arguments: &[&str]| -> Value { serde_json::from_str(&ok(arguments)).unwrap() };
    ok(&["nodes", "approve", &old, "--name", "garage", "--label", "room=garage"]);
    let listed = ok(&["nodes"]);
    assert!(listed.contains("garage") && listed.contains("away") && listed.lines().count() == 3, "{listed}");
    let shown = json_of(&["nodes", "get", "garage", "--json"]);
    assert_eq!((&shown["id"], &shown["labels"]), (&json!(old[..20]), &json!({ "room": "garage" })));

    ok(&["nodes", "label", "garage", "camera", "room-"]);
    ok(&["nodes", "rename", "garage", "shed"]);
    ok(&["nodes", "drain", "shed"]);
    let shown = json_of(&["nodes", "get", "shed", "--json"]);
    assert_eq!(shown["labels"], json!({ "camera": "" }), "{shown}");
    ok(&["nodes", "resume", &old[..20]]);
    ok(&["nodes", "replace", "shed", &new]);
    let shown = json_of(&["nodes", "get", "shed", "--json"]);
    assert_eq!((&shown["id"], &shown["labels"]), (&json!(new[..20]), &json!({ "camera": "" })));
    let retired = json_of(&["nodes", "list", "--state", "retired", "--json"]);
    assert_eq!(retired["items"][0]["id"], json!(old[..20]), "{retired}");
    ok(&["nodes", "delete", "shed", "--yes"]);
    assert_eq!(json_of(&["cluster", "status", "--json"])["nodes"], json!({ "retired": 2 }));

    let actions: Vec<String> = json_of(&["audit", "list", "--action", "node.", "--json"])["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        actions,
        ["node.retire", "node.replace", "node.resume", "node.drain", "node.change", "node.change", "node.approve"]
    );
}

#[test]
fn what_cannot_be_done_to_nodes_is_refused_with_what_to_do() {
    let world = World::with_https();
    let (one, other) = ("3f".repeat(32), "7e".repeat(32));
    for (node, name) in [(&one, "garage"), (&other, "shed")] {
        assert_eq!(world.picloud(&["nodes", "approve", node, "--name", name]).code, 0);
    }
    for (arguments, code, said) in [
        (&["nodes", "get", "nobody"][..], 3, "`picloud nodes`"),
        (&["nodes", "approve", "nobody"], 3, "`picloud nodes`"),
        (&["nodes", "approve", &one], 4, "let in already"),
        (&["nodes", "rename", "shed", "garage"], 4, "garage"),
        (&["nodes", "rename", "shed", "Shed"], 1, "no name of a node"),
        (&["nodes", "label", "shed", "Room=x"], 2, "no label"),
        (&["nodes", "replace", "garage", "shed"], 4, "let in already"),
        (&["join-tokens", "create", "--for", "400d"], 1, "year"),
        (&["join-tokens", "create", "--uses", "1001"], 1, "1000"),
        (&["join-tokens", "delete", "7"], 3, "7"),
    ] {
        let ran = world.picloud(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn a_join_token_is_shown_once() {
    let world = World::with_https();
    let made = world.picloud(&["join-tokens", "create", "--label", "room=garage", "--for", "24h", "--uses", "5"]);
    assert_eq!(made.code, 0, "{made:?}");
    let token = made.out.trim();
    let ca = world.https().1;
    assert!(token.starts_with(&format!("PC1.{}.1.", &ca[..32])) && !token.contains(' '), "{token} for {ca}");
    let listed = world.picloud(&["join-tokens", "list"]).out;
    assert!(listed.contains("room=garage") && !listed.contains(token.rsplit('.').next().unwrap()), "{listed}");
    assert_eq!(world.picloud(&["join-tokens", "delete", "1"]).code, 0);
    assert_eq!(world.picloud(&["join-tokens", "list"]).out, "");
}
