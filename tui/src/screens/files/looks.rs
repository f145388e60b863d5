//! How the screen is divided, and what stands in its title.

use super::Files;
use crate::theme::{Ink, Look};
use crate::widgets::{state, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Below so many lines, without the shell's four, list and preview are shown one at a time.
const LINES_MIN: u16 = 14;

/// Where list and preview are, one below the other; one of them is empty where both do not fit.
fn panes(area: Rect, is_reading: bool) -> (Rect, Rect) {
    let none = Rect { height: 0, ..area };
    if area.height < LINES_MIN {
        return if is_reading { (none, area) } else { (area, none) };
    }
    let list = area.height / 2;
    (Rect { height: list, ..area }, Rect { y: area.y + list + 1, height: area.height - list - 1, ..area })
}

impl Files {
    /// Draws it.
    pub(super) fn draw(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let (list, preview) = match &self.table {
            Some(table) if !(table.list.is_empty() && table.filter.is_empty()) => panes(area, self.is_reading),
            _ => return self.draw_list(look, area, buf),
        };
        self.draw_list(look, list, buf);
        if preview.is_empty() {
            return;
        }
        if !list.is_empty() {
            let rule = look.signs().rule.repeat(usize::from(area.width));
            text::put(buf, area, (area.x, list.bottom()), &rule, usize::from(area.width), look.ink(Ink::Faint));
        }
        self.preview.view(look, preview, buf, self.is_reading);
    }

    /// Draws what one chooses from: collections, or the files of one.
    pub(super) fn draw_list(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        match &self.table {
            Some(table) if !table.list.is_empty() => table.list.view(look, area, buf, !self.is_reading),
            Some(table) if table.filter.is_empty() => {
                table.state.view(look, area, buf, "no files here yet: n brings one");
            }
            Some(table) => state::no_match(look, area, buf, &table.filter),
            None if self.shelf.is_empty() => self.apps.view(look, area, buf, "no apps yet: press 3, then n makes one"),
            None if self.shelf.list.is_empty() => state::no_match(look, area, buf, self.shelf.list.filter_text()),
            None => self.shelf.list.view(look, area, buf, true),
        }
    }

    /// `› blog › photos  12 files  3 marked`
    pub(super) fn title_text(&self, look: &Look) -> String {
        let then = look.signs().then;
        let Some(table) = &self.table else {
            return self.shelf.selected().map_or_else(String::new, |(app, _)| format!(" {then} {app}"));
        };
        let (read, is_whole) = table.read();
        let of = self.shelf.collection(&table.app, &table.collection).map(|counted| counted.files);
        let count = match of {
            Some(of) if !is_whole && read > 0 => format!("{read} of {of} files"),
            _ => format!("{read} files"),
        };
        let marked = match table.list.marked() {
            0 => String::new(),
            marked => format!("  {marked} marked"),
        };
        format!(" {then} {} {then} {}  {count}{marked}", table.app, table.collection)
    }
}
