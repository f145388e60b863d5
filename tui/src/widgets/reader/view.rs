//! How a text that is read looks: over the whole body, with its title and place in the first line.

use super::Reader;
use super::rows::Row;
use crate::theme::{Ink, Look};
use crate::widgets::{panel, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

impl Reader {
    /// Draws it over `body`; what is looked for is typed on the message line. Answers where the terminal's cursor is.
    pub(crate) fn view(&self, look: &Look, body: Rect, message_line: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        panel::clear(body, buf);
        let area = if self.is_bare || body.height < 3 {
            body
        } else {
            Rect { x: body.x + 1, y: body.y + 1, width: body.width.saturating_sub(2), height: body.height - 1 }
        };
        let height = usize::from(area.height).max(1);
        self.height.set(height);
        let columns = usize::from(area.width);
        let mut rows = self.rows.borrow_mut();
        rows.make(self.shown(), self.as_json.is_some(), columns, self.wraps);
        let count = rows.rows.len();
        let top = self.top.min(count.saturating_sub(height));
        for (number, row) in rows.rows.iter().skip(top).take(height).enumerate() {
            let y = area.y + u16::try_from(number).expect("it is below the height of the area");
            self.view_row(look, Rect { y, height: 1.min(area.height), ..area }, buf, row);
        }
        if area != body {
            let place = format!("{}-{} of {count}", (top + 1).min(count), (top + height).min(count));
            self.view_title(look, Rect { height: 1, ..body }, buf, &place);
        }
        let input = self.looking.as_ref()?;
        panel::clear(message_line, buf);
        let x = text::put(buf, message_line, (message_line.x + 1, message_line.y), "/", 1, look.ink(Ink::Strong));
        let field = Rect { x, width: message_line.right().saturating_sub(x), ..message_line };
        Some(input.view(look, field, buf, false))
    }

    fn view_title(&self, look: &Look, line: Rect, buf: &mut Buffer, place: &str) {
        let needle = if self.needle.is_empty() { String::new() } else { format!("  /{}", self.needle) };
        let place = format!("{place}{}", if self.as_json.is_some() { "  JSON" } else { "" });
        let width = usize::from(line.width);
        let room = width.saturating_sub(text::width(&place) + 4);
        let title = text::cut(&text::clean(&format!("{}{needle}", self.title)), room, look.signs().more);
        let x = text::put(buf, line, (line.x + 1, line.y), &title, room, look.ink(Ink::Strong));
        let end = line.right().saturating_sub(u16::try_from(text::width(&place)).unwrap_or(u16::MAX).saturating_add(1));
        let rule = look.signs().rule.repeat(usize::from(end.saturating_sub(x)).saturating_sub(2));
        text::put(buf, line, (x.saturating_add(1), line.y), &rule, width, look.ink(Ink::Faint));
        text::put(buf, line, (end.max(x), line.y), &place, width, look.ink(Ink::Faint));
    }

    fn view_row(&self, look: &Look, line: Rect, buf: &mut Buffer, row: &Row) {
        let more = look.signs().more;
        let whole: String = row.iter().map(|(_, part)| part.as_str()).collect();
        let skipped = self.skipped(&whole);
        let hits = self.hits(&whole);
        let mut x = line.x;
        let mut start = 0;
        for (ink, part) in row {
            let end = start + part.len();
            for (from, to, is_hit) in cut_at_hits(start.max(skipped), end, &hits) {
                let ink = if is_hit { Ink::Hit } else { *ink };
                x = text::put(buf, line, (x, line.y), &whole[from..to], usize::from(line.width), look.ink(ink));
            }
            start = end;
        }
        if text::width(&whole[skipped..]) > usize::from(line.width) {
            text::put(buf, line, (line.right().saturating_sub(1), line.y), more, 1, look.ink(Ink::Faint));
        }
    }

    /// The bytes left of what is shown.
    fn skipped(&self, whole: &str) -> usize {
        let mut column = 0;
        for (at, letter) in whole.char_indices() {
            if column >= self.left {
                return at;
            }
            column += text::width(letter.encode_utf8(&mut [0; 4]));
        }
        if self.left == 0 { 0 } else { whole.len() }
    }

    /// Where what is looked for stands in a row. Found in letters of one case, so only where that moves no byte.
    fn hits(&self, whole: &str) -> Vec<(usize, usize)> {
        let lower = whole.to_lowercase();
        if self.needle.is_empty() || lower.len() != whole.len() {
            return Vec::new();
        }
        let hits = lower.match_indices(&self.needle).map(|(at, hit)| (at, at + hit.len()));
        hits.filter(|(from, to)| whole.is_char_boundary(*from) && whole.is_char_boundary(*to)).collect()
    }
}

/// A part of a row in pieces, each a hit or not.
fn cut_at_hits(from: usize, to: usize, hits: &[(usize, usize)]) -> Vec<(usize, usize, bool)> {
    let mut pieces = Vec::new();
    let mut at = from;
    for (start, end) in hits {
        let (start, end) = (*start.max(&at), (*end).min(to));
        if start >= end || at >= to {
            continue;
        }
        if at < start {
            pieces.push((at, start, false));
        }
        pieces.push((start, end, true));
        at = end;
    }
    if at < to {
        pieces.push((at, to, false));
    }
    pieces
}
