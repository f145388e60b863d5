//! What keys do to a text that is read, and how it looks.

use super::*;
use crate::app::key::Key;
use crate::app::testing::CAPS;
use crate::theme::{Look, ThemeName};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;

fn shown(reader: &Reader, width: u16, height: u16) -> String {
    let look = Look { caps: CAPS, theme: ThemeName::Terminal, unix_ms: 0, frame: 0 };
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    let line = Rect { y: height - 1, height: 1, ..area };
    reader.view(&look, Rect { height: height - 1, ..area }, line, &mut buf);
    let line = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

fn keys(reader: &mut Reader, text: &str) {
    for letter in text.chars() {
        let key = if letter == '\n' { Key::Enter } else { Key::Char(letter) };
        shown(reader, 30, 8);
        assert_eq!(reader.typed(key), Typed::Stay, "{key}");
    }
}

fn numbered() -> Reader {
    let lines: Vec<String> = (1..=40).map(|number| format!("line {number}")).collect();
    Reader::new("Forty lines", &lines.join("\n"))
}

#[test]
fn it_scrolls_by_lines_and_pages_and_never_past_its_end() {
    let mut reader = numbered();
    for (typed, top) in [("j", 1), ("k", 0), ("k", 0), ("G", 34), ("j", 34), ("g", 0)] {
        keys(&mut reader, typed);
        assert_eq!(reader.top, top, "after {typed}");
    }
    reader.typed(Key::PageDown);
    assert_eq!(reader.top, 5);
    reader.typed(Key::PageUp);
    assert_eq!(reader.top, 0);
    keys(&mut reader, "G");
    insta::assert_snapshot!(shown(&reader, 30, 8));
}

#[test]
fn what_is_looked_for_is_found_forward_and_back() {
    let mut reader = numbered();
    keys(&mut reader, "/LINE 2\n");
    assert_eq!(reader.top, 1);
    keys(&mut reader, "]");
    assert_eq!(reader.top, 19, "line 20");
    keys(&mut reader, "[");
    assert_eq!(reader.top, 1);
    assert_eq!(reader.typed(Key::Esc), Typed::Stay, "first it stops looking");
    assert_eq!(reader.typed(Key::Esc), Typed::Close);
}

#[test]
fn without_a_word_to_look_for_brackets_go_from_change_to_change() {
    let line = |ink, text: &str| vec![(ink, text.to_owned())];
    let mut lines: Vec<_> = (0..40).map(|_| line(Ink::Plain, " same")).collect();
    (lines[10], lines[11]) = (line(Ink::Removed, "-old"), line(Ink::Added, "+new"));
    lines[20] = line(Ink::Added, "+more");
    let mut reader = Reader::of("Changes", lines);
    keys(&mut reader, "]");
    assert_eq!(reader.top, 10);
    keys(&mut reader, "]");
    assert_eq!(reader.top, 20);
    keys(&mut reader, "[");
    assert_eq!(reader.top, 10);
}

#[test]
fn long_lines_are_wrapped_or_cut_and_moved_sideways() {
    let text = "a long line that does not fit, with a word after a word\n\n\tand a tab\u{7}";
    let mut reader = Reader::new("A letter with a long name", text);
    insta::assert_snapshot!(shown(&reader, 30, 9));
    keys(&mut reader, "w");
    reader.typed(Key::Right);
    insta::assert_snapshot!(shown(&reader, 30, 6));
}

#[test]
fn wrapped_parts_keep_their_meaning() {
    let line = vec![(Ink::Strong, "name of it ".to_owned()), (Ink::Bad, "it is broken".to_owned())];
    let mut rows = Rows::default();
    rows.make(&[line], false, 14, true);
    let bad: Vec<&str> =
        rows.rows.iter().flatten().filter(|(ink, _)| *ink == Ink::Bad).map(|(_, part)| part.as_str()).collect();
    assert_eq!(bad, ["it", "is broken"]);
}

#[test]
fn i_shows_the_json_and_y_copies_what_is_shown() {
    let mut reader = Reader::new("Node", "name pi-02").json(json!({"name": "pi-02"}));
    assert_eq!(reader.typed(Key::Char('y')), Typed::Copy("the text", "name pi-02\n".to_owned()));
    keys(&mut reader, "i");
    assert!(shown(&reader, 40, 8).contains("\"name\": \"pi-02\""), "{}", shown(&reader, 40, 8));
    let copied = Typed::Copy("the JSON", "{\n  \"name\": \"pi-02\"\n}\n".to_owned());
    assert_eq!(reader.typed(Key::Char('y')), copied);
    keys(&mut reader, "i");
    assert!(shown(&reader, 40, 8).contains("name pi-02"));
}

#[test]
fn z_leaves_only_the_text() {
    let mut reader = numbered();
    keys(&mut reader, "z");
    assert!(shown(&reader, 30, 4).starts_with("line 1\nline 2\nline 3"), "{}", shown(&reader, 30, 4));
    assert_eq!(reader.typed(Key::Esc), Typed::Stay);
    assert_eq!(reader.typed(Key::Char('q')), Typed::Close);
}

#[test]
fn every_size_is_drawn() {
    for width in 1..=60 {
        for height in 1..=30 {
            let mut reader = numbered().json(json!({"a": [1, 2, 3]}));
            shown(&reader, width, height);
            for key in ['w', 'i', 'G', '/'] {
                reader.typed(Key::Char(key));
                shown(&reader, width, height);
            }
        }
    }
}
