//! What a form does with keys, and how it looks.

use super::*;
use crate::app::key::Key;
use crate::app::testing::CAPS;
use crate::theme::{Look, ThemeName};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

fn form() -> Form {
    let kinds = ["cron", "kv", "files"].map(str::to_owned).to_vec();
    Form::new("New trigger in kitchen", "create")
        .field(Field::line("name", "Name", "Letters, digits, - and _; it is how logs and commands call it.").needed())
        .field(Field::line("kind", "Kind", "What starts it.").kind(FieldKind::Choice(kinds)))
        .field(Field::line("token", "Token", "Shown to nobody.").kind(FieldKind::Secret))
        .field(Field::line("paused", "Paused", "Whether it waits until it is resumed.").kind(FieldKind::Toggle))
        .field(Field::line("match", "Match", "JSON that the value must have.").kind(FieldKind::Text).with("{}"))
}

fn typed(form: &mut Form, text: &str) {
    for letter in text.chars() {
        assert_eq!(form.typed(Key::Char(letter)), Typed::Stay);
    }
}

fn shown(form: &Form, width: u16, height: u16) -> String {
    let look = Look { caps: CAPS, theme: ThemeName::Terminal, unix_ms: 0, frame: 0 };
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    form.view(&look, area, &mut buf, false);
    let line = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn enter_goes_on_and_submits_at_the_end_naming_what_is_missing() {
    let mut form = form();
    for _field in 0..4 {
        assert_eq!(form.typed(Key::Enter), Typed::Stay);
    }
    assert_eq!(form.typed(Key::Enter), Typed::Stay, "several lines take Enter");
    assert_eq!(form.typed(Key::Tab), Typed::Stay);
    assert_eq!(form.typed(Key::Enter), Typed::Stay, "the name is empty");
    assert_eq!((form.focus, form.refused.as_deref()), (0, Some("Name is needed")));
    typed(&mut form, "nightly");
    assert_eq!(form.typed(Key::BackTab), Typed::Stay);
    assert_eq!(form.typed(Key::Enter), Typed::Submit);
    let values = form.values();
    assert_eq!((values.get("name"), values.get("kind"), values.get("match")), ("nightly", "cron", "\n{}"));
}

#[test]
fn the_last_line_submits_by_itself() {
    let mut form = Form::new("New app", "create").field(Field::line("name", "Name", "").needed());
    typed(&mut form, "blog");
    assert_eq!(form.typed(Key::Enter), Typed::Submit);
}

#[test]
fn choices_and_toggles_take_arrows_space_and_letters() {
    let mut form = form();
    form.focus = 1;
    for (key, chosen) in [
        (Key::Right, "kv"),
        (Key::Right, "files"),
        (Key::Right, "cron"),
        (Key::Left, "files"),
        (Key::Char('k'), "kv"),
        (Key::Char('z'), "kv"),
        (Key::Char(' '), "files"),
        (Key::Home, "cron"),
    ] {
        form.typed(key);
        assert_eq!(form.values().get("kind"), chosen, "{key}");
    }
    form.focus = 3;
    for (key, is_on) in [(Key::Char(' '), true), (Key::Left, false), (Key::Char('y'), true), (Key::Char('n'), false)] {
        form.typed(key);
        assert_eq!(form.values().is_on("paused"), is_on, "{key}");
    }
}

#[test]
fn esc_leaves_at_once_only_where_nothing_was_typed() {
    let mut form = form();
    form.typed(Key::Tab);
    assert_eq!(form.typed(Key::Esc), Typed::Leave, "moving about is not typing");
    typed(&mut form, "k");
    assert_eq!(form.typed(Key::Esc), Typed::Stay);
    assert!(shown(&form, 80, 20).contains("Esc again throws away what was typed"));
    form.typed(Key::Up);
    assert_eq!(form.typed(Key::Esc), Typed::Stay, "another key in between asks again");
    assert_eq!(form.typed(Key::Esc), Typed::Leave);
}

#[test]
fn pasted_text_goes_into_lines_and_never_into_choices() {
    let mut form = form();
    form.pasted("night\nly");
    form.focus = 1;
    form.pasted("kv");
    form.focus = 4;
    form.pasted("[\n1]");
    form.focus = 5;
    form.pasted("nowhere");
    let values = form.values();
    assert_eq!((values.get("name"), values.get("kind"), values.get("match")), ("night ly", "cron", "[\n1]{}"));
    form.focus = 0;
    form.pasted(&"x".repeat(70_000));
    assert_eq!(form.values().get("name"), "night ly");
    assert!(form.refused.is_some_and(|why| why.contains("Name would be too long")));
}

#[test]
fn arrows_leave_several_lines_only_at_their_ends() {
    let mut form = Form::new("t", "save")
        .field(Field::line("a", "A", ""))
        .field(Field::line("b", "B", "").with("1\n2").kind(FieldKind::Text));
    form.focus = 1;
    form.typed(Key::Down);
    assert_eq!(form.focus, 1);
    form.typed(Key::Down);
    assert_eq!(form.focus, 2);
    form.typed(Key::Up);
    form.typed(Key::Up);
    assert_eq!(form.focus, 1, "it was on the second line");
    form.typed(Key::Up);
    assert_eq!(form.focus, 0);
}

#[test]
fn it_stands_in_the_middle_and_takes_the_width_where_there_is_little() {
    let mut form = form();
    typed(&mut form, "nightly");
    form.focus = 2;
    typed(&mut form, "secret");
    insta::assert_snapshot!(shown(&form, 80, 18));
    form.refused = Some("app kitchen has a trigger nightly already  - choose another name".to_owned());
    insta::assert_snapshot!(shown(&form, 56, 10));
}

#[test]
fn a_form_higher_than_the_screen_scrolls_to_the_field_with_the_focus() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut form = names.iter().fold(Form::new("t", "save"), |form, name| form.field(Field::line(name, name, "help")));
    for (focus, name) in names.iter().enumerate() {
        form.focus = focus;
        assert!(shown(&form, 50, 8).contains(&format!("> {name}")), "{name}:\n{}", shown(&form, 50, 8));
    }
    form.focus = names.len();
    assert!(shown(&form, 50, 8).contains("> [save]"));
}

#[test]
fn every_size_is_drawn() {
    for width in 1..=60 {
        for height in 1..=30 {
            let mut form = form();
            for focus in 0..=form.fields.len() {
                form.focus = focus;
                shown(&form, width, height);
            }
        }
    }
}
