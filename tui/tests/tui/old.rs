//! Terminals of all kinds: none is sent what it does not know, and the selection is seen without colours.

use crate::sequences::{self, Sequence};
use crate::terminal::{Terminal, keys, picloud};
use crate::world::World;

/// Starts it, moves, opens help, and quits; answers all that was sent.
fn tour(world: &World, term: &str, more: &[(&str, &str)]) -> Vec<Sequence> {
    let mut command = picloud(world, term);
    for (name, value) in more {
        command.env(name, value);
    }
    let mut terminal = Terminal::run(command, (80, 24));
    terminal.until_text("live");
    for screen in ["2", "3", "4", "5", "6", "7", "8", "9", "0"] {
        terminal.keys(screen);
        let at = move |screen_text: &vt100::Screen| {
            let row = screen_text.rows(0, 80).next().unwrap_or_default();
            let column = row.find(&format!(" {screen}")).map_or(0, |at| at + 1);
            screen_text.cell(0, u16::try_from(column).unwrap()).is_some_and(vt100::Cell::inverse)
        };
        terminal.until(&format!("screen {screen} reversed in line 1"), at);
    }
    terminal.keys("?");
    terminal.keys(keys::DOWN);
    terminal.keys("\x1b");
    terminal.keys("q");
    terminal.ended();
    sequences::of(&terminal.bytes())
}

#[test]
fn a_vt100_is_sent_only_what_a_vt100_knows() {
    let world = World::quickstart();
    for sequence in tour(&world, "vt100", &[]) {
        let is_known = match &sequence {
            Sequence::Csi(numbers, 'm') => numbers.split(';').all(|code| matches!(code, "" | "0" | "1" | "4" | "7")),
            Sequence::Csi(numbers, 'H' | 'J' | 'K' | 'C' | 'D') => !numbers.contains('?'),
            _ => false,
        };
        assert!(is_known, "{sequence:?}");
    }
}

#[test]
fn the_console_of_linux_is_sent_neither_a_second_screen_nor_marks_of_frames() {
    let world = World::quickstart();
    for sequence in tour(&world, "linux", &[]) {
        let is_known = match &sequence {
            Sequence::Csi(numbers, 'm') => !numbers.contains("38;") && !numbers.contains("48;"),
            Sequence::Csi(numbers, 'h' | 'l') => numbers == "?25",
            Sequence::Csi(numbers, 'H' | 'J' | 'K' | 'C' | 'D') => !numbers.contains('?'),
            _ => false,
        };
        assert!(is_known, "{sequence:?}");
    }
}

#[test]
fn screen_and_tmux_and_xterm_get_their_sixteen_colours_unless_they_say_more() {
    let world = World::quickstart();
    for term in ["screen", "screen-256color", "tmux-256color", "xterm", "xterm-256color"] {
        for sequence in tour(&world, term, &[]) {
            let is_known = match &sequence {
                Sequence::Csi(numbers, 'm') => !numbers.contains("38;") && !numbers.contains("48;"),
                Sequence::Csi(numbers, 'h' | 'l') => match numbers.as_str() {
                    "?25" | "?1049" | "?2004" => true,
                    "?2026" => !term.starts_with("screen"),
                    _ => false,
                },
                Sequence::Csi(numbers, 'H' | 'J' | 'K' | 'C' | 'D') => !numbers.contains('?'),
                _ => false,
            };
            assert!(is_known, "{term}: {sequence:?}");
        }
    }
}

#[test]
fn without_colours_nothing_is_coloured_and_what_is_selected_is_reversed() {
    let world = World::quickstart();
    // The tour waits for the reversed name of each screen.
    for sequence in tour(&world, "xterm-256color", &[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]) {
        if let Sequence::Csi(numbers, 'm') = &sequence {
            let is_plain = numbers.split(';').all(|code| matches!(code, "" | "0" | "1" | "4" | "7"));
            assert!(is_plain, "{sequence:?}");
        }
    }
}

#[test]
fn without_utf8_all_is_ascii() {
    let world = World::quickstart();
    for (name, value) in [("LANG", "C"), ("LC_ALL", "en_GB.ISO-8859-1")] {
        let mut command = picloud(&world, "xterm");
        command.env(name, value);
        let terminal = Terminal::run(command, (80, 24));
        terminal.until_text("live");
        assert!(terminal.bytes().is_ascii(), "{name}={value}");
    }
}
