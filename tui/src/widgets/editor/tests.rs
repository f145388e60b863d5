//! Tests of the editor.

use super::lex::Token;
use super::*;
use crate::app::Key;
use crate::app::testing::CAPS;
use crate::keymap::Action;
use crate::theme::{ColorDepth, Ink, Look, ThemeName};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const LOOK: Look = Look { caps: CAPS, theme: ThemeName::Terminal, unix_ms: 0, frame: 0 };

fn rhai(text: &str) -> Editor {
    Editor::new(text, Language::Rhai)
}

fn keys(editor: &mut Editor, keys: &[Key]) {
    for key in keys {
        assert!(editor.typed(*key), "{key} is one of the editor's");
    }
}

fn letters(editor: &mut Editor, text: &str) {
    keys(editor, &text.chars().map(Key::Char).collect::<Vec<_>>());
}

fn shown(editor: &Editor, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    editor.view(&LOOK, area, &mut buf);
    let line = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_typed_stands_there_and_the_text_comes_back_as_it_was() {
    let mut editor = rhai("let a = 1;\n");
    letters(&mut editor, "// x");
    keys(&mut editor, &[Key::Enter, Key::Left, Key::Delete, Key::Backspace]);
    assert_eq!(editor.text(), "// let a = 1;\n");
    for text in ["", "\n", "a", "a\r\nb\r\n", "a\r\nb\n", "\tä\u{fe0f}日\n\n"] {
        assert_eq!(rhai(text).text(), text);
    }
}

#[test]
fn a_new_line_is_indented_like_the_one_above_and_once_more_in_a_block() {
    let mut editor = rhai("");
    letters(&mut editor, "fn f() {");
    keys(&mut editor, &[Key::Enter]);
    letters(&mut editor, "g(");
    keys(&mut editor, &[Key::Enter]);
    letters(&mut editor, ");");
    keys(&mut editor, &[Key::Enter]);
    letters(&mut editor, "}");
    assert_eq!(editor.text(), "fn f() {\n    g(\n    );\n}");
    keys(&mut editor, &[Key::Enter, Key::Tab, Key::Char('x'), Key::Tab, Key::Home]);
    assert_eq!((editor.text().lines().last(), editor.place()), (Some("    x   "), (5, 5)));
    keys(&mut editor, &[Key::Backspace]);
    assert_eq!(editor.place(), (5, 1), "an indentation goes at once");
}

#[test]
fn the_cursor_moves_by_what_a_person_takes_for_a_letter_and_keeps_its_column() {
    let mut editor = Editor::new("e\u{301}日本\nab\nabcdefgh", Language::Plain);
    keys(&mut editor, &[Key::Right]);
    assert_eq!(editor.place(), (1, 3), "an accent belongs to its letter");
    keys(&mut editor, &[Key::Right, Key::Right, Key::Down]);
    assert_eq!(editor.place(), (2, 3), "a short line ends where it ends");
    keys(&mut editor, &[Key::Down]);
    assert_eq!(editor.place(), (3, 6), "and the column is remembered: two wide letters are four columns");
    keys(&mut editor, &[Key::Up, Key::Left, Key::Down]);
    assert_eq!(editor.place(), (3, 2));
    keys(&mut editor, &[Key::PageUp, Key::End, Key::Right]);
    assert_eq!(editor.place(), (3, 1), "a page is one line where nothing was drawn, and behind a line is the next");
}

#[test]
fn undo_takes_back_words_and_pastes_and_redo_brings_them_again() {
    let mut editor = rhai("");
    letters(&mut editor, "let a");
    editor.insert("b\rc\r\nd");
    keys(&mut editor, &[Key::Backspace, Key::Backspace]);
    assert_eq!(editor.text(), "let ab\nc");
    keys(&mut editor, &[Key::Ctrl('u')]);
    assert_eq!(editor.text(), "let ab\nc\n", "the end of a line is a step of its own");
    let mut states = vec![editor.text()];
    while editor.undo() {
        states.push(editor.text());
    }
    assert_eq!(states, ["let ab\nc\n", "let ab\nc\nd", "let a", "let ", ""], "a paste is one step, words are others");
    keys(&mut editor, &[Key::Ctrl('r'), Key::Ctrl('r'), Key::Ctrl('r'), Key::Ctrl('r'), Key::Ctrl('r')]);
    assert_eq!(editor.text(), "let ab\nc");
}

#[test]
fn a_text_does_not_grow_over_what_is_saved() {
    let mut editor = Editor::new("x".repeat(TEXT_BYTES_MAX - 1), Language::Plain);
    editor.insert("yz");
    assert!(editor.is_full() && editor.text().len() == TEXT_BYTES_MAX - 1);
    editor.insert("y");
    assert!(!editor.is_full() && editor.text().len() == TEXT_BYTES_MAX);
    keys(&mut editor, &[Key::Char('z')]);
    assert!(editor.is_full());
}

#[test]
fn errors_stand_under_their_lines_and_go_along_with_them() {
    let mut editor = rhai("import \"util/tme\" as time;\n\nlet out = foo(1;\n");
    editor.set_errors(vec![
        (3, 16, "`)` is missing".to_owned()),
        (1, 8, "no module util/tme. Near: util/time, which is what was meant most probably".to_owned()),
    ]);
    insta::assert_snapshot!("errors", shown(&editor, 44, 10));
    assert_eq!(editor.go_to_error(true), Some(1));
    assert_eq!((editor.go_to_error(true), editor.place()), (Some(2), (3, 16)));
    assert_eq!((editor.go_to_error(true), editor.place()), (Some(1), (1, 8)), "round the end");
    assert_eq!(editor.go_to_error(false), Some(2));
    editor.goto(1, 1);
    keys(&mut editor, &[Key::Enter, Key::Enter]);
    letters(&mut editor, "//");
    editor.go_to_error(true);
    assert_eq!(editor.place(), (3, 10), "two lines above were made, and two letters before it");
    editor.go_to_error(true);
    assert_eq!(editor.place(), (5, 16));
    while editor.undo() {}
    editor.go_to_error(false);
    assert_eq!(editor.place(), (3, 16));
    editor.go_to_error(false);
    assert_eq!(editor.place(), (1, 8));
}

#[test]
fn long_lines_move_aside_and_say_that_there_is_more() {
    let mut editor = rhai("let first = \"0123456789 abcdefghij ABCDEFGHIJ\";\nb\nc\nd\ne\nf");
    insta::assert_snapshot!("long_begin", shown(&editor, 30, 4));
    keys(&mut editor, &[Key::End]);
    insta::assert_snapshot!("long_end", shown(&editor, 30, 4));
    let area = Rect::new(0, 0, 30, 4);
    let (x, y) = editor.cursor(area).unwrap();
    assert!(x < 30 && y == 0);
    editor.goto(6, 1);
    assert_eq!(editor.cursor(area), Some((5, 3)));
}

#[test]
fn text_is_found_on_both_sides_and_the_line_says_what_is_looked_for() {
    let mut editor = rhai("alpha\nbeta Alpha\ngamma\nalpha");
    keys(&mut editor, &[Key::Down, Key::Ctrl('f')]);
    letters(&mut editor, "alpha");
    assert_eq!(editor.place(), (2, 6));
    insta::assert_snapshot!("find", shown(&editor, 30, 5));
    assert_eq!(editor.cursor(Rect::new(0, 0, 30, 5)), Some((11, 4)));
    keys(&mut editor, &[Key::Enter]);
    assert_eq!(editor.place(), (4, 1));
    keys(&mut editor, &[Key::Enter, Key::Up, Key::Up]);
    assert_eq!(editor.place(), (2, 6));
    keys(&mut editor, &[Key::Esc]);
    assert!(!editor.typed(Key::Esc), "the second Esc is the screen's");
    assert!(editor.find("Alpha") && !editor.find("Beta"), "capital letters are meant");
    keys(&mut editor, &[Key::Ctrl('f'), Key::Ctrl('u')]);
    letters(&mut editor, ":3");
    keys(&mut editor, &[Key::Enter]);
    assert_eq!((editor.place(), editor.text().len()), ((3, 1), 28), "and nothing was typed into the text");
}

#[test]
fn moves_of_a_reader_change_nothing() {
    let mut editor = rhai("a\nb\nc");
    for action in [Action::Down, Action::Bottom, Action::Top, Action::PageDown, Action::Right, Action::Left] {
        assert!(editor.act(action));
    }
    assert!(!editor.act(Action::Delete) && editor.revision() == 0 && editor.text() == "a\nb\nc");
}

fn inks(language: Language, text: &str) -> Vec<Vec<(String, Ink)>> {
    let mut lexed = Lexed::new(language, text.split('\n').count());
    let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    (0..lines.len()).map(|line| inked(&lines[line], &lexed.tokens(&lines, line))).collect()
}

fn inked(line: &str, tokens: &[Token]) -> Vec<(String, Ink)> {
    let mut from = 0;
    let mut parts = Vec::new();
    for token in tokens {
        parts.push((line[from..token.end].to_owned(), token.ink));
        from = token.end;
    }
    parts.retain(|(part, ink)| *ink != Ink::Plain && !part.trim().is_empty());
    parts
}

#[test]
fn rhai_has_its_colours() {
    use Ink::{Call, Comment, Keyword, Number, Text};
    let part = |text: &str, ink| (text.to_owned(), ink);
    for (line, parts) in [
        ("let x = 0x1F + 1_000.5e-3;", vec![part("let", Keyword), part("0x1F", Number), part("1_000.5e-3", Number)]),
        ("for i in 0..10 {}", vec![part("for", Keyword), part("in", Keyword), part("0", Number), part("10", Number)]),
        ("kv::collection(\"a\\\"b\").in", vec![part("kv", Call), part("collection", Call), part("\"a\\\"b\"", Text)]),
        ("f(x) // let", vec![part("f", Call), part("// let", Comment)]),
        ("a /* b /* c */ d */ e", vec![part("/* b /* c */ d */", Comment)]),
        (
            "`a ${f(#{x: `b${1}`})} c`",
            vec![
                part("`a ", Text),
                part("${f", Call),
                part("`b", Text),
                part("${", Call),
                part("1", Number),
                part("}", Call),
                part("`", Text),
                part("}", Call),
                part(" c`", Text),
            ],
        ),
        ("'a' + '\\n' + #\"raw \"x\"#", vec![part("'a'", Text), part("'\\n'", Text), part("#\"raw \"x\"#", Text)]),
        ("let ä = 'ö'; return", vec![part("let", Keyword), part("'ö'", Text), part("return", Keyword)]),
    ] {
        assert_eq!(inks(Language::Rhai, line), [parts], "{line}");
    }
    let lines = inks(Language::Rhai, "a /* b\nlet\n*/ let c = `d\n${let} e\nf` + 1");
    let expected = [
        vec![part("/* b", Comment)],
        vec![part("let", Comment)],
        vec![part("*/", Comment), part("let", Keyword), part("`d", Text)],
        vec![part("${", Call), part("let", Keyword), part("}", Call), part(" e", Text)],
        vec![part("f`", Text), part("1", Number)],
    ];
    assert_eq!(lines, expected);
}

#[test]
fn json_has_its_colours() {
    let parts = inks(Language::Json, "{\"a\" : \"b\", \"c\": [-1.5e+3, true, null]}").concat();
    let shown: Vec<(&str, Ink)> = parts.iter().map(|(part, ink)| (part.as_str(), *ink)).collect();
    let expected = [
        ("\"a\"", Ink::Call),
        ("\"b\"", Ink::Text),
        ("\"c\"", Ink::Call),
        ("-1.5e+3", Ink::Number),
        ("true", Ink::Keyword),
        ("null", Ink::Keyword),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn without_colours_errors_are_still_to_be_seen() {
    let caps = crate::theme::Caps { color: ColorDepth::None, utf8: false, ..CAPS };
    let mut editor = rhai("let;");
    editor.set_errors(vec![(1, 4, "a name is missing".to_owned())]);
    let area = Rect::new(0, 0, 40, 3);
    let mut buf = Buffer::empty(area);
    editor.view(&Look { caps, ..LOOK }, area, &mut buf);
    let line = |y| (0..40).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    assert_eq!([line(0), line(1)], ["!  1 let;", "        ^ a name is missing"]);
    assert!((0..40).all(|x| buf[(x, 1)].fg == ratatui::style::Color::Reset));
}

/// What a person may do to a text.
fn deed() -> impl Strategy<Value = Deed> {
    let keys = [
        Key::Enter,
        Key::Tab,
        Key::Backspace,
        Key::Delete,
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::Home,
        Key::End,
        Key::PageUp,
        Key::PageDown,
        Key::Ctrl('w'),
        Key::Ctrl('k'),
        Key::Ctrl('u'),
        Key::Ctrl('r'),
        Key::Ctrl('f'),
        Key::Esc,
    ];
    prop_oneof![
        4 => proptest::sample::select(keys.to_vec()).prop_map(Deed::Key),
        4 => proptest::sample::select("ab `\"{}(/*$#'\\:9\u{301}日".chars().collect::<Vec<_>>()).prop_map(|letter| Deed::Key(Key::Char(letter))),
        1 => "[a`\"/*\\n {}é日]{0,12}".prop_map(Deed::Paste),
        1 => (0..9usize, 0..9usize).prop_map(|(line, column)| Deed::Goto(line, column)),
        1 => (0..9usize, 0..9usize).prop_map(|(line, column)| Deed::Error(line, column)),
    ]
}

#[derive(Clone, Debug)]
enum Deed {
    Key(Key),
    Paste(String),
    Goto(usize, usize),
    Error(usize, usize),
}

proptest! {
    #[test]
    fn whatever_is_typed_is_drawn_coloured_as_if_opened_anew_and_can_be_taken_back(
        text in "[a`\"/*\\n{} é\t]{0,40}",
        deeds in proptest::collection::vec(deed(), 0..60),
        (width, height) in (1..30u16, 1..8u16),
    ) {
        let mut editor = rhai(&text);
        let area = Rect::new(0, 0, width, height);
        for deed in deeds {
            match deed {
                Deed::Key(key) => { editor.typed(key); }
                Deed::Paste(text) => editor.insert(&text),
                Deed::Goto(line, column) => editor.goto(line, column),
                Deed::Error(line, column) => editor.set_errors(vec![(line, column, "wrong: it is not right".to_owned())]),
            }
            let mut buf = Buffer::empty(area);
            editor.view(&LOOK, area, &mut buf);
            if let Some((x, y)) = editor.cursor(area) {
                prop_assert!(x < width && y < height);
            }
            let lines = editor.lines.from(0).to_vec();
            let mut anew = Lexed::new(Language::Rhai, lines.len());
            for line in 0..lines.len() {
                prop_assert_eq!(editor.lexed.borrow_mut().tokens(&lines, line), anew.tokens(&lines, line), "line {}", line);
            }
            prop_assert_eq!(editor.lines.bytes(), lines.join("\n").len());
        }
        while editor.undo() {}
        prop_assert_eq!(editor.text(), text);
    }
}
