//! How a list looks.

use super::{List, Row};
use crate::theme::{Ink, Look};
use crate::widgets::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns left of the first cell: the cursor's `>`, the mark's `*`, and a blank.
const GUTTER_COLUMNS: u16 = 3;
/// Columns between cells.
const GAP_COLUMNS: u16 = 2;
/// Columns of the name that the selection reverses: a move repaints two of them, whatever the name's length.
pub(crate) const SELECTED_COLUMNS: usize = 16;
/// Columns that a column which shares what is left takes at least.
const REST_COLUMNS_MIN: u16 = 8;

impl List {
    /// Draws it, with its headings where there is room for more than three lines.
    pub(crate) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, has_focus: bool) {
        if area.is_empty() {
            return;
        }
        let widths = self.widths(area.width);
        let mut lines = area;
        if area.height > 3 && self.columns.iter().any(|column| !column.title.is_empty()) {
            self.view_headings(look, area, buf, &widths);
            lines.y += 1;
            lines.height -= 1;
        }
        let height = usize::from(lines.height);
        let top = self.window.fit_branch(look.frame, lines, self.cursor, self.shown.len(), self.below_cursor(height));
        for (offset, index) in self.shown.iter().skip(top).take(height).enumerate() {
            let y = lines.y + u16::try_from(offset).expect("it is below the height of the area");
            let is_selected = top + offset == self.cursor;
            self.view_row(
                look,
                Rect { y, height: 1, ..lines },
                buf,
                &widths,
                &self.rows[*index],
                (is_selected, has_focus),
            );
        }
    }

    /// How many of the next lines belong to the one with the cursor.
    fn below_cursor(&self, most: usize) -> usize {
        let mut lines = self.shown.iter().skip(self.cursor).map(|index| self.rows[*index].depth);
        let Some(depth) = lines.next() else { return 0 };
        lines.take(most).take_while(|below| *below > depth).count()
    }

    fn view_headings(&self, look: &Look, area: Rect, buf: &mut Buffer, widths: &[u16]) {
        let mut x = area.x + GUTTER_COLUMNS;
        for (column, width) in self.columns.iter().zip(widths) {
            if *width > 0 {
                let title = pad(&column.title.to_uppercase(), *width, column.right, look.signs().more);
                text::put(buf, area, (x, area.y), &title, usize::from(*width), look.ink(Ink::Faint));
                x = x.saturating_add(width + GAP_COLUMNS);
            }
        }
    }

    fn view_row(
        &self,
        look: &Look,
        area: Rect,
        buf: &mut Buffer,
        widths: &[u16],
        row: &Row,
        (is_selected, has_focus): (bool, bool),
    ) {
        if is_selected {
            text::put(buf, area, (area.x, area.y), ">", 1, look.ink(Ink::Strong));
        }
        if self.marks.contains(&row.id) {
            text::put(buf, area, (area.x + 1, area.y), "*", 1, look.ink(Ink::Warn));
        }
        let mut x = area.x + GUTTER_COLUMNS;
        for (number, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            if *width == 0 {
                continue;
            }
            let cell = row.cells.get(number);
            let shown = text::clean(cell.map_or("", |cell| cell.text.as_str()));
            let ink = cell.map_or(Ink::Plain, |cell| cell.ink);
            let (mut from, mut room) = (x, *width);
            if number == 0 {
                let indent = self.view_branch(look, area, buf, row, x).min(room);
                from += indent;
                room -= indent;
            }
            let shown = pad(&shown, room, column.right, look.signs().more);
            text::put(buf, area, (from, area.y), &shown, usize::from(room), look.ink(ink));
            if number == 0 && is_selected && has_focus {
                select_name(look, Rect { x: from, width: room, ..area }, buf, &shown);
            }
            x = x.saturating_add(width + GAP_COLUMNS);
        }
    }

    /// Indents, and draws the sign of a branch; answers how far.
    fn view_branch(&self, look: &Look, area: Rect, buf: &mut Buffer, row: &Row, x: u16) -> u16 {
        let indent = row.depth * 2;
        let Some(is_open) = row.branch else {
            return if self.has_branches { indent + 2 } else { indent };
        };
        let sign = if is_open { look.signs().open } else { look.signs().closed };
        text::put(buf, area, (x + indent, area.y), sign, 1, look.ink(Ink::Faint));
        indent + 2
    }

    /// How wide each column is; 0 for those there is no room for.
    fn widths(&self, area: u16) -> Vec<u16> {
        let mut widths: Vec<u16> =
            self.columns.iter().map(|column| if column.width == 0 { REST_COLUMNS_MIN } else { column.width }).collect();
        let room = area.saturating_sub(GUTTER_COLUMNS);
        let taken = |widths: &[u16]| -> u16 {
            widths
                .iter()
                .filter(|width| **width > 0)
                .map(|width| width + GAP_COLUMNS)
                .sum::<u16>()
                .saturating_sub(GAP_COLUMNS)
        };
        while taken(&widths) > room {
            let spare = (0..widths.len()).filter(|i| widths[*i] > 0 && self.columns[*i].spare > 0);
            let Some(last) = spare.max_by_key(|i| (self.columns[*i].spare, *i)) else { break };
            widths[last] = 0;
        }
        let left = room.saturating_sub(taken(&widths));
        let rest: Vec<usize> = (0..widths.len()).filter(|i| self.columns[*i].width == 0 && widths[*i] > 0).collect();
        if let Ok(count) = u16::try_from(rest.len())
            && count > 0
        {
            for (number, i) in rest.into_iter().enumerate() {
                widths[i] += left / count + u16::from(number == 0) * (left % count);
            }
        }
        widths
    }
}

/// The name of the selected row, reversed where it has text, up to a width that is cheap to repaint.
fn select_name(look: &Look, area: Rect, buf: &mut Buffer, name: &str) {
    let name = text::cut(name.trim_end(), SELECTED_COLUMNS, "");
    text::put(buf, area, (area.x, area.y), &name, usize::from(area.width), look.ink(Ink::Selected));
}

fn pad(text: &str, columns: u16, right: bool, more: &str) -> String {
    let shown = text::cut(text, usize::from(columns), more);
    let blank = " ".repeat(usize::from(columns).saturating_sub(text::width(&shown)));
    if right { blank + &shown } else { shown + &blank }
}
