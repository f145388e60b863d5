//! How a line of the tree looks.

use super::edit::draft_id;
use super::lines::Line;
use super::shelf::{Collection, Shelf};
use crate::theme::{Ink, Look};
use crate::widgets::list::SELECTED_COLUMNS;
use crate::widgets::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::BTreeSet;

/// Columns left of the names: the cursor's `>`, the mark's `*`, and a blank.
const GUTTER_COLUMNS: u16 = 3;
/// Columns of counts and ages at the right.
const DETAIL_COLUMNS: u16 = 7;

/// How a line looks.
pub(super) struct Shown {
    depth: u16,
    branch: Option<bool>,
    name: String,
    ink: Ink,
    detail: String,
    detail_ink: Ink,
}

/// Draws it, but for the cursor's sign and the mark.
pub(super) fn draw(look: &Look, row: Rect, buf: &mut Buffer, shown: &Shown, is_selected: bool) {
    let detail = text::cut(&text::clean(&shown.detail), usize::from(DETAIL_COLUMNS), look.signs().more);
    let detail_columns = u16::try_from(text::width(&detail)).unwrap_or(DETAIL_COLUMNS);
    let has_detail = detail_columns > 0 && row.width > GUTTER_COLUMNS + 3 * DETAIL_COLUMNS;
    let right = if has_detail { row.right() - detail_columns - 1 } else { row.right() };
    let mut x = row.x + GUTTER_COLUMNS + shown.depth.min(row.width / 3);
    if let Some(is_open) = shown.branch {
        let sign = if is_open { look.signs().open } else { look.signs().closed };
        text::put(buf, row, (x, row.y), sign, 1, look.ink(Ink::Faint));
    }
    x += 2;
    let room = usize::from(right.saturating_sub(x));
    let name = text::cut(&text::clean(&shown.name), room, look.signs().more);
    text::put(buf, row, (x, row.y), &name, room, look.ink(shown.ink));
    if is_selected {
        let begin = text::cut(&name, SELECTED_COLUMNS, "");
        text::put(buf, row, (x, row.y), &begin, room, look.ink(Ink::Selected));
    }
    if has_detail {
        text::put(buf, row, (right + 1, row.y), &detail, usize::from(detail_columns), look.ink(shown.detail_ink));
    }
}

/// What a line says.
pub(super) fn shown(line: Line, look: &Look, shelf: &Shelf, drafts: &BTreeSet<String>) -> Shown {
    let mut shown = Shown {
        depth: line.depth(),
        branch: None,
        name: String::new(),
        ink: Ink::Plain,
        detail: String::new(),
        detail_ink: Ink::Faint,
    };
    match line {
        Line::App { .. } => {
            shown.ink = Ink::Strong;
            let app = line.app_of(shelf);
            shown.branch = app.map(|app| app.is_open);
            shown.name = app.map_or_else(String::new, |app| app.name.clone());
        }
        Line::Collection { .. } => {
            let known = line.collection_of(shelf);
            shown.branch = known.map(|known| known.is_open);
            shown.name = known.map_or_else(String::new, |known| known.counted.name.clone());
            shown.detail = known.map_or_else(String::new, |known| known.counted.keys.to_string());
        }
        Line::Prefix { from, to, shown: begins, bytes, .. } => {
            let Some(known) = line.collection_of(shelf) else { return shown };
            let Some(entry) = known.entries.get(from as usize) else { return shown };
            let name = entry.key.get(begins as usize..bytes as usize).unwrap_or_default();
            shown.branch = Some(known.open.contains(entry.key.get(..bytes as usize).unwrap_or_default()));
            name.clone_into(&mut shown.name);
            let goes_on = !known.is_whole && to as usize == known.entries.len();
            shown.detail = format!("{}{}", to - from, if goes_on { "+" } else { "" });
        }
        Line::Key { at, shown: begins, .. } => {
            let Some(entry) = line.collection_of(shelf).and_then(|known| known.entries.get(at as usize)) else {
                return shown;
            };
            entry.key.get(begins as usize..).unwrap_or_default().clone_into(&mut shown.name);
            let has_draft = !drafts.is_empty()
                && line.target(shelf).and_then(|target| draft_id(&target)).is_some_and(|id| drafts.contains(&id));
            if has_draft {
                (shown.detail, shown.detail_ink) = ("draft".to_owned(), Ink::Warn);
            } else {
                shown.detail = text::age(look.unix_ms, entry.updated_at);
            }
        }
        Line::Rest { .. } => {
            let Some(known) = line.collection_of(shelf) else { return shown };
            (shown.name, shown.ink) = rest(known);
        }
        Line::Empty { .. } => {
            let Some(app) = line.app_of(shelf) else { return shown };
            (shown.name, shown.ink) = match (&app.problem, &app.collections) {
                (Some(problem), _) => (problem.detail.clone(), Ink::Bad),
                (None, None) => ("reading".to_owned(), Ink::Faint),
                (None, Some(_)) => ("stores nothing yet: n stores a value".to_owned(), Ink::Faint),
            };
        }
    }
    shown
}

fn rest(known: &Collection) -> (String, Ink) {
    match &known.problem {
        Some(problem) => (problem.detail.clone(), Ink::Bad),
        None if known.is_whole && known.prefix.is_empty() => ("no keys".to_owned(), Ink::Faint),
        None if known.is_whole => (format!("no key begins with {}", known.prefix), Ink::Faint),
        None if known.entries.is_empty() => ("reading".to_owned(), Ink::Faint),
        None => (format!("{} read, more follow", known.entries.len()), Ink::Faint),
    }
}
