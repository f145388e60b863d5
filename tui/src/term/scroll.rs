//! Lines that only moved up or down: the terminal moves them by itself, and only what is new among them is sent.

use ratatui::buffer::{Buffer, Cell};
use std::cmp::Reverse;

/// Lines that things are looked for to have moved by.
const LINES_MAX: u16 = 4;
/// Cells that a move has to save: what is told for it takes some bytes, too.
const CELLS_SAVED_MIN: i32 = 30;

/// What erasing the rest of a line counts for, in cells.
const ERASE_COST: usize = 4;

/// A move of whole lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    /// The first line that is moved or that goes.
    pub(super) top: u16,
    /// The last one.
    pub(super) bottom: u16,
    /// By how many lines.
    pub(super) lines: u16,
    /// Up or down.
    pub(super) is_up: bool,
}

/// What the lines of a frame cost as it is: to be made of what stands there, and of nothing.
struct Costs {
    as_it_is: Vec<i32>,
    emptied: Vec<i32>,
}

/// The move that leaves least to be sent, where one saves enough.
pub(super) fn find(shown: &Buffer, next: &Buffer) -> Option<Shift> {
    let rows = next.area.top()..next.area.bottom();
    let as_it_is: Vec<i32> = rows.clone().map(|y| cost(row(shown, y), row(next, y))).collect();
    if as_it_is.iter().sum::<i32>() < CELLS_SAVED_MIN {
        return None;
    }
    let blank = vec![Cell::EMPTY; usize::from(next.area.width)];
    let costs = Costs { as_it_is, emptied: rows.map(|y| cost(&blank, row(next, y))).collect() };
    let moves =
        (1..=LINES_MAX.min(next.area.height.saturating_sub(1))).flat_map(|lines| [(lines, true), (lines, false)]);
    let found = moves.filter_map(|(lines, is_up)| best(shown, next, &costs, lines, is_up));
    // The smallest move of those that save alike: less is torn on the way.
    let best = found.max_by_key(|(saved, shift)| (*saved, Reverse(shift.lines)));
    best.filter(|(saved, _)| *saved >= CELLS_SAVED_MIN).map(|(_, shift)| shift)
}

/// The lines for which a move by so many saves most, and how many cells it saves.
fn best(shown: &Buffer, next: &Buffer, costs: &Costs, lines: u16, is_up: bool) -> Option<(i32, Shift)> {
    let height = next.area.height;
    // Lines of the next frame that come from within the screen, in the order in which the last one is next to those that
    // the move empties.
    let moved: Vec<u16> = if is_up { (0..height - lines).collect() } else { (lines..height).rev().collect() };
    let of_emptied = |y: u16| costs.as_it_is[usize::from(y)] - costs.emptied[usize::from(y)];
    let (mut best, mut run): (Option<(i32, Shift)>, (i32, u16)) = (None, (0, 0));
    for y in moved {
        let came_from = if is_up { y + lines } else { y - lines };
        let saved = costs.as_it_is[usize::from(y)] - cost(row(shown, came_from), row(next, y));
        run = if run.0 > 0 { (run.0 + saved, run.1) } else { (saved, y) };
        let (emptied, shift) = if is_up {
            (y + 1..y + 1 + lines, Shift { top: run.1, bottom: y + lines, lines, is_up })
        } else {
            (y - lines..y, Shift { top: y - lines, bottom: run.1, lines, is_up })
        };
        let total = run.0 + emptied.map(of_emptied).sum::<i32>();
        if best.is_none_or(|(most, _)| total > most) {
            best = Some((total, shift));
        }
    }
    best
}

/// What is shown after the move.
pub(super) fn apply(shown: &mut Buffer, shift: Shift) {
    let Shift { top, bottom, lines, is_up } = shift;
    let width = usize::from(shown.area.width);
    let lines_of = |y: u16| usize::from(y) * width;
    let part = &mut shown.content[lines_of(top)..lines_of(bottom + 1)];
    let moved = lines_of(lines);
    let rest = part.len() - moved;
    if is_up {
        part.rotate_left(moved);
        part[rest..].fill(Cell::EMPTY);
    } else {
        part.rotate_right(moved);
        part[..moved].fill(Cell::EMPTY);
    }
}

fn row(buf: &Buffer, y: u16) -> &[Cell] {
    let width = usize::from(buf.area.width);
    let begin = usize::from(y) * width;
    &buf.content[begin..begin + width]
}

/// How many cells are sent to make one line of another; what is blank to the end is erased at once.
fn cost(from: &[Cell], to: &[Cell]) -> i32 {
    let end = to.iter().rposition(|cell| *cell != Cell::EMPTY).map_or(0, |last| last + 1);
    let differing = |from: &[Cell], to: &[Cell]| from.iter().zip(to).filter(|(from, to)| from != to).count();
    let erased = differing(&from[end..], &to[end..]).min(ERASE_COST);
    i32::try_from(differing(&from[..end], &to[..end]) + erased).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Buffer {
        Buffer::with_lines(lines.iter().map(|line| format!("{line:<40}")).collect::<Vec<_>>())
    }

    const BEFORE: [&str; 6] = [
        "a title that stays",
        "one thing and all that is said of it",
        "another, of which something else is said",
        "a third one that nobody knows",
        "the fourth is better known",
        "keys",
    ];

    #[test]
    fn a_list_that_went_on_by_a_line_is_moved_and_its_frame_stays() {
        let next = [BEFORE[0], BEFORE[2], BEFORE[3], BEFORE[4], "and a fifth", BEFORE[5]];
        let (mut shown, next) = (lines(&BEFORE), lines(&next));
        let shift = Shift { top: 1, bottom: 4, lines: 1, is_up: true };
        assert_eq!(find(&shown, &next), Some(shift));
        apply(&mut shown, shift);
        assert_eq!(shown, lines(&[BEFORE[0], BEFORE[2], BEFORE[3], BEFORE[4], "", BEFORE[5]]));
        let back = Shift { is_up: false, ..shift };
        assert_eq!(find(&next, &lines(&BEFORE)), Some(back));
        apply(&mut shown, back);
        assert_eq!(shown, lines(&[BEFORE[0], "", BEFORE[2], BEFORE[3], BEFORE[4], BEFORE[5]]));
    }

    #[test]
    fn what_did_not_move_or_hardly_differs_is_not_moved() {
        let shown = lines(&BEFORE);
        assert_eq!(find(&shown, &shown), None);
        let mut other = lines(&BEFORE);
        other.set_string(0, 2, "ANOTHER", ratatui::style::Style::new());
        assert_eq!(find(&shown, &other), None);
        assert_eq!(find(&shown, &lines(&["x"; 6])), None, "all of it is new");
        let one = Buffer::with_lines([format!("{:<40}", BEFORE[2])]);
        assert_eq!(find(&one, &Buffer::with_lines([format!("{:<40}", BEFORE[3])])), None, "a single line");
    }
}
