//! Tests of the Scripts screen.

use crate::app::testing::{Bench, CAPS, writes, you};
use crate::app::{Answer, Effect, Key, Msg, Place, ScreenId};
use crate::theme::{Caps, ColorDepth};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Scope;
use picloud_model::script::Diagnostic;
use serde_json::{Value, json};

const FEED: &str = "\
import \"html\" as html;

let limit = ctx.request.query.limit ?? 20;
let posts = kv::collection(\"posts\").list(#{ limit: limit });
let out = [];
for post in posts.entries {
    out.push(html::entry(post.value)); // newest first
}
`<feed>${out}</feed>`
";

fn app(id: i64, name: &str) -> Value {
    json!({
        "id": id, "name": name, "hosts": [], "env": {}, "limits": {}, "revision": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    })
}

fn script(name: &str, kind: &str, version: i64) -> Value {
    json!({
        "id": 7, "name": name, "kind": kind, "version": version, "hash": "ab".repeat(32), "size_bytes": 412,
        "updated_at": "2026-01-02T11:58:00Z",
    })
}

fn live(version: i64, source: &str) -> Value {
    let mut live = script("feed", "endpoint", version);
    live["author"] = "ada".into();
    live["message"] = "newest first".into();
    live["sdk_version"] = "1.1".into();
    live["source"] = source.into();
    live
}

fn page(items: &[Value]) -> Value {
    json!({ "items": items, "cursor": null })
}

fn answer(bench: &mut Bench, path: &str, items: &[Value]) {
    bench.answer(path, &page(items));
}

/// The tree is read, with `blog` open, and `feed` on the desk.
fn open_feed() -> Bench {
    let mut bench = Bench::at(ScreenId::Scripts);
    answer(&mut bench, "/apps?limit", &[app(1, "blog"), app(2, "home-auto")]);
    bench.go(&Place::of(ScreenId::Scripts).app("blog").thing("feed"));
    let mut door = script("door", "endpoint", 3);
    door["quarantine"] = json!({
        "version": 3, "crashes": 3, "execution_id": "01890a5d-ac96-774b-bcce-b302099a8057", "since": "2026-01-02T09:00:00Z",
    });
    let scripts = [door, script("feed", "endpoint", 41), script("html", "module", 7)];
    answer(&mut bench, "/apps/blog/scripts?", &scripts);
    bench.answer("/apps/blog/scripts/feed", &json!({})); // what nobody waits for yet
    relate(&mut bench);
    bench
}

fn relate(bench: &mut Bench) {
    let feed = live(41, FEED);
    let trigger =
        json!({ "id": 4, "name": "warm-cache", "kind": "cron", "script": "feed", "schedule": "*/10 * * * *" });
    let route = |path: &str, script: &str| json!({ "id": 1, "methods": ["GET"], "path": path, "script": script });
    answer(bench, "/apps/blog/scripts/feed/imports", &["html".into()]);
    answer(bench, "/apps/blog/scripts/feed/importers", &[]);
    answer(bench, "/apps/blog/routes", &[route("/feed", "feed"), route("/door", "door")]);
    answer(bench, "/apps/blog/triggers", &[trigger]);
    let only_feed = bench.effects.iter().filter(
        |effect| matches!(effect, Effect::Load { request, .. } if request.path.as_str().ends_with("/scripts/feed")),
    );
    assert!(only_feed.count() > 0);
    answer_live(bench, Ok(feed));
}

/// Answers what reads the live version, and nothing below it.
fn answer_live(bench: &mut Bench, answered: Result<Value, Problem>) {
    let found = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Load { owner, generation, request } if request.path.as_str().ends_with("/scripts/feed") => {
            Some((owner.clone(), *generation))
        }
        _ => None,
    });
    let (owner, generation) = found.expect("the live version was asked for");
    let answered = answered.map(|live| Answer { status: 200, etag: None, body: live.to_string().into() });
    bench.send(Msg::Loaded { owner, generation, answered });
}

/// Edits a word at the end of the first line.
fn edit(bench: &mut Bench) {
    bench.keys(&[Key::Char('e'), Key::End]);
    bench.typed(" // x");
}

fn errors() -> Problem {
    let error = |line, column, message: &str| Diagnostic {
        file: Some("scripts/feed.rhai".to_owned()),
        line,
        column,
        message: message.to_owned(),
        hint: None,
    };
    Problem::new(Code::InvalidScript, "scripts/feed.rhai cannot be saved; nothing was changed").errors(vec![
        error(1, 8, "there is no module `html`"),
        error(7, 37, "`)` is missing to close the arguments of `push`, which begin on line 7 of this very script"),
    ])
}

fn due(bench: &mut Bench, slot: &'static str) -> Vec<Effect> {
    let owner = crate::app::Owner { screen: Some(ScreenId::Scripts), slot: slot.into() };
    bench.send(Msg::Due { owner })
}

#[test]
fn a_script_is_shown_with_what_uses_it() {
    let mut bench = open_feed();
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        insta::assert_snapshot!(format!("shown_{width}x{height}"), bench.text_at(width, height));
    }
    bench.text_at(60, 20);
    bench.keys(&[Key::Esc]);
    insta::assert_snapshot!("tree_60x20", bench.text());
    bench.keys(&[Key::BackTab]);
    insta::assert_snapshot!("related_60x20", bench.text());
}

#[test]
fn before_anything_is_read_and_where_nothing_is_it_says_so() {
    let mut bench = Bench::at(ScreenId::Scripts);
    insta::assert_snapshot!("loading", bench.text());
    answer(&mut bench, "/apps?limit", &[app(1, "blog")]);
    answer(&mut bench, "/apps/blog/scripts?", &[]);
    insta::assert_snapshot!("empty", bench.text());
    let mut bench = Bench::at(ScreenId::Scripts);
    let problem = Problem::new(Code::Forbidden, "key `kiosk` lacks the scope `script:read`").hint("use another key");
    bench.refuse("/apps?limit", problem);
    insta::assert_snapshot!("failing", bench.text());
    let mut bench = Bench::at(ScreenId::Scripts);
    answer(&mut bench, "/apps?limit", &[]);
    insta::assert_snapshot!("no_apps", bench.text());
}

#[test]
fn what_is_there_stays_when_it_cannot_be_read_again() {
    let mut bench = open_feed();
    bench.keys(&[Key::Char('r')]);
    answer_live(&mut bench, Err(Problem::new(Code::NodeAway, "the appliance does not answer")));
    insta::assert_snapshot!("stale", bench.text());
}

#[test]
fn errors_stand_under_their_lines_while_one_types() {
    let mut bench = open_feed();
    edit(&mut bench);
    let checks = due(&mut bench, "check");
    let Some(Effect::Load { request, .. }) = checks.first() else { panic!("{checks:?}") };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/apps/blog/scripts/feed/check"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert!(
        body["source"].as_str().unwrap().starts_with("import \"html\" as html; // x\n") && body["kind"] == "endpoint"
    );
    bench.refuse("/apps/blog/scripts/feed/check", errors());
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        insta::assert_snapshot!(format!("errors_{width}x{height}"), bench.text_at(width, height));
    }
    bench.text_at(80, 24);
    bench.keys(&[Key::Esc, Key::Char(']')]);
    bench.keys(&[Key::Char('x')]);
    let Some(Effect::EditOutside { line, name, .. }) = bench.effects.last() else {
        panic!("{:?}", bench.effects.last())
    };
    assert_eq!((line, name.as_str()), (&Some(1), "feed.rhai"), "the first error");
    bench.keys(&[Key::Char('e')]);
    due(&mut bench, "check");
    bench.answer("/apps/blog/scripts/feed/check", &json!({ "imports": ["html"], "warnings": [] }));
    assert!(bench.text().contains("no errors"));
}

#[test]
fn without_colours_and_in_ascii_it_reads_as_well() {
    let caps = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut bench = Bench::with(ScreenId::Scripts, (80, 24), caps);
    answer(&mut bench, "/apps?limit", &[app(1, "blog"), app(2, "home-auto")]);
    bench.go(&Place::of(ScreenId::Scripts).app("blog").thing("feed").line(7));
    answer(&mut bench, "/apps/blog/scripts?", &[script("feed", "endpoint", 41)]);
    relate(&mut bench);
    insta::assert_snapshot!("ascii", bench.text());
}

#[test]
fn a_save_names_the_version_it_was_based_on_and_is_taken_back_by_a_rollback() {
    let mut bench = open_feed();
    assert_eq!(writes(&bench.keys(&[Key::Char('s')])), [] as [&str; 0], "nothing changed");
    edit(&mut bench);
    let effects = bench.keys(&[Key::Esc, Key::Char('s')]);
    assert_eq!(writes(&effects), ["PUT /apps/blog/scripts/feed"]);
    let request = effects.iter().find_map(|effect| match effect {
        Effect::Write { request, .. } => Some(request.clone()),
        _ => None,
    });
    assert_eq!(request.unwrap().if_match.as_deref(), Some("41"));
    let mut saved = script("feed", "endpoint", 42);
    saved["warnings"] = json!([]);
    let effects = bench.wrote(Ok(Answer { status: 200, etag: Some("42".to_owned()), body: saved.to_string().into() }));
    assert!(kept(&effects).iter().all(|(_, text)| text.is_empty()), "the draft is done with");
    assert_eq!(bench.app.drafts(), []);
    assert!(bench.text().contains("v42") && bench.text().contains("u undo"), "{}", bench.text());
    let effects = bench.keys(&[Key::Char('u')]);
    assert_eq!(writes(&effects), ["POST /apps/blog/scripts/feed/rollback"]);
    let Some(Effect::Write { request, .. }) = effects.iter().find(|effect| matches!(effect, Effect::Write { .. }))
    else {
        panic!("{effects:?}")
    };
    assert_eq!(request.if_match.as_deref(), Some("42"), "refused where somebody changed it since");
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap()["version"], 41);
}

fn kept(effects: &[Effect]) -> Vec<(String, String)> {
    let kept = effects.iter().filter_map(|effect| match effect {
        Effect::KeepDraft { id, text } => Some((id.clone(), text.clone())),
        _ => None,
    });
    kept.collect()
}

#[test]
fn a_draft_is_written_down_while_one_types_and_found_again() {
    let mut bench = open_feed();
    edit(&mut bench);
    let kept_now = kept(&due(&mut bench, "keep"));
    assert_eq!(kept_now[0].0, "scripts/blog/feed@41");
    assert!(kept_now[0].1.starts_with("import \"html\" as html; // x\n"));
    assert_eq!(kept(&due(&mut bench, "keep")), [], "the same is not written twice");
    assert_eq!(bench.app.drafts(), kept_now, "and it is there when the line drops");
    // Without a pause it is written down, too.
    bench.pass(10_000);
    bench.typed("y");
    bench.pass(6_000);
    assert_eq!(kept(&bench.typed("z")).len(), 1);
    bench.keys(&[Key::Esc, Key::Esc, Key::Down]);
    due(&mut bench, "rest");
    assert!(bench.text().contains("feed") && bench.app.drafts().len() == 1, "another script is on the desk");

    let facts_drafts = bench.app.facts.drafts.clone();
    let mut bench = Bench::at(ScreenId::Home);
    bench.app.facts.drafts = facts_drafts;
    bench.go(&Place::of(ScreenId::Scripts).app("blog").thing("feed"));
    relate(&mut bench);
    assert!(bench.text().contains("// xyz") && bench.text().contains("draft of v41"), "{}", bench.text());
}

#[test]
fn typing_that_ends_where_it_began_is_no_draft() {
    let mut bench = open_feed();
    edit(&mut bench);
    due(&mut bench, "keep");
    bench.keys(&[Key::Backspace; 5]);
    assert_eq!(kept(&due(&mut bench, "keep")), [("scripts/blog/feed@41".to_owned(), String::new())]);
    assert_eq!(bench.app.drafts(), []);
    assert!(!bench.text().contains("draft"));
}

#[test]
fn a_refused_save_keeps_the_draft_and_shows_all_errors() {
    let mut bench = open_feed();
    edit(&mut bench);
    bench.keys(&[Key::Esc, Key::Char('s')]);
    bench.wrote(Err(errors()));
    let text = bench.text();
    assert!(text.contains("2 errors") && text.contains("there is no module `html`"), "{text}");
    assert_eq!(bench.app.drafts().len(), 1);
}

#[test]
fn where_somebody_else_saved_one_decides_what_to_keep() {
    for (choice, effect) in [("mine", "PUT /apps/blog/scripts/feed"), ("theirs", ""), ("both", "")] {
        let mut bench = open_feed();
        edit(&mut bench);
        bench.keys(&[Key::Esc, Key::Char('s')]);
        bench.wrote(Err(Problem::new(Code::PreconditionFailed, "it is at 43 now")));
        answer_live(&mut bench, Ok(live(43, &FEED.replace("?? 20", "?? 30"))));
        if choice == "mine" {
            insta::assert_snapshot!("conflict", bench.text());
        }
        bench.typed(choice);
        let effects = bench.keys(&[Key::Enter]);
        assert_eq!(writes(&effects), if effect.is_empty() { vec![] } else { vec![effect] }, "{choice}");
        match choice {
            "mine" => {
                let Some(Effect::Write { request, .. }) =
                    effects.iter().rev().find(|e| matches!(e, Effect::Write { .. }))
                else {
                    panic!()
                };
                assert_eq!(request.if_match.as_deref(), Some("43"));
            }
            "theirs" => {
                assert!(bench.text().contains("?? 30") && bench.app.drafts().is_empty());
                bench.keys(&[Key::Char('e'), Key::Ctrl('u')]);
                assert!(bench.text().contains("?? 20"), "what was typed is not lost");
            }
            _ => {
                let Some(Effect::EditOutside { owner, text, .. }) = effects.last() else { panic!("{effects:?}") };
                assert!(text.contains("<<<<<<< mine\n") && text.contains(">>>>>>> v43, live\n"), "{text}");
                let (owner, text) = (owner.clone(), Ok("let both = 1;\n".to_owned()));
                bench.send(Msg::Edited { owner, text });
                assert_eq!(bench.app.drafts(), [("scripts/blog/feed@43".to_owned(), "let both = 1;\n".to_owned())]);
            }
        }
    }
}

#[test]
fn what_the_editor_outside_left_is_the_draft_also_if_it_is_wrong() {
    let mut bench = open_feed();
    let effects = bench.keys(&[Key::Char('x')]);
    let Some(Effect::EditOutside { owner, text, .. }) = effects.last() else { panic!("{effects:?}") };
    assert_eq!(text, FEED);
    let owner = owner.clone();
    bench.send(Msg::Edited { owner: owner.clone(), text: Ok(FEED.to_owned()) });
    assert_eq!(bench.app.drafts(), []);
    let effects = bench.send(Msg::Edited { owner, text: Ok("let".to_owned()) });
    assert_eq!(kept(&effects), [("scripts/blog/feed@41".to_owned(), "let".to_owned())]);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Load { request, .. } if request.path.as_str().ends_with("/check")))
    );
}

#[test]
fn a_script_that_is_used_goes_only_after_its_name_was_typed() {
    let mut bench = open_feed();
    assert_eq!(writes(&bench.keys(&[Key::Char('D')])), [] as [&str; 0]);
    let text = bench.text();
    assert!(text.contains("feed is used by GET /feed, wa"), "{text}");
    bench.typed("feed");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&effects), ["DELETE /apps/blog/scripts/feed?force=true"]);
}

#[test]
fn several_that_are_marked_go_after_their_number_was_typed_and_none_by_force() {
    let mut bench = open_feed();
    bench.keys(&[Key::Esc, Key::Char('g'), Key::Down, Key::Char(' '), Key::Char(' '), Key::Char('D')]);
    bench.typed("2");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&effects), ["DELETE /apps/blog/scripts/door", "DELETE /apps/blog/scripts/feed"]);
}

#[test]
fn a_quarantined_script_runs_again_after_a_question() {
    let mut bench = open_feed();
    bench.keys(&[Key::Esc, Key::Up]);
    assert!(bench.text().contains("R release"), "{}", bench.text());
    assert_eq!(writes(&bench.keys(&[Key::Char('R'), Key::Enter])), [] as [&str; 0], "Enter keeps things as they are");
    assert_eq!(writes(&bench.keys(&[Key::Char('R'), Key::Char('y')])), ["POST /apps/blog/scripts/door/release"]);
}

#[test]
fn versions_are_compared_and_gone_back_to() {
    let mut bench = open_feed();
    bench.keys(&[Key::Char('v')]);
    let version = |number: i64, message: &str| {
        let mut version = script("feed", "endpoint", number);
        version["author"] = "ada".into();
        version["message"] = message.into();
        version["sdk_version"] = "1.1".into();
        version["created_at"] = "2026-01-02T11:58:00Z".into();
        version
    };
    let versions =
        [version(41, "newest first"), version(40, "show a limit, for readers that ask for one"), version(38, "")];
    answer(&mut bench, "/apps/blog/scripts/feed/versions?", &versions);
    for (width, height) in [(60, 20), (80, 24)] {
        insta::assert_snapshot!(format!("versions_{width}x{height}"), bench.text_at(width, height));
    }
    let asked = |effects: &[Effect]| match effects.last() {
        Some(Effect::Load { request, .. }) => {
            request.path.as_str().trim_start_matches("/api/v1/apps/blog/scripts/feed/").to_owned()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(&bench.keys(&[Key::Enter])), "versions/40/diff?to=41");
    assert_eq!(asked(&bench.keys(&[Key::Down, Key::Enter])), "versions/38/diff?to=40", "39 is not kept any more");
    assert_eq!(asked(&bench.keys(&[Key::Char('v')])), "versions/40/diff?to=41");
    let diff = json!({
        "from": 40, "to": 41, "diff": "@@ -1 +1 @@\n-a\n+b\n", "modules": [], "env": [], "secrets": [],
        "routes": [{ "action": "create", "what": "route", "name": "GET /feed" }],
    });
    bench.answer("/apps/blog/scripts/feed/versions/40/diff", &diff);
    assert!(bench.text().contains("new route GET /feed"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    assert_eq!(asked(&bench.keys(&[Key::Char('R')])), "rollback");
    let mut plan = script("feed", "endpoint", 41);
    plan["plan"] = true.into();
    plan["warnings"] = json!([]);
    plan["changes"] = json!([
        { "action": "update", "what": "script", "name": "feed" },
        { "action": "delete", "what": "route", "name": "GET /feed" },
    ]);
    bench.answer("/apps/blog/scripts/feed/rollback", &plan);
    let text = bench.text();
    assert!(text.contains("feed to v40 with GET /feed"), "{text}");
    let effects = bench.keys(&[Key::Char('y')]);
    assert_eq!(writes(&effects), ["POST /apps/blog/scripts/feed/rollback"]);
    bench.wrote(Ok(Answer { status: 200, etag: Some("42".to_owned()), body: plan.to_string().into() }));
    let effects = bench.keys(&[Key::Char('u')]);
    assert_eq!(writes(&effects), ["POST /apps/blog/scripts/feed/rollback"]);
}

fn ran(status: u16) -> Value {
    let error = json!({
        "code": "script-error", "status": 500, "title": "script error", "detail": "no field `ts`",
        "at": { "script": "feed", "line": 7, "column": 5 },
    });
    json!({
        "status": status, "headers": [["content-type", "application/json"]], "body": "{\"posts\":[1,2]}",
        "execution": {
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "duration_us": 12_300, "usage": { "operations": 1234 },
            "error": if status >= 400 { error } else { Value::Null },
            "logs": [{ "at": "2026-01-02T12:04:31Z", "level": "warn", "message": "slow", "fields": { "ms": 12 } }],
            "logs_dropped": 0,
        },
        "limits": {}, "effects": [{ "what": "kv.set", "target": "posts/a", "value": "1" }],
    })
}

#[test]
fn a_script_is_tried_with_what_was_filled_in_last() {
    let mut bench = open_feed();
    bench.keys(&[Key::Char('t')]);
    insta::assert_snapshot!("try_form", bench.text());
    for _ in 0..3 {
        bench.keys(&[Key::Tab]);
    }
    bench.typed("feed?limit=2");
    let effects = submit(&mut bench, 4);
    let Some(Effect::Load { request, .. }) = effects.iter().rev().find(|effect| matches!(effect, Effect::Load { .. }))
    else {
        panic!("{effects:?}")
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({ "dry_run": true, "request": { "method": "GET", "path": "/feed?limit=2", "headers": {} } })
    );
    bench.answer("/apps/blog/scripts/feed/run", &ran(200));
    for (width, height) in [(60, 20), (80, 24)] {
        insta::assert_snapshot!(format!("tried_{width}x{height}"), bench.text_at(width, height));
    }
    bench.keys(&[Key::Char('t')]);
    assert!(bench.text().contains("/feed?limit=2"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    bench.answer("/apps/blog/scripts/feed/run", &ran(500));
    assert!(bench.text().contains("feed:7:5 no field `ts`"), "{}", bench.text());
    bench.keys(&[Key::Enter]);
    assert!(bench.text().contains(">  7"), "{}", bench.text());
    bench.keys(&[Key::Char('y')]);
    bench.typed("curl");
    let effects = bench.keys(&[Key::Enter]);
    let copied = effects.iter().find_map(|effect| match effect {
        Effect::Copy { text } => Some(text.as_str()),
        _ => None,
    });
    let copied = copied.unwrap();
    assert!(
        copied.starts_with("curl -fsS -X POST -d '{\"dry_run\":true,\"request\":{")
            && copied.ends_with("/blog/scripts/feed/run"),
        "{copied}"
    );
}

/// Goes to what sends the form, so many fields on, and sends it.
fn submit(bench: &mut Bench, fields: usize) -> Vec<Effect> {
    bench.keys(&vec![Key::Tab; fields]);
    bench.keys(&[Key::Enter])
}

#[test]
fn a_new_script_is_made_from_a_template_and_opened() {
    let mut bench = open_feed();
    bench.keys(&[Key::Char('n')]);
    insta::assert_snapshot!("new_form", bench.text());
    bench.keys(&[Key::Tab]);
    bench.typed("feed");
    bench.keys(&[Key::Enter, Key::Enter]);
    assert!(bench.text().contains("blog has a script feed already"), "{}", bench.text());
    bench.keys(&[Key::BackTab]);
    bench.typed("_two");
    let effects = submit(&mut bench, 2);
    assert_eq!(writes(&effects), ["PUT /apps/blog/scripts/feed_two"]);
    let saved = script("feed_two", "endpoint", 1);
    let effects = bench.wrote(Ok(Answer { status: 201, etag: Some("1".to_owned()), body: saved.to_string().into() }));
    let is_read = |effect: &Effect| matches!(effect, Effect::Load { request, .. } if request.path.as_str().ends_with("/scripts/feed_two"));
    assert!(effects.iter().any(is_read) && bench.text().contains("feed_two"));
}

#[test]
fn who_may_not_write_is_told_and_nothing_is_typed() {
    let mut bench = open_feed();
    bench.app.facts.you = Some(you(&[Scope::ScriptRead]));
    bench.keys(&[Key::Down]);
    let effects = bench.keys(&[Key::Char('e'), Key::Char('D'), Key::Char('s')]);
    assert_eq!(writes(&effects), [] as [&str; 0]);
    assert!(!bench.text().contains("-- EDIT --"));
    bench.keys(&[Key::Char('e')]);
    assert!(bench.text().contains("your key lacks the scope script:write"), "{}", bench.text());
}

#[test]
fn the_filter_finds_scripts_of_all_apps() {
    let mut bench = Bench::at(ScreenId::Scripts);
    answer(&mut bench, "/apps?limit", &[app(1, "blog"), app(2, "home-auto")]);
    bench.keys(&[Key::Char('/')]);
    bench.typed("temp");
    answer(&mut bench, "/apps/home-auto/scripts?", &[script("door", "endpoint", 1), script("temp", "endpoint", 2)]);
    answer(&mut bench, "/apps/blog/scripts?", &[script("feed", "endpoint", 41)]);
    bench.keys(&[Key::Enter]);
    let text = bench.text();
    assert!(text.contains("home-auto/te") && !text.contains("feed"), "{text}");
    due(&mut bench, "rest");
    assert!(bench.text().contains("home-auto › temp"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    assert!(bench.text().contains("\n>      temp"), "what was found keeps the cursor: {}", bench.text());
}

#[test]
fn pages_of_an_app_are_read_to_the_end() {
    let mut bench = Bench::at(ScreenId::Scripts);
    answer(&mut bench, "/apps?limit", &[app(1, "blog")]);
    bench.answer("/apps/blog/scripts?limit=1000", &json!({ "items": [script("a", "endpoint", 1)], "cursor": "a" }));
    bench.answer("/apps/blog/scripts?limit=1000&cursor=a", &page(&[script("b", "endpoint", 1)]));
    let text = bench.text();
    assert!(text.contains(" a ") && text.contains(" b "), "{text}");
}

#[test]
fn a_zoomed_source_is_the_text_alone() {
    let mut bench = open_feed();
    bench.keys(&[Key::Char('z')]);
    let shown = bench.text();
    assert!(shown.starts_with("import \"html\" as html;\n\nlet limit"), "{shown}");
    assert!(!shown.contains("│") && !shown.contains("  1 "), "{shown}");
    bench.keys(&[Key::Char('z')]);
    assert!(bench.text().contains("  1 import"), "{}", bench.text());
}
