//! The frame of what lies over a screen.

use super::text;
use crate::theme::{Ink, Look};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Under this many columns a panel takes the whole width.
const FULL_UNDER_COLUMNS: u16 = 72;

/// Blanks, where something is drawn over something else.
pub(crate) fn clear(area: Rect, buf: &mut Buffer) {
    for position in area.intersection(buf.area).positions() {
        buf[position].reset();
    }
}

/// In the middle of `body`, of this size where it fits; the whole width where there is little.
pub(crate) fn centred(body: Rect, columns: u16, lines: u16) -> Rect {
    let width = if body.width < FULL_UNDER_COLUMNS { body.width } else { columns.min(body.width) };
    let height = lines.min(body.height);
    Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height }
}

/// At the right end and the bottom of `body`: what is there costs few bytes to cover.
pub(crate) fn at_the_right(body: Rect, columns: u16, lines: u16) -> Rect {
    let (width, height) = (columns.min(body.width), lines.min(body.height));
    Rect { x: body.right() - width, y: body.bottom() - height, width, height }
}

/// Clears `area` and sets it off from what is below: a title, a bar at the left, a rule at the bottom where there is
/// something below. Not more, because each cell of a frame costs a slow line up to eleven bytes, twice. Answers what is
/// inside. Too small an area has no frame.
pub(crate) fn frame(look: &Look, area: Rect, buf: &mut Buffer, title: &str) -> Rect {
    let inner = side(look, area, buf, title);
    if inner == area || inner.height < 2 {
        return inner;
    }
    let (signs, bottom) = (look.signs(), area.bottom() - 1);
    text::put(buf, area, (area.x, bottom), signs.corners[2], 1, look.ink(Ink::Faint));
    let rule = signs.rule.repeat(usize::from(area.width - 1));
    text::put(buf, area, (area.x + 1, bottom), &rule, usize::from(area.width - 1), look.ink(Ink::Faint));
    Rect { height: inner.height - 1, ..inner }
}

/// The same without the rule: where it stands on the last line.
pub(crate) fn side(look: &Look, area: Rect, buf: &mut Buffer, title: &str) -> Rect {
    clear(area, buf);
    if area.width < 8 || area.height < 3 {
        return area;
    }
    for y in area.y..area.bottom() {
        text::put(buf, area, (area.x, y), look.signs().bar, 1, look.ink(Ink::Faint));
    }
    let room = usize::from(area.width - 2);
    let title = text::cut(&text::clean(title), room, look.signs().more);
    text::put(buf, area, (area.x + 1, area.y), &title, room, look.ink(Ink::Strong));
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 1 }
}
