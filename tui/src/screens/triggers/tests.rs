//! Tests of the Triggers screen: what keys lead to, and how it looks.

use crate::app::testing::{Bench, CAPS, writes};
use crate::app::{Answer, Effect, Key, Msg, Owner, Place, ScreenId};
use crate::theme::{Caps, ColorDepth};
use picloud_model::audit::{AuditEntry, AuditOutcome};
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::{Code, Problem};
use serde_json::{Value, json};

const EVENT: &str = "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42";

fn apps() -> Value {
    let app = |name: &str| {
        json!({
            "id": 1, "name": name, "hosts": [], "env": {}, "limits": {}, "revision": 1,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        })
    };
    json!({ "items": [app("blog"), app("home")], "cursor": null })
}

fn trigger(name: &str, more: Value) -> Value {
    let mut trigger = json!({
        "id": 1, "name": name, "kind": "kv", "script": "index", "version": 3, "failures": 0, "queued": 0,
        "dead_letters": 0, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    for (key, value) in more.as_object().unwrap() {
        trigger[key] = value.clone();
    }
    trigger
}

fn page(items: &[Value]) -> Value {
    json!({ "items": items, "cursor": null })
}

fn of_blog() -> Value {
    page(&[
        trigger(
            "nightly",
            json!({
                "kind": "cron", "script": "backup", "schedule": "0 3 * * *", "timezone": "Europe/Berlin",
                "next_at": "2026-01-03T02:00:00Z",
            }),
        ),
        trigger("posts-changed", json!({ "collection": "posts", "prefix": "2026/", "ops": ["insert", "update"] })),
        trigger(
            "stopped",
            json!({
                "kind": "pubsub", "topic": "shop/orders/+", "queued": 12, "version": 9,
                "paused": { "since": "2026-01-02T11:00:00Z", "reason": "printer is out of paper" },
            }),
        ),
    ])
}

fn of_home() -> Value {
    page(&[trigger(
        "door",
        json!({ "kind": "pubsub", "topic": "door/+/state", "script": "door", "dead_letters": 3, "failures": 3 }),
    )])
}

fn letter(id: i64, at: &str) -> Value {
    json!({
        "id": id, "trigger": "door", "script": "door", "version": 4, "kind": "pubsub", "event_id": EVENT,
        "error": {
            "code": "script-error", "status": 500, "title": "script error", "detail": "no field \u{1b}[31m'ts'\nmore",
            "hint": "check the sender", "at": { "script": "door", "line": 12, "column": 5 },
        },
        "attempts": 5, "first_at": "2026-01-02T11:59:00Z", "last_at": at, "final": false,
    })
}

fn letters() -> Value {
    page(&[letter(17, "2026-01-02T12:01:09Z"), letter(16, "2026-01-02T12:01:04Z"), letter(15, "2026-01-01T11:58:40Z")])
}

fn whole(id: i64) -> Value {
    let mut whole = letter(id, "2026-01-02T12:01:09Z");
    whole["event"] = json!({
        "id": EVENT, "kind": "pubsub", "trigger": "door", "attempt": 5, "at": "2026-01-02T11:59:00Z",
        "topic": "door/front/state", "value": { "open": true },
    });
    whole["root_execution_id"] = json!(EVENT);
    whole["trigger_depth"] = json!(1);
    whole["tried"] = json!([{
        "attempt": 5, "at": "2026-01-02T12:01:09Z", "execution_id": EVENT, "version": 4, "node": "pi-02",
        "error": letter(17, "")["error"],
    }]);
    whole["chain"] = json!([{ "execution_id": EVENT, "script": "sensor", "version": 2, "cause": "GET /sensor" }]);
    whole
}

/// Everything is there, the cursor on `home/door` with its three letters.
fn filled_with(size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = Bench::with(ScreenId::Triggers, size, caps);
    fill(&mut bench);
    bench
}

fn fill(bench: &mut Bench) {
    bench.answer("/apps?limit", &apps());
    bench.answer("/apps/blog/triggers", &of_blog());
    bench.answer("/apps/home/triggers", &of_home());
    bench.keys(&[Key::End]);
    due(bench, "rests");
    bench.answer("/apps/home/dead-letters?", &letters());
    for id in [15, 16, 17] {
        bench.answer(&format!("/apps/home/dead-letters/{id}"), &whole(id));
    }
}

fn filled() -> Bench {
    filled_with((80, 24), CAPS)
}

fn due(bench: &mut Bench, slot: &'static str) -> Vec<Effect> {
    bench.send(Msg::Due { owner: Owner { screen: Some(ScreenId::Triggers), slot: slot.into() } })
}

fn loads(effects: &[Effect]) -> Vec<String> {
    let loaded = effects.iter().filter_map(|effect| match effect {
        Effect::Load { request, .. } => Some(request.path.as_str().trim_start_matches("/api/v1").to_owned()),
        _ => None,
    });
    loaded.collect()
}

/// Answers these loads and no earlier ones.
fn answer_these(bench: &mut Bench, asked: &[Effect], body: &Value) -> Vec<Effect> {
    let mut effects = Vec::new();
    for effect in asked {
        if let Effect::Load { owner, generation, .. } = effect {
            let answered = Ok(Answer { status: 200, etag: None, body: body.to_string().into() });
            effects.extend(bench.send(Msg::Loaded { owner: owner.clone(), generation: *generation, answered }));
        }
    }
    effects
}

/// The body and version of the newest write.
fn sent(effects: &[Effect]) -> (Value, Option<String>) {
    let request = effects.iter().rev().find_map(|effect| match effect {
        Effect::Write { request, .. } => Some(request),
        _ => None,
    });
    let request = request.expect("something is written");
    (serde_json::from_slice(&request.body).unwrap_or_default(), request.if_match.clone())
}

fn entry(action: &str) -> Value {
    let entry = AuditEntry {
        seq: 1,
        at: 0,
        who: Principal { kind: PrincipalKind::Key, name: "ci".to_owned() },
        from: "socket".to_owned(),
        action: action.to_owned(),
        app: Some("home".to_owned()),
        target: "door".to_owned(),
        outcome: AuditOutcome::Done,
        before: None,
        after: None,
        hash: picloud_model::hash::ContentHash::of(b""),
    };
    json!(entry)
}

fn activity(letters: u64) -> Value {
    let need = json!({ "kind": "dead_letters", "app": "home", "target": "door", "count": letters, "text": "no field" });
    json!({
        "at": "2026-01-02T12:04:31Z", "apps": 2, "scripts": 3, "nodes": [], "nodes_by_state": {}, "hour": [], "causes": [],
        "counted_since": "2026-01-02T12:00:00Z", "recent": [], "needs": [need],
    })
}

#[test]
fn all_triggers_of_all_apps_stand_above_the_letters_of_one() {
    insta::assert_snapshot!("full_80x24", filled().text());
    insta::assert_snapshot!("full_120x40", filled().text_at(120, 40));
    insta::assert_snapshot!("full_60x20", filled().text_at(60, 20));
    let mut bench = filled();
    bench.keys(&[Key::Tab]);
    insta::assert_snapshot!("letters_60x20", bench.text_at(60, 20));
}

#[test]
fn without_color_or_utf8_everything_is_told_by_signs_and_words() {
    let caps = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut bench = filled_with((80, 24), caps);
    bench.keys(&[Key::Tab, Key::Char(' ')]);
    insta::assert_snapshot!("ascii_80x24", bench.text());
}

#[test]
fn first_it_loads_then_it_may_be_empty_or_fail_and_old_data_stays() {
    let mut bench = Bench::at(ScreenId::Triggers);
    assert!(bench.text().contains("loading"), "{}", bench.text());
    bench.answer("/apps?limit", &apps());
    bench.answer("/apps/blog/triggers", &page(&[]));
    assert!(!bench.text().contains("no triggers yet"), "the other app may have some");
    bench.answer("/apps/home/triggers", &page(&[]));
    insta::assert_snapshot!("empty_80x24", bench.text());

    let away =
        Problem::new(Code::NodeAway, "nobody answers at /run/picloud/admin.sock").hint("is the appliance running?");
    let mut bench = Bench::at(ScreenId::Triggers);
    bench.refuse("/apps?limit", away.clone());
    insta::assert_snapshot!("failing_80x24", bench.text());

    let mut bench = filled();
    bench.typed("r");
    bench.refuse("/apps?limit", away);
    let text = bench.text();
    assert!(text.contains("home/door") && text.contains("data of 12:04"), "{text}");
}

#[test]
fn moving_reads_letters_only_of_where_it_rests() {
    let mut bench = filled();
    let moved = bench.keys(&[Key::Up, Key::Up, Key::Down, Key::Down]);
    assert_eq!(loads(&moved), [""; 0], "nothing is read while it moves");
    assert_eq!(loads(&due(&mut bench, "rests")), [""; 0], "it is where it was");
    bench.keys(&[Key::Up]);
    assert_eq!(loads(&due(&mut bench, "rests")), [""; 0], "this one has none");
    assert!(bench.text().contains("blog/stopped  no dead letters"), "{}", bench.text());
}

#[test]
fn pause_is_done_at_once_and_taken_back_only_if_nobody_changed_it_since() {
    let mut bench = filled();
    assert_eq!(writes(&bench.typed("p")), ["POST /apps/home/triggers/door/pause"]);
    bench.wrote(Ok(Answer { status: 200, etag: Some("4".to_owned()), body: "{}".into() }));
    let undone = bench.typed("u");
    assert_eq!(writes(&undone), ["POST /apps/home/triggers/door/resume"]);
    assert_eq!(sent(&undone).1.as_deref(), Some("4"));
    // What is paused goes on.
    bench.keys(&[Key::Up]);
    let resumed = bench.typed("p");
    assert_eq!(writes(&resumed), ["POST /apps/blog/triggers/stopped/resume"]);
}

#[test]
fn deleting_asks_names_the_queue_and_can_be_taken_back_by_making_it_anew() {
    let mut bench = filled();
    bench.keys(&[Key::Up]);
    assert_eq!(writes(&bench.typed("D")), [""; 0]);
    assert!(bench.text().contains("delete blog/stopped and 12 queued events"), "{}", bench.text());
    assert_eq!(writes(&bench.keys(&[Key::Enter])), [""; 0], "Enter never confirms");
    bench.typed("D");
    let deleted = bench.typed("y");
    assert_eq!(writes(&deleted), ["DELETE /apps/blog/triggers/stopped"]);
    assert_eq!(sent(&deleted).1.as_deref(), Some("9"));
    bench.wrote(Ok(Answer { status: 204, ..Answer::default() }));
    let undone = bench.typed("u");
    assert_eq!(writes(&undone), ["POST /apps/blog/triggers"]);
    assert_eq!(sent(&undone).0["topic"], "shop/orders/+");
    // Of several the count is typed.
    bench.typed("*D");
    assert!(bench.text().contains("type 4 to delete"), "{}", bench.text());
    bench.typed("4");
    assert_eq!(writes(&bench.keys(&[Key::Enter])).len(), 4);
}

#[test]
fn a_letter_is_read_replayed_and_discarded() {
    let mut bench = filled();
    bench.keys(&[Key::Tab]);
    assert_eq!(loads(&bench.keys(&[Key::Enter])), ["/apps/home/dead-letters/17"]);
    bench.answer("/apps/home/dead-letters/17", &whole(17));
    insta::assert_snapshot!("letter_80x24", bench.text());
    bench.keys(&[Key::Esc]);
    assert_eq!(writes(&bench.typed("Ry")), ["POST /apps/home/dead-letters/17/retry"]);
    assert_eq!(writes(&bench.typed("D")), [""; 0]);
    assert!(bench.text().contains("discard letter 17 of home/door"), "{}", bench.text());
    assert_eq!(writes(&bench.typed("y")), ["DELETE /apps/home/dead-letters/17"]);
}

#[test]
fn marked_letters_are_replayed_after_one_question_and_discarded_when_their_count_is_typed() {
    let mut bench = filled();
    bench.keys(&[Key::Tab]);
    bench.typed("  R");
    assert!(bench.text().contains("replay 2 letters of home/door"), "{}", bench.text());
    let both = ["POST /apps/home/dead-letters/17/retry", "POST /apps/home/dead-letters/16/retry"];
    assert_eq!(writes(&bench.typed("y")), both);
    bench.typed("D");
    assert_eq!(writes(&bench.typed("y")), [""; 0], "a letter is no count");
    bench.keys(&[Key::Backspace]);
    bench.typed("2");
    let gone = writes(&bench.keys(&[Key::Enter]));
    assert_eq!(gone, ["DELETE /apps/home/dead-letters/17", "DELETE /apps/home/dead-letters/16"]);
    // All of a trigger are one request.
    bench.typed("*R");
    assert_eq!(writes(&bench.typed("y")), ["POST /apps/home/dead-letters/retry"]);
    // All that match the filter are those and no others.
    bench.keys(&[Key::Esc]);
    bench.typed("/01-01");
    bench.keys(&[Key::Enter]);
    bench.typed("*R");
    assert_eq!(writes(&bench.typed("y")), ["POST /apps/home/dead-letters/15/retry"]);
}

#[test]
fn a_letter_is_changed_in_a_form_or_an_editor_and_then_replayed() {
    let mut bench = filled();
    bench.keys(&[Key::Tab]);
    bench.typed("e");
    bench.answer("/apps/home/dead-letters/17", &whole(17));
    assert!(bench.text().contains("Change letter 17"), "{}", bench.text());
    bench.keys(&[Key::Tab]);
    bench.typed("4");
    let replayed = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&replayed), ["POST /apps/home/dead-letters/17/retry"]);
    let changed = json!({ "event": { "topic": "door/front/state", "value": { "open": true } }, "version": 4 });
    assert_eq!(sent(&replayed).0, changed);
    bench.wrote(Ok(Answer { status: 202, ..Answer::default() }));

    let asked = bench.typed("x");
    let opened = answer_these(&mut bench, &asked, &whole(17));
    let edits = |effect: &Effect| match effect {
        Effect::EditOutside { owner, text, .. } => Some((owner.clone(), text.clone())),
        _ => None,
    };
    let (owner, text) = opened.iter().find_map(edits).expect("it is opened in an editor");
    assert!(!text.contains("attempt"), "what cannot be changed is not there: {text}");
    bench.send(Msg::Edited { owner: owner.clone(), text: Ok("{ \"value\": ".to_owned()) });
    assert!(bench.text().contains("x opens it again"), "{}", bench.text());
    bench.typed("x");
    assert!(bench.text().contains("The draft of letter 17"), "{}", bench.text());
    let (_, again) = bench.keys(&[Key::Enter]).iter().find_map(edits).expect("it is opened again");
    assert_eq!(again, "{ \"value\": ", "what was typed is not lost");
    bench.send(Msg::Edited { owner, text: Ok("{ \"value\": 5 }".to_owned()) });
    assert_eq!(writes(&bench.typed("y")), ["POST /apps/home/dead-letters/17/retry"]);
}

#[test]
fn an_event_that_was_not_accepted_is_kept_until_it_is_also_over_a_restart() {
    let kept = |effects: &[Effect]| {
        let of_draft = |effect: &Effect| match effect {
            Effect::KeepDraft { id, text } => Some((id.clone(), text.clone())),
            _ => None,
        };
        effects.iter().find_map(of_draft).expect("a draft is written down or thrown away")
    };
    let text = "{ \"value\": 5 }";
    let mut bench = Bench::at(ScreenId::Triggers);
    bench.app.facts.drafts.insert("letter home/17".to_owned(), text.to_owned());
    bench.put(Box::new(super::Triggers::new()));
    bench.go(&Place::of(ScreenId::Triggers));
    fill(&mut bench);
    bench.keys(&[Key::Tab]);
    bench.typed("x");
    insta::assert_snapshot!("letter_draft", bench.text());
    bench.keys(&[Key::Down]);
    let sent = bench.keys(&[Key::Enter]);
    assert_eq!(kept(&sent), ("letter home/17".to_owned(), text.to_owned()));
    assert!(bench.text().contains("replay letter 17 with the changed event"), "{}", bench.text());
    bench.typed("n");
    assert_eq!(bench.app.drafts(), [("letter home/17".to_owned(), text.to_owned())], "it was kept, not sent");
    bench.typed("x");
    bench.keys(&[Key::Down, Key::Enter, Key::Char('y')]);
    bench.wrote(Err(Problem::new(Code::Conflict, "script door is quarantined")));
    assert_eq!(bench.app.drafts().len(), 1, "it was refused");
    bench.typed("x");
    bench.keys(&[Key::Down, Key::Enter, Key::Char('y')]);
    let accepted = bench.wrote(Ok(Answer { status: 202, ..Answer::default() }));
    assert_eq!(kept(&accepted), ("letter home/17".to_owned(), String::new()));
    assert!(bench.app.drafts().is_empty());
}

#[test]
fn all_letters_of_a_trigger_are_replayed_from_above() {
    let mut bench = filled();
    bench.typed("R");
    assert!(bench.text().contains("replay all 3 letters of home/door"), "{}", bench.text());
    let replayed = bench.typed("y");
    assert_eq!(writes(&replayed), ["POST /apps/home/dead-letters/retry"]);
    assert_eq!(sent(&replayed).0, json!({ "trigger": "door" }));
}

#[test]
fn firing_sends_only_the_fields_that_were_filled_in() {
    let mut bench = filled();
    bench.typed("t");
    assert!(bench.text().contains("Fire home/door"), "{}", bench.text());
    bench.typed("door/front");
    bench.keys(&[Key::Tab]);
    bench.typed("{oops");
    bench.keys(&[Key::Tab]);
    assert_eq!(writes(&bench.keys(&[Key::Enter])), [""; 0]);
    assert!(bench.text().contains("value is no JSON"), "{}", bench.text());
}

#[test]
fn a_value_is_published_and_how_many_triggers_take_it_is_told() {
    let mut bench = filled();
    bench.typed("n");
    let picker = bench.text();
    assert!(picker.contains("dead_letter") && picker.contains("publish a value once"), "{picker}");
    bench.typed("publish");
    bench.keys(&[Key::Enter]);
    // The app is the selected one's; its topic has a wildcard, so none is there.
    bench.keys(&[Key::Tab]);
    bench.typed("door/back");
    bench.keys(&[Key::Tab]);
    bench.typed("{oops");
    bench.keys(&[Key::Tab, Key::Tab]);
    assert_eq!(writes(&bench.keys(&[Key::Enter])), [""; 0]);
    assert!(bench.text().contains("the value is no JSON"), "{}", bench.text());
    bench.keys(&[Key::BackTab, Key::BackTab]);
    bench.keys(&[Key::Backspace; 5]);
    bench.typed("[1]");
    bench.keys(&[Key::Tab]);
    bench.typed("soon");
    bench.keys(&[Key::Tab]);
    assert_eq!(writes(&bench.keys(&[Key::Enter])), [""; 0]);
    assert!(bench.text().contains("delay ms: `soon` is no number"), "{}", bench.text());
    bench.keys(&[Key::BackTab]);
    bench.keys(&[Key::Backspace; 4]);
    bench.typed("60000");
    bench.keys(&[Key::Tab]);
    bench.typed("once");
    insta::assert_snapshot!("publish_80x24", bench.text());
    let published = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&published), ["POST /apps/home/publish"]);
    let input = json!({ "topic": "door/back", "value": [1], "delay_ms": 60_000, "dedup_key": "once" });
    assert_eq!(sent(&published), (input, None));
    let answer = json!({ "event_id": EVENT, "deliveries": 2 });
    bench.wrote(Ok(Answer { status: 200, etag: None, body: answer.to_string().into() }));
    assert!(bench.text().contains("published: 2 triggers take it"), "{}", bench.text());
}

#[test]
fn a_value_is_published_where_there_are_no_triggers_yet_and_nobody_takes_it() {
    let mut bench = Bench::at(ScreenId::Triggers);
    bench.answer("/apps?limit", &apps());
    bench.answer("/apps/blog/triggers", &page(&[]));
    bench.answer("/apps/home/triggers", &page(&[]));
    bench.typed("npublish");
    bench.keys(&[Key::Enter, Key::Tab]);
    bench.typed("a");
    bench.keys(&[Key::Tab]);
    bench.typed("null");
    bench.keys(&[Key::Tab, Key::Tab]);
    let published = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&published), ["POST /apps/blog/publish"]);
    assert_eq!(sent(&published).0, json!({ "topic": "a", "value": null }), "what is empty is not sent");
    bench.wrote(Ok(Answer { status: 200, etag: None, body: "{\"deliveries\":0}".into() }));
    assert!(bench.text().contains("nothing was published: no trigger takes it"), "{}", bench.text());
}

#[test]
fn a_new_schedule_tells_its_next_times_before_it_is_saved() {
    let mut bench = filled();
    bench.typed("n");
    bench.typed("cron");
    bench.keys(&[Key::Enter]);
    assert!(bench.text().contains("New trigger of kind cron"), "{}", bench.text());
    // The app is the selected one's; then name, script and schedule.
    bench.keys(&[Key::Tab]);
    bench.typed("weekly");
    bench.keys(&[Key::Tab]);
    bench.typed("report");
    bench.keys(&[Key::Tab]);
    bench.typed("0 6 * * 1");
    let submit = |bench: &mut Bench| {
        let mut effects = Vec::new();
        for _ in 0..20 {
            effects = bench.keys(&[Key::Enter]);
            if !loads(&effects).is_empty() || !writes(&effects).is_empty() {
                break;
            }
        }
        effects
    };
    assert_eq!(loads(&submit(&mut bench)), ["/schedules/preview"]);
    let next = json!({ "items": [{ "at": "2026-01-05T06:00:00Z", "local": "2026-01-05 06:00:00 UTC" }] });
    bench.answer("/schedules/preview", &next);
    assert!(bench.text().contains("2026-01-05 06:00:00 UTC"), "{}", bench.text());
    let made = submit(&mut bench);
    assert_eq!(writes(&made), ["POST /apps/home/triggers"]);
    let table = json!({ "name": "weekly", "kind": "cron", "script": "report", "schedule": "0 6 * * 1" });
    assert_eq!(sent(&made).0, table, "defaults are left to the appliance");
}

#[test]
fn a_table_is_changed_with_the_version_that_was_seen() {
    let mut bench = filled();
    bench.typed("e");
    assert!(bench.text().contains("Change trigger home/door"), "{}", bench.text());
    bench.typed("2");
    let mut saved = Vec::new();
    for _ in 0..20 {
        saved = bench.keys(&[Key::Enter]);
        if !writes(&saved).is_empty() {
            break;
        }
    }
    assert_eq!(writes(&saved), ["PUT /apps/home/triggers/door"]);
    let (table, version) = sent(&saved);
    assert_eq!((table["script"].as_str(), version.as_deref()), (Some("door2"), Some("3")));
    assert_eq!(table["topic"], "door/+/state");
    bench.wrote(Err(Problem::new(Code::Conflict, "script `door2` does not exist")));
    assert!(bench.text().contains("script `door2` does not exist"), "the form says why: {}", bench.text());
}

#[test]
fn many_changes_are_read_once_and_letters_with_them() {
    let mut bench = filled();
    let first = bench.stream("/watch", "change", entry("dead_letter.retry"));
    assert!(matches!(&first[..], [Effect::Later { .. }]), "{first:?}");
    for _ in 0..50 {
        assert!(bench.stream("/watch", "change", entry("dead_letter.retry")).is_empty());
    }
    let read = due(&mut bench, "soon");
    let wanted = ["/apps/home/dead-letters?trigger=door&limit=500", "/apps/home/triggers?limit=1000"];
    assert_eq!(loads(&read), wanted);
}

#[test]
fn letters_that_failing_runs_leave_come_by_themselves() {
    let mut bench = filled();
    assert_eq!(loads(&bench.stream("/activity", "activity", activity(3))), [""; 0], "nothing new");
    let read = bench.stream("/activity", "activity", activity(4));
    assert_eq!(loads(&read), ["/apps/home/dead-letters?trigger=door&limit=500"]);
    assert!(bench.text().contains("!4"), "{}", bench.text());
}

#[test]
fn a_place_leads_to_a_trigger_or_its_letters() {
    let mut bench = Bench::at(ScreenId::Home);
    bench.go(&Place::of(ScreenId::Triggers).app("blog").thing("stopped"));
    bench.answer("/apps?limit", &apps());
    bench.answer("/apps/blog/triggers", &of_blog());
    bench.answer("/apps/home/triggers", &of_home());
    assert!(bench.text().contains(">  blog/stopped"), "{}", bench.text());
    bench.go(&Place::of(ScreenId::Triggers).app("home").thing("door#letters"));
    assert!(bench.text().contains("› home/door"), "{}", bench.text());
    let effects = bench.go(&Place::of(ScreenId::Triggers).app("home").thing("gone"));
    drop(effects);
    assert!(bench.text().contains("trigger home/gone is not there"), "{}", bench.text());
}

#[test]
fn info_tells_the_next_times_and_the_last_runs() {
    let mut bench = filled();
    bench.keys(&[Key::Home]);
    assert_eq!(loads(&bench.keys(&[Key::Enter])), ["/apps/blog/triggers/nightly/next?count=5"]);
    let next = json!({ "items": [{ "at": "2026-01-03T02:00:00Z", "local": "2026-01-03 03:00:00 CET" }] });
    assert_eq!(
        loads(&bench.answer("/apps/blog/triggers/nightly/next", &next)),
        ["/apps/blog/executions?trigger=nightly&limit=10"]
    );
    let run = json!({
        "id": EVENT, "started_at": "2026-01-02T02:00:00.100Z", "outcome": "failed", "duration_us": 5_000_000,
        "error": { "detail": "timeout in step 3" },
    });
    bench.answer("/apps/blog/executions", &page(&[run]));
    insta::assert_snapshot!("info_80x24", bench.text());
}

#[test]
fn no_size_is_too_small() {
    let mut bench = filled();
    for keys in [&[][..], &[Key::Tab]] {
        bench.keys(keys);
        for width in 1..=62 {
            for height in 1..=30 {
                bench.text_at(width, height);
            }
        }
    }
}
