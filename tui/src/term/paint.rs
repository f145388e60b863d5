//! From cells to bytes: what differs from what the terminal shows, in as few of them as that takes.
//!
//! Ours rather than the library's: that one asks the terminal for its cursor to clear it, writes sequences that old
//! terminals do not know, and with `NO_COLOR` resets what is reversed.

use super::caps::Dialect;
use super::scroll::{self, Shift};
use super::travel;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use std::io::Write as _;
use unicode_width::UnicodeWidthStr;

/// Blanks to the end of a line from which on erasing takes fewer bytes than writing them.
const ERASE_FROM: usize = 4;
/// Frames from this size on are marked as one, so that the terminal does not show half of them; smaller ones travel in
/// one piece anyway.
const FRAME_BYTES_MARKED: usize = 1000;

/// What the terminal shows, and how it is made to show something else.
pub(super) struct Painter {
    dialect: Dialect,
    utf8: bool,
    shown: Buffer,
    /// The cursor, where it is visible.
    cursor: Option<(u16, u16)>,
    /// Whether nothing is known of what the terminal shows.
    is_unknown: bool,
    pen: Pen,
    frame: Vec<u8>,
}

/// Where the terminal writes next, and how.
#[derive(Default)]
struct Pen {
    at: Option<(u16, u16)>,
    style: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Default for Shape {
    fn default() -> Self {
        Self { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() }
    }
}

impl Shape {
    fn of(cell: &Cell) -> Self {
        // What a terminal of old does not know is left out.
        let known = Modifier::BOLD | Modifier::UNDERLINED | Modifier::REVERSED;
        Self { fg: cell.fg, bg: cell.bg, modifier: cell.modifier & known }
    }
}

impl Painter {
    /// Of a terminal of which nothing is known but its size.
    pub(super) fn new(dialect: Dialect, utf8: bool, size: (u16, u16)) -> Self {
        let shown = Buffer::empty(Rect::new(0, 0, size.0, size.1));
        Self { dialect, utf8, shown, cursor: None, is_unknown: true, pen: Pen::default(), frame: Vec::new() }
    }

    /// The next frame paints everything.
    pub(super) fn forget(&mut self, size: (u16, u16)) {
        self.shown = Buffer::empty(Rect::new(0, 0, size.0, size.1));
        self.is_unknown = true;
    }

    /// The bytes that make the terminal show this; none where it does.
    pub(super) fn frame(&mut self, next: Buffer, cursor: Option<(u16, u16)>) -> &[u8] {
        self.frame.clear();
        let mut shown = std::mem::replace(&mut self.shown, Buffer::empty(Rect::ZERO));
        if self.is_unknown || shown.area != next.area {
            shown = Buffer::empty(next.area);
            self.begin();
        } else if let Some(shift) = scroll::find(&shown, &next) {
            self.scroll(shift);
            scroll::apply(&mut shown, shift);
        }
        self.changes(&shown, &next);
        if !self.frame.is_empty() {
            self.shape(Shape::default());
        }
        self.place_cursor(cursor, &next);
        self.shown = next;
        if self.dialect.synchronizes && self.frame.len() >= FRAME_BYTES_MARKED {
            self.frame.splice(0..0, *b"\x1b[?2026h");
            self.frame.extend_from_slice(b"\x1b[?2026l");
        }
        &self.frame
    }

    /// Empties the screen of a terminal of which nothing is known.
    fn begin(&mut self) {
        self.is_unknown = false;
        self.pen = Pen::default();
        self.cursor = None;
        let hide: &[u8] = if self.dialect.hides_cursor { b"\x1b[?25l" } else { b"" };
        self.frame.extend_from_slice(hide);
        self.frame.extend_from_slice(b"\x1b[m\x1b[2J");
    }

    /// Has the terminal move lines, as every terminal since the VT100 can.
    fn scroll(&mut self, Shift { top, bottom, lines, is_up }: Shift) {
        // Lines that come in are as empty as the style then is.
        self.shape(Shape::default());
        self.write(format_args!("\x1b[{};{}r", top + 1, bottom + 1));
        let (at, step) = if is_up { (bottom, "\n") } else { (top, "\x1bM") };
        self.write(format_args!("\x1b[{}H{}\x1b[r", at + 1, step.repeat(usize::from(lines))));
        self.pen.at = None;
    }

    fn changes(&mut self, shown: &Buffer, next: &Buffer) {
        let changed: Vec<(u16, u16, &Cell)> = shown.diff_iter(next).collect();
        for row in changed.chunk_by(|(_, a, _), (_, b, _)| a == b) {
            let y = row[0].1;
            let blank_from = blank_from(next, y);
            let written = row.partition_point(|(x, _, _)| *x < blank_from);
            let (written, blank) = row.split_at(written);
            let erases = blank.len() >= ERASE_FROM;
            for (x, y, cell) in if erases { written } else { row } {
                self.cell((*x, *y), cell, next);
            }
            if let Some((x, _, _)) = blank.first().filter(|_| erases) {
                self.go((*x, y), next);
                self.shape(Shape::default());
                self.frame.extend_from_slice(b"\x1b[K");
            }
        }
    }

    fn cell(&mut self, (x, y): (u16, u16), cell: &Cell, next: &Buffer) {
        self.go((x, y), next);
        self.shape(Shape::of(cell));
        let symbol = cell.symbol();
        let width = u16::try_from(symbol.width()).unwrap_or(1).max(1);
        if self.utf8 || symbol.is_ascii() {
            self.frame.extend_from_slice(symbol.as_bytes());
        } else {
            self.frame.extend(std::iter::repeat_n(b'?', usize::from(width)));
        }
        // At the end of a line terminals differ in where the cursor is then, and so they do about how wide rare letters
        // are: then it is put where it must be.
        let is_sure =
            x.saturating_add(width) < next.area.width && (!self.utf8 || symbol.chars().all(is_surely_one_wide));
        self.pen.at = is_sure.then_some((x + width, y));
    }

    /// Puts the pen there, the shortest way; what is passed over already stands as `next` has it.
    fn go(&mut self, (x, y): (u16, u16), next: &Buffer) {
        let style = self.pen.style;
        let way = travel::way(self.pen.at, (x, y), |from| {
            travel::standing(next, y, from..x, |cell| Shape::of(cell) == style)
        });
        self.frame.extend_from_slice(way.as_bytes());
        self.pen.at = Some((x, y));
    }

    fn shape(&mut self, shape: Shape) {
        let from = std::mem::replace(&mut self.pen.style, shape);
        if from == shape {
            return;
        }
        if shape == Shape::default() {
            return self.frame.extend_from_slice(b"\x1b[m");
        }
        // Old terminals cannot end one of them alone: all are ended where one is.
        let only_adds = shape.modifier.contains(from.modifier)
            && (from.fg == Color::Reset || shape.fg != Color::Reset)
            && (from.bg == Color::Reset || shape.bg != Color::Reset);
        let from = if only_adds { from } else { Shape::default() };
        let mut codes = if only_adds { Vec::new() } else { vec!["0".to_owned()] };
        let signs = [(Modifier::BOLD, "1"), (Modifier::UNDERLINED, "4"), (Modifier::REVERSED, "7")];
        let new = signs.iter().filter(|(sign, _)| shape.modifier.contains(*sign) && !from.modifier.contains(*sign));
        codes.extend(new.map(|(_, code)| (*code).to_owned()));
        codes.extend((shape.fg != from.fg).then(|| code_of(shape.fg, 30)));
        codes.extend((shape.bg != from.bg).then(|| code_of(shape.bg, 40)));
        self.write(format_args!("\x1b[{}m", codes.join(";")));
    }

    fn place_cursor(&mut self, cursor: Option<(u16, u16)>, next: &Buffer) {
        if let Some(at) = cursor {
            if !self.frame.is_empty() || self.cursor != cursor {
                self.go(at, next);
            }
            if self.cursor.is_none() && self.dialect.hides_cursor {
                self.frame.extend_from_slice(b"\x1b[?25h");
            }
        } else if self.cursor.is_some() && self.dialect.hides_cursor {
            self.frame.extend_from_slice(b"\x1b[?25l");
        }
        self.cursor = cursor;
    }

    fn write(&mut self, sequence: std::fmt::Arguments<'_>) {
        self.frame.write_fmt(sequence).expect("a vector takes all that is written to it");
    }
}

/// The column from which on a line has nothing in it.
fn blank_from(buf: &Buffer, y: u16) -> u16 {
    let is_blank = |x: &u16| {
        let cell = &buf[(*x, y)];
        cell.symbol() == " " && Shape::of(cell) == Shape::default()
    };
    let blank = (buf.area.left()..buf.area.right()).rev().take_while(is_blank).count();
    buf.area.right() - u16::try_from(blank).unwrap_or(buf.area.width)
}

/// Whether every terminal shows it in one column: ASCII, letters of Western Europe, lines, blocks and arrows.
fn is_surely_one_wide(letter: char) -> bool {
    matches!(letter, ' '..='~' | '\u{c0}'..='\u{24f}' | '\u{2500}'..='\u{259f}' | '…' | '›' | '▸' | '▾')
}

/// The code of a colour; `base` is 30 for letters, 40 for what is behind them.
fn code_of(color: Color, base: u8) -> String {
    let of_sixteen = |index: u8| if index < 8 { base + index } else { base + 60 + index - 8 };
    let index = match color {
        Color::Reset => return (base + 9).to_string(),
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Indexed(index) if index < 16 => index,
        Color::Indexed(index) => return format!("{};5;{index}", base + 8),
        Color::Rgb(red, green, blue) => return format!("{};2;{red};{green};{blue}", base + 8),
    };
    of_sixteen(index).to_string()
}

/// How many bytes lead from one frame to the next on most terminals.
#[cfg(test)]
pub(crate) fn bytes_between(before: Buffer, after: Buffer) -> usize {
    let mut painter = Painter::new(super::caps::ALL, true, (before.area.width, before.area.height));
    painter.frame(before, None);
    painter.frame(after, None).len()
}

#[cfg(test)]
mod tests {
    use super::super::caps::{LINUX, VT100};
    use super::*;
    use proptest::prelude::*;
    use ratatui::style::Style;

    const SIZE: (u16, u16) = (20, 6);

    fn blank() -> Buffer {
        Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1))
    }

    fn terminal() -> vt100::Parser {
        let size = |cells: u16| cells.try_into().unwrap();
        vt100::Parser::new(size(SIZE.1), size(SIZE.0), 0)
    }

    fn painter() -> Painter {
        Painter::new(super::super::caps::ALL, true, SIZE)
    }

    fn painted(painter: &mut Painter, next: &Buffer) -> String {
        String::from_utf8(painter.frame(next.clone(), None).to_vec()).unwrap()
    }

    /// What a terminal shows of it: letters and whether they are reversed, bold and coloured.
    fn shown(terminal: &vt100::Parser) -> Vec<(String, bool, bool, vt100::Color)> {
        let cells = (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y)));
        let cell = |(x, y)| {
            let cell = terminal.screen().cell(y, x).unwrap();
            let text = if cell.has_contents() { cell.contents().to_owned() } else { " ".to_owned() };
            (text, cell.inverse(), cell.bold(), cell.fgcolor())
        };
        cells.map(cell).collect()
    }

    fn meant(buf: &Buffer) -> Vec<(String, bool, bool, vt100::Color)> {
        let cell = |cell: &Cell| {
            let has = |modifier| cell.modifier.contains(modifier);
            let color = match cell.fg {
                Color::Red => vt100::Color::Idx(1),
                Color::DarkGray => vt100::Color::Idx(8),
                Color::Indexed(index) => vt100::Color::Idx(index),
                Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
                _ => vt100::Color::Default,
            };
            (cell.symbol().to_owned(), has(Modifier::REVERSED), has(Modifier::BOLD), color)
        };
        buf.content.iter().map(cell).collect()
    }

    fn pieces() -> impl Strategy<Value = Vec<(u16, u16, String, Style)>> {
        let color = prop_oneof![
            Just(Color::Reset),
            Just(Color::Red),
            Just(Color::DarkGray),
            Just(Color::Indexed(200)),
            Just(Color::Rgb(1, 2, 3)),
        ];
        let signs = prop_oneof![
            Just(Modifier::empty()),
            Just(Modifier::REVERSED),
            Just(Modifier::BOLD),
            Just(Modifier::BOLD | Modifier::REVERSED),
        ];
        let text = "[ a-cé─█]{0,12}";
        let text = prop_oneof![text, Just("many letters, so it moves".to_owned())];
        let piece = (0..SIZE.0, 0..SIZE.1, text, color, signs)
            .prop_map(|(x, y, text, color, signs)| (x, y, text, Style::new().fg(color).add_modifier(signs)));
        prop::collection::vec(piece, 0..6)
    }

    proptest! {
        #[test]
        fn a_terminal_shows_what_was_meant_whatever_it_showed_before(
            frames in prop::collection::vec((pieces(), any::<bool>(), 0..4_u16, any::<bool>()), 1..6),
        ) {
            let mut painter = painter();
            let mut terminal = terminal();
            let mut next = blank();
            for (pieces, begins_anew, lines, is_up) in frames {
                if begins_anew {
                    next = blank();
                }
                // What moved is found again, whatever is written over it.
                scroll::apply(&mut next, Shift { top: 1, bottom: SIZE.1 - 1, lines, is_up });
                for (x, y, text, style) in pieces {
                    next.set_stringn(x, y, text, usize::from(SIZE.0 - x), style);
                }
                terminal.process(painter.frame(next.clone(), None));
                prop_assert_eq!(shown(&terminal), meant(&next));
            }
        }
    }

    #[test]
    fn nothing_is_sent_where_nothing_changed_and_little_where_little_did() {
        let mut painter = painter();
        let mut next = blank();
        next.set_string(2, 1, "pi-01", Style::new());
        next.set_string(2, 2, "pi-02", Style::new());
        assert_eq!(painted(&mut painter, &next), "\x1b[?25l\x1b[m\x1b[2J\x1b[2;3Hpi-01\n\x1b[5Dpi-02");
        assert_eq!(painted(&mut painter, &next), "");
        next.set_style(Rect::new(2, 1, 5, 1), Style::new().add_modifier(Modifier::REVERSED));
        assert_eq!(painted(&mut painter, &next), "\x1b[2;3H\x1b[7mpi-01\x1b[m");
    }

    #[test]
    fn the_rest_of_a_line_is_erased_rather_than_written_over() {
        let mut painter = painter();
        let mut next = blank();
        next.set_string(0, 0, "a long line of text", Style::new());
        painted(&mut painter, &next);
        let mut next = blank();
        next.set_string(0, 0, "b", Style::new());
        assert_eq!(painted(&mut painter, &next), "\rb \x1b[K");
    }

    #[test]
    fn a_wide_letter_is_whole_and_what_follows_it_is_where_it_belongs() {
        let mut painter = painter();
        let mut terminal = terminal();
        let mut next = blank();
        next.set_string(0, 0, "aコb", Style::new());
        terminal.process(painter.frame(next.clone(), None));
        assert_eq!(terminal.screen().contents().trim_end(), "aコb");
        next = blank();
        next.set_string(0, 0, "aコ", Style::new());
        terminal.process(painter.frame(next.clone(), None));
        assert_eq!(terminal.screen().contents().trim_end(), "aコ");
    }

    #[test]
    fn what_a_terminal_has_no_letters_for_is_a_question_mark_of_the_same_width() {
        let mut painter = Painter::new(LINUX, false, SIZE);
        let mut next = blank();
        next.set_string(0, 0, "aコéb", Style::new());
        assert!(painted(&mut painter, &next).ends_with("a???b"));
    }

    #[test]
    fn the_cursor_is_shown_where_text_is_typed_and_hidden_again() {
        let mut painter = painter();
        let next = blank();
        painted(&mut painter, &next);
        assert_eq!(painter.frame(next.clone(), Some((3, 1))), b"\x1b[2;4H\x1b[?25h");
        assert_eq!(painter.frame(next.clone(), Some((3, 1))), b"");
        assert_eq!(painter.frame(next.clone(), Some((4, 1))), b" ", "what stands there is written again");
        assert_eq!(painter.frame(next.clone(), None), b"\x1b[?25l");
        let mut old = Painter::new(VT100, false, SIZE);
        let sent = String::from_utf8(old.frame(next, Some((3, 1))).to_vec()).unwrap();
        assert!(!sent.contains('?'), "a VT100 knows no such modes: {sent:?}");
    }

    #[test]
    fn a_large_frame_is_marked_as_one() {
        let size = (100, 30);
        let mut next = Buffer::empty(Rect::new(0, 0, size.0, size.1));
        for y in 0..size.1 {
            next.set_string(0, y, "x".repeat(100), Style::new());
        }
        let mut painter = Painter::new(super::super::caps::ALL, true, size);
        let sent = painter.frame(next, None).to_vec();
        assert!(sent.starts_with(b"\x1b[?2026h") && sent.ends_with(b"\x1b[?2026l"));
    }
}
