//! Tests of the Routes screen.

use crate::app::testing::{Bench, CAPS, writes, you};
use crate::app::{Answer, Effect, Key, Place, ScreenId};
use crate::theme::{Caps, ColorDepth};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Scope;
use serde_json::{Value, json};

fn app(name: &str, hosts: &[&str]) -> Value {
    json!({"id": 1, "name": name, "hosts": hosts, "env": {}, "limits": {}, "revision": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"})
}

fn route(id: i64, methods: &[&str], path: &str, script: &str, served_by: &[&str]) -> Value {
    json!({"id": id, "methods": methods, "path": path, "script": script, "auth": "public", "served_by": served_by})
}

fn page(items: &[Value]) -> Value {
    json!({"items": items, "cursor": null})
}

fn answer_all(bench: &mut Bench) {
    bench.answer("/apps?", &page(&[app("blog", &["blog.example.org"]), app("kitchen", &[])]));
    bench.answer("/apps/blog/routes", &page(&[route(3, &["GET"], "/feed", "feed", &["attic", "homelab"])]));
    let mut door = route(9, &["POST"], "/door/{side}", "door", &[]);
    door["auth"] = json!("key");
    let hello = route(7, &[], "/hello/日本/{*rest}", "hello", &["homelab"]);
    bench.answer("/apps/kitchen/routes", &page(&[hello, door]));
}

fn bench() -> Bench {
    let mut bench = Bench::at(ScreenId::Routes);
    bench.answer("/status", &json!({"ingress_addr": "0.0.0.0:8088"}));
    answer_all(&mut bench);
    bench
}

fn bodies(effects: &[Effect]) -> Vec<Value> {
    let bodies = effects.iter().filter_map(|effect| match effect {
        Effect::Write { request, .. } if !request.body.is_empty() => serde_json::from_slice(&request.body).ok(),
        _ => None,
    });
    bodies.collect()
}

fn made(id: i64) -> Answer {
    let body = json!({"id": id, "methods": ["GET"], "path": "/feed", "script": "feed", "auth": "public"});
    Answer { status: 201, etag: Some("1".to_owned()), body: body.to_string().into() }
}

/// Answers changes in the order in which they were sent.
fn wrote_all(bench: &mut Bench, effects: &[Effect], answers: Vec<crate::app::Answered>) -> Vec<Effect> {
    let ids = effects.iter().filter_map(|effect| match effect {
        Effect::Write { id, .. } => Some(*id),
        _ => None,
    });
    let ids: Vec<u64> = ids.collect();
    let answered = ids.into_iter().zip(answers);
    answered.flat_map(|(id, answered)| bench.send(crate::app::Msg::Wrote { id, answered })).collect()
}

#[test]
fn routes_of_all_apps_are_listed() {
    let mut bench = bench();
    insta::assert_snapshot!("routes_80x24", bench.text());
    insta::assert_snapshot!("routes_60x20", bench.text_at(60, 20));
    insta::assert_snapshot!("routes_120x40", bench.text_at(120, 40));
}

#[test]
fn without_colours_and_with_ascii_alone_words_say_the_same() {
    let caps = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut bench = Bench::with(ScreenId::Routes, (80, 24), caps);
    answer_all(&mut bench);
    insta::assert_snapshot!("routes_ascii", bench.text());
}

#[test]
fn loading_empty_failing_and_older_data_are_said() {
    let mut bench = Bench::at(ScreenId::Routes);
    assert!(bench.text().contains("loading"));
    bench.refuse("/apps?", Problem::new(Code::NodeAway, "nobody answers"));
    assert!(bench.text().contains("nobody answers"));
    bench.keys(&[Key::Char('r')]);
    bench.answer("/apps?", &page(&[app("blog", &[])]));
    bench.answer("/apps/blog/routes", &page(&[]));
    assert!(bench.text().contains("no routes yet: n makes one"));
    bench.keys(&[Key::Char('r')]);
    answer_all(&mut bench);
    bench.keys(&[Key::Char('r')]);
    bench.refuse("/apps?", Problem::new(Code::NodeAway, "nobody answers"));
    let text = bench.text();
    assert!(text.contains("/feed") && text.contains("data of 12:04:3"), "{text}");
}

#[test]
fn a_route_that_can_stand_beside_the_old_one_is_there_before_that_goes() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    insta::assert_snapshot!("routes_edit", bench.text());
    bench.typed("2");
    let effects = bench.keys(&[Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
    assert_eq!(writes(&effects), ["POST /apps/blog/routes"]);
    assert_eq!(bodies(&effects)[0], json!({"methods": ["GET"], "path": "/feed2", "script": "feed", "auth": "public"}));
    let effects = bench.wrote(Ok(made(11)));
    assert_eq!(writes(&effects), ["DELETE /apps/blog/routes/3"]);
}

#[test]
fn a_route_with_the_same_path_is_changed_after_a_question_and_comes_back_where_the_new_one_is_refused() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e'), Key::Tab, Key::Tab, Key::Ctrl('u')]);
    bench.typed("nothing");
    bench.keys(&[Key::Enter, Key::Enter]);
    assert!(bench.text().contains("it is not answered for a moment"), "{}", bench.text());
    let effects = bench.keys(&[Key::Char('y')]);
    assert_eq!(writes(&effects), ["DELETE /apps/blog/routes/3", "POST /apps/blog/routes"]);
    let gone = Answer { status: 204, ..Answer::default() };
    let why = Problem::new(Code::NotFound, "there is no script nothing");
    let effects = wrote_all(&mut bench, &effects, vec![Ok(gone), Err(why)]);
    assert_eq!(writes(&effects), ["POST /apps/blog/routes"], "the old one comes back");
    assert_eq!(bodies(&effects)[0]["script"], "feed");
    wrote_all(&mut bench, &effects, vec![Ok(made(12))]);
    let text = bench.text();
    assert!(text.contains("there is no script nothing") && text.contains("[save]"), "what was typed is kept: {text}");
    // The next try is about the route as it is now.
    bench.keys(&[Key::Tab, Key::Tab, Key::Backspace]);
    bench.keys(&[Key::Enter, Key::Enter]);
    let effects = bench.keys(&[Key::Char('y')]);
    assert_eq!(writes(&effects)[0], "DELETE /apps/blog/routes/12");
}

#[test]
fn a_new_route_is_checked_and_what_the_appliance_refuses_stays_in_the_form() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n'), Key::Tab]);
    bench.typed("feed");
    bench.keys(&[Key::Tab, Key::Tab]);
    bench.typed("feed");
    let effects = bench.keys(&[Key::Enter, Key::Enter]);
    assert!(writes(&effects).is_empty() && bench.text().contains("does not begin with"), "{}", bench.text());
    bench.keys(&[Key::BackTab, Key::BackTab, Key::BackTab, Key::Home]);
    bench.typed("/");
    let effects = bench.keys(&[Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
    assert_eq!(writes(&effects), ["POST /apps/blog/routes"]);
    bench.wrote(Err(Problem::new(Code::Conflict, "GET /feed of blog is ambiguous with * /feed")));
    let text = bench.text();
    assert!(text.contains("is ambiguous") && text.contains("[create]"), "{text}");
}

#[test]
fn a_route_is_deleted_after_a_question_and_u_makes_it_again() {
    let mut bench = bench();
    let effects = bench.keys(&[Key::Char('D'), Key::Char('y')]);
    assert_eq!(writes(&effects), ["DELETE /apps/blog/routes/3"]);
    bench.wrote(Ok(Answer { status: 204, ..Answer::default() }));
    let effects = bench.keys(&[Key::Char('u')]);
    assert_eq!(writes(&effects), ["POST /apps/blog/routes"]);
    bench.keys(&[Key::Char('*'), Key::Char('D')]);
    assert!(bench.text().contains("type 3 to delete"), "{}", bench.text());
}

#[test]
fn urls_are_those_that_lead_there() {
    let mut bench = bench();
    bench.keys(&[Key::Char('y')]);
    insta::assert_snapshot!("routes_copy", bench.text());
    bench.keys(&[Key::Esc, Key::Down, Key::Down, Key::Char('y'), Key::Down]);
    let effects = bench.keys(&[Key::Enter]);
    let copied = effects.iter().find_map(|effect| match effect {
        Effect::Copy { text } => Some(text.as_str()),
        _ => None,
    });
    let line = "curl -sS -X POST -H \"Authorization: Bearer $PICLOUD_KEY\" 'http://localhost:8088/kitchen/door/{side}'";
    assert_eq!(copied, Some(line));
}

#[test]
fn enter_goes_to_the_script_and_a_place_to_its_route() {
    let mut bench = bench();
    bench.go(&Place::of(ScreenId::Routes).app("kitchen").thing("9"));
    assert!(bench.text().contains(">  /door/{side}"), "{}", bench.text());
    bench.keys(&[Key::Enter]);
    assert_eq!(bench.app.at(), ScreenId::Scripts);
}

#[test]
fn a_route_is_tried_with_its_own_request() {
    let mut bench = bench();
    bench.keys(&[Key::Down, Key::Down, Key::Char('t')]);
    assert_eq!(bench.app.at(), ScreenId::Scripts);
    let live = json!({"id": 7, "name": "door", "kind": "endpoint", "version": 1, "hash": "ab".repeat(32),
        "size_bytes": 1, "updated_at": "2026-01-02T11:58:00Z", "author": "ada", "sdk_version": "1.1", "source": "1"});
    bench.answer("/apps/kitchen/scripts/door", &live);
    insta::assert_snapshot!("route_tried", bench.text());
}

#[test]
fn the_first_route_is_selected_whichever_app_answers_first() {
    let mut bench = Bench::at(ScreenId::Routes);
    bench.answer("/apps?", &page(&[app("blog", &[]), app("kitchen", &[])]));
    bench.answer("/apps/kitchen/routes", &page(&[route(9, &["POST"], "/door", "door", &[])]));
    bench.answer("/apps/blog/routes", &page(&[route(3, &["GET"], "/feed", "feed", &[])]));
    assert!(bench.text().contains(">  /feed"), "{}", bench.text());
    bench.keys(&[Key::Char('r')]);
    bench.answer("/apps?", &page(&[app("about", &[]), app("blog", &[])]));
    bench.answer("/apps/about/routes", &page(&[route(1, &["GET"], "/", "page", &[])]));
    assert!(bench.text().contains(">  /feed"), "later it stays on its route: {}", bench.text());
}

#[test]
fn who_may_not_write_is_told_why() {
    let mut bench = bench();
    bench.app.facts.you = Some(you(&[Scope::ScriptRead]));
    bench.keys(&[Key::Down]);
    let effects = bench.keys(&[Key::Char('D'), Key::Char('y')]);
    assert!(writes(&effects).is_empty());
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
