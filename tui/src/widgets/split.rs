//! How a list and what is in the thing with its cursor share a screen.
//!
//! While one goes through the list it has whole lines, and the thing stands below: a list that goes on by a line is then
//! moved by the terminal itself, which costs a slow line the new line alone, however wide the screen is and whatever is
//! in the list. Beside a text every line of it would be sent. Once one reads or edits the thing it has the room: the
//! whole width, or all but a narrow list where there is plenty.

use super::text;
use crate::theme::{Ink, Look};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// From so many columns on there is room for the list beside what is read.
const BESIDE_COLUMNS: u16 = 100;
/// Below so many lines, without the shell's four, one is shown at a time.
const BOTH_LINES: u16 = 14;
/// Columns of a list that stands beside.
const LIST_COLUMNS: std::ops::RangeInclusive<u16> = 28..=40;

/// Where each of them is; what is not shown is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// The list.
    pub(crate) list: Rect,
    /// The line between them, lying or standing.
    pub(crate) edge: Rect,
    /// What is in the thing with the cursor.
    pub(crate) thing: Rect,
}

impl Split {
    /// Of this area, with the thing being read or not.
    pub(crate) fn of(area: Rect, is_reading: bool) -> Self {
        match (is_reading, area.height < BOTH_LINES) {
            (false, true) => Self { list: area, ..Self::default() },
            (false, false) => {
                let lines = area.height / 2;
                let edge = Rect { y: area.y + lines, height: 1, ..area };
                let thing = Rect { y: edge.bottom(), height: area.height - lines - 1, ..area };
                Self { list: Rect { height: lines, ..area }, edge, thing }
            }
            (true, false) if area.width >= BESIDE_COLUMNS => {
                let columns = (area.width * 3 / 10).clamp(*LIST_COLUMNS.start(), *LIST_COLUMNS.end());
                let edge = Rect { x: area.x + columns, width: 1, ..area };
                let thing = Rect { x: edge.right(), width: area.width - columns - 1, ..area };
                Self { list: Rect { width: columns, ..area }, edge, thing }
            }
            (true, _) => Self { thing: area, ..Self::default() },
        }
    }

    /// Draws the line between them.
    pub(crate) fn view_edge(&self, look: &Look, buf: &mut Buffer) {
        let sign = if self.edge.width == 1 { look.signs().bar } else { look.signs().rule };
        for (x, y) in self.edge.positions().map(|position| (position.x, position.y)) {
            text::put(buf, self.edge, (x, y), sign, 1, look.ink(Ink::Faint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_one_goes_through_has_whole_lines_and_what_one_reads_has_the_room() {
        let at = |width, height, is_reading| Split::of(Rect::new(0, 2, width, height), is_reading);
        for width in [60, 80, 200] {
            let split = at(width, 20, false);
            assert_eq!(split.list, Rect::new(0, 2, width, 10));
            assert_eq!(split.edge, Rect::new(0, 12, width, 1));
            assert_eq!(split.thing, Rect::new(0, 13, width, 9));
        }
        assert_eq!(at(80, 20, true), Split { thing: Rect::new(0, 2, 80, 20), ..Split::default() });
        assert_eq!(at(80, 12, false), Split { list: Rect::new(0, 2, 80, 12), ..Split::default() });
        let wide = at(120, 36, true);
        assert_eq!((wide.list.width, wide.edge, wide.thing.x), (36, Rect::new(36, 2, 1, 36), 37));
        assert_eq!(at(200, 12, true).thing.width, 200, "too low for two");
    }
}
