//! Lines broken into rows of a width: done once a width, not once a frame.

use crate::theme::Ink;
use crate::widgets::text;

/// A row: a part of a line, in parts with a meaning.
pub(super) type Row = Vec<(Ink, String)>;

/// All rows, and for which lines and width they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    made_for: Option<(bool, usize, bool)>,
    pub(super) rows: Vec<Row>,
}

impl Rows {
    /// Breaks the lines, unless that was done before for the same ones.
    pub(super) fn make(&mut self, lines: &[Row], is_json: bool, columns: usize, wraps: bool) {
        let wanted = Some((is_json, if wraps { columns } else { 0 }, wraps));
        if self.made_for != wanted {
            self.rows = lines.iter().flat_map(|line| broken(line, columns, wraps)).collect();
            self.made_for = wanted;
        }
    }
}

/// One line in rows; an empty line is one empty row.
fn broken(line: &Row, columns: usize, wraps: bool) -> Vec<Row> {
    let parts: Row = line.iter().map(|(ink, part)| (*ink, text::clean(&part.replace('\t', "    ")))).collect();
    let whole: String = parts.iter().map(|(_, part)| part.as_str()).collect();
    if !wraps || text::width(&whole) <= columns {
        return vec![parts];
    }
    let mut rows = Vec::new();
    let mut at = 0;
    for piece in text::wrap(&whole, columns) {
        // Blanks at a break are on neither row.
        at += whole[at..].find(piece.as_str()).unwrap_or(0);
        rows.push(slice(&parts, at, at + piece.len()));
        at += piece.len();
    }
    rows
}

/// The bytes `from..to` of the parts together.
fn slice(parts: &Row, from: usize, to: usize) -> Row {
    let mut start = 0;
    let mut row = Vec::new();
    for (ink, part) in parts {
        let end = start + part.len();
        let (a, b) = (from.clamp(start, end) - start, to.clamp(start, end) - start);
        if a < b {
            row.push((*ink, part[a..b].to_owned()));
        }
        start = end;
    }
    row
}
