//! Tests of the Runs screen: what keys lead to, and how it looks.

use crate::app::testing::{Bench, CAPS, writes};
use crate::app::{Answer, Effect, Key, Msg, Owner, Place, ScreenId, StreamState};
use crate::theme::{Caps, ColorDepth};
use picloud_model::problem::{Code, Problem};
use serde_json::{Value, json};

const RUN: &str = "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42";
const OTHER: &str = "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d43";

fn log(second: u32, level: &str, script: &str, message: &str) -> Value {
    json!({
        "at": format!("2026-01-02T12:04:{second:02}.118Z"), "app": "blog", "script": script, "version": 4,
        "node": "pi-03", "level": level, "message": message, "fields": null, "execution_id": RUN,
    })
}

fn failure() -> Value {
    let mut line = log(30, "error", "backup", "timeout in step 3 (backup:31:5)");
    line["fields"] = json!({
        "code": "deadline", "status": 504, "cause": "trigger nightly",
        "at": { "script": "backup", "line": 31, "column": 5 },
    });
    line
}

fn run(id: &str, outcome: &str, script: &str, cause: &str) -> Value {
    json!({
        "id": id, "root_id": RUN, "app_id": 1, "app": "blog", "script": script, "version": 4, "node": "pi-03",
        "cause": cause, "outcome": outcome, "status": if outcome == "ok" { 200 } else { 504 },
        "started_at": "2026-01-02T12:04:25.000Z", "duration_us": 5_000_000,
        "usage": { "operations": 1234, "memory_bytes": 52_000, "kv_calls": 3 }, "error": null, "logs": [],
        "logs_dropped": 0, "trigger_depth": 0, "replayable": true,
    })
}

fn failed() -> Value {
    let mut run = run(RUN, "failed", "backup", "trigger nightly");
    run["error"] = json!({
        "code": "deadline", "status": 504, "title": "deadline", "detail": "timeout in step 3",
        "hint": "raise timeout_ms", "at": { "script": "backup", "line": 31, "column": 5 },
    });
    run["trigger"] = json!("nightly");
    run["attempt"] = json!(2);
    run["logs"] = json!([
        { "at": "2026-01-02T12:04:26.000Z", "level": "info", "message": "step 1", "fields": { "keys": 38 } },
        { "at": "2026-01-02T12:04:27.000Z", "level": "warn", "message": "slow", "fields": null },
    ]);
    run
}

fn page(items: &[Value]) -> Value {
    json!({ "items": items, "cursor": null })
}

/// The stream is live, with four lines.
fn live_with(size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = Bench::with(ScreenId::Runs, size, caps);
    bench.answer("/executions", &page(&[]));
    stream_is(&mut bench, StreamState::Live);
    for line in [
        log(27, "info", "feed", "hello \u{1b}[31mworld"),
        log(28, "debug", "feed", "日本語のログ"),
        log(
            29,
            "warn",
            "backup",
            "upload is slow, and this line is so long that it has to be cut or wrapped: 2.1 s so far",
        ),
        failure(),
    ] {
        bench.stream("/logs", "log", line);
    }
    bench
}

fn live() -> Bench {
    live_with((80, 24), CAPS)
}

/// Runs that are kept: a failure and a success.
fn kept_with(size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = live_with(size, caps);
    bench.keys(&[Key::Tab]);
    bench.answer("/executions?limit=50", &page(&[failed(), run(OTHER, "ok", "feed", "GET /feed")]));
    bench
}

fn stream_is(bench: &mut Bench, state: StreamState) {
    let followed = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Follow { owner, generation, path } if path.as_str().starts_with("/api/v1/logs") => {
            Some((owner.clone(), *generation))
        }
        _ => None,
    });
    let (owner, generation) = followed.expect("it is followed");
    bench.send(Msg::StreamState { owner, generation, state });
}

fn many(bench: &mut Bench, count: u32) {
    for number in 0..count {
        bench.stream("/logs", "log", log(31, "info", "feed", &format!("line {number}")));
    }
}

fn follows(effects: &[Effect]) -> Vec<String> {
    let followed = effects.iter().filter_map(|effect| match effect {
        Effect::Follow { path, .. } => Some(path.as_str().trim_start_matches("/api/v1").to_owned()),
        _ => None,
    });
    followed.collect()
}

fn loads(effects: &[Effect]) -> Vec<String> {
    let loaded = effects.iter().filter_map(|effect| match effect {
        Effect::Load { request, .. } => Some(request.path.as_str().trim_start_matches("/api/v1").to_owned()),
        _ => None,
    });
    loaded.collect()
}

#[test]
fn lines_stand_as_they_were_logged_and_the_newest_is_at_the_end() {
    insta::assert_snapshot!("live_80x24", live().text());
    insta::assert_snapshot!("live_120x40", live().text_at(120, 40));
    insta::assert_snapshot!("live_60x20", live().text_at(60, 20));
    let mut wrapped = live();
    wrapped.typed("w");
    insta::assert_snapshot!("live_wrapped_60x20", wrapped.text_at(60, 20));
    let caps = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    insta::assert_snapshot!("live_ascii_80x24", live_with((80, 24), caps).text());
}

#[test]
fn paused_it_keeps_its_place_and_counts_what_comes_below() {
    let mut bench = live();
    many(&mut bench, 40);
    let end = bench.text();
    assert!(end.contains("line 39") && !end.contains("hello"), "it follows: {end}");
    bench.keys(&[Key::Home]);
    let top = bench.text();
    assert!(top.contains("hello") && top.contains("paused: f or G follows"), "{top}");
    many(&mut bench, 61);
    insta::assert_snapshot!("paused_80x24", bench.text());
    bench.keys(&[Key::End]);
    let end = bench.text();
    assert!(end.contains("line 60") && !end.contains("below"), "{end}");
}

#[test]
fn a_filter_works_while_paused_and_turns_round_with_a_mark() {
    let mut bench = live();
    bench.typed("f/slow");
    bench.keys(&[Key::Enter]);
    let text = bench.text();
    assert!(text.contains("upload is slow") && !text.contains("hello") && text.contains("/slow"), "{text}");
    bench.keys(&[Key::Esc]);
    bench.typed("/!slow");
    bench.keys(&[Key::Enter]);
    let text = bench.text();
    assert!(!text.contains("upload is slow") && text.contains("hello"), "{text}");
}

#[test]
fn the_oldest_go_and_the_place_stays_while_it_can() {
    let mut bench = live();
    bench.keys(&[Key::Home]);
    many(&mut bench, 6_000);
    let text = bench.text();
    assert!(text.contains("5000 new lines below") || text.contains("4999 new lines below"), "{text}");
    assert!(!text.contains("hello"), "it is gone: {text}");
}

#[test]
fn skipped_lines_are_counted() {
    let mut bench = live();
    bench.stream("/logs", "dropped", json!({ "lines": 120 }));
    bench.stream("/logs", "dropped", json!({ "lines": 3 }));
    let text = bench.text();
    assert!(text.contains("123 skipped") && text.contains("120 lines came faster"), "{text}");
}

#[test]
fn failures_are_found_and_lead_to_the_line_of_the_script() {
    let mut bench = live();
    many(&mut bench, 30);
    bench.typed("[");
    assert!(bench.text().contains(">12:04:30 FAIL"), "{}", bench.text());
    bench.typed("e");
    assert_eq!(bench.app.at(), ScreenId::Scripts);
}

#[test]
fn a_line_is_copied_and_all_that_are_shown_are_saved() {
    let mut bench = live();
    let copied = bench.typed("y").into_iter().find_map(|effect| match effect {
        Effect::Copy { text } => Some(text),
        _ => None,
    });
    let line = "2026-01-02T12:04:30.118Z FAIL pi-03 blog/backup trigger nightly: timeout in step 3 (backup:31:5)";
    assert_eq!(copied.unwrap(), format!("{line} {RUN}"));
    bench.typed("s");
    let saved = bench.keys(&[Key::Enter, Key::Enter]).into_iter().find_map(|effect| match effect {
        Effect::SaveText { text, to, .. } => Some((text, to)),
        _ => None,
    });
    let (text, to) = saved.expect("it is saved");
    assert_eq!((to.as_str(), text.lines().count()), ("picloud-2026-01-02.log", 4));
}

#[test]
fn what_is_shown_is_narrowed_at_the_appliance() {
    let mut bench = live();
    bench.typed("o");
    bench.typed("level warn");
    let narrowed = bench.keys(&[Key::Enter]);
    assert_eq!(follows(&narrowed), ["/logs?level=warn"]);
    assert!(bench.text().contains("level>=warn"), "{}", bench.text());
    bench.go(&Place::of(ScreenId::Home));
    let script = bench.go(&Place::of(ScreenId::Runs).app("blog").thing("script:feed"));
    assert_eq!(follows(&script), ["/logs?app=blog&script=feed&level=warn"]);
    let node = bench.go(&Place::of(ScreenId::Runs).thing("node:pi-03"));
    assert_eq!(follows(&node), ["/logs?node=pi-03&level=warn"]);
    let trigger = bench.go(&Place::of(ScreenId::Runs).app("blog").thing("trigger:nightly"));
    assert_eq!(loads(&trigger), ["/apps/blog/executions?trigger=nightly&limit=50"]);
}

#[test]
fn lines_of_runs_before_it_was_opened_stand_first_and_none_twice() {
    let mut bench = Bench::at(ScreenId::Runs);
    bench.stream("/logs", "log", log(40, "info", "feed", "just now"));
    let mut earlier = failed();
    earlier["id"] = json!(OTHER);
    bench.answer("/executions", &page(&[earlier, failed()]));
    let text = bench.text();
    let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("no {needle} in {text}"));
    assert!(at("step 1") < at("slow") && at("slow") < at("timeout") && at("timeout") < at("just now"), "{text}");
    assert_eq!(text.matches("step 1").count(), 1, "{text}");
}

#[test]
fn kept_runs_are_listed_and_new_ones_come_on_top() {
    insta::assert_snapshot!("kept_80x24", kept_with((80, 24), CAPS).text());
    insta::assert_snapshot!("kept_120x40", kept_with((120, 40), CAPS).text());
    insta::assert_snapshot!("kept_60x20", kept_with((60, 20), CAPS).text());
    let mut bench = kept_with((80, 24), CAPS);
    let glance = json!({
        "id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d99", "app": "blog", "script": "fresh", "cause": "GET /fresh",
        "node": "pi-01", "outcome": "ok", "status": 200, "duration_us": 900, "started_at": "2026-01-02T12:04:40Z",
    });
    let activity = json!({
        "at": "2026-01-02T12:04:41Z", "apps": 1, "scripts": 1, "nodes": [], "nodes_by_state": {}, "hour": [],
        "causes": [], "counted_since": "2026-01-02T12:00:00Z", "recent": [glance], "needs": [],
    });
    bench.stream("/activity", "activity", activity);
    let text = bench.text();
    assert!(text.find("blog/fresh") < text.find("blog/backup"), "{text}");
    assert!(text.contains(">  12:04:25"), "the cursor stays on its run: {text}");
}

#[test]
fn nothing_loading_failing_and_refused_are_told() {
    let mut bench = Bench::at(ScreenId::Runs);
    assert!(bench.text().contains("connecting to the logs"), "{}", bench.text());
    stream_is(&mut bench, StreamState::Live);
    insta::assert_snapshot!("live_empty_80x24", bench.text());
    stream_is(&mut bench, StreamState::Refused { why: "your key lacks script:read".to_owned() });
    assert!(bench.text().contains("your key lacks script:read"), "{}", bench.text());
    bench.keys(&[Key::Tab]);
    assert!(bench.text().contains("loading"), "{}", bench.text());
    bench.refuse("/executions?limit=50", Problem::new(Code::NodeAway, "nobody answers"));
    assert!(bench.text().contains("nobody answers"), "{}", bench.text());
}

#[test]
fn older_runs_stay_with_their_time_where_newer_ones_cannot_be_had() {
    let mut bench = kept_with((80, 24), CAPS);
    bench.typed("r");
    bench.refuse("/executions?limit=50", Problem::new(Code::NodeAway, "nobody answers"));
    insta::assert_snapshot!("kept_stale_80x24", bench.text());
    let mut bench = live();
    bench.pass(9_000);
    let retry_at_ms = bench.now().mono_ms + 4_000;
    stream_is(&mut bench, StreamState::Lost { why: "the appliance ended the connection".to_owned(), retry_at_ms });
    insta::assert_snapshot!("live_stale_80x24", bench.text());
}

#[test]
fn a_run_is_opened_with_all_that_is_known_of_it() {
    let mut bench = kept_with((80, 24), CAPS);
    let opened = bench.keys(&[Key::Enter]);
    assert_eq!(loads(&opened), [format!("/apps/blog/executions/{RUN}")]);
    let mut whole = failed();
    whole["input"] = json!({ "event": { "kind": "cron", "missed": 0 } });
    bench.answer(&format!("/apps/blog/executions/{RUN}"), &whole);
    let came = page(&[run(OTHER, "ok", "alarm", "trigger on-dead"), failed()]);
    bench.answer("/apps/blog/executions?root_execution_id", &came);
    insta::assert_snapshot!("run_80x24", bench.text());
    insta::assert_snapshot!("run_60x20", bench.text_at(60, 20));
    bench.keys(&[Key::Esc]);
    assert!(bench.text().contains("OUTCOME"), "back in the list: {}", bench.text());
}

#[test]
fn a_run_is_run_again_dry_at_once_and_for_real_after_a_question() {
    let mut bench = kept_with((80, 24), CAPS);
    bench.typed("R");
    bench.answer(&format!("/apps/blog/executions/{RUN}"), &failed());
    assert!(bench.text().contains("Run backup again"), "{}", bench.text());
    let dry = bench.keys(&[Key::Enter, Key::Enter]);
    assert_eq!((writes(&dry).len(), loads(&dry)), (0, vec![format!("/apps/blog/executions/{RUN}/replay")]));
    let ran = json!({
        "status": 200, "headers": [], "body": "done", "execution": run(OTHER, "ok", "backup", "dry run"),
        "effects": [{ "what": "kv.set", "target": "backups/1", "value": "{}" }],
    });
    bench.answer(&format!("/apps/blog/executions/{RUN}/replay"), &ran);
    insta::assert_snapshot!("replayed_80x24", bench.text());
    bench.keys(&[Key::Esc]);
    bench.typed("R ");
    let asked = bench.keys(&[Key::Enter, Key::Enter]);
    assert_eq!(writes(&asked), [""; 0], "it is asked first");
    assert!(bench.text().contains("run backup again: what it does happens twice"), "{}", bench.text());
    let done = bench.typed("y");
    assert_eq!(writes(&done), [format!("POST /apps/blog/executions/{RUN}/replay")]);
    bench.wrote(Ok(Answer { status: 200, etag: None, body: ran.to_string().into() }));
    assert!(bench.text().contains("What came of it"), "{}", bench.text());
}

#[test]
fn a_request_is_copied_as_curl() {
    let mut bench = kept_with((80, 24), CAPS);
    bench.keys(&[Key::Down, Key::Enter]);
    let mut whole = run(OTHER, "ok", "feed", "POST /blog/feed");
    whole["input"] = json!({ "request": {
        "method": "POST", "path": "/blog/feed?n=2", "headers": [["host", "pi"], ["accept", "it's"]], "body": "eyJhIjoxfQ==",
    } });
    bench.answer(&format!("/apps/blog/executions/{OTHER}"), &whole);
    bench.typed("y");
    let copied = bench.keys(&[Key::Enter]).into_iter().find_map(|effect| match effect {
        Effect::Copy { text } => Some(text),
        _ => None,
    });
    let line = r#"curl -X POST 'http://localhost:8080/blog/feed?n=2' -H 'accept: it'\''s' --data-binary '{"a":1}'"#;
    assert_eq!(copied.unwrap(), line);
}

#[test]
fn the_rate_goes_when_nothing_comes() {
    let mut bench = live();
    bench.pass(2_500);
    many(&mut bench, 30);
    bench.pass(2_500);
    many(&mut bench, 1);
    assert!(bench.text().contains("+/s"), "{}", bench.text());
    bench.send(Msg::Due { owner: Owner { screen: Some(ScreenId::Runs), slot: "rate".into() } });
    assert!(!bench.text().contains("+/s"), "{}", bench.text());
}

#[test]
fn no_size_is_too_small() {
    let mut paused = live();
    paused.keys(&[Key::Home]);
    let mut wrapped = live();
    wrapped.typed("w");
    let mut opened = kept_with((80, 24), CAPS);
    opened.keys(&[Key::Enter]);
    opened.answer(&format!("/apps/blog/executions/{RUN}"), &failed());
    for mut bench in [live(), paused, wrapped, kept_with((80, 24), CAPS), opened] {
        for width in 1..=62 {
            for height in 1..=30 {
                bench.text_at(width, height);
            }
        }
    }
}
