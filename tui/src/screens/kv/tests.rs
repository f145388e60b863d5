//! Tests of the screen: what keys lead to, and how it looks.

use crate::app::testing::{Bench, CAPS, writes};
use crate::app::{Answer, Effect, Key, KeysFrom, Msg, Owner, Place, ScreenId, Slot};
use crate::theme::{Caps, ColorDepth};
use picloud_model::audit::{AuditEntry, AuditOutcome};
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::{Code, Problem};
use serde_json::{Value, json};

const APP: &str = "blog";

fn apps() -> Value {
    let app = |name: &str| {
        json!({
            "id": 1, "name": name, "hosts": [], "env": {}, "limits": {}, "revision": 1,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        })
    };
    json!({ "items": [app(APP), app("home-auto"), app("metrics"), app("notes")], "cursor": null })
}

fn listed(key: &str, minutes_ago: i64) -> Value {
    let at = jiff::Timestamp::from_millisecond(1_767_355_471_000 - minutes_ago * 60_000).unwrap();
    json!({ "key": key, "version": 14, "updated_at": at.to_string() })
}

fn keys() -> Value {
    let mut items: Vec<Value> = ["2026-01-11-start", "2026-02-03-mqtt", "2026-02-20-case", "2026-03-02-solar"]
        .iter()
        .zip([9, 80, 3_000, 20_000])
        .map(|(key, minutes)| listed(key, minutes))
        .collect();
    items.extend((1..=11).map(|number| listed(&format!("by-tag/{number:02}/x"), number)));
    items.push(listed("drafts/a\u{1b}[31m", 4));
    items.push(listed("drafts/日本語のとても長い名前のキー", 1));
    json!({ "items": items, "cursor": null })
}

fn value(key: &str) -> Value {
    let mut listed = listed(key, 9);
    listed["value"] = json!({
        "title": "Solar on the shed", "draft": false, "tags": ["solar", "mqtt"], "words": 812,
        "body": "It took a Sunday and two trips to the shop, and then it rained for a week.",
    });
    listed["expires_at"] = json!("2026-01-02T15:04:31Z");
    json!({ "items": [listed], "cursor": null })
}

/// Apps are here, the first is open, its collections are here.
fn opened() -> Bench {
    opened_with((80, 24), CAPS)
}

fn opened_with(size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = Bench::with(ScreenId::Kv, size, caps);
    bench.answer("/apps?limit", &apps());
    bench.keys(&[Key::Enter]);
    let collections = json!([
        { "name": "counters", "keys": 100_000, "size_bytes": 9_000_000 },
        { "name": "posts", "keys": 17, "size_bytes": 12_000 },
    ]);
    bench.answer("/apps/blog/kv?", &json!({ "items": collections, "cursor": null }));
    bench
}

/// `posts` is open, and the cursor on its first key, whose value is here.
fn reading() -> Bench {
    reading_with((80, 24), CAPS)
}

fn reading_with(size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = opened_with(size, caps);
    bench.keys(&[Key::Down, Key::Down, Key::Enter]);
    bench.answer("/apps/blog/kv/posts?keys_only", &keys());
    bench.keys(&[Key::Down]);
    due(&mut bench, "rest");
    bench.answer("/apps/blog/kv/posts?prefix=2026-01-11-start&limit=1", &value("2026-01-11-start"));
    bench
}

fn due(bench: &mut Bench, slot: &'static str) -> Vec<Effect> {
    bench.send(Msg::Due { owner: Owner { screen: Some(ScreenId::Kv), slot: Slot::from(slot) } })
}

fn stored(version: u64) -> Result<Answer, Problem> {
    let body = json!({ "version": version }).to_string();
    Ok(Answer { status: 200, etag: Some(version.to_string()), body: body.into() })
}

fn loads(effects: &[Effect]) -> Vec<&str> {
    let path = |effect: &'_ Effect| match effect {
        Effect::Load { request, .. } => {
            Some(request.path.as_str().trim_start_matches("/api/v1").to_owned().leak() as &str)
        }
        _ => None,
    };
    effects.iter().filter_map(path).collect()
}

fn the_write(effects: &[Effect]) -> &crate::app::Request {
    let write = effects.iter().rev().find_map(|effect| match effect {
        Effect::Write { request, .. } => Some(request),
        _ => None,
    });
    write.expect("something is written")
}

fn drafts(effects: &[Effect]) -> Vec<(&str, &str)> {
    let draft = |effect: &'_ Effect| match effect {
        Effect::KeepDraft { id, text } => Some((id.clone().leak() as &str, text.clone().leak() as &str)),
        _ => None,
    };
    effects.iter().filter_map(draft).collect()
}

fn entry(action: &str, target: &str) -> Value {
    let entry = AuditEntry {
        seq: 1,
        at: 0,
        who: Principal { kind: PrincipalKind::Person, name: "bob".to_owned() },
        from: "socket".to_owned(),
        action: action.to_owned(),
        app: Some(APP.to_owned()),
        target: target.to_owned(),
        outcome: AuditOutcome::Done,
        before: None,
        after: None,
        hash: picloud_model::hash::ContentHash::of(b""),
    };
    serde_json::to_value(entry).unwrap()
}

#[test]
fn apps_collections_and_keys_are_read_as_they_are_opened() {
    let mut bench = Bench::at(ScreenId::Kv);
    assert!(loads(&bench.effects).iter().filter(|path| path.starts_with("/apps?limit=1000")).count() >= 1);
    bench.answer("/apps?limit", &apps());
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(loads(&effects), ["/apps/blog/kv?limit=1000"]);
    let collections = json!({ "items": [{ "name": "posts", "keys": 17, "size_bytes": 1 }], "cursor": null });
    bench.answer("/apps/blog/kv?", &collections);
    let effects = bench.keys(&[Key::Down, Key::Enter]);
    assert_eq!(loads(&effects), ["/apps/blog/kv/posts?keys_only=true&limit=1000"]);
    assert_eq!(loads(&bench.keys(&[Key::Enter, Key::Enter])), [""; 0], "it closes and opens without asking again");
}

#[test]
fn a_value_is_read_when_the_cursor_rests_and_an_answer_for_another_key_is_passed_over() {
    let mut bench = reading();
    assert!(bench.text().contains("\"title\": \"Solar on the shed\""));
    bench.keys(&[Key::Down]);
    let effects = due(&mut bench, "rest");
    assert_eq!(loads(&effects), ["/apps/blog/kv/posts?prefix=2026-02-03-mqtt&limit=1"]);
    bench.keys(&[Key::Down]);
    bench.answer("/apps/blog/kv/posts?prefix=2026-02-03-mqtt", &value("2026-02-03-mqtt"));
    assert!(bench.text().contains("Solar"), "what was there stays for a moment, with its name");
    due(&mut bench, "shadow");
    assert!(!bench.text().contains("Solar"), "the cursor is elsewhere by now");
}

#[test]
fn what_is_typed_is_saved_with_the_version_it_was_made_of_and_undone() {
    let mut bench = reading();
    bench.typed("e");
    bench.keys(&[Key::Down, Key::End, Key::Char(' '), Key::Esc]);
    assert!(bench.text().contains("draft of v14, not changed"), "blanks change nothing\n{}", bench.text());
    bench.typed("e");
    bench.keys(&[Key::Backspace, Key::Backspace, Key::Backspace]);
    bench.typed("!\",");
    let kept = bench.keys(&[Key::Esc]);
    let kept = drafts(&kept);
    assert_eq!(kept[0].0, "kv:blog/posts/2026-01-11-start");
    assert!(kept[0].1.contains("\"version\":14") && kept[0].1.contains("week.!"), "{kept:?}");
    let effects = bench.typed("s");
    assert_eq!(writes(&effects).len(), 1);
    let request = the_write(&effects);
    assert_eq!(request.if_match.as_deref(), Some("14"));
    assert!(request.path.as_str().contains("/kv/posts/2026-01-11-start?ttl_ms=107"), "{:?}", request.path);
    assert!(request.body.ends_with(br#""words":812}"#), "{:?}", request.body);
    assert!(
        String::from_utf8_lossy(&request.body)
            .starts_with(r#"{"body":"It took a Sunday and two trips to the shop, and then it rained for a week.!","#)
    );
    let effects = bench.wrote(stored(15));
    assert_eq!(drafts(&effects), [("kv:blog/posts/2026-01-11-start", "")]);
    assert!(bench.text().contains("saved posts/2026-01-11-start   u undo"));
    let effects = bench.typed("u");
    let request = the_write(&effects);
    assert_eq!((request.method.as_str(), request.if_match.as_deref()), ("PUT", Some("15")));
    assert!(String::from_utf8_lossy(&request.body).contains("for a week.\""), "{:?}", request.body);
}

#[test]
fn what_is_no_json_is_shown_under_its_line_and_kept_but_not_saved() {
    let mut bench = reading();
    bench.typed("e");
    bench.keys(&[Key::Down, Key::End, Key::Backspace]);
    assert!(bench.text().contains("1 error"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    let effects = bench.typed("s");
    assert_eq!(writes(&effects), [""; 0]);
    assert!(bench.text().contains("not saved: it is no JSON yet; the draft is kept"));
    insta::assert_snapshot!("error_80x24", bench.text());
}

#[test]
fn where_somebody_was_faster_it_is_mine_or_theirs() {
    for (choice, expected) in [("keep mine", Some("20")), ("take theirs", None), ("show both", None)] {
        let mut bench = reading();
        bench.typed("e");
        bench.keys(&[Key::Down, Key::End, Key::Backspace, Key::Backspace]);
        bench.typed("?\",");
        bench.keys(&[Key::Esc]);
        bench.typed("s");
        bench.wrote(Err(Problem::new(Code::PreconditionFailed, "it is at \"20\" now")));
        let mut theirs = value("2026-01-11-start");
        theirs["items"][0]["version"] = json!(20);
        bench.answer("/apps/blog/kv/posts?prefix=2026-01-11-start&limit=1", &theirs);
        bench.typed(choice);
        let effects = bench.keys(&[Key::Enter]);
        assert_eq!(writes(&effects).len(), usize::from(expected.is_some()), "{choice}");
        if let Some(version) = expected {
            assert_eq!(the_write(&effects).if_match.as_deref(), Some(version));
        }
        let is_forgotten = drafts(&effects).iter().any(|(_, text)| text.is_empty());
        assert_eq!(is_forgotten, choice == "take theirs", "{choice}");
    }
}

#[test]
fn one_key_goes_after_a_question_and_comes_back() {
    let mut bench = reading();
    assert_eq!(writes(&bench.typed("D")), [""; 0]);
    let effects = bench.typed("y");
    assert_eq!(writes(&effects), ["DELETE /apps/blog/kv/posts/2026-01-11-start"]);
    assert_eq!(the_write(&effects).if_match.as_deref(), Some("14"));
    bench.wrote(Ok(Answer { status: 204, ..Answer::default() }));
    assert!(!bench.text().contains("  2026-01-11-start"), "{}", bench.text());
    let effects = bench.typed("u");
    assert_eq!(
        the_write(&effects).headers,
        [("if-none-match", "*".to_owned())],
        "never over what somebody stored since"
    );
    assert!(the_write(&effects).path.as_str().contains("ttl_ms="));
}

#[test]
fn marked_keys_and_branches_go_only_after_a_word_is_typed() {
    let mut bench = reading();
    bench.typed("  D");
    assert!(bench.text().contains("delete 2 keys"), "{}", bench.text());
    assert_eq!(writes(&bench.keys(&[Key::Char('y'), Key::Enter])), [""; 0]);
    bench.typed("D2");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(
        writes(&effects),
        ["DELETE /apps/blog/kv/posts/2026-01-11-start", "DELETE /apps/blog/kv/posts/2026-02-03-mqtt"]
    );
    let mut bench = reading();
    bench.keys(&[Key::Down, Key::Down, Key::Down, Key::Down]);
    let effects = bench.typed("D");
    assert_eq!(loads(&effects), ["/apps/blog/kv/posts?prefix=by-tag%2F&keys_only=true&limit=1000"]);
    let counted = json!({ "items": [listed("by-tag/01/x", 1)], "cursor": null });
    bench.answer("/apps/blog/kv/posts?prefix=by-tag%2F&keys_only", &counted);
    bench.typed("by-tag/");
    assert_eq!(writes(&bench.keys(&[Key::Enter])), ["DELETE /apps/blog/kv/posts/by-tag%2F01%2Fx"]);
}

#[test]
fn a_collection_goes_only_after_its_name_is_typed() {
    let mut bench = opened();
    bench.keys(&[Key::Down, Key::Char('D')]);
    assert!(bench.text().contains("type counters to delete"), "{}", bench.text());
    bench.typed("counters");
    assert_eq!(writes(&bench.keys(&[Key::Enter])), ["DELETE /apps/blog/kv/counters"]);
}

#[test]
fn keys_come_a_page_at_a_time_as_the_cursor_comes_near() {
    let mut bench = opened();
    bench.keys(&[Key::Down, Key::Enter]);
    let page = |from: usize, cursor: &str| {
        let items: Vec<Value> = (from..from + 1000).map(|number| listed(&format!("k{number:06}"), 1)).collect();
        json!({ "items": items, "cursor": cursor })
    };
    let effects = bench.answer("/apps/blog/kv/counters?", &page(0, "c1"));
    assert_eq!(loads(&effects), [""; 0], "a thousand lines are enough for now");
    let effects = bench.keys(&[Key::End]);
    assert_eq!(loads(&effects), ["/apps/blog/kv/counters?keys_only=true&limit=1000&cursor=c1"]);
    bench.answer("/apps/blog/kv/counters?keys_only=true&limit=1000&cursor=c1", &page(1000, "c2"));
    assert!(bench.text().contains("2000 read, more follow"), "{}", bench.text());
    let effects = bench.send(Msg::Keys(vec![Key::Char('r')]));
    assert_eq!(loads(&effects).iter().filter(|path| path.contains("/counters?")).count(), 1);
    let effects = bench.answer("/apps/blog/kv/counters?keys_only=true&limit=1000", &page(0, "c1"));
    assert_eq!(loads(&effects).len(), 1, "what was read before is read again, page by page: {effects:?}");
}

#[test]
fn closed_branches_do_not_make_it_read_for_ever() {
    let mut bench = opened();
    bench.keys(&[Key::Down, Key::Enter]);
    let mut asked = 0;
    for number in 0..50 {
        let items: Vec<Value> = (0..1000).map(|at| listed(&format!("all/{:06}", number * 1000 + at), 1)).collect();
        let page = json!({ "items": items, "cursor": format!("c{number}") });
        asked += loads(&bench.answer("/apps/blog/kv/counters?", &page)).len();
        if asked <= number {
            break;
        }
    }
    assert_eq!(asked, 10);
    assert!(bench.text().contains("all/"), "{}", bench.text());
}

#[test]
fn a_beginning_is_asked_of_the_appliance_and_other_text_is_not() {
    let mut bench = reading();
    bench.typed("/^by");
    let effects = due(&mut bench, "prefix");
    assert_eq!(loads(&effects), ["/apps/blog/kv/posts?prefix=by&keys_only=true&limit=1000"]);
    bench.answer(
        "/apps/blog/kv/posts?prefix=by&keys_only",
        &json!({ "items": [listed("by-tag/x", 1)], "cursor": null }),
    );
    bench.keys(&[Key::Enter]);
    due(&mut bench, "shadow");
    assert!(bench.text().contains("by-tag/x") && !bench.text().contains("2026-"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    assert_eq!(loads(&due(&mut bench, "prefix")), ["/apps/blog/kv/posts?keys_only=true&limit=1000"]);
    bench.answer("/apps/blog/kv/posts?keys_only", &keys());
    bench.typed("/SOLAR");
    assert_eq!(loads(&due(&mut bench, "prefix")), [""; 0]);
    assert!(bench.text().contains("2026-03-02-solar") && !bench.text().contains("2026-02-20"), "{}", bench.text());
}

#[test]
fn what_others_store_is_read_and_nothing_else() {
    let mut bench = reading();
    bench.stream("/watch", "change", entry("kv.set", "posts/2026-01-11-start"));
    bench.stream("/watch", "change", entry("kv.delete", "posts/2026-02-03-mqtt"));
    bench.stream("/watch", "change", entry("script.save", "x"));
    let effects = due(&mut bench, "touched");
    assert_eq!(loads(&effects).len(), 4, "counts, two keys, one value: {:?}", loads(&effects));
    let gone = json!({ "items": [], "cursor": null });
    bench.answer("/apps/blog/kv/posts?prefix=2026-02-03-mqtt&limit=1&keys_only", &gone);
    assert!(!bench.text().contains("2026-02-03-mqtt"), "{}", bench.text());
}

#[test]
fn a_storm_of_changes_is_read_as_a_whole_and_only_where_that_is_not_much() {
    let mut bench = reading();
    for number in 0..500 {
        let effects = bench.stream("/watch", "change", entry("kv.set", &format!("posts/{number}")));
        assert_eq!(loads(&effects), [""; 0]);
    }
    let effects = due(&mut bench, "touched");
    let expected = [
        "/apps/blog/kv?limit=1000",
        "/apps/blog/kv/posts?prefix=2026-01-11-start&limit=1",
        "/apps/blog/kv/posts?keys_only=true&limit=1000",
    ];
    assert_eq!(loads(&effects), expected);
    let mut bench = opened();
    bench.keys(&[Key::Down, Key::Enter]);
    let items: Vec<Value> = (0..6000).map(|number| listed(&format!("k{number:06}"), 1)).collect();
    bench.answer("/apps/blog/kv/counters?", &json!({ "items": items, "cursor": null }));
    for number in 0..50 {
        bench.stream("/watch", "change", entry("kv.set", &format!("counters/k{number:06}")));
    }
    assert_eq!(loads(&due(&mut bench, "touched")), ["/apps/blog/kv?limit=1000"]);
    assert!(bench.text().contains("6000 keys, read 12:04:32, changed since: r"), "{}", bench.text());
}

#[test]
fn a_place_opens_what_it_names() {
    let mut bench = Bench::at(ScreenId::Home);
    bench.go(&Place::of(ScreenId::Kv).app(APP).thing("posts/by-tag/03/x"));
    bench.answer("/apps?limit", &apps());
    let collections = json!({ "items": [{ "name": "posts", "keys": 17, "size_bytes": 1 }], "cursor": null });
    bench.answer("/apps/blog/kv?", &collections);
    let page = json!({ "items": [listed("by-tag/03/x", 3)], "cursor": null });
    bench.answer("/apps/blog/kv/posts?prefix=by-tag%2F03%2Fx&keys_only=true", &page);
    let effects = due(&mut bench, "rest");
    assert_eq!(loads(&effects), ["/apps/blog/kv/posts?prefix=by-tag%2F03%2Fx&limit=1"]);
}

#[test]
fn a_draft_that_was_kept_is_gone_on_with() {
    let mut bench = reading();
    let kept = json!({ "version": 12, "expires_at": null, "text": "{\"half" }).to_string();
    bench.app.facts.drafts.insert("kv:blog/posts/2026-01-11-start".to_owned(), kept);
    bench.keys(&[Key::Up, Key::Down]);
    assert!(bench.text().contains("draft"), "{}", bench.text());
    due(&mut bench, "rest");
    bench.answer("/apps/blog/kv/posts?prefix=2026-01-11-start&limit=1", &value("2026-01-11-start"));
    bench.typed("e");
    assert!(bench.text().contains("draft of v12, changed") && bench.text().contains("{\"half"), "{}", bench.text());
}

#[test]
fn what_an_editor_outside_left_is_saved_or_kept() {
    let mut bench = reading();
    let effects = bench.typed("x");
    let owner = effects.iter().find_map(|effect| match effect {
        Effect::EditOutside { owner, name, .. } => {
            assert_eq!(name, "2026-01-11-start.json");
            Some(owner.clone())
        }
        _ => None,
    });
    let owner = owner.expect("the editor is opened");
    let effects = bench.send(Msg::Edited { owner: owner.clone(), text: Ok("{\"a\": ".to_owned()) });
    assert_eq!(writes(&effects), [""; 0]);
    assert_eq!(drafts(&effects).len(), 1);
    let effects = bench.send(Msg::Edited { owner, text: Ok("{\"a\": 1}\n".to_owned()) });
    assert_eq!(&the_write(&effects).body[..], br#"{"a":1}"#);
}

#[test]
fn a_branch_is_written_to_a_file_and_told_of() {
    let mut bench = reading();
    bench.keys(&[Key::Down, Key::Down, Key::Down, Key::Down, Key::Char('s')]);
    let effects = bench.keys(&[Key::Enter]);
    let export = effects.into_iter().find_map(|effect| match effect {
        Effect::ExportKeys { owner, from, to } => Some((owner, from, to)),
        _ => None,
    });
    let (owner, from, to) = export.expect("it is exported");
    let of_branch = KeysFrom { app: "blog".into(), collection: "posts".into(), prefix: "by-tag/".into() };
    assert_eq!((from, to.as_str()), (of_branch, "./posts.ndjson"));
    let written = json!({ "path": "./posts.ndjson", "bytes": 2048, "keys": 11 });
    let answer = Answer { status: 200, etag: None, body: written.to_string().into() };
    bench.send(Msg::Transferred { owner, answered: Ok(answer) });
    assert!(bench.text().contains("exported 11 keys to ./posts.ndjson: 2.0 KB"), "{}", bench.text());
}

#[test]
fn it_looks_well() {
    let mut bench = reading();
    for (width, height) in [(80, 24), (60, 20), (120, 40)] {
        insta::assert_snapshot!(format!("full_{width}x{height}"), bench.text_at(width, height));
    }
    bench.keys(&[Key::Enter, Key::Down]);
    insta::assert_snapshot!("reading_60x20", bench.text_at(60, 20));
    bench.typed("e");
    insta::assert_snapshot!("typing_80x24", bench.text_at(80, 24));
    let ascii = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    insta::assert_snapshot!("ascii_80x24", reading_with((80, 24), ascii).text());
}

#[test]
fn what_was_read_stays_when_nobody_answers() {
    let mut bench = reading();
    bench.typed("r");
    let away = Problem::new(Code::NodeAway, "the appliance does not answer").hint("it is tried again");
    bench.refuse("/apps?limit", away.clone());
    bench.refuse("/apps/blog/kv/posts?keys_only", away.clone());
    bench.refuse("/apps/blog/kv/posts?prefix=2026-01-11-start&limit=1", away);
    insta::assert_snapshot!("stale_80x24", bench.text());
    // It is asked for again, and nothing stands there twice.
    bench.typed("r");
    bench.answer("/apps/blog/kv/posts?keys_only", &keys());
    assert_eq!(bench.text().matches("2026-02-03-mqtt").count(), 1, "{}", bench.text());
    assert!(!bench.text().contains("more follow"), "{}", bench.text());
}

#[test]
fn it_says_what_is_not_there() {
    let mut bench = Bench::at(ScreenId::Kv);
    insta::assert_snapshot!("loading_80x24", bench.text());
    bench.answer("/apps?limit", &json!({ "items": [], "cursor": null }));
    insta::assert_snapshot!("no_apps_80x24", bench.text());
    let mut bench = Bench::at(ScreenId::Kv);
    let problem = Problem::new(Code::Forbidden, "your key lacks the scope script:read").hint("ask for a key with it");
    bench.refuse("/apps?limit", problem.clone());
    insta::assert_snapshot!("failing_80x24", bench.text());
    let mut bench = opened();
    bench.keys(&[Key::Down, Key::Enter]);
    bench.refuse("/apps/blog/kv/counters", problem);
    insta::assert_snapshot!("failing_keys_80x24", bench.text());
    let mut bench = opened();
    bench.keys(&[Key::Down, Key::Enter]);
    bench.answer("/apps/blog/kv/counters", &json!({ "items": [], "cursor": null }));
    insta::assert_snapshot!("empty_80x24", bench.text_at(60, 20));
}

#[test]
fn it_stands_at_every_size() {
    let mut bench = reading();
    for height in 1..=40 {
        for width in (1..=130).step_by(3) {
            bench.text_at(width, height);
        }
    }
    bench.typed("e");
    for height in 1..=30 {
        for width in 1..=80 {
            bench.text_at(width, height);
        }
    }
}

#[test]
fn nothing_is_changed_with_a_key_that_only_reads() {
    let mut bench = reading();
    bench.app.facts.is_read_only = true;
    bench.keys(&[Key::Down, Key::Up]);
    due(&mut bench, "rest");
    bench.answer("/apps/blog/kv/posts?prefix=2026-01-11-start&limit=1", &value("2026-01-11-start"));
    assert_eq!(writes(&bench.typed("Dyexsny")), [""; 0]);
}
