//! Tests of the Apps screen.

use crate::app::testing::{Bench, CAPS, writes, you};
use crate::app::{Answer, Answered, Effect, Key, Msg, Place, ScreenId};
use crate::theme::{Caps, ColorDepth};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Scope;
use serde_json::{Value, json};

fn app(name: &str) -> Value {
    json!({"id": 1, "name": name, "hosts": [], "env": {"city": "Berlin"}, "limits": {"timeout_ms": 30000},
        "http": {"allow": ["printer.local"]}, "placement": {"hello": {"needs": ["camera"]}}, "revision": 5,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T08:00:00Z"})
}

fn page(items: &[Value]) -> Value {
    json!({"items": items, "cursor": null})
}

fn queue(name: &str, deliveries: u64, letters: u64) -> Value {
    json!({"app": name, "deliveries": deliveries, "oldest_due_ms": 90_000, "waiting_for_node": 2,
        "dead_letters": letters, "bytes_written": 1_234_567})
}

fn fill(bench: &mut Bench) {
    let mut kitchen = app("kitchen");
    kitchen["hosts"] = json!(["kitchen.example.org"]);
    bench.answer("/apps?", &page(&[app("blog"), app("default"), kitchen]));
    bench.answer("/status", &json!({"queues": [queue("blog", 3, 0), queue("kitchen", 0, 2)]}));
    bench.answer("/apps/kitchen/scripts", &page(&[json!({}), json!({}), json!({})]));
    bench.answer("/apps/kitchen/routes", &json!({"items": [{}, {}], "cursor": "x"}));
    bench.answer("/apps/kitchen/triggers", &page(&[]));
}

fn bench() -> Bench {
    let mut bench = Bench::at(ScreenId::Apps);
    fill(&mut bench);
    bench
}

fn body(effects: &[Effect]) -> Value {
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Write { request, .. } => serde_json::from_slice(&request.body).ok(),
        _ => None,
    });
    sent.expect("something is written")
}

fn ok(body: &Value) -> Answered {
    Ok(Answer { status: 200, etag: Some("6".to_owned()), body: body.to_string().into() })
}

#[test]
fn apps_are_listed_with_what_they_hold_as_far_as_is_known() {
    let mut bench = bench();
    insta::assert_snapshot!("apps_80x24", bench.text());
    insta::assert_snapshot!("apps_60x20", bench.text_at(60, 20));
    insta::assert_snapshot!("apps_120x40", bench.text_at(120, 40));
}

#[test]
fn without_colours_and_with_ascii_alone_words_say_the_same() {
    let caps = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut bench = Bench::with(ScreenId::Apps, (80, 24), caps);
    fill(&mut bench);
    insta::assert_snapshot!("apps_ascii", bench.text());
}

#[test]
fn loading_empty_failing_and_older_data_are_said() {
    let mut bench = Bench::at(ScreenId::Apps);
    assert!(bench.text().contains("loading"));
    bench.refuse("/apps?", Problem::new(Code::NodeAway, "nobody answers"));
    assert!(bench.text().contains("r tries again"));
    bench.keys(&[Key::Char('r')]);
    bench.answer("/apps?", &page(&[]));
    insta::assert_snapshot!("apps_none", bench.text());
    bench.keys(&[Key::Char('r')]);
    fill(&mut bench);
    bench.keys(&[Key::Char('r')]);
    bench.refuse("/apps?", Problem::new(Code::NodeAway, "nobody answers"));
    let text = bench.text();
    assert!(text.contains("kitchen") && text.contains("data of 12:04:3"), "{text}");
}

#[test]
fn what_an_app_holds_leads_to_its_screens() {
    let mut bench = bench();
    bench.go(&Place::of(ScreenId::Apps).thing("kitchen"));
    bench.keys(&[Key::Enter]);
    insta::assert_snapshot!("apps_holds", bench.text());
    bench.typed("secr");
    bench.keys(&[Key::Enter]);
    assert_eq!(bench.app.at(), ScreenId::Settings);
    assert!(bench.text().contains("› secrets  loading"), "{}", bench.text());
    assert!(!bench.text().contains("nothing has"), "{}", bench.text());
}

#[test]
fn an_app_is_made_and_what_is_wrong_stays_in_the_form() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    bench.typed("Shop");
    bench.keys(&[Key::Tab]);
    bench.typed("shop.example.org");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(
        body(&effects),
        json!({"name": "Shop", "hosts": ["shop.example.org"], "env": {}, "limits": {}, "http": {"allow": []}, "placement": {}})
    );
    bench.wrote(Err(Problem::new(Code::Malformed, "`Shop` is no name of an app")));
    assert!(bench.text().contains("is no name of an app"));
}

#[test]
fn what_an_app_sets_is_changed_as_app_toml_writes_it_and_taken_back() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    insta::assert_snapshot!("apps_edit", bench.text());
    bench.keys(&[Key::Tab]);
    bench.typed(" nas.local");
    let effects = bench.keys(&[Key::Tab, Key::Tab, Key::Tab, Key::Enter]);
    assert_eq!(writes(&effects), ["PATCH /apps/blog"]);
    assert_eq!(body(&effects), json!({"http": {"allow": ["printer.local", "nas.local"]}}));
    bench.wrote(ok(&app("blog")));
    let effects = bench.keys(&[Key::Char('u')]);
    assert_eq!(body(&effects), json!({"http": {"allow": ["printer.local"]}}));
}

#[test]
fn a_limit_that_is_none_is_refused_before_it_is_sent() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e'), Key::Tab, Key::Tab]);
    bench.typed("nonsense = 1\n");
    let effects = bench.keys(&[Key::Tab, Key::Tab, Key::Enter]);
    assert!(writes(&effects).is_empty());
    assert!(bench.text().contains("limits: "), "{}", bench.text());
}

#[test]
fn deleting_an_app_says_what_goes_and_takes_its_name() {
    let mut bench = bench();
    bench.go(&Place::of(ScreenId::Apps).thing("kitchen"));
    bench.keys(&[Key::Char('D')]);
    assert!(bench.text().contains("all keys, files, 3 scripts, 2+"), "{}", bench.text());
    bench.typed("kitchen");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&effects), ["DELETE /apps/kitchen"]);
}

#[test]
fn a_folder_is_deployed_after_its_plan_was_shown_and_a_question_answered() {
    let mut bench = bench();
    bench.keys(&[Key::Char('S')]);
    bench.typed("~/shop");
    let effects = bench.keys(&[Key::Enter, Key::Enter, Key::Enter]);
    let owner = effects.iter().find_map(|effect| match effect {
        Effect::ReadFolder { owner, folder } if folder == "~/shop" => Some(owner.clone()),
        _ => None,
    });
    let bundle = json!({"name": "shop", "scripts": {"hello": "40 + 2"}});
    bench.send(Msg::Transferred { owner: owner.expect("the folder is read"), answered: ok(&bundle) });
    let report = json!({"app": "shop", "plan": true, "revision": 4, "answers": ["GET /shop/hello"], "changes": [
        {"action": "create", "what": "script", "name": "hello", "diff": "+40 + 2\n"},
        {"action": "delete", "what": "route", "name": "GET /old"}]});
    bench.answer("/apps/shop/deploy?plan=true", &report);
    insta::assert_snapshot!("apps_plan", bench.text());
    let effects = bench.keys(&[Key::Char('q'), Key::Char('S')]);
    assert!(writes(&effects).is_empty(), "it is asked first");
    let effects = bench.keys(&[Key::Char('y')]);
    assert_eq!(writes(&effects), ["POST /apps/shop/deploy"]);
    let matched = effects.iter().find_map(|effect| match effect {
        Effect::Write { request, .. } => request.if_match.clone(),
        _ => None,
    });
    assert_eq!(matched.as_deref(), Some("4"), "only what was planned");
}

#[test]
fn all_that_is_wrong_in_a_folder_is_shown() {
    let mut bench = bench();
    bench.keys(&[Key::Char('S')]);
    bench.typed("shop");
    let effects = bench.keys(&[Key::Enter, Key::Enter, Key::Enter]);
    let owner = effects.iter().find_map(|effect| match effect {
        Effect::ReadFolder { owner, .. } => Some(owner.clone()),
        _ => None,
    });
    let error =
        json!({"file": "app.toml", "line": 3, "column": 1, "message": "there is no key `nam`", "hint": "write name"});
    let problem =
        Problem::new(Code::Invalid, "shop is not a working app").errors(vec![serde_json::from_value(error).unwrap()]);
    bench.send(Msg::Transferred { owner: owner.unwrap(), answered: Err(problem) });
    assert!(bench.text().contains("app.toml:3:1: there is no key"), "{}", bench.text());
}

#[test]
fn an_app_is_written_as_a_folder() {
    let mut bench = bench();
    let effects = bench.keys(&[Key::Char('s'), Key::Enter]);
    assert!(
        matches!(&effects[..], [Effect::Load { request, .. }] if request.path.as_str().ends_with("/apps/blog/export"))
    );
    let effects = bench.answer("/apps/blog/export", &json!({"name": "blog"}));
    let owner = effects.iter().find_map(|effect| match effect {
        Effect::WriteFolder { owner, folder, .. } if folder == "blog" => Some(owner.clone()),
        _ => None,
    });
    bench.send(Msg::Transferred { owner: owner.expect("it is written"), answered: ok(&json!({"files": 4})) });
    assert!(bench.text().contains("written to blog: 4 files"), "{}", bench.text());
}

#[test]
fn letters_are_those_of_the_stream() {
    let mut bench = bench();
    let activity = json!({"at": "2026-01-02T12:04:31Z", "apps": 1, "scripts": 1, "nodes": [], "nodes_by_state": {},
        "hour": [], "causes": [], "counted_since": "2026-01-02T12:00:00Z", "recent": [], "needs": [
            {"kind": "dead_letters", "app": "blog", "target": "feed", "count": 4, "text": "x"},
            {"kind": "dead_letters", "app": "blog", "target": "", "count": 3, "text": "x"}]});
    bench.stream("/activity", "activity", activity);
    assert!(bench.text().contains("!7"), "{}", bench.text());
}

#[test]
fn who_may_not_change_apps_is_told_why() {
    let mut bench = bench();
    bench.app.facts.you = Some(you(&[Scope::ScriptRead]));
    bench.keys(&[Key::Down]);
    let effects = bench.keys(&[Key::Char('D')]);
    assert!(writes(&effects).is_empty());
    assert!(bench.text().contains("your key lacks the scope app:admin"), "{}", bench.text());
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
