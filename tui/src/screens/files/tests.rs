//! Tests of the screen: what keys lead to, and how it looks.

use crate::app::testing::{Bench, CAPS, writes};
use crate::app::{Answer, Effect, Key, Msg, Owner, Place, Request, ScreenId, Slot};
use crate::theme::{Caps, ColorDepth};
use picloud_model::problem::{Code, Problem};
use serde_json::{Value, json};

const HASH: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

fn id(number: usize) -> String {
    format!("0199c0de-0000-7000-8000-{number:012}")
}

fn file(number: usize, name: &str, content_type: &str, size: u64) -> Value {
    json!({
        "id": id(number), "name": name, "content_type": content_type, "size": size, "sha256": HASH,
        "version": 40 + number, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T11:55:00Z",
        "metadata": if number == 1 { json!({ "album": "pets" }) } else { json!({}) },
    })
}

fn files() -> Value {
    let items = vec![
        file(1, "cat.jpg", "image/jpeg", 2_345_678),
        file(2, "notes.json", "application/json", 120),
        file(3, "readme\u{1b}[2J.txt", "text/plain; charset=utf-8", 90_000),
        file(4, "空の長い長い名前のファイルがここに一つある.bin", "application/octet-stream", 0),
    ];
    json!({ "items": items, "cursor": null })
}

fn apps() -> Value {
    let app = |name: &str| {
        json!({
            "id": 1, "name": name, "hosts": [], "env": {}, "limits": {}, "revision": 1,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        })
    };
    json!({ "items": [app("blog"), app("metrics")], "cursor": null })
}

fn shelf_with(size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = Bench::with(ScreenId::Files, size, caps);
    bench.answer("/apps?limit", &apps());
    let collections = json!([
        { "name": "backups", "files": 1200, "size_bytes": 9_000_000_000_i64 },
        { "name": "photos", "files": 4, "size_bytes": 2_435_798 },
    ]);
    bench.answer("/apps/blog/files?", &json!({ "items": collections, "cursor": null }));
    bench.answer("/apps/metrics/files?", &json!({ "items": [], "cursor": null }));
    bench
}

/// In `photos`, on its first file.
fn inside_with(size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = shelf_with(size, caps);
    bench.keys(&[Key::Down, Key::Down, Key::Enter]);
    bench.answer("/apps/blog/files/photos?", &files());
    bench
}

fn inside() -> Bench {
    inside_with((80, 24), CAPS)
}

fn due(bench: &mut Bench, slot: &'static str) -> Vec<Effect> {
    bench.send(Msg::Due { owner: Owner { screen: Some(ScreenId::Files), slot: Slot::from(slot) } })
}

fn read(bench: &mut Bench, body: impl Into<bytes::Bytes>) -> Vec<Effect> {
    let effects = due(bench, "rest");
    bench.answer_with("/apps/blog/files/photos/", Ok(Answer { status: 206, etag: None, body: body.into() }));
    effects
}

fn loads(effects: &[Effect]) -> Vec<String> {
    let path = |effect: &Effect| match effect {
        Effect::Load { request, .. } => Some(request.path.as_str().trim_start_matches("/api/v1").to_owned()),
        _ => None,
    };
    effects.iter().filter_map(path).collect()
}

fn the_write(effects: &[Effect]) -> &Request {
    let write = effects.iter().rev().find_map(|effect| match effect {
        Effect::Write { request, .. } => Some(request),
        _ => None,
    });
    write.expect("something is written")
}

#[test]
fn only_a_part_of_a_file_is_ever_read() {
    let mut bench = inside();
    let range = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Load { request, .. } => Some(request.headers.clone()),
            _ => None,
        })
    };
    let effects = read(&mut bench, &b"\xff\xd8\xff\xe0JFIF"[..]);
    assert_eq!(range(&effects), Some(vec![("range", "bytes=0-127".to_owned())]));
    assert!(bench.text().contains("0000  ff d8 ff e0 4a 46 49 46"), "{}", bench.text());
    bench.keys(&[Key::Down, Key::Down]);
    let effects = read(&mut bench, "hello\n");
    assert_eq!(range(&effects), Some(vec![("range", "bytes=0-65535".to_owned())]));
    assert!(bench.text().contains("its first 64 KB"), "{}", bench.text());
    bench.keys(&[Key::Down]);
    assert_eq!(loads(&due(&mut bench, "rest")), [""; 0], "of an empty file there is no part");
    assert!(bench.text().contains("it is empty"), "{}", bench.text());
}

#[test]
fn an_answer_for_another_file_is_passed_over() {
    let mut bench = inside();
    due(&mut bench, "rest");
    bench.keys(&[Key::Down]);
    bench.answer_with("/apps/blog/files/photos/", Ok(Answer { status: 206, etag: None, body: "wrong".into() }));
    assert!(!bench.text().contains("77 72 6f"), "{}", bench.text());
}

#[test]
fn one_file_goes_after_a_question_many_after_a_count() {
    let mut bench = inside();
    assert_eq!(writes(&bench.typed("D")), [""; 0]);
    let effects = bench.typed("y");
    assert_eq!(writes(&effects), [format!("DELETE /apps/blog/files/photos/{}", id(1))]);
    assert_eq!(the_write(&effects).if_match.as_deref(), Some("41"));
    let mut bench = inside();
    bench.typed("  D");
    assert!(bench.text().contains("type 2 to delete"), "{}", bench.text());
    assert_eq!(writes(&bench.keys(&[Key::Char('y'), Key::Enter])), [""; 0]);
    bench.typed("D2");
    assert_eq!(writes(&bench.keys(&[Key::Enter])).len(), 2);
}

#[test]
fn a_collection_goes_after_its_name_is_typed() {
    let mut bench = shelf_with((80, 24), CAPS);
    bench.keys(&[Key::Down, Key::Down, Key::Char('D')]);
    bench.answer("/apps/blog/files/photos?limit=1000", &files());
    bench.typed("photos");
    assert_eq!(writes(&bench.keys(&[Key::Enter])).len(), 4);
}

#[test]
fn a_file_is_brought_and_shown() {
    let mut bench = inside();
    bench.typed("n");
    bench.typed("/tmp/tom.png");
    let effects = submit(&mut bench);
    let upload = effects.iter().find_map(|effect| match effect {
        Effect::Upload { owner, request, from } => Some((owner.clone(), request.clone(), from.clone())),
        _ => None,
    });
    let (owner, request, from) = upload.expect("it is sent");
    assert_eq!((request.method.as_str(), from.as_str()), ("POST", "/tmp/tom.png"));
    assert_eq!(request.path.as_str(), "/api/v1/apps/blog/files/photos?name=tom.png");
    assert_eq!(request.content_type.as_deref(), Some("image/png"));
    let kept = file(9, "tom.png", "image/png", 5);
    let answer = Answer { status: 201, etag: None, body: kept.to_string().into() };
    let effects = bench.send(Msg::Transferred { owner, answered: Ok(answer) });
    assert!(loads(&effects).contains(&"/apps/blog/files/photos?limit=1000".to_owned()), "{:?}", loads(&effects));
    let mut all = files();
    all["items"].as_array_mut().unwrap().push(kept);
    bench.answer("/apps/blog/files/photos?limit", &all);
    assert!(bench.text().lines().any(|line| line.starts_with("> ") && line.contains("tom.png")), "{}", bench.text());
}

/// Goes through the fields of a form to its end, and sends it.
fn submit(bench: &mut Bench) -> Vec<Effect> {
    let mut effects = Vec::new();
    for _ in 0..8 {
        effects.extend(bench.keys(&[Key::Enter]));
        if effects.iter().any(|effect| !matches!(effect, Effect::Later { .. })) {
            break;
        }
    }
    effects
}

#[test]
fn a_download_can_be_cancelled() {
    let mut bench = inside();
    bench.typed("s");
    let effects = submit(&mut bench);
    let is_download = |effect: &Effect| {
        matches!(effect, Effect::Download { path, to, .. }
            if path.as_str().ends_with(&id(1)) && to == "./cat.jpg")
    };
    assert!(effects.iter().any(is_download), "{effects:?}");
    let effects = bench.typed("K");
    let is_stop = |effect: &Effect| matches!(effect, Effect::Stop { owner } if owner.slot.name == "download");
    assert!(effects.iter().any(is_stop));
}

#[test]
fn a_line_for_another_machine_goes_by_ssh_or_by_url() {
    for (appliance, line) in [
        ("homelab", format!("ssh homelab 'picloud files get photos {} --app blog' > cat.jpg", id(1))),
        ("this machine", format!("ssh HOST 'picloud files get photos {} --app blog' > cat.jpg", id(1))),
        (
            "https://pi:8443",
            format!(
                "curl -fsS -o cat.jpg -H \"Authorization: Bearer $PICLOUD_KEY\" https://pi:8443/api/v1/apps/blog/files/photos/{}",
                id(1)
            ),
        ),
    ] {
        let mut bench = inside();
        bench.app.facts.appliance = appliance.to_owned();
        let effects = bench.keys(&[Key::Char('y'), Key::Enter]);
        let copied = effects.iter().find_map(|effect| match effect {
            Effect::Copy { text } => Some(text.clone()),
            _ => None,
        });
        assert_eq!(copied.as_deref(), Some(&*line));
    }
    assert_eq!(super::sharing::own_name("../-a\n/b"), "_-a__b");
    assert_eq!(super::sharing::own_name("..."), "file");
}

#[test]
fn another_name_keeps_the_bytes_and_is_undone() {
    let mut bench = inside();
    bench.typed("M");
    bench.typed("s");
    let effects = submit(&mut bench);
    let request = the_write(&effects);
    assert_eq!(
        request.path.as_str(),
        format!("/api/v1/apps/blog/files/photos/{}?name=cat.jpgs&keep_bytes=true", id(1))
    );
    assert_eq!((request.if_match.as_deref(), request.body.len()), (Some("41"), 0));
    assert_eq!(request.headers, [("x-picloud-metadata", r#"{"album":"pets"}"#.to_owned())]);
    bench.wrote(Ok(Answer { status: 200, etag: Some(HASH.to_owned()), body: "{}".into() }));
    let effects = bench.typed("u");
    assert!(the_write(&effects).path.as_str().contains("name=cat.jpg&"));
    assert_eq!(the_write(&effects).if_match.as_deref(), Some(HASH));
}

#[test]
fn bytes_of_no_file_are_told_of_before_they_are_removed() {
    let mut bench = shelf_with((80, 24), CAPS);
    let effects = bench.typed("t");
    assert_eq!(loads(&effects), ["/files/sweep?dry_run=true"]);
    let report = json!({ "files": 9, "orphans": 2, "orphan_bytes": 4000, "damaged": 1 });
    assert_eq!(writes(&bench.answer("/files/sweep?dry_run", &report)), [""; 0]);
    assert!(bench.text().contains("remove 2 blobs"), "{}", bench.text());
    assert_eq!(writes(&bench.typed("y")), ["POST /files/sweep"]);
}

#[test]
fn a_beginning_is_asked_of_the_appliance() {
    let mut bench = inside();
    bench.typed("/^no");
    assert_eq!(loads(&due(&mut bench, "prefix")), ["/apps/blog/files/photos?prefix=no&limit=1000"]);
    bench.answer("/apps/blog/files/photos?prefix=no", &json!({ "items": [], "cursor": null }));
    bench.keys(&[Key::Enter]);
    assert!(bench.text().contains("nothing has ^no: Esc clears the filter"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    assert_eq!(loads(&due(&mut bench, "prefix")), ["/apps/blog/files/photos?limit=1000"]);
}

#[test]
fn files_come_a_page_at_a_time_as_the_cursor_comes_near() {
    let mut bench = shelf_with((80, 24), CAPS);
    bench.keys(&[Key::Down, Key::Enter]);
    let page = |from: usize, cursor: &str| {
        let items: Vec<Value> = (from..from + 1000).map(|n| file(n, &format!("f{n:06}"), "text/plain", 1)).collect();
        json!({ "items": items, "cursor": cursor })
    };
    assert_eq!(loads(&bench.answer("/apps/blog/files/backups?", &page(0, "c1"))), [""; 0]);
    assert_eq!(loads(&bench.keys(&[Key::End])), ["/apps/blog/files/backups?limit=1000&cursor=c1"]);
    bench.answer("/apps/blog/files/backups?limit=1000&cursor=c1", &page(1000, "c2"));
    assert!(bench.text().contains("2000 of 1200 files"), "{}", bench.text());
}

#[test]
fn a_place_opens_what_it_names() {
    let mut bench = Bench::at(ScreenId::Home);
    bench.go(&Place::of(ScreenId::Files).app("blog").thing(format!("photos/{}", id(2))));
    bench.answer("/apps?limit", &apps());
    bench.answer(
        "/apps/blog/files?",
        &json!({ "items": [{ "name": "photos", "files": 4, "size_bytes": 1 }], "cursor": null }),
    );
    bench.answer("/apps/blog/files/photos?", &files());
    assert!(bench.text().lines().any(|line| line.starts_with("> ") && line.contains("notes.json")), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    assert!(bench.text().contains("photos"), "{}", bench.text());
}

#[test]
fn it_looks_well() {
    let mut bench = shelf_with((80, 24), CAPS);
    insta::assert_snapshot!("shelf_80x24", bench.text());
    let mut bench = inside();
    bench.keys(&[Key::Down]);
    read(&mut bench, r#"{"a":[1,2,3],"title":"Solar","deep":{"b":null}}"#);
    for (width, height) in [(80, 24), (60, 20), (120, 40)] {
        insta::assert_snapshot!(format!("full_{width}x{height}"), bench.text_at(width, height));
    }
    bench.keys(&[Key::Enter]);
    insta::assert_snapshot!("reading_60x17", bench.text_at(60, 17));
    let ascii = Caps { color: ColorDepth::None, utf8: false, in_ssh: true, ..CAPS };
    let mut bench = inside_with((80, 24), ascii);
    read(&mut bench, &b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\x01\0H\0H\0\0"[..]);
    insta::assert_snapshot!("ascii_ssh_80x24", bench.text());
}

#[test]
fn what_was_read_stays_when_nobody_answers() {
    let mut bench = inside();
    read(&mut bench, &b"\xff\xd8"[..]);
    bench.typed("r");
    let away = Problem::new(Code::NodeAway, "the appliance does not answer").hint("it is tried again");
    bench.refuse("/apps?limit", away.clone());
    bench.refuse("/apps/blog/files/photos?", away);
    insta::assert_snapshot!("stale_80x24", bench.text());
}

#[test]
fn it_says_what_is_not_there() {
    let mut bench = Bench::at(ScreenId::Files);
    insta::assert_snapshot!("loading_80x24", bench.text());
    let problem = Problem::new(Code::Forbidden, "your key lacks the scope script:read").hint("ask for a key with it");
    bench.refuse("/apps?limit", problem.clone());
    insta::assert_snapshot!("failing_80x24", bench.text());
    let mut bench = shelf_with((80, 24), CAPS);
    bench.keys(&[Key::Down, Key::Enter]);
    bench.refuse("/apps/blog/files/backups", problem);
    insta::assert_snapshot!("failing_files_80x24", bench.text());
    let mut bench = shelf_with((80, 24), CAPS);
    bench.keys(&[Key::Down, Key::Enter]);
    bench.answer("/apps/blog/files/backups", &json!({ "items": [], "cursor": null }));
    insta::assert_snapshot!("empty_80x24", bench.text());
}

#[test]
fn it_stands_at_every_size() {
    let mut bench = inside();
    read(&mut bench, &b"\xff\xd8"[..]);
    for height in 1..=40 {
        for width in (1..=130).step_by(3) {
            bench.text_at(width, height);
        }
    }
}

#[test]
fn nothing_is_changed_with_a_key_that_only_reads() {
    let mut bench = inside();
    bench.app.facts.is_read_only = true;
    bench.keys(&[Key::Down]);
    assert_eq!(writes(&bench.typed("DyM")), [""; 0]);
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Upload { .. })));
}
