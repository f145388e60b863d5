//! Tests of the Nodes screen.

use crate::app::testing::{Bench, CAPS, writes, you};
use crate::app::{Answer, Effect, Key, Place, ScreenId};
use crate::theme::{Caps, ColorDepth};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Scope;
use serde_json::{Value, json};

fn digits(from: &str) -> String {
    from.chars().cycle().take(64).collect()
}

fn node(id: &str, name: &str, state: &str) -> Value {
    json!({
        "id": id, "name": name, "kind": "node", "state": state, "since": "2026-01-02T08:00:00Z",
        "fingerprint": digits(&id[..8]), "labels": {}, "facts": {"arch": "aarch64", "model": "Raspberry Pi 4"},
        "version": "0.9.2", "urls": [format!("http://192.0.2.{}:8080", id.len())], "running": 0,
        "joined_at": "2025-11-02T08:00:00Z", "last_seen_at": "2026-01-02T08:00:00Z",
        "certificate_expires_at": "2026-03-30T08:00:00Z", "revision_of_record": 3
    })
}

const GARAGE: &str = "3f2a91bc3f2a91bc3f2a";
const ATTIC: &str = "77aa00ff77aa00ff77aa";
const SHED: &str = "0c1d2e3f0c1d2e3f0c1d";
const NEW: &str = "aabbccddaabbccddaabb";
const PI: &str = "11112222333344445555";

fn all() -> Value {
    let with = |mut node: Value, more: Value| {
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node
    };
    let up = json!({"places": 8, "running": 2, "in_step": true, "applied_revision": 42, "revision": 42, "spooled": 0,
        "round_trip_ms": 4, "appliance": "homelab"});
    json!({"items": [
        with(node(ATTIC, "attic", "up"), up.clone()),
        with(with(node(GARAGE, "garage", "draining"), up.clone()), json!({"labels": {"camera": "", "room": "garage"},
            "in_step": false, "applied_revision": 41, "spooled": 3})),
        with(with(node(PI, "homelab", "up"), up), json!({"kind": "appliance", "version": "0.9.2"})),
        with(node(SHED, "shed-with-a-very-long-name-日本", "lost"), json!({"since": "2025-12-30T11:00:00Z"})),
        with(node(NEW, "raspberrypi", "waiting"), json!({"revision_of_record": 0, "joined_at": null,
            "certificate_expires_at": null})),
        with(node("99887766554433221100", "old", "retired"), json!({})),
    ], "cursor": null})
}

fn bench() -> Bench {
    let mut bench = Bench::at(ScreenId::Nodes);
    bench.answer("/nodes", &all());
    bench
}

fn select(bench: &mut Bench, name: &str) {
    bench.go(&Place::of(ScreenId::Nodes).thing(name));
    bench.answer("/nodes", &all());
}

fn body(effects: &[Effect]) -> Value {
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Write { request, .. } => Some(request),
        _ => None,
    });
    serde_json::from_slice(&sent.expect("something is written").body).unwrap()
}

fn if_match(effects: &[Effect]) -> Option<String> {
    effects.iter().find_map(|effect| match effect {
        Effect::Write { request, .. } => request.if_match.clone(),
        _ => None,
    })
}

fn ok(body: &Value, etag: &str) -> Answer {
    Answer { status: 200, etag: Some(etag.to_owned()), body: body.to_string().into() }
}

#[test]
fn the_list_and_what_is_known_of_one() {
    let mut bench = bench();
    insta::assert_snapshot!("nodes_80x24", bench.text());
    insta::assert_snapshot!("nodes_60x20", bench.text_at(60, 20));
    bench.keys(&[Key::Down, Key::Down]);
    insta::assert_snapshot!("nodes_120x40", bench.text_at(120, 40));
}

#[test]
fn without_colours_and_with_ascii_alone_words_say_the_same() {
    let caps = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut bench = Bench::with(ScreenId::Nodes, (80, 24), caps);
    bench.answer("/nodes", &all());
    insta::assert_snapshot!("nodes_ascii", bench.text());
}

#[test]
fn loading_empty_failing_and_older_data_are_said() {
    let mut bench = Bench::at(ScreenId::Nodes);
    assert!(bench.text().contains("loading"));
    bench.refuse("/nodes", Problem::new(Code::Forbidden, "your key lacks the scope node:read"));
    insta::assert_snapshot!("nodes_refused", bench.text());
    bench.keys(&[Key::Char('r')]);
    bench.answer("/nodes", &json!({"items": [], "cursor": null}));
    insta::assert_snapshot!("nodes_none", bench.text());
    bench.keys(&[Key::Char('r')]);
    bench.answer("/nodes", &all());
    bench.keys(&[Key::Char('r')]);
    bench.refuse("/nodes", Problem::new(Code::NodeAway, "nobody answers"));
    let text = bench.text();
    assert!(text.contains("garage") && text.contains("data of 12:04:3"), "{text}");
}

#[test]
fn a_stranger_is_let_in_with_the_fingerprint_that_was_shown() {
    let mut bench = bench();
    bench.keys(&[Key::Char('A')]);
    insta::assert_snapshot!("nodes_approve", bench.text());
    // The name is chosen, and a label; then the form is sent.
    bench.keys(&[Key::Ctrl('u')]);
    bench.typed("shed2");
    bench.keys(&[Key::Enter]);
    bench.typed("room=shed");
    let effects = bench.keys(&[Key::Enter]);
    assert!(writes(&effects).is_empty(), "it is asked first: {effects:?}");
    insta::assert_snapshot!("nodes_approve_asked", bench.text());
    let effects = bench.keys(&[Key::Char('y')]);
    assert_eq!(writes(&effects), [format!("POST /nodes/{NEW}/approve")]);
    let expected = json!({"name": "shed2", "labels": {"room": "shed"}, "fingerprint": digits("aabbccdd")});
    assert_eq!(body(&effects), expected);
    bench.wrote(Ok(ok(&json!({}), "1")));
    assert!(bench.text().contains("shed2 is let in"));
}

#[test]
fn several_strangers_are_shown_one_after_the_other() {
    let mut both = all();
    let mut other = both["items"][4].clone();
    other["id"] = json!("cccccccccccccccccccc");
    other["name"] = json!("zero");
    both["items"].as_array_mut().unwrap().push(other);
    let mut bench = Bench::at(ScreenId::Nodes);
    bench.answer("/nodes", &both);
    bench.keys(&[Key::Char(' '), Key::Char(' '), Key::Char('A'), Key::Enter, Key::Enter]);
    let effects = bench.keys(&[Key::Char('y')]);
    assert_eq!(writes(&effects), [format!("POST /nodes/{NEW}/approve")], "one alone");
    bench.wrote(Ok(ok(&json!({}), "1")));
    let text = bench.text();
    assert!(text.contains("Let zero"), "the next one is shown: {text}");
}

#[test]
fn a_refused_form_keeps_what_was_typed() {
    let mut bench = bench();
    bench.keys(&[Key::Char('A')]);
    bench.typed("X");
    let effects = bench.keys(&[Key::Enter, Key::Enter]);
    assert!(writes(&effects).is_empty());
    let text = bench.text();
    assert!(text.contains("raspberrypiX") && text.contains("is no name of a node"), "{text}");
}

#[test]
fn a_node_drains_at_once_and_u_takes_it_back_unless_it_changed() {
    let mut bench = bench();
    select(&mut bench, "attic");
    let effects = bench.keys(&[Key::Char('p')]);
    assert_eq!(writes(&effects), [format!("POST /nodes/{ATTIC}/drain")]);
    bench.wrote(Ok(ok(&json!({}), "4")));
    assert!(bench.text().contains("attic takes no new work, and finishes the 2 that it runs   u undo"));
    let effects = bench.keys(&[Key::Char('u')]);
    assert_eq!(writes(&effects), [format!("POST /nodes/{ATTIC}/resume")]);
    assert_eq!(if_match(&effects).as_deref(), Some("4"));
    select(&mut bench, "garage");
    let effects = bench.keys(&[Key::Char('p')]);
    assert_eq!(writes(&effects), [format!("POST /nodes/{GARAGE}/resume")]);
}

#[test]
fn removing_a_node_takes_its_name_and_says_what_is_lost() {
    let mut bench = bench();
    select(&mut bench, "garage");
    bench.keys(&[Key::Char('D')]);
    let text = bench.text();
    assert!(text.contains("cut off, 3 publishes lost  type garage to retire"), "{text}");
    let effects = bench.keys(&[Key::Char('y'), Key::Enter]);
    assert!(writes(&effects).is_empty(), "y is no name");
    bench.keys(&[Key::Char('D')]);
    bench.typed("garage");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&effects), [format!("DELETE /nodes/{GARAGE}")]);
    assert_eq!(if_match(&effects).as_deref(), Some("3"));
}

#[test]
fn strangers_and_nodes_together_are_removed_by_their_count() {
    let mut bench = bench();
    bench.keys(&[Key::Char('*'), Key::Char('D')]);
    // The appliance and the one that is gone already stay.
    assert!(bench.text().contains("4 machines cut off"), "{}", bench.text());
    bench.typed("4");
    let effects = bench.keys(&[Key::Enter]);
    let gone = writes(&effects);
    assert_eq!(gone.len(), 4);
    assert!(!gone.contains(&format!("DELETE /nodes/{PI}")), "{gone:?}");
}

#[test]
fn a_stranger_takes_the_place_of_a_node_after_its_name_was_typed() {
    let mut bench = bench();
    select(&mut bench, "garage");
    bench.keys(&[Key::Char('R')]);
    insta::assert_snapshot!("nodes_replace", bench.text());
    bench.keys(&[Key::Enter]);
    bench.typed("garage");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&effects), [format!("POST /nodes/{GARAGE}/replace")]);
    assert_eq!(body(&effects), json!({"by": NEW, "fingerprint": digits("aabbccdd")}));
}

#[test]
fn name_and_labels_are_changed_only_if_they_are_as_they_were_read() {
    let mut bench = bench();
    select(&mut bench, "garage");
    bench.keys(&[Key::Char('e'), Key::Tab, Key::Ctrl('u')]);
    bench.typed("camera");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&effects), [format!("PATCH /nodes/{GARAGE}")]);
    assert_eq!((body(&effects), if_match(&effects).as_deref()), (json!({"labels": {"camera": ""}}), Some("3")));
    bench.wrote(Ok(ok(&json!({}), "4")));
    let effects = bench.keys(&[Key::Char('u')]);
    assert_eq!(body(&effects), json!({"labels": {"camera": "", "room": "garage"}}), "what was there before");
    assert_eq!(if_match(&effects).as_deref(), Some("4"));
}

#[test]
fn a_join_token_is_shown_once_and_copied_alone() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    bench.typed("room=shed");
    let effects = bench.keys(&[Key::Enter, Key::Enter, Key::Enter]);
    assert_eq!(writes(&effects), ["POST /join-tokens"]);
    assert_eq!(body(&effects), json!({"labels": {"room": "shed"}, "expires_in_ms": 3_600_000, "uses": 1}));
    let made = json!({"id": 7, "labels": {}, "uses_left": 1, "created_by": "ada", "created_at": "2026-01-02T12:00:00Z",
        "expires_at": "2026-01-02T13:00:00Z", "token": "PC1.ab.7.cd"});
    bench.wrote(Ok(ok(&made, "1")));
    insta::assert_snapshot!("nodes_token", bench.text());
    let effects = bench.keys(&[Key::Char('y')]);
    let copied = effects.iter().find_map(|effect| match effect {
        Effect::Copy { text } => Some(text.trim_end()),
        _ => None,
    });
    assert_eq!(copied, Some("PC1.ab.7.cd"));
}

#[test]
fn who_may_not_change_nodes_is_told_why() {
    let mut bench = bench();
    bench.app.facts.you = Some(you(&[Scope::NodeRead]));
    select(&mut bench, "garage");
    let effects = bench.keys(&[Key::Char('p'), Key::Char('D')]);
    assert!(writes(&effects).is_empty());
    assert!(bench.text().contains("your key lacks the scope node:admin"), "{}", bench.text());
}

#[test]
fn what_comes_and_goes_is_read_anew_and_what_runs_is_shown_at_once() {
    let glance = |state: &str, running: u32| {
        json!({"at": "2026-01-02T12:04:31Z", "apps": 1, "scripts": 1, "nodes_by_state": {}, "hour": [], "causes": [],
            "counted_since": "2026-01-02T12:00:00Z", "recent": [], "needs": [], "nodes": [{"id": ATTIC, "name": "attic",
            "kind": "node", "state": state, "running": running, "places": 8, "in_step": true}]})
    };
    let mut bench = bench();
    bench.stream("/activity", "activity", glance("up", 5));
    assert!(bench.text().contains("5/8"), "{}", bench.text());
    let effects = bench.stream("/activity", "activity", glance("up", 6));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Later { owner, .. } if owner.screen.is_some())));
    let effects = bench.stream("/activity", "activity", glance("away", 0));
    let soon = effects.iter().find_map(|effect| match effect {
        Effect::Later { owner, .. } if owner.screen.is_some() => Some(owner.clone()),
        _ => None,
    });
    let effects = bench.send(crate::app::Msg::Due { owner: soon.expect("it is read soon") });
    assert!(matches!(&effects[..], [Effect::Load { request, .. }] if request.path.as_str().contains("/nodes?")));
}

#[test]
fn info_goes_over_the_list_and_logs_to_the_runs_of_the_node() {
    let mut bench = bench();
    select(&mut bench, "garage");
    bench.keys(&[Key::Enter]);
    insta::assert_snapshot!("nodes_info", bench.text());
    bench.keys(&[Key::Char('q'), Key::Char('l')]);
    assert_eq!(bench.app.at(), ScreenId::Runs);
}

#[test]
fn every_size_is_drawn() {
    let mut bench = bench();
    for width in (1..=130).step_by(3) {
        for height in 1..=30 {
            bench.text_at(width, height);
        }
    }
}
