//! How the text looks: only the lines that are visible are looked at.

use super::lex::Token;
use super::{Editor, width};
use crate::theme::{Ink, Look};
use crate::widgets::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

/// Columns a line is moved by at once where it is longer than the screen.
const SCROLL_COLUMNS: usize = 16;
/// Columns of line numbers at least.
const NUMBER_COLUMNS_MIN: usize = 3;

impl Editor {
    /// Draws it.
    pub(crate) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.is_bare.set(false);
        self.view_lines(look, area, buf);
    }

    /// Draws it without the numbers of lines, so that what the terminal selects is the text alone.
    pub(crate) fn view_bare(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.is_bare.set(true);
        self.view_lines(look, area, buf);
    }

    fn view_lines(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let body = self.body(area);
        self.scroll(body);
        let room = self.room(body);
        let x = body.x + self.gutter(body);
        let mut y = body.y;
        let mut line = self.top.get();
        while y < body.bottom() && line < self.lines.count() {
            let tokens = self.tokens(line);
            self.view_gutter(look, Rect { y, height: 1, ..body }, buf, line);
            self.view_line(look, Rect { x, y, width: body.right().saturating_sub(x), height: 1 }, buf, line, &tokens);
            y += 1;
            for (column, note) in self.notes_under(line, room, &tokens) {
                let at = x + u16::try_from(column).unwrap_or(0);
                let shown = text::cut(&note, room.saturating_sub(column), look.signs().more);
                text::put(buf, body, (at, y), &shown, room, look.ink(Ink::Bad));
                y += 1;
            }
            line += 1;
        }
        self.view_find(look, area, buf);
    }

    /// Where the terminal's cursor belongs in what was drawn last.
    pub(crate) fn cursor(&self, area: Rect) -> Option<(u16, u16)> {
        if area.is_empty() {
            return None;
        }
        let body = self.body(area);
        if let Some(input) = self.find.input() {
            let line = find_line(area);
            let wide = text::width(&text::clean(input.text()));
            let x = line.x + u16::try_from(wide).unwrap_or(line.width).min(line.width.saturating_sub(1));
            return Some((x, line.y));
        }
        self.scroll(body);
        let room = self.room(body);
        let above: usize = (self.top.get()..self.cursor.line).map(|line| self.rows_of(line, room)).sum();
        let column = width::column_of(self.lines.line(self.cursor.line), self.cursor.byte) - self.left.get();
        let y = body.y + u16::try_from(above).ok()?;
        let x = body.x + self.gutter(body) + u16::try_from(column).ok()?;
        (y < body.bottom() && x < body.right()).then_some((x, y))
    }

    /// Without the line that text is looked for in, while it is open.
    fn body(&self, area: Rect) -> Rect {
        let is_open = self.find.is_open() && area.height > 1;
        Rect { height: area.height - u16::from(is_open), ..area }
    }

    /// Columns of the line numbers, and of what stands before and behind them.
    fn gutter(&self, area: Rect) -> u16 {
        let digits = self.lines.count().to_string().len().max(NUMBER_COLUMNS_MIN) + 2;
        let digits = u16::try_from(digits).unwrap_or(u16::MAX);
        if self.has_numbers && !self.is_bare.get() && area.width > digits * 2 { digits } else { 0 }
    }

    /// Columns of text.
    fn room(&self, area: Rect) -> usize {
        usize::from(area.width.saturating_sub(self.gutter(area)))
    }

    fn tokens(&self, line: usize) -> Vec<Token> {
        self.lexed.borrow_mut().tokens(self.lines.from(0), line)
    }

    /// Lines of the screen that a line takes, with what is wrong with it.
    fn rows_of(&self, line: usize, room: usize) -> usize {
        if !self.has_note(line) {
            return 1;
        }
        1 + self.notes_under(line, room, &self.tokens(line)).len()
    }

    /// Moves what is visible so that the cursor is.
    fn scroll(&self, area: Rect) {
        let height = usize::from(area.height).max(1);
        self.height.set(height);
        let room = self.room(area).max(1);
        let column = width::column_of(self.lines.line(self.cursor.line), self.cursor.byte);
        let step = SCROLL_COLUMNS.min(room.div_ceil(2)).max(1);
        let mut left = self.left.get();
        // The last column may be covered by the sign for more.
        if column + 2 > left + room {
            left = (column + 2 - room).div_ceil(step) * step;
        }
        if column < left + usize::from(left > 0) {
            left = column.saturating_sub(1) / step * step;
        }
        self.left.set(left.min(column));
        self.top.set(self.top_for(height, room));
    }

    /// Only the line with the cursor is moved aside: the others stay where one reads them.
    pub(super) fn left_of_line(&self, line: usize) -> usize {
        if line == self.cursor.line { self.left.get() } else { 0 }
    }

    fn top_for(&self, height: usize, room: usize) -> usize {
        let line = self.cursor.line;
        let mut top = self.top.get().min(self.lines.count().saturating_sub(height)).min(line);
        if self.has_jumped.take() && (line < self.top.get() || line >= top + height) {
            top = line.saturating_sub(height / 3).min(self.lines.count().saturating_sub(height));
        }
        if line - top < height {
            let rows: usize = (top..line).map(|line| self.rows_of(line, room)).sum();
            if rows + self.rows_of(line, room).min(height) <= height {
                return top;
            }
        }
        let mut used = self.rows_of(line, room).min(height);
        let mut top = line;
        while top > 0 {
            used += self.rows_of(top - 1, room);
            if used > height {
                break;
            }
            top -= 1;
        }
        top
    }

    /// The number, with `!` where something is wrong, else `>` where the cursor is.
    fn view_gutter(&self, look: &Look, line: Rect, buf: &mut Buffer, number: usize) {
        let columns = self.gutter(line);
        if columns == 0 {
            return;
        }
        let (sign, ink) = if self.has_note(number) {
            ("!", Ink::Bad)
        } else if number == self.cursor.line {
            (">", Ink::Strong)
        } else {
            (" ", Ink::Plain)
        };
        text::put(buf, line, (line.x, line.y), sign, 1, look.ink(ink));
        let digits = usize::from(columns - 2);
        let shown = format!("{:>digits$}", number + 1);
        text::put(buf, line, (line.x + 1, line.y), &shown, digits, look.ink(Ink::Faint));
    }

    fn view_line(&self, look: &Look, area: Rect, buf: &mut Buffer, line: usize, tokens: &[Token]) {
        let text = self.lines.line(line);
        let (left, room) = (self.left_of_line(line), usize::from(area.width));
        let hits = self.find.hits(text);
        let more = look.signs().more;
        let mut column = 0;
        let mut token = 0;
        // What is left of the screen needs no looking at where a byte is a column.
        let start = if left > 0 { width::byte_at(text, left) } else { 0 };
        if start > 0 {
            column = width::column_of(text, start);
        }
        for (at, cluster) in text[start..].grapheme_indices(true).map(|(at, cluster)| (start + at, cluster)) {
            let (shown, wide) = width::shown(cluster, column);
            if column + wide > left + room {
                text::put(buf, area, (area.right() - 1, area.y), more, 1, look.ink(Ink::Faint));
                break;
            }
            while tokens.get(token).is_some_and(|found| found.end <= at) {
                token += 1;
            }
            let is_hit = hits.iter().any(|(from, to)| (*from..*to).contains(&at));
            let ink = if is_hit { Ink::Hit } else { tokens.get(token).map_or(Ink::Plain, |found| found.ink) };
            if column >= left {
                let x = area.x + u16::try_from(column - left).unwrap_or(u16::MAX);
                text::put(buf, area, (x, area.y), &shown, wide, look.ink(ink));
            }
            column += wide;
        }
        if left > 0 && !text.is_empty() {
            text::put(buf, area, (area.x, area.y), more, 1, look.ink(Ink::Faint));
        }
    }

    fn view_find(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let Some(input) = self.find.input() else { return };
        let line = Rect { y: area.bottom() - 1, height: 1, ..area };
        for position in line.positions() {
            buf[position].reset();
        }
        text::put(buf, line, (line.x, line.y), FIND, FIND.len(), look.ink(Ink::Strong));
        input.view(look, find_line(area), buf, false);
    }
}

/// What stands before the text that is looked for.
const FIND: &str = "find: ";

fn find_line(area: Rect) -> Rect {
    let label = u16::try_from(FIND.len()).unwrap_or(0).min(area.width.saturating_sub(1));
    Rect { x: area.x + label, y: area.bottom() - 1, width: area.width - label, height: 1 }
}
