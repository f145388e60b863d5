//! How the frame around screens looks, at every size and on every terminal.

use super::toy::bench;
use crate::app::testing::{Bench, CAPS, filled, filled_with, you};
use crate::app::{Key, ScreenId};
use crate::theme::{Caps, ColorDepth};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Scope;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

#[test]
fn the_shell_at_three_sizes() {
    let mut bench = bench();
    bench.keys(&[Key::Down, Key::Char(' ')]);
    insta::assert_snapshot!("shell_60x20", bench.text_at(60, 20));
    insta::assert_snapshot!("shell_80x24", bench.text_at(80, 24));
    insta::assert_snapshot!("shell_120x40", bench.text_at(120, 40));
}

#[test]
fn menus_and_forms_over_it() {
    let mut bench = bench();
    bench.keys(&[Key::Char('?')]);
    insta::assert_snapshot!("help", bench.text());
    bench.keys(&[Key::Esc, Key::Char('a'), Key::Down, Key::Down, Key::Down]);
    insta::assert_snapshot!("actions", bench.text());
    bench.keys(&[Key::Esc, Key::Char('n')]);
    insta::assert_snapshot!("form", bench.text_at(60, 20));
}

#[test]
fn with_ascii_only_nothing_else_is_drawn() {
    let caps = Caps { utf8: false, color: ColorDepth::None, ..CAPS };
    let mut bench = Bench::with(ScreenId::Apps, (80, 24), caps);
    for keys in ["", "?", "\u{1b}a", "\u{1b}:", "\u{1b}n"] {
        let keys: Vec<Key> = keys.chars().map(|c| if c == '\u{1b}' { Key::Esc } else { Key::Char(c) }).collect();
        bench.keys(&keys);
        let text = bench.text();
        assert!(text.is_ascii(), "{text}");
    }
    bench.keys(&[Key::Esc, Key::Char('?')]);
    insta::assert_snapshot!("help_ascii", bench.text());
}

#[test]
fn without_colour_the_selection_and_the_screen_are_still_to_be_seen() {
    let mut bench = bench();
    bench.app.facts.caps.color = ColorDepth::None;
    let area = Rect::new(0, 0, 80, 24);
    let mut buf = Buffer::empty(area);
    bench.app.draw(area, &mut buf);
    let reversed: String = buf
        .content
        .iter()
        .filter(|cell| cell.modifier.contains(Modifier::REVERSED))
        .map(|cell| cell.symbol())
        .collect();
    assert_eq!(reversed, "3Appsone");
    let plain = ratatui::style::Color::Reset;
    assert!(buf.content.iter().all(|cell| cell.fg == plain && cell.bg == plain), "no colour at all");
}

#[test]
fn a_key_that_only_reads_makes_a_screen_that_says_so() {
    let mut bench = bench();
    bench.app.facts.you = Some(you(&[Scope::ScriptRead]));
    assert!(bench.text().lines().nth(1).is_some_and(|title| title.contains("READ-ONLY")), "{}", bench.text());
}

#[test]
fn a_long_refusal_is_cut_at_its_first_line_and_kept_whole() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    bench.wrote(Err(Problem::new(Code::Invalid, format!("first line\nsecond line {}", "x".repeat(200)))));
    let message = bench.text().lines().rev().nth(1).map(str::trim).map(str::to_owned);
    assert_eq!(message.as_deref(), Some("first line…"));
}

/// Sizes of the whole terminal: around where things fold, and the smallest.
const SIZES: [(u16, u16); 8] = [(1, 1), (39, 30), (40, 10), (47, 13), (60, 9), (60, 20), (71, 18), (73, 30)];

#[test]
fn every_layer_over_every_screen_is_drawn_at_sizes_where_things_fold() {
    for screen in ScreenId::ALL {
        for key in ['?', 'a', ':', 'n', '/', 'D', 'i', 'e', 't', 'z'] {
            let mut bench = filled(*screen);
            bench.keys(&[Key::Char(key)]);
            for (width, height) in SIZES {
                bench.text_at(width, height);
            }
        }
    }
}

#[test]
fn every_screen_is_drawn_at_every_size() {
    for screen in ScreenId::ALL {
        for bench in [filled(*screen), Bench::at(*screen)] {
            every_size(&bench);
        }
    }
}

/// The screen alone, from one cell on.
fn every_size(bench: &Bench) {
    let (look, screen) = (bench.app.look(), bench.app.screens.get(bench.app.at()));
    for width in 1..=60 {
        for height in 1..=30 {
            // It stands somewhere in the middle of a terminal, and has no business outside.
            let area = Rect::new(2, 1, width, height);
            let mut buf = Buffer::empty(Rect::new(0, 0, width + 4, height + 2));
            screen.view(&look, area, &mut buf);
            if width % 20 == 0 && height % 10 == 0 {
                let outside = buf.area.positions().filter(|position| !area.contains(*position));
                let drawn = outside.filter(|position| buf[*position].symbol() != " ").count();
                assert_eq!(drawn, 0, "{:?} draws outside of {area}", bench.app.at());
            }
        }
    }
}

#[test]
fn a_screen_that_could_not_be_loaded_says_why() {
    for screen in ScreenId::ALL {
        let mut bench = Bench::at(*screen);
        let asked: Vec<_> = bench
            .effects
            .iter()
            .filter_map(|effect| match effect {
                crate::app::Effect::Load { owner, generation, .. } => Some((owner.clone(), *generation)),
                _ => None,
            })
            .collect();
        for (owner, generation) in asked {
            let problem = Problem::new(Code::Forbidden, "your key lacks the scope for this");
            bench.send(crate::app::Msg::Loaded { owner, generation, answered: Err(problem) });
        }
        every_size(&bench);
        for (width, height) in SIZES {
            bench.text_at(width, height);
        }
    }
}

/// What a terminal is sent to get from one frame to the next.
fn bytes(before: &Buffer, after: &Buffer) -> usize {
    crate::term::bytes_between(before.clone(), after.clone())
}

fn drawn(bench: &Bench, width: u16) -> Buffer {
    let area = Rect::new(0, 0, width, 24);
    let mut buf = Buffer::empty(area);
    bench.app.draw(area, &mut buf);
    buf
}

#[test]
fn moving_the_cursor_costs_two_names_and_no_line() {
    for screen in [ScreenId::Nodes, ScreenId::Apps, ScreenId::Triggers, ScreenId::Routes, ScreenId::Scripts] {
        for width in [80, 200] {
            let mut bench = filled_with(screen, (width, 24), CAPS);
            bench.keys(&[Key::Char('g')]);
            let before = drawn(&bench, width);
            bench.keys(&[Key::Down]);
            let after = drawn(&bench, width);
            let line = usize::from(width);
            assert_eq!(before.content[..line], after.content[..line], "the header of {screen:?} is repainted");
        }
    }
    for width in [80, 200] {
        let mut bench = bench();
        let before = drawn(&bench, width);
        bench.keys(&[Key::Down]);
        let cost = bytes(&before, &drawn(&bench, width));
        assert!(cost <= 120, "{cost} bytes");
    }
}

#[test]
fn what_opens_over_a_screen_costs_at_most_800_bytes() {
    for key in ['?', 'a', ':', 'n', 'o'] {
        let mut bench = bench();
        let before = drawn(&bench, 80);
        bench.keys(&[Key::Char(key)]);
        let after = drawn(&bench, 80);
        let (opens, closes) = (bytes(&before, &after), bytes(&after, &before));
        assert!(opens <= 800 && closes <= 800, "{key}: {opens} to open, {closes} to close");
    }
}
