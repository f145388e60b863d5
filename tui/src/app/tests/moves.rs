//! What a step of the cursor costs a slow line, where the list is longer than the screen and a text stands below it.

use crate::app::testing::{Bench, CAPS};
use crate::app::{Key, Msg, Owner, ScreenId};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

/// One step, at any width.
const STEP_BYTES_MAX: usize = 120;
/// Things in the list.
const THINGS: usize = 40;
const SIZES: [(u16, u16); 2] = [(80, 24), (200, 50)];

/// No two alike, of up to twenty letters: what is longer is sent once, too, when its line comes in.
fn name(number: usize) -> String {
    let words = ["door", "backup", "on_widget", "weather", "mail", "rotate", "pump", "solar", "gate", "feed"];
    format!("{}_{}_{number}", words[number % 10], words[number / 7 % 10])
}

fn page(items: &[Value]) -> Value {
    json!({ "items": items, "cursor": null })
}

fn app() -> Value {
    json!({
        "id": 1, "name": "blog", "hosts": [], "env": {}, "limits": {}, "revision": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    })
}

fn rested(bench: &mut Bench, screen: ScreenId) {
    bench.send(Msg::Due { owner: Owner { screen: Some(screen), slot: "rest".into() } });
}

/// Many scripts, the first of them shown.
fn scripts(size: (u16, u16)) -> Bench {
    let mut bench = Bench::with(ScreenId::Scripts, size, CAPS);
    bench.answer("/apps?limit", &page(&[app()]));
    let script = |number: usize| {
        json!({
            "id": number, "name": name(number), "kind": "endpoint", "version": number, "hash": "ab".repeat(32),
            "size_bytes": 412, "updated_at": "2026-01-02T11:58:00Z",
        })
    };
    let scripts: Vec<Value> = (0..THINGS).map(script).collect();
    bench.answer("/apps/blog/scripts?", &page(&scripts));
    bench.keys(&[Key::Down]);
    rested(&mut bench, ScreenId::Scripts);
    let mut live = script(0);
    live["author"] = "ada".into();
    live["sdk_version"] = "1.1".into();
    live["source"] = "let temperature = kv::collection(\"weather\").get(\"now\") ?? 0;\n".repeat(60).into();
    bench.answer("/apps/blog/scripts/door_door_0/", &page(&[]));
    bench.answer("/apps/blog/routes", &page(&[]));
    bench.answer("/apps/blog/triggers", &page(&[]));
    bench.answer("/apps/blog/scripts/door_door_0", &live);
    bench
}

/// Many keys, the first of them shown.
fn keys(size: (u16, u16)) -> Bench {
    let mut bench = Bench::with(ScreenId::Kv, size, CAPS);
    bench.answer("/apps?limit", &page(&[app()]));
    bench.answer("/apps/blog/kv?", &page(&[json!({ "name": "posts", "keys": THINGS, "size_bytes": 12_000 })]));
    bench.keys(&[Key::Down, Key::Enter]);
    let key = |number: usize| json!({ "key": name(number), "version": 14, "updated_at": "2026-01-02T11:58:00Z" });
    let mut listed: Vec<Value> = (0..THINGS).map(key).collect();
    listed.sort_by_key(|listed| listed["key"].to_string());
    bench.answer("/apps/blog/kv/posts?keys_only", &page(&listed));
    bench.keys(&[Key::Down]);
    rested(&mut bench, ScreenId::Kv);
    let mut first = listed[0].clone();
    first["value"] = json!({ "title": "Solar on the shed", "words": (0..80).collect::<Vec<_>>() });
    bench.answer("/apps/blog/kv/posts?prefix=", &page(&[first]));
    bench
}

fn drawn(bench: &Bench, (width, height): (u16, u16)) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    bench.app.draw(area, &mut buf);
    buf
}

#[test]
fn a_step_costs_little_at_any_width_also_where_the_list_goes_on() {
    for size in SIZES {
        for (what, mut bench) in [("scripts", scripts(size)), ("keys", keys(size))] {
            for (number, way) in [Key::Down; THINGS - 2].into_iter().chain([Key::Up; THINGS - 2]).enumerate() {
                // Ages that grow by a minute meanwhile are no part of the step.
                bench.draw();
                bench.send(Msg::Drawn);
                let before = drawn(&bench, size);
                bench.send(Msg::Keys(vec![way]));
                let after = drawn(&bench, size);
                assert!(before != after, "{what} at {size:?}: step {number} {way} moved nothing");
                let cost = crate::term::bytes_between(before, after);
                assert!(cost <= STEP_BYTES_MAX, "{what} at {size:?}: {cost} bytes for step {number} {way}");
            }
        }
    }
}
