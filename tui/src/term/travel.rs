//! How the pen gets from one cell to another in the fewest bytes. A list that went on by a line differs in a few letters
//! of each of its lines, all in the same columns: one line down and back by a letter takes two bytes, naming the place
//! takes eight.
//!
//! Only what every terminal since the VT100 does is used. A line feed keeps the column, because the terminal's own
//! translation of it is off while the screen is ours; and it never scrolls, because it leads no further than to a line
//! of the screen.

use ratatui::buffer::Buffer;

/// Lines down beyond which naming the place is as short.
const LINES_FED_MAX: u16 = 5;
/// Cells back beyond which a sequence is as short.
const CELLS_BACK_MAX: u16 = 6;
/// Cells that are written again rather than passed over.
const CELLS_REWRITTEN_MAX: u16 = 6;

/// The bytes that lead there; `rewritten` says what stands from a column of the line up to the goal, where writing it
/// again would change nothing.
pub(super) fn way(from: Option<(u16, u16)>, (x, y): (u16, u16), rewritten: impl Fn(u16) -> Option<String>) -> String {
    let named = match (x, y) {
        (0, 0) => "\x1b[H".to_owned(),
        (0, _) => format!("\x1b[{}H", y + 1),
        _ => format!("\x1b[{};{}H", y + 1, x + 1),
    };
    let Some((column, line)) = from else { return named };
    let Some(lines) = y.checked_sub(line).filter(|lines| *lines <= LINES_FED_MAX) else { return named };
    let fed = "\n".repeat(usize::from(lines)) + &across(column, x, rewritten);
    if fed.len() < named.len() { fed } else { named }
}

/// Along a line.
fn across(from: u16, to: u16, rewritten: impl Fn(u16) -> Option<String>) -> String {
    let right = |cells: u16| match cells {
        0 => String::new(),
        1 => "\x1b[C".to_owned(),
        _ => format!("\x1b[{cells}C"),
    };
    if from <= to {
        let passed = right(to - from);
        let again = (to - from <= CELLS_REWRITTEN_MAX).then(|| rewritten(from)).flatten();
        return again.filter(|again| again.len() <= passed.len()).unwrap_or(passed);
    }
    let back = from - to;
    if back <= CELLS_BACK_MAX {
        let steps = "\x08".repeat(usize::from(back));
        let sequence = if back == 1 { "\x1b[D".to_owned() } else { format!("\x1b[{back}D") };
        return if steps.len() <= sequence.len() { steps } else { sequence };
    }
    let from_margin = "\r".to_owned() + &right(to);
    let sequence = format!("\x1b[{back}D");
    if from_margin.len() <= sequence.len() { from_margin } else { sequence }
}

/// What stands in a line from one column up to another, where all of it is ASCII and `is_so_drawn`.
pub(super) fn standing(
    buf: &Buffer,
    y: u16,
    columns: std::ops::Range<u16>,
    is_so_drawn: impl Fn(&ratatui::buffer::Cell) -> bool,
) -> Option<String> {
    // What is right of a wide letter may be its other half.
    let before = columns.start.checked_sub(1).map_or("", |x| buf[(x, y)].symbol());
    let cells = columns.map(|x| &buf[(x, y)]);
    let text: Option<String> = cells.map(|cell| is_so_drawn(cell).then(|| cell.symbol())).collect();
    text.filter(|text| before.is_ascii() && text.bytes().all(|byte| matches!(byte, b' '..=b'~')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_way_is_taken() {
        let to = |from, to| way(from, to, |_from| None);
        assert_eq!(to(None, (0, 0)), "\x1b[H");
        assert_eq!(to(None, (0, 9)), "\x1b[10H");
        assert_eq!(to(None, (30, 9)), "\x1b[10;31H");
        assert_eq!(to(Some((4, 9)), (4, 9)), "");
        assert_eq!(to(Some((4, 9)), (5, 9)), "\x1b[C");
        assert_eq!(to(Some((4, 9)), (14, 9)), "\x1b[10C");
        assert_eq!(to(Some((4, 9)), (3, 9)), "\x08");
        assert_eq!(to(Some((9, 9)), (4, 9)), "\x1b[5D");
        assert_eq!(to(Some((90, 9)), (0, 9)), "\r");
        assert_eq!(to(Some((90, 9)), (3, 10)), "\n\r\x1b[3C");
        assert_eq!(to(Some((5, 9)), (4, 10)), "\n\x08");
        assert_eq!(to(Some((5, 9)), (5, 12)), "\n\n\n");
        assert_eq!(to(Some((5, 9)), (5, 8)), "\x1b[9;6H", "up");
        assert_eq!(to(Some((5, 9)), (5, 19)), "\x1b[20;6H", "far down");
    }

    #[test]
    fn a_few_letters_are_written_again_where_that_changes_nothing() {
        let buf = Buffer::with_lines(["abcdコfg", "ü b"]);
        let standing = |y, columns| standing(&buf, y, columns, |_cell| true);
        assert_eq!(standing(0, 1..4).as_deref(), Some("bcd"));
        assert_eq!(standing(0, 3..6), None, "a wide letter");
        assert_eq!(standing(0, 5..7), None, "its other half");
        assert_eq!(standing(1, 1..3), None, "who knows how wide that is there");
        assert_eq!(way(Some((1, 0)), (3, 0), |_from| Some("bc".to_owned())), "bc");
        assert_eq!(way(Some((1, 0)), (7, 0), |_from| Some("bcdefg".to_owned())), "\x1b[6C");
    }
}
