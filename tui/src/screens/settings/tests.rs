//! Tests of the Settings screen.

use crate::app::testing::{Bench, CAPS, writes, you};
use crate::app::{Answer, Answered, Effect, Key, Msg, Place, ScreenId};
use crate::theme::{Caps, ColorDepth, ThemeName};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Scope;
use serde_json::{Value, json};

const AT: &str = "2026-01-02T08:00:00Z";

fn page(items: &[Value]) -> Value {
    json!({"items": items, "cursor": null})
}

fn ok(body: &Value) -> Answered {
    Ok(Answer { status: 200, etag: Some("6".to_owned()), body: body.to_string().into() })
}

fn key(id: i64, name: &str) -> Value {
    json!({"id": id, "name": name, "scopes": ["script:read", "invoke@kitchen"], "created_at": AT, "created_by": "ada",
        "expires_at": "2026-04-02T08:00:00Z"})
}

fn at(name: &str) -> Bench {
    let mut bench = Bench::at(ScreenId::Settings);
    bench.answer("/keys", &page(&[key(1, "laptop"), key(2, "doorbell-日本")]));
    bench.go(&Place::of(ScreenId::Settings).thing(name));
    bench
}

fn apps(bench: &mut Bench) {
    let app = |name: &str| json!({"id": 1, "name": name, "hosts": [], "env": {}, "limits": {}, "revision": 5, "created_at": AT, "updated_at": AT});
    bench.answer("/apps?", &page(&[app("blog"), app("kitchen")]));
}

fn body(effects: &[Effect]) -> Value {
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Write { request, .. } => serde_json::from_slice(&request.body).ok(),
        _ => None,
    });
    sent.expect("something is written")
}

fn headers(effects: &[Effect]) -> (Option<String>, bool) {
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::Write { request, .. } => Some(request),
        _ => None,
    });
    let request = sent.expect("something is written");
    (request.if_match.clone(), request.headers.iter().any(|(name, _)| *name == "if-none-match"))
}

#[test]
fn pages_stand_at_the_left_and_fold_where_there_is_little_room() {
    let mut bench = Bench::at(ScreenId::Settings);
    bench.answer("/keys", &page(&[key(1, "laptop"), key(2, "doorbell-日本")]));
    insta::assert_snapshot!("settings_80x24", bench.text());
    insta::assert_snapshot!("settings_60x20", bench.text_at(60, 20));
    bench.keys(&[Key::Tab]);
    insta::assert_snapshot!("settings_60x20_inside", bench.text());
    insta::assert_snapshot!("settings_120x40", bench.text_at(120, 40));
}

#[test]
fn without_colours_and_with_ascii_alone_words_say_the_same() {
    let caps = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut bench = Bench::with(ScreenId::Settings, (80, 24), caps);
    bench.answer("/keys", &page(&[key(1, "laptop")]));
    insta::assert_snapshot!("settings_ascii", bench.text());
}

#[test]
fn loading_empty_failing_and_older_data_are_said() {
    let mut bench = Bench::at(ScreenId::Settings);
    assert!(bench.text().contains("loading"));
    bench.refuse("/keys", Problem::new(Code::Forbidden, "your key lacks the scope instance:admin"));
    assert!(bench.text().contains("lacks the scope"), "the other pages can be gone to: {}", bench.text());
    bench.keys(&[Key::Char('r')]);
    bench.answer("/keys", &page(&[]));
    assert!(bench.text().contains("no keys yet: n makes one"));
    bench.keys(&[Key::Char('r')]);
    bench.answer("/keys", &page(&[key(1, "laptop")]));
    bench.keys(&[Key::Char('r')]);
    bench.refuse("/keys", Problem::new(Code::NodeAway, "nobody answers"));
    let text = bench.text();
    assert!(text.contains("laptop") && text.contains("data of 12:04:3"), "{text}");
}

#[test]
fn a_key_is_made_of_toggles_shown_once_and_copied_alone() {
    let mut bench = at("keys");
    bench.keys(&[Key::Char('n')]);
    bench.typed("ci");
    bench.keys(&[Key::Tab, Key::Char(' '), Key::Tab, Key::Tab, Key::Char(' ')]);
    insta::assert_snapshot!("settings_new_key", bench.text());
    bench.keys(&[Key::Tab, Key::Tab, Key::Tab, Key::Tab, Key::Tab]);
    bench.typed("kitchen");
    let effects = bench.keys(&[Key::Enter, Key::Enter]);
    let sent = body(&effects);
    assert_eq!((&sent["scopes"], &sent["apps"]), (&json!(["script:read", "invoke"]), &json!(["kitchen"])));
    assert!(sent["expires_at"].as_str().unwrap().starts_with("2026-04-02"), "{sent}");
    let mut made = key(3, "ci");
    made["key"] = json!("picloud_secret");
    bench.wrote(ok(&made));
    assert!(bench.text().contains("picloud_secret"), "{}", bench.text());
    let effects = bench.keys(&[Key::Char('y')]);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Copy { text } if text.trim_end() == "picloud_secret"))
    );
}

#[test]
fn a_key_that_may_do_nothing_is_refused_and_one_is_revoked_after_a_question() {
    let mut bench = at("keys");
    bench.keys(&[Key::Char('n')]);
    bench.typed("ci");
    bench.keys(&[Key::BackTab]);
    let effects = bench.keys(&[Key::Enter]);
    assert!(writes(&effects).is_empty() && bench.text().contains("it may do nothing yet"), "{}", bench.text());
    bench.keys(&[Key::Esc, Key::Esc]);
    let effects = bench.keys(&[Key::Char('D')]);
    assert!(writes(&effects).is_empty());
    let effects = bench.keys(&[Key::Char('y')]);
    assert_eq!(writes(&effects), ["DELETE /keys/1"]);
}

#[test]
fn join_tokens_are_made_and_revoked() {
    let mut bench = at("join-tokens");
    let token = json!({"id": 7, "labels": {"room": "shed"}, "uses_left": 1, "created_by": "ada", "created_at": AT,
        "expires_at": "2026-01-02T13:00:00Z"});
    bench.answer("/join-tokens", &page(&[token]));
    insta::assert_snapshot!("settings_join_tokens", bench.text());
    let effects = bench.keys(&[Key::Char('D'), Key::Char('y')]);
    assert_eq!(writes(&effects), ["DELETE /join-tokens/7"]);
    bench.wrote(ok(&Value::Null));
    let effects = bench.keys(&[Key::Char('n'), Key::Enter, Key::Enter, Key::Enter]);
    assert_eq!(writes(&effects), ["POST /join-tokens"]);
}

#[test]
fn a_secret_is_set_granted_and_deleted_and_never_shown() {
    let mut bench = at("secrets");
    apps(&mut bench);
    bench.answer("/apps/blog/secrets", &page(&[]));
    let secret = json!({"name": "API_TOKEN", "scripts": ["weather"], "version": 4, "created_at": AT, "updated_at": AT});
    bench.answer("/apps/kitchen/secrets", &page(&[secret]));
    insta::assert_snapshot!("settings_secrets", bench.text());
    bench.keys(&[Key::Char('e')]);
    bench.typed("hunter2");
    let text = bench.text();
    assert!(!text.contains("hunter2") && text.contains("*******"), "{text}");
    bench.keys(&[Key::Tab]);
    bench.typed(" report");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(writes(&effects), ["PUT /apps/kitchen/secrets/API_TOKEN"]);
    assert_eq!(body(&effects), json!({"value": "hunter2", "scripts": ["weather", "report"]}));
    assert_eq!(headers(&effects), (Some("4".to_owned()), false));
    bench.wrote(ok(&Value::Null));
    bench.keys(&[Key::Char('n'), Key::Tab]);
    bench.typed("B");
    bench.keys(&[Key::Tab]);
    bench.typed("x");
    let effects = bench.keys(&[Key::Enter, Key::Enter]);
    assert_eq!(headers(&effects), (None, true), "one that is there is not written over");
    bench.wrote(ok(&Value::Null));
    let effects = bench.keys(&[Key::Char('D'), Key::Char('y')]);
    assert_eq!(writes(&effects), ["DELETE /apps/kitchen/secrets/API_TOKEN"]);
}

#[test]
fn an_env_value_is_set_and_taken_back() {
    let mut bench = at("env");
    apps(&mut bench);
    bench.answer("/apps/blog/env", &page(&[json!({"name": "city", "value": "Berlin"})]));
    bench.answer("/apps/kitchen/env", &page(&[]));
    bench.keys(&[Key::Char('e')]);
    bench.typed(" Mitte");
    let effects = bench.keys(&[Key::Enter]);
    assert_eq!(
        (writes(&effects), body(&effects)),
        (vec!["PUT /apps/blog/env/city".to_owned()], json!({"value": "Berlin Mitte"}))
    );
    bench.wrote(ok(&Value::Null));
    let effects = bench.keys(&[Key::Char('u')]);
    assert_eq!((body(&effects), headers(&effects)), (json!({"value": "Berlin"}), (Some("6".to_owned()), false)));
}

#[test]
fn a_timer_is_cancelled() {
    let mut bench = at("timers");
    apps(&mut bench);
    let timer = json!({"id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "script": "lamp", "due_at": "2026-01-02T13:00:00Z", "attempts": 0});
    bench.answer("/apps/blog/timers", &page(&[timer]));
    bench.answer("/apps/kitchen/timers", &page(&[]));
    insta::assert_snapshot!("settings_timers", bench.text());
    let effects = bench.keys(&[Key::Char('D'), Key::Char('y')]);
    assert_eq!(writes(&effects), ["DELETE /apps/blog/timers/01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42"]);
}

#[test]
fn a_backup_is_received_into_a_file_and_can_be_cancelled() {
    let mut bench = at("backups");
    bench.answer("/audit", &page(&[]));
    bench.keys(&[Key::Char('n')]);
    insta::assert_snapshot!("settings_backup", bench.text());
    let effects = bench.keys(&[Key::Enter]);
    let owner = effects.iter().find_map(|effect| match effect {
        Effect::Receive { owner, request, to } if to == "~/picloud-2026-01-02.tar" => {
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/backup"));
            Some(owner.clone())
        }
        _ => None,
    });
    let told = json!({"path": "/home/ada/picloud-2026-01-02.tar", "bytes": 4_000_000});
    bench.send(Msg::Transferred { owner: owner.expect("it is received"), answered: ok(&told) });
    assert!(bench.text().contains("the backup is in /home/ada/picloud-2026-01-02.tar: 4.0 MB"), "{}", bench.text());
    bench.keys(&[Key::Char('n'), Key::Enter]);
    let effects = bench.keys(&[Key::Char('K')]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Stop { .. })));
}

#[test]
fn backups_say_where_they_went_and_what_came_of_them() {
    let mut bench = at("backups");
    let of = |seq, action, after: Value| {
        let mut entry = entry(seq, action, "done");
        entry["after"] = after;
        entry
    };
    let place = "sftp:pi@nas:/backups/pi";
    let entries = [
        of(9, "backup.failed", json!({"repository": place, "error": "nas does not answer: no route to host"})),
        of(8, "backup.verified", json!({"repository": place, "size_bytes": 12_000_000})),
        of(7, "backup.take", json!({"files": 3})),
        of(6, "backup.restore", json!({})),
    ];
    bench.answer("/audit?action=backup.&", &page(&entries));
    insta::assert_snapshot!("settings_backups", bench.text());
}

fn entry(seq: i64, action: &str, outcome: &str) -> Value {
    json!({"seq": seq, "at": AT, "who": {"kind": "key", "name": "ci"}, "from": "192.0.2.9", "action": action,
        "app": "kitchen", "target": "hello", "outcome": outcome, "before": {"version": 3, "kind": "endpoint"},
        "after": {"version": 4, "kind": "endpoint"}, "hash": "ab".repeat(32)})
}

#[test]
fn the_audit_log_shows_what_was_before_and_after_and_is_verified() {
    let mut bench = at("audit");
    bench.answer("/audit?", &page(&[entry(9, "script.save", "done"), entry(8, "apps.delete", "refused")]));
    insta::assert_snapshot!("settings_audit", bench.text());
    bench.keys(&[Key::Enter]);
    insta::assert_snapshot!("settings_audit_entry", bench.text());
    bench.keys(&[Key::Char('q'), Key::Char('t')]);
    bench.answer(
        "/audit/verify",
        &json!({"intact": false, "entries": 9, "broken_at": 4, "reason": "its hash is another"}),
    );
    assert!(bench.text().contains("BROKEN at entry 4: its hash is another"), "{}", bench.text());
}

#[test]
fn older_entries_are_read_as_the_cursor_nears_the_end_and_newer_ones_come_on_top() {
    let mut bench = at("audit");
    let older = json!({"items": [entry(9, "a.b", "done"), entry(8, "a.b", "done")], "cursor": "8"});
    bench.answer("/audit?", &older);
    bench.keys(&[Key::Down]);
    bench.answer("/audit?limit=200&cursor=8", &page(&[entry(7, "a.b", "done")]));
    assert!(bench.text().contains("audit[3]"), "{}", bench.text());
    bench.stream("/watch", "change", entry(10, "script.save", "done"));
    let soon = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Later { owner, .. } if owner.screen.is_some() => Some(owner.clone()),
        _ => None,
    });
    bench.send(Msg::Due { owner: soon.expect("it is read soon") });
    let newer = json!({"items": [entry(10, "script.save", "done"), entry(9, "a.b", "done")], "cursor": "9"});
    bench.answer("/audit?", &newer);
    assert!(bench.text().contains("audit[4]"), "what was read before goes on below: {}", bench.text());
}

#[test]
fn limits_metrics_and_what_the_appliance_is() {
    let mut bench = at("limits");
    let limit = |name: &str, ceiling: u64| json!({"name": name, "default": 10_000, "ceiling": ceiling, "doc": "Wall time of a run."});
    bench.answer("/limits", &page(&[limit("timeout_ms", 300_000), limit("call_levels", 10_000)]));
    insta::assert_snapshot!("settings_limits", bench.text());
    bench.go(&Place::of(ScreenId::Settings).thing("metrics"));
    let text = "# HELP runs Runs.\n# TYPE runs counter\nruns_total{app=\"a b\"} 41\n";
    bench.answer_with("/metrics", Ok(Answer { status: 200, etag: None, body: text.into() }));
    assert!(bench.text().contains("runs_total{app=\"a b\"}") && bench.text().contains("41"), "{}", bench.text());
    bench.go(&Place::of(ScreenId::Settings).thing("about"));
    bench.answer("/version", &json!({"version": "0.9.2", "sdk": "1"}));
    bench.answer(
        "/status",
        &json!({"version": "0.9.2", "node": "homelab", "uptime_s": 4, "worker": {"pid": 7}, "tls": null, "queues": []}),
    );
    insta::assert_snapshot!("settings_about", bench.text());
}

#[test]
fn the_sdk_is_read_filtered_and_its_section_opened_whole() {
    let mut bench = at("sdk");
    let text = "# The SDK, version 1.1\n\nNo function takes an app.\n\n## kv\n\nKeys and values.\n\n\
        - `kv::get(collection, key)`: the value, or `()`\n- `kv::set(collection, key, value)`: sets it\n\n\
        ## log\n\n- `log::info(message)`: a line\n";
    bench.answer_with("/sdk/docs", Ok(Answer { status: 200, etag: None, body: text.into() }));
    insta::assert_snapshot!("settings_sdk", bench.text());
    bench.typed("/kv::set");
    bench.keys(&[Key::Enter]);
    let filtered = bench.text();
    assert!(filtered.contains("kv::set(") && !filtered.contains("kv::get("), "{filtered}");
    bench.keys(&[Key::Enter]);
    let section = bench.text();
    assert!(section.contains("kv::get(") && section.contains("Keys and values."), "all of it: {section}");
    assert!(!section.contains("log::info") && !section.contains("No function"), "and nothing else: {section}");
    bench.keys(&[Key::Esc]);
    let copied = bench.typed("y");
    let line = "- `kv::set(collection, key, value)`: sets it";
    assert!(copied.iter().any(|effect| matches!(effect, Effect::Copy { text } if text == line)), "{copied:?}");
}

#[test]
fn a_theme_is_used_at_once_and_kept() {
    let mut bench = at("theme");
    let effects = bench.keys(&[Key::Down, Key::Down, Key::Down, Key::Enter]);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::KeepSetting { name: "theme", value } if value == "contrast"))
    );
    assert_eq!(bench.app.facts.theme, ThemeName::Contrast);
    insta::assert_snapshot!("settings_theme", bench.text());
}

#[test]
fn escape_goes_to_the_pages_before_it_leaves() {
    let mut bench = Bench::at(ScreenId::Home);
    bench.go(&Place::of(ScreenId::Settings).thing("limits"));
    bench.keys(&[Key::Esc]);
    assert_eq!(bench.app.at(), ScreenId::Settings);
    bench.keys(&[Key::Esc]);
    assert_eq!(bench.app.at(), ScreenId::Home);
}

#[test]
fn who_may_not_make_keys_is_told_why() {
    let mut bench = at("keys");
    bench.app.facts.you = Some(you(&[Scope::ScriptRead]));
    bench.keys(&[Key::Down]);
    let effects = bench.keys(&[Key::Char('n')]);
    assert!(writes(&effects).is_empty());
    assert!(bench.text().contains("your key lacks the scope instance:admin"), "{}", bench.text());
}

#[test]
fn every_size_is_drawn() {
    for name in ["keys", "audit", "theme"] {
        let mut bench = at(name);
        for width in (1..=130).step_by(3) {
            for height in 1..=30 {
                bench.text_at(width, height);
            }
        }
    }
}
