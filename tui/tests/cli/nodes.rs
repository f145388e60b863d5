//! Nodes and join tokens: what is sent, and how the answers look.

use crate::support::FakeAdmin;
use insta::assert_snapshot;
use serde_json::{Value, json};

/// Widest line of a table that a terminal of 100 columns shows whole: a list with addresses.
const COLUMNS_MAX: usize = 100;

fn fingerprint() -> String {
    "3f2a91bc00112233".repeat(4)
}

fn node(name: &str, state: &str) -> Value {
    json!({
        "id": &fingerprint()[..20], "name": name, "kind": "node", "state": state, "since": "2026-01-02T03:04:05.678Z",
        "fingerprint": fingerprint(), "labels": { "room": "garage" }, "facts": { "arch": "aarch64" },
        "version": "0.1.0", "urls": ["http://192.168.1.20:8080"], "in_step": true, "applied_revision": 7,
        "revision": 7, "running": 1, "places": 16, "spooled": 0, "revision_of_record": 3,
    })
}

fn page(items: &[Value]) -> String {
    json!({ "items": items, "cursor": null }).to_string()
}

#[test]
fn the_list_shows_what_each_node_is_doing_and_the_fingerprint_of_those_that_wait() {
    let mut stranger = node("raspberrypi", "waiting");
    for absent in ["in_step", "places", "applied_revision", "revision"] {
        stranger.as_object_mut().unwrap().remove(absent);
    }
    let mut behind = node("kitchen", "slow");
    behind["in_step"] = json!(false);
    let admin = FakeAdmin::once(200, page(&[node("garage", "up"), behind, stranger]));
    let ran = admin.picloud(&["nodes"]);
    for line in ran.out.lines() {
        assert!(line.chars().count() <= COLUMNS_MAX, "{line}");
    }
    assert_snapshot!(ran.shown(admin.folder.path()));
}

/// What was asked after `arguments`, where every node is called garage and is in this state.
fn told(arguments: &[&str], state: &str) -> String {
    let answer = node("garage", state).to_string();
    let admin = FakeAdmin::answering([(200, "", answer.clone()), (200, "", answer)]);
    let ran = admin.picloud(arguments);
    let mut told = format!("$ picloud {}\n", arguments.join(" "));
    for seen in admin.seen() {
        let matched = seen.headers.iter().filter(|header| header.starts_with("if-match"));
        let matched: String = matched.map(|header| format!("{header}\n")).collect();
        told += &format!("> {}\n{matched}{}", seen.line, seen.body);
        if !seen.body.is_empty() {
            told.push('\n');
        }
    }
    told + &ran.shown(admin.folder.path()) + "\n"
}

#[test]
fn what_is_sent_is_what_was_meant() {
    let mut all = String::new();
    for arguments in [
        &["nodes", "list", "--state", "away", "--json"][..],
        &["nodes", "label", "garage", "camera", "shelf=2", "room-"],
        &["nodes", "label", "garage", "arch-"],
        &["nodes", "rename", "garage", "shed"],
        &["nodes", "drain", "garage"],
        &["nodes", "resume", "garage"],
        &["nodes", "delete", "garage", "--yes"],
        &["join-tokens", "delete", "3"],
        &["cluster"],
    ] {
        all += &told(arguments, "up");
    }
    assert_snapshot!(all);
}

#[test]
fn who_is_let_in_is_who_was_seen() {
    let mut all = String::new();
    let whole = fingerprint();
    for arguments in [
        &["nodes", "approve", "garage", "--name", "shed", "--label", "camera", "--label", "room=shed"][..],
        &["nodes", "approve", "garage", "--node-fingerprint", "3F2A 91BC 0011"],
        &["nodes", "approve", "garage", "--node-fingerprint", "3f2a 91bd"],
        &["nodes", "approve", &whole, "--yes", "--json"],
        &["nodes", "replace", "old", "garage", "--yes"],
    ] {
        all += &told(arguments, "waiting");
    }
    assert_snapshot!(all);
}

#[test]
fn a_node_that_has_not_come_yet_is_let_in_by_its_whole_fingerprint() {
    let absent = json!({ "code": "not-found", "status": 404, "title": "not found", "detail": "no such node" });
    let admin = FakeAdmin::answering([(404, "", absent.to_string()), (200, "", node("garage", "away").to_string())]);
    let spaced: Vec<String> = fingerprint().to_uppercase().chars().map(|digit| format!("{digit} ")).collect();
    let ran = admin.picloud(&["nodes", "approve", spaced.concat().trim()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let [_get, approve] = admin.seen().try_into().unwrap();
    assert_eq!(approve.line, format!("POST /api/v1/nodes/{}/approve", fingerprint()));
    assert_eq!(approve.body, json!({ "labels": {}, "fingerprint": fingerprint() }).to_string().replace(' ', ""));
}

#[test]
fn a_token_is_the_only_thing_on_standard_output() {
    let token = json!({
        "id": 3, "labels": { "room": "garage" }, "uses_left": 5, "created_by": "root",
        "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z",
    });
    let mut made = token.clone();
    made["token"] = "PC1.ca.3.secret".into();
    let admin = FakeAdmin::once(201, made);
    let arguments = ["join-tokens", "create", "--label", "room=garage", "--for", "24h", "--uses", "5"];
    let ran = admin.picloud(&arguments);
    let seen = admin.only();
    let list = FakeAdmin::once(200, page(&[token]));
    let listed = list.picloud(&["join-tokens", "list"]);
    assert_snapshot!(format!(
        "{}\n{}\n{}{}",
        seen.line,
        seen.body,
        ran.shown(admin.folder.path()),
        listed.shown(list.folder.path())
    ));
}
