//! Tests of the screen: what keys lead to, how it looks, and what a second of it costs.

use crate::app::testing::{Bench, CAPS};
use crate::app::{Effect, Key, Msg, Owner, Place, ScreenId, Slot, StreamState};
use crate::theme::{Caps, ColorDepth};
use serde_json::{Value, json};

const NOW: &str = "2026-01-02T12:04:31.000Z";

fn node(name: &str, state: &str, running: u32) -> Value {
    let id = format!("{:0<20}", name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>());
    let kind = if name == "pi-01" { "appliance" } else { "node" };
    json!({ "id": id[..20], "name": name, "kind": kind, "state": state, "since": "2026-01-02T11:50:00.000Z",
            "running": running, "places": 8, "in_step": true })
}

fn run(number: u32, cause: &str, error: Option<&str>) -> Value {
    let id = format!("01976f2c-0d3c-7c8e-a2b1-{number:012}");
    json!({
        "id": id, "app": "blog", "script": "feed", "cause": cause, "node": "pi-02",
        "outcome": if error.is_some() { "failed" } else { "ok" }, "status": if error.is_some() { 0 } else { 200 },
        "duration_us": 1_000 * u64::from(number), "started_at": format!("2026-01-02T12:04:{:02}.000Z", number % 60),
        "error": error,
    })
}

fn empty() -> Value {
    json!({
        "at": NOW, "apps": 0, "scripts": 0, "nodes": [node("pi-01", "up", 0)], "nodes_by_state": { "up": 1 },
        "hour": [], "causes": [], "counted_since": "2026-01-02T12:00:00.000Z", "recent": [], "needs": [],
    })
}

fn need(kind: &str, app: Option<&str>, target: &str, text: &str) -> Value {
    json!({ "kind": kind, "app": app, "target": target, "count": 3, "text": text, "at": "2026-01-02T12:01:09.000Z" })
}

fn full() -> Value {
    let minutes: Vec<Value> = (5..60)
        .filter(|minute| minute % 7 != 0)
        .map(|minute| {
            let minute_at = format!("2026-01-02T11:{minute:02}:00.000Z");
            json!({ "minute": minute_at, "runs": 100 + minute * minute, "failed": minute % 5, "p95_ms": 12.5 })
        })
        .collect();
    json!({
        "at": NOW, "apps": 3, "scripts": 9,
        "nodes": [
            node("pi-06", "away", 0), node("pi-01", "up", 2), node("pi-02", "up", 0), node("pi-03", "up", 1),
            node("pi-04", "slow", 8), node("pi-05", "up", 0), node("pi-07", "up", 0),
        ],
        "nodes_by_state": { "up": 5, "slow": 1, "away": 1 },
        "hour": minutes,
        "causes": [{ "cause": "http", "runs": 8_412 }, { "cause": "cron", "runs": 240 }, { "cause": "dead_letter", "runs": 3 }],
        "counted_since": "2026-01-02T00:00:00.000Z",
        "recent": [
            run(9, "GET /blog/feed", None), run(8, "trigger nightly", Some("timeout in step 3\u{1b}[31m")),
            run(7, "GET /blog/日本語のとても長い名前のパス/とても長い", None), run(6, "trigger on-post", None),
            run(5, "POST /blog/post", Some("no field ts")), run(4, "GET /api/temp", None),
        ],
        "needs": [
            need("node_waiting", None, "3f2a91bc0c118d2e5501", "pi-08 asks to be let in: fingerprint 3f2a 91bc 0c11 8d2e …"),
            need("quarantined", Some("blog"), "feed", "took its worker down 3 times, and is not run any more"),
            need("dead_letters", Some("home"), "door", "3 dead letters, the last: timeout 5 s"),
            need("dead_letters", Some("home"), "", "3 dead letters, the last: no script of that name any more"),
            need("backup_failed", None, "/mnt/disk", "the last backup failed: the disk is not there"),
            need("certificate_ending", None, "1", "pi-09 has a certificate that ends soon: it renews it by itself once it is connected"),
            need("store_full", None, "/var/lib/picloud", "12 MiB are left on the disk: nothing can be written once it is full"),
        ],
    })
}

fn shown(activity: &Value) -> Bench {
    shown_with(activity, (80, 24), CAPS)
}

fn shown_with(activity: &Value, size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = Bench::with(ScreenId::Home, size, caps);
    bench.stream("/activity", "activity", activity.clone());
    bench
}

fn state(bench: &mut Bench, state: StreamState) {
    let followed = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Follow { owner, generation, .. } if owner.screen == Some(ScreenId::Home) => {
            Some((owner.clone(), *generation))
        }
        _ => None,
    });
    let (owner, generation) = followed.unwrap();
    bench.send(Msg::StreamState { owner, generation, state });
}

#[test]
fn it_looks_so_when_there_is_much_to_tell() {
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        let mut bench = shown(&full());
        insta::assert_snapshot!(format!("full_{width}x{height}"), bench.text_at(width, height));
    }
}

#[test]
fn an_empty_cluster_is_told_what_to_do_next_and_with_which_key() {
    for (width, height) in [(60, 20), (80, 24), (120, 40)] {
        let mut bench = shown(&empty());
        insta::assert_snapshot!(format!("empty_{width}x{height}"), bench.text_at(width, height));
    }
    let mut waiting = empty();
    waiting["needs"] =
        json!([need("node_waiting", None, "3f2a91bc0c118d2e5501", "pi-08 asks to be let in: fingerprint 3f2a")]);
    waiting["apps"] = json!(1);
    let text = shown(&waiting).text();
    assert!(text.contains("write a script") && text.contains("one waits: Enter or 2, then A"), "{text}");
}

#[test]
fn it_says_how_it_is_while_it_loads_fails_or_is_cut_off() {
    let mut loading = Bench::at(ScreenId::Home);
    insta::assert_snapshot!("loading", loading.text());
    state(&mut loading, StreamState::Refused { why: "key `x` lacks the scope `node:read`".to_owned() });
    insta::assert_snapshot!("refused", loading.text());
    let mut stale = shown(&full());
    stale.pass(90_000);
    state(&mut stale, StreamState::Lost { why: "gone".to_owned(), retry_at_ms: 1 });
    let text = stale.text();
    assert!(text.contains("data of 12:04:31") && text.contains("RECENT RUNS"), "{text}");
}

#[test]
fn without_colour_and_beyond_ascii_it_says_the_same() {
    let plain = Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut bench = shown_with(&full(), (80, 24), plain);
    insta::assert_snapshot!("ascii", bench.text());
}

#[test]
fn enter_leads_to_where_something_can_be_done() {
    let place = |screen, app: &str, thing: &str| Place::of(screen).app(app).thing(thing);
    let cases = [
        (0, Place::of(ScreenId::Nodes).thing("3f2a91bc0c118d2e5501")),
        (1, place(ScreenId::Scripts, "blog", "feed")),
        (2, place(ScreenId::Triggers, "home", "door")),
        (3, Place::of(ScreenId::Triggers).app("home")),
        (4, Place::of(ScreenId::Settings).thing("backups")),
        (6, Place::of(ScreenId::Settings).thing("backups")),
        (7, Place::of(ScreenId::Nodes).thing("pi-06")),
        (12, Place::of(ScreenId::Nodes)),
        (13, place(ScreenId::Runs, "blog", "01976f2c-0d3c-7c8e-a2b1-000000000009")),
    ];
    let activity: picloud_model::activity::Activity = serde_json::from_value(full()).unwrap();
    let items = super::items::all(&activity, &activity.recent, usize::MAX);
    for (at, expected) in cases {
        assert_eq!(items[at].goal, super::Goal::Place(expected), "thing {at}");
    }
}

#[test]
fn what_is_left_out_is_a_key_away_and_esc_folds_it_again() {
    let mut bench = shown(&full());
    let more = |bench: &mut Bench| bench.text().contains(" more ") && bench.text().contains("Enter shows all");
    bench.text();
    assert!(more(&mut bench));
    let text = bench.text();
    let rows = text.lines().position(|line| line.contains("Enter shows all")).unwrap();
    let first = text.lines().position(|line| line.starts_with('>')).unwrap();
    bench.keys(&vec![Key::Down; rows - first]);
    bench.keys(&[Key::Enter]);
    assert!(!more(&mut bench) && bench.text().contains("certificate that ends soon"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    assert!(more(&mut bench), "{}", bench.text());
}

#[test]
fn a_filter_leaves_what_has_the_text() {
    let mut bench = shown(&full());
    bench.typed("/nightly");
    bench.keys(&[Key::Enter]);
    let text = bench.text();
    assert!(text.contains("nightly") && !text.contains("/blog/feed"), "{text}");
    bench.keys(&[Key::Esc]);
    assert!(bench.text().contains("/blog/feed"));
}

#[test]
fn the_cursor_stays_on_its_thing_and_tab_goes_from_part_to_part() {
    let mut bench = shown(&full());
    let cursor = |bench: &mut Bench| bench.text().lines().find(|line| line.starts_with('>')).unwrap().to_owned();
    bench.text();
    bench.keys(&[Key::Tab]);
    assert!(cursor(&mut bench).contains("pi-06"), "{}", bench.text());
    let mut later = full();
    later["needs"] = json!([]);
    bench.stream("/activity", "activity", later);
    assert!(cursor(&mut bench).contains("pi-06"));
    bench.keys(&[Key::Tab]);
    assert!(cursor(&mut bench).contains("GET /blog/feed"));
    bench.keys(&[Key::BackTab]);
    assert!(cursor(&mut bench).contains("pi-06"));
}

#[test]
fn rows_of_runs_are_exchanged_every_few_seconds_while_numbers_go_on() {
    let mut bench = shown(&full());
    bench.pass(1_000);
    let mut next = full();
    next["causes"][0]["runs"] = json!(9_000);
    next["recent"] = json!([run(11, "GET /new", None)]);
    let effects = bench.stream("/activity", "activity", next.clone());
    let text = bench.text();
    assert!(text.contains("http 9 000") && !text.contains("/new") && text.contains("/blog/feed"), "{text}");
    let due = effects.iter().find_map(|effect| match effect {
        Effect::Later { owner, after_ms } => Some((owner.clone(), *after_ms)),
        _ => None,
    });
    let owner = Owner { screen: Some(ScreenId::Home), slot: Slot::from("runs") };
    assert_eq!(due, Some((owner.clone(), 3_000)));
    assert!(bench.stream("/activity", "activity", next).is_empty(), "it waits once");
    bench.pass(3_000);
    bench.send(Msg::Due { owner });
    assert!(bench.text().contains("/new"));
}

/// Bytes that a terminal is sent for what changed between two texts, at the most: each run of changed cells, and where.
fn cost(before: &str, after: &str) -> usize {
    const GO_THERE: usize = 8;
    let mut cost = 0;
    for (old, new) in before.lines().zip(after.lines()) {
        let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
        let mut was_same = true;
        for at in 0..old.len().max(new.len()) {
            let (a, b) = (old.get(at).copied().unwrap_or(' '), new.get(at).copied().unwrap_or(' '));
            if a != b {
                cost += b.len_utf8() + if was_same { GO_THERE } else { 0 };
            }
            was_same = a == b;
        }
    }
    cost
}

#[test]
fn a_second_of_a_busy_cluster_costs_little() {
    const SECONDS: u32 = 40;
    let mut bench = shown(&full());
    let mut before = bench.text();
    let mut bytes = 0;
    for second in 1..=SECONDS {
        bench.pass(1_000);
        let mut next = full();
        next["causes"][0]["runs"] = json!(8_412 + second * 37);
        let newest = next["hour"].as_array().unwrap().len() - 1;
        next["hour"][newest]["runs"] = json!(4_000 + second * 37);
        next["recent"] = (0..20).map(|row| run(second * 37 + 100 - row, "GET /blog/feed", None)).collect();
        bench.stream("/activity", "activity", next);
        if second % 4 == 0 {
            bench.send(Msg::Due { owner: Owner { screen: Some(ScreenId::Home), slot: Slot::from("runs") } });
        }
        let after = bench.text();
        bytes += cost(&before, &after);
        before = after;
    }
    assert!(bytes / SECONDS as usize <= 250, "{} bytes a second", bytes / SECONDS as usize);
}

#[test]
fn nothing_breaks_at_any_size() {
    for activity in [empty(), full()] {
        let mut bench = shown(&activity);
        for width in 1..=90 {
            for height in 1..=30 {
                bench.text_at(width, height);
            }
        }
    }
}
