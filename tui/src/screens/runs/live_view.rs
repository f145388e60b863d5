//! How the lines look: only those are touched that can be seen.

use super::live::{Flow, Live};
use super::ring::{Line, wrapped};
use crate::theme::{Ink, Look};
use crate::widgets::text;
use picloud_model::execution::LogLevel;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// From this width on, milliseconds are shown.
const FINE_TIME_COLUMNS: u16 = 100;
/// From this width on, the machine is shown.
const NODE_SHOWN_COLUMNS: u16 = 72;
/// Columns of the machine's name.
const NODE_COLUMNS: u16 = 8;
/// Columns of a level.
const LEVEL_COLUMNS: u16 = 5;

/// Where things stand at a width.
struct Columns {
    time: u16,
    node: u16,
    whose: u16,
    message: u16,
}

impl Columns {
    fn at(width: u16) -> Self {
        let time = if width >= FINE_TIME_COLUMNS { 12 } else { 8 };
        let node = if width >= NODE_SHOWN_COLUMNS { NODE_COLUMNS + 1 } else { 0 };
        let whose = (width / 4).clamp(8, 28);
        let before = 1 + time + 1 + LEVEL_COLUMNS + 1 + node + whose + 1;
        Self { time, node, whose, message: width.saturating_sub(before) }
    }
}

impl Live {
    /// Draws the lines around the cursor, or the last ones.
    pub(super) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, zone: &jiff::tz::TimeZone) {
        if area.is_empty() {
            return;
        }
        if self.ring.len() == 0 {
            return self.view_empty(look, area, buf);
        }
        let below = !self.is_following() && area.height > 2;
        let lines = Rect { height: area.height - u16::from(below), ..area };
        let columns = Columns::at(lines.width);
        let first = self.first_drawn(usize::from(lines.height), usize::from(columns.message));
        self.spots.begin(look.frame);
        let mut y = lines.y;
        let mut drawn = 0;
        for position in first..self.ring.len() {
            let Some((_, line)) = self.ring.at(position) else { break };
            let rows = u16::try_from(self.rows(line, usize::from(columns.message))).unwrap_or(u16::MAX);
            let room = lines.bottom().saturating_sub(y);
            if room == 0 || (rows > room && drawn > 0 && position > self.position()) {
                break;
            }
            let at = Rect { y, height: rows.min(room), ..lines };
            self.spots.put(at, position);
            self.view_line(look, at, buf, &columns, (line, position == self.position()), zone);
            y += at.height;
            drawn += 1;
        }
        self.drawn.set(drawn.max(1));
        if below {
            self.view_below(look, Rect { y: area.bottom() - 1, height: 1, ..area }, buf);
        }
    }

    fn rows(&self, line: &Line, columns: usize) -> usize {
        if self.wraps { line.rows(columns) } else { 1 }
    }

    /// The first line that is drawn: the one of the last time where the cursor is still to be seen then, else as little
    /// away from it as makes the cursor visible. Touches no more lines than fit.
    fn first_drawn(&self, height: usize, columns: usize) -> usize {
        let cursor = self.position();
        let fits_up_from = |last: usize| {
            let mut left = height;
            let mut first = last;
            for position in (0..=last).rev() {
                let rows = self.ring.at(position).map_or(1, |(_, line)| self.rows(line, columns));
                if rows > left {
                    break;
                }
                left -= rows;
                first = position;
            }
            first
        };
        let lowest = fits_up_from(cursor);
        let first = if self.is_following() { lowest } else { self.ring.position(self.top.get()).clamp(lowest, cursor) };
        // Where fewer are below than fit, those above fill the room.
        let first = first.min(fits_up_from(self.ring.len() - 1));
        if let Some((number, _)) = self.ring.at(first) {
            self.top.set(number);
        }
        first
    }

    fn view_line(
        &self,
        look: &Look,
        area: Rect,
        buf: &mut Buffer,
        columns: &Columns,
        (line, is_selected): (&Line, bool),
        zone: &jiff::tz::TimeZone,
    ) {
        let more = look.signs().more;
        if is_selected {
            text::put(buf, area, (area.x, area.y), ">", 1, look.ink(Ink::Strong));
        }
        let mut x = area.x + 1;
        let mut put = |shown: &str, width: u16, ink: Ink| {
            let shown = text::cut(shown, usize::from(width), more);
            text::put(buf, area, (x, area.y), &shown, usize::from(width), look.ink(ink));
            x = x.saturating_add(width + 1);
        };
        let mut time = text::time_of_day(line.at_unix_ms, zone);
        if columns.time > 8 {
            time += &format!(".{:03}", line.at_unix_ms.rem_euclid(1000));
        }
        put(&time, columns.time, Ink::Faint);
        put(line.word(), LEVEL_COLUMNS, ink_of(line.level));
        if columns.node > 0 {
            put(&line.node, columns.node - 1, Ink::Plain);
        }
        put(&line.whose(), columns.whose, if is_selected { Ink::Selected } else { Ink::Plain });
        let ink = if line.level >= LogLevel::Warn { ink_of(line.level) } else { Ink::Plain };
        let message = usize::from(columns.message);
        if !self.wraps {
            let shown = text::cut(&line.message, message, more);
            text::put(buf, area, (x, area.y), &shown, message, look.ink(ink));
            return;
        }
        for (row, piece) in (0..area.height).zip(wrapped(&line.message, message)) {
            text::put(buf, area, (x, area.y + row), piece, message, look.ink(ink));
        }
    }

    fn view_below(&self, look: &Look, line: Rect, buf: &mut Buffer) {
        let shown = match self.new_below() {
            0 => "-- paused: f or G follows --".to_owned(),
            1 => "-- 1 new line below, G --".to_owned(),
            new => format!("-- {new} new lines below, G --"),
        };
        let x = line.right().saturating_sub(u16::try_from(text::width(&shown)).unwrap_or(0) + 1).max(line.x);
        text::put(buf, line, (x, line.y), &shown, usize::from(line.width), look.ink(Ink::Strong));
    }

    fn view_empty(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let says = match &self.flow {
            Flow::Refused(why) => vec![why.clone(), "Tab shows the runs that are kept".to_owned()],
            Flow::Connecting => vec!["connecting to the logs".to_owned()],
            _ if self.ring.kept() > 0 => {
                vec![format!("none of {} lines passes the filter: Esc clears it, o shows everything", self.ring.kept())]
            }
            _ => vec![
                "nothing was logged yet; lines appear here as scripts log them".to_owned(),
                "Tab shows the runs that are kept".to_owned(),
            ],
        };
        for (y, line) in (area.y + 1..area.bottom()).zip(&says) {
            let shown = text::cut(&text::clean(line), usize::from(area.width).saturating_sub(4), look.signs().more);
            text::put(buf, area, (area.x + 3, y), &shown, usize::from(area.width), look.ink(Ink::Plain));
        }
    }
}

/// How a level looks; its word says it as well.
pub(super) fn ink_of(level: LogLevel) -> Ink {
    match level {
        LogLevel::Debug => Ink::Faint,
        LogLevel::Info => Ink::Plain,
        LogLevel::Warn => Ink::Warn,
        LogLevel::Error => Ink::Bad,
    }
}
