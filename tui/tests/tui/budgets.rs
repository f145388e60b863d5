//! What it costs, in bytes: a slow line is where the person sits.

use crate::terminal::{Terminal, keys};
use crate::world::World;
use std::time::Duration;

/// The first whole screen.
const FIRST_SCREEN_MAX: usize = 3500;
/// One step of the cursor, at any width.
const MOVE_MAX: usize = 120;
/// A window over the screen.
const POPUP_MAX: usize = 800;
/// More routes than a screen has lines.
const ROUTES: usize = 34;
/// Another screen.
const SCREEN_MAX: usize = 3000;

#[test]
fn the_first_screen_is_small_and_then_nothing_is_sent_until_something_happens() {
    let world = World::quickstart();
    let terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    assert!(terminal.count() <= FIRST_SCREEN_MAX, "{} bytes", terminal.count());
    // What was loaded comes within the first seconds; then there is silence.
    let quiet = (0..20).any(|_| terminal.bytes_within(Duration::from_secs(2)) == 0);
    assert!(quiet, "it writes though nothing happens:\n{}", terminal.text());
}

#[test]
fn a_popup_is_small_to_open_and_to_close() {
    let world = World::quickstart();
    let mut terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    terminal.keys("3");
    terminal.until_text(">  quickstart");
    for key in ["?", "a", ":"] {
        terminal.until_quiet();
        let before = terminal.count();
        terminal.keys(key);
        terminal.until("something over the screen", |screen| screen.contents().contains("Esc close"));
        terminal.until_quiet();
        let opened = terminal.count() - before;
        assert!(opened <= POPUP_MAX, "{opened} bytes to open {key}");
        terminal.keys("\x1b");
        terminal.until("nothing over the screen", |screen| !screen.contents().contains("Esc close"));
        terminal.until_quiet();
        let closed = terminal.count() - before - opened;
        assert!(closed <= POPUP_MAX, "{closed} bytes to close {key}");
    }
}

#[test]
fn every_screen_is_small_and_idle_screens_cost_nothing() {
    let world = World::quickstart();
    let mut terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    for (key, name) in
        [("2", "Nodes"), ("4", "Scripts"), ("5", "Routes"), ("7", "KV"), ("8", "Files"), ("0", "Settings")]
    {
        terminal.until_quiet();
        let before = terminal.count();
        terminal.keys(key);
        terminal.until_text(&format!(" {name}"));
        terminal.until_quiet();
        let changed = terminal.count() - before;
        assert!(changed <= SCREEN_MAX, "{changed} bytes for {name} and what it loads");
    }
    assert_eq!(terminal.bytes_within(Duration::from_secs(3)), 0, "it writes though nothing happens");
}

/// An app with more routes than a screen has lines, no two alike.
fn many_routes(folder: &std::path::Path) {
    let route = |number: usize| format!("[[routes]]\npath = \"{}\"\nscript = \"hello\"\n", path(number));
    let routes: String = (0..ROUTES).map(route).collect();
    std::fs::create_dir_all(folder.join("scripts")).unwrap();
    std::fs::write(folder.join("app.toml"), format!("name = \"many\"\n{routes}")).unwrap();
    std::fs::write(folder.join("scripts/hello.rhai"), "\"hello\"").unwrap();
}

fn path(number: usize) -> String {
    let words = ["door", "backup", "weather", "mail", "solar", "gate"];
    format!("/r{number:02}/{}/{}", words[number % 6], words[number / 5 % 6].repeat(number % 2 + 1))
}

#[test]
fn a_step_in_a_list_is_small_at_any_width_also_where_the_list_goes_on() {
    let world = World::serving(many_routes);
    for size in [(80, 24), (200, 24)] {
        let mut terminal = Terminal::at_home(&world, "xterm-256color", size);
        terminal.keys("5");
        terminal.until_text(&path(0));
        terminal.until_quiet();
        for step in 1..ROUTES {
            let before = terminal.count();
            terminal.keys(keys::DOWN);
            let selected = format!("/r{step:02}/");
            terminal.until(&selected, |screen| is_reversed(screen, &selected));
            let moved = terminal.count() - before;
            assert!(moved <= MOVE_MAX, "{moved} bytes for step {step} at {size:?}");
        }
    }
}

/// Whether this text stands somewhere below line 1 in reverse.
fn is_reversed(screen: &vt100::Screen, text: &str) -> bool {
    let (rows, columns) = screen.size();
    screen.rows(0, columns.get()).enumerate().skip(1).any(|(y, row)| {
        let column = row.find(text).map(|at| row[..at].chars().count());
        let cell = column.and_then(|x| screen.cell(u16::try_from(y).unwrap(), u16::try_from(x).unwrap()));
        y < usize::from(rows.get()) && cell.is_some_and(vt100::Cell::inverse)
    })
}
