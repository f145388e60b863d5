//! What the palette finds.

use super::*;
use crate::app::screen::Offer;
use crate::app::testing::Bench;
use crate::app::{Effect, Key};
use crate::keymap::Action;
use serde_json::{Value, json};

/// A palette over the Nodes screen of three apps with a few things each, with all names known.
fn bench() -> Bench {
    let mut bench = Bench::at(ScreenId::Home);
    let app = |name: &str| {
        json!({
            "id": 1, "name": name, "hosts": [], "env": {}, "limits": {},
            "revision": 1, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"
        })
    };
    bench.answer("/apps?", &page(&[app("blog"), app("kitchen")]));
    bench.keys(&[Key::Char(':')]);
    answer_names(&mut bench);
    bench
}

fn page(items: &[Value]) -> Value {
    json!({"items": items, "cursor": null})
}

/// Answers lists of names until none is asked for any more.
fn answer_names(bench: &mut Bench) {
    let scripts = page(&[json!({"name": "feed", "kind": "endpoint"}), json!({"name": "html", "kind": "module"})]);
    let routes = page(&[json!({"id": "r1", "methods": ["GET"], "path": "/feed", "script": "feed"})]);
    let triggers = page(&[json!({"name": "nightly", "kind": "cron"})]);
    for (path, body) in [
        ("/nodes?limit=1000", page(&[json!({"name": "pi-02"})])),
        ("/apps/blog/scripts?limit=1000", scripts.clone()),
        ("/apps/kitchen/scripts?limit=1000", scripts),
        ("/apps/blog/triggers?limit=1000", triggers.clone()),
        ("/apps/kitchen/triggers?limit=1000", triggers),
        ("/apps/blog/routes?limit=1000", routes.clone()),
        ("/apps/kitchen/routes?limit=1000", routes),
    ] {
        bench.answer(path, &body);
    }
}

fn lists_asked(effects: &[Effect]) -> usize {
    let of_names =
        |effect: &&Effect| matches!(effect, Effect::Load { owner, .. } if owner.slot.name.starts_with("names"));
    effects.iter().filter(of_names).count()
}

#[test]
fn names_are_read_when_it_is_opened_a_few_lists_at_a_time_and_only_once() {
    let mut bench = bench();
    assert_eq!(lists_asked(&bench.effects), 7);
    bench.keys(&[Key::Esc]);
    assert_eq!(lists_asked(&bench.keys(&[Key::Char(':')])), 0, "they are known");
    bench.keys(&[Key::Esc]);
    let entry = json!({
        "seq": 1, "at": "2026-01-02T12:00:00Z", "who": {"kind": "person", "name": "ada"}, "from": "socket",
        "action": "script.save", "target": "feed", "app": "blog", "outcome": "done", "hash": "0".repeat(64),
        "prev_hash": "0".repeat(64)
    });
    bench.stream("/watch", "change", entry);
    assert_eq!(lists_asked(&bench.keys(&[Key::Char(':')])), 1, "one may have changed");
}

#[test]
fn no_more_than_four_lists_are_read_at_once() {
    let mut bench = Bench::at(ScreenId::Home);
    let app = |name: String| {
        json!({
            "id": 1, "name": name, "hosts": [], "env": {}, "limits": {},
            "revision": 1, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"
        })
    };
    let apps: Vec<Value> = (0..300).map(|number| app(format!("app-{number:03}"))).collect();
    bench.answer("/apps?", &page(&apps));
    assert_eq!(lists_asked(&bench.keys(&[Key::Char(':')])), 4);
    bench.keys(&[Key::Esc]);
    assert_eq!(lists_asked(&bench.answer("/nodes?limit=1000", &page(&[]))), 0, "nobody looks for names any more");
}

#[test]
fn screens_things_and_actions_are_found_by_a_part_of_their_names() {
    for (typed, first) in [
        ("scr", "Scripts"),
        ("blog", "blog"),
        ("kitfeed", "kitchen/feed"),
        ("scripts feed", "blog/feed"),
        ("route kit", "kitchen/GET /feed"),
        ("trigger nightly", "blog/nightly"),
        ("module kitch", "kitchen/html"),
        ("node", "Nodes"),
        ("node 02", "pi-02"),
        ("app kit", "kitchen"),
        ("theme li", "theme light"),
        ("q", "quit"),
        ("log", "log"),
    ] {
        let mut bench = bench();
        bench.typed(typed);
        let Some(crate::app::Layer::Palette(palette)) = bench.app.layers.last() else { panic!("it is open") };
        assert_eq!(palette.selected().map(|find| find.label.as_str()), Some(first), "{typed}");
    }
}

#[test]
fn what_asks_first_is_never_run_from_a_list_of_everything() {
    let facts = Bench::at(ScreenId::Home).app.facts.clone();
    let offers = [Offer::new(Action::Delete, "delete blog"), Offer::new(Action::Info, "info of blog")];
    let names = Names::default();
    let open = || Palette::open(&facts, (ScreenId::Apps, &offers), History::default(), &names);
    let mut palette = open();
    palette.pasted("delete blog");
    assert!(matches!(palette.typed(Key::Enter), Said::Told(why) if why.contains("only by its key, D")));
    let mut palette = open();
    palette.pasted("info of");
    assert!(matches!(palette.typed(Key::Enter), Said::Act(Action::Info)));
}

#[test]
fn up_recalls_what_was_typed_before() {
    let mut bench = bench();
    bench.typed("theme dark");
    bench.keys(&[Key::Enter, Key::Char(':')]);
    bench.typed("theme light");
    bench.keys(&[Key::Enter, Key::Char(':'), Key::Up]);
    let typed = |bench: &Bench| match bench.app.layers.last() {
        Some(crate::app::Layer::Palette(palette)) => palette.typed_text().to_owned(),
        _ => panic!("it is open"),
    };
    assert_eq!(typed(&bench), "theme light");
    bench.keys(&[Key::Up]);
    assert_eq!(typed(&bench), "theme dark");
    bench.keys(&[Key::Up, Key::Down]);
    assert_eq!(typed(&bench), "theme light");
    bench.keys(&[Key::Down]);
    assert_eq!(typed(&bench), "");
}

#[test]
fn it_looks_like_this() {
    let mut bench = bench();
    insta::assert_snapshot!("palette_open", bench.text());
    bench.typed("feed");
    insta::assert_snapshot!("palette_typed", bench.text_at(60, 20));
}
