//! What it costs, in bytes: a slow line is where the person sits.

use crate::terminal::{Terminal, keys, picloud};
use crate::world::World;
use std::time::Duration;

/// The first whole screen.
const FIRST_SCREEN_MAX: usize = 3500;
/// One step of the cursor, at any width.
const MOVE_MAX: usize = 120;
/// A window over the screen.
const POPUP_MAX: usize = 800;
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
fn a_popup_is_small() {
    let world = World::quickstart();
    let mut terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    terminal.keys("3");
    terminal.until_text(">  quickstart");
    let before = terminal.count();
    terminal.keys("?");
    terminal.until_text("Apps: keys");
    let opened = terminal.count() - before;
    assert!(opened <= POPUP_MAX, "{opened} bytes");
}

#[test]
fn a_step_in_a_list_is_small_at_any_width() {
    let world = World::quickstart();
    for number in 0..12 {
        world.ok(&["apps", "create", &format!("app-{number:02}")]);
    }
    for columns in [80, 200] {
        let mut terminal = Terminal::run(picloud(&world, "xterm-256color"), (columns, 40));
        terminal.until_text("live");
        let before = terminal.count();
        terminal.keys("3");
        terminal.until_text("app-11");
        let changed = terminal.count() - before;
        assert!(changed <= SCREEN_MAX, "{changed} bytes for the screen at {columns} columns");
        // What each app holds is counted after the apps are there.
        let is_quiet = (0..40).any(|_| terminal.bytes_within(Duration::from_millis(500)) == 0);
        assert!(is_quiet, "it writes though nothing happens:\n{}", terminal.text());
        for step in 1..10 {
            let before = terminal.count();
            terminal.keys(keys::DOWN);
            let selected = format!("app-{:02}", step);
            terminal.until(&selected, |screen| is_reversed(screen, &selected));
            let moved = terminal.count() - before;
            assert!(moved <= MOVE_MAX, "{moved} bytes for step {step} at {columns} columns");
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
