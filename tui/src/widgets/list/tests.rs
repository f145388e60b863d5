//! What keys do to a list, and how it looks.

use super::*;
use crate::app::testing::CAPS;
use crate::keymap::Action;
use crate::theme::{Look, ThemeName};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

static COLUMNS: &[Column] = &[
    Column::rest("name"),
    Column::new("state", 8),
    Column::new("runs", 6).right().spare(1),
    Column::new("version", 9).spare(2),
];
const LOOK: Look = Look { caps: CAPS, theme: ThemeName::Terminal, unix_ms: 0, frame: 0 };

fn row(name: &str, state: &str, runs: &str) -> Row {
    Row::new(name, vec![name.into(), state.into(), runs.into(), "0.1.0".into()])
}

fn list() -> List {
    let mut list = List::new(COLUMNS);
    list.set(vec![
        row("pi-01", "up", "9"),
        row("pi-02", "away", "31"),
        row("pi-03", "up", "-"),
        row("Garage", "up", "7"),
    ]);
    list
}

fn drawn(list: &List, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    list.view(&LOOK, area, &mut buf, true);
    buf
}

fn shown(list: &List, width: u16, height: u16) -> String {
    let buf = drawn(list, width, height);
    let line = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

fn ids(list: &List) -> Vec<&str> {
    list.shown.iter().map(|index| list.rows[*index].id.as_str()).collect()
}

#[test]
fn while_rows_come_in_pieces_the_cursor_stays_on_the_first_until_somebody_moves() {
    let mut list = List::new(COLUMNS);
    list.grow(vec![row("pi-02", "up", "1")]);
    list.grow(vec![row("pi-01", "up", "1"), row("pi-02", "up", "1")]);
    assert_eq!(list.selected_id(), Some("pi-01"));
    list.act(Action::Down);
    list.grow(vec![row("pi-00", "up", "1"), row("pi-01", "up", "1"), row("pi-02", "up", "1")]);
    assert_eq!(list.selected_id(), Some("pi-02"));
}

#[test]
fn the_selection_is_by_id_whatever_comes_and_goes() {
    let mut list = list();
    list.act(Action::Down);
    assert_eq!(list.selected_id(), Some("pi-02"));
    list.set(vec![row("pi-00", "up", "1"), row("pi-01", "up", "9"), row("pi-02", "up", "32")]);
    assert_eq!(list.selected_id(), Some("pi-02"));
    list.set(vec![row("pi-00", "up", "1")]);
    assert_eq!(list.selected_id(), Some("pi-00"), "it is gone: the nearest one");
    list.set(Vec::new());
    list.act(Action::Down);
    assert_eq!(list.selected_id(), None);
}

#[test]
fn marks_outlive_the_filter_and_esc_takes_them_away() {
    let mut list = list();
    list.act(Action::Mark);
    assert_eq!(list.selected_id(), Some("pi-02"), "marking goes on to the next");
    list.filter("garage");
    assert_eq!(list.len(), 1);
    assert_eq!(list.chosen(), ["pi-01"]);
    list.act(Action::MarkAll);
    assert_eq!(list.chosen(), ["pi-01", "Garage"]);
    assert!(list.act(Action::Back));
    assert_eq!(list.chosen(), ["Garage"], "without marks it is what has the cursor");
    assert!(!list.act(Action::Back), "the next Esc is for a level");
    list.act(Action::Mark);
    list.set(vec![row("pi-01", "up", "9")]);
    assert_eq!(list.marked(), 0, "what is gone is not marked any more");
}

#[test]
fn a_filter_keeps_rows_that_have_it_or_with_a_mark_before_it_that_have_not() {
    let mut list = list();
    list.filter("UP");
    assert_eq!(ids(&list), ["pi-01", "pi-03", "Garage"]);
    list.filter("!up");
    assert_eq!(ids(&list), ["pi-02"]);
    list.filter("");
    assert_eq!(list.len(), 4);
}

#[test]
fn sorting_goes_through_the_columns_numbers_by_their_value() {
    let mut list = list();
    for (heading, order) in [
        (Some("name"), ["Garage", "pi-01", "pi-02", "pi-03"]),
        (Some("state"), ["pi-02", "pi-01", "pi-03", "Garage"]),
        (Some("runs"), ["Garage", "pi-01", "pi-02", "pi-03"]),
    ] {
        list.act(Action::Sort);
        assert_eq!(list.sorted_by(), heading);
        assert_eq!(ids(&list), order);
        assert_eq!(list.selected_id(), Some("pi-01"), "the cursor stays on its thing");
    }
}

#[test]
fn brackets_go_from_mark_to_mark() {
    let mut list = list();
    list.act(Action::Down);
    list.act(Action::Mark);
    list.act(Action::Mark);
    list.act(Action::Top);
    list.act(Action::NextHit);
    assert_eq!(list.selected_id(), Some("pi-02"));
    list.act(Action::NextHit);
    assert_eq!(list.selected_id(), Some("pi-03"));
    list.act(Action::PreviousHit);
    assert_eq!(list.selected_id(), Some("pi-02"));
}

#[test]
fn columns_that_can_be_spared_go_where_there_is_little_room() {
    let mut list = list();
    list.act(Action::Mark);
    insta::assert_snapshot!(shown(&list, 60, 6));
    insta::assert_snapshot!(shown(&list, 30, 6));
}

#[test]
fn branches_are_indented_and_leaves_stand_below_them() {
    let mut list = List::new(COLUMNS);
    list.set(vec![
        row("blog", "", "").branch(true),
        row("feed", "", "").depth(1),
        row("kitchen", "", "").branch(false),
    ]);
    insta::assert_snapshot!(shown(&list, 24, 5));
}

#[test]
fn the_selection_is_a_sign_and_a_reversed_name_never_a_whole_line() {
    let mut list = List::new(COLUMNS);
    list.set(vec![row(&"long-name".repeat(9), "up", "1"), row("b", "up", "2")]);
    let buf = drawn(&list, 200, 5);
    let reversed = (0..200).filter(|x| buf[(*x, 1)].modifier.contains(Modifier::REVERSED)).count();
    assert_eq!((reversed, buf[(0, 1)].symbol()), (16, ">"));
    list.act(Action::Down);
    let after = drawn(&list, 200, 5);
    let changed = buf.content.iter().zip(&after.content).filter(|(a, b)| a != b).count();
    assert!(changed <= 16 + 1 + 2, "{changed} cells changed");
}

#[test]
fn the_cursor_stays_in_sight() {
    let mut list = List::new(COLUMNS);
    list.set((0..100).map(|number| row(&format!("row {number:03}"), "", "")).collect());
    for (action, first) in [(Action::Bottom, "row 096"), (Action::PageUp, "row 096"), (Action::Up, "row 095")] {
        list.act(action);
        assert!(shown(&list, 40, 5).contains(first), "{action:?}\n{}", shown(&list, 40, 5));
    }
}

#[test]
fn every_size_is_drawn() {
    for width in 1..=60 {
        for height in 1..=30 {
            shown(&list(), width, height);
        }
    }
}
