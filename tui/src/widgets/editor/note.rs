//! What is wrong with a line, as it stands under it.

use super::Editor;
use super::lex::Token;
use super::width;
use crate::widgets::text;

/// How many notes are kept; who has more mends the first ones first.
const NOTES_MAX: usize = 100;
/// How many lines of the screen a note takes at most, under the one that points.
const NOTE_LINES_MAX: usize = 3;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Counting from 0.
    pub(super) line: usize,
    /// Counting from 0 in characters; none where the whole line is meant.
    pub(super) column: Option<usize>,
    /// What is wrong.
    pub(super) message: String,
}

impl Note {
    /// What stood up to `to` ends at `end` now, each a line and a column: what is behind it goes along.
    pub(super) fn shift(&mut self, to: (usize, usize), end: (usize, usize)) {
        if self.line > to.0 {
            self.line = self.line - to.0 + end.0;
        } else if self.line == to.0 && self.column.unwrap_or(0) >= to.1 {
            self.line = end.0;
            self.column = self.column.map(|column| column - to.1 + end.1);
        } else {
            self.line = self.line.min(end.0);
        }
    }
}

impl Editor {
    /// What is wrong, in place of what was: line and column counting from 1 in characters (a column of 0 is the whole
    /// line, a line of 0 the whole text), and the message.
    pub(crate) fn set_errors(&mut self, errors: Vec<(usize, usize, String)>) {
        let last = self.lines.count() - 1;
        self.notes = errors
            .into_iter()
            .take(NOTES_MAX)
            .map(|(line, column, message)| Note {
                line: line.saturating_sub(1).min(last),
                column: column.checked_sub(1),
                message,
            })
            .collect();
        self.notes.sort_by_key(|note| (note.line, note.column));
    }

    /// How many errors there are.
    pub(crate) fn error_count(&self) -> usize {
        self.notes.len()
    }

    /// Puts the cursor on the next error, or on the one before; round the end. Answers which it is, counting from 1.
    pub(crate) fn go_to_error(&mut self, forward: bool) -> Option<usize> {
        let here = (self.cursor.line, Some(self.place().1 - 1));
        let key = |note: &Note| (note.line, note.column.or(Some(0)));
        let found = if forward {
            self.notes.iter().position(|note| key(note) > here).or((!self.notes.is_empty()).then_some(0))
        } else {
            self.notes.iter().rposition(|note| key(note) < here).or(self.notes.len().checked_sub(1))
        }?;
        let note = &self.notes[found];
        let (line, column) = (note.line + 1, note.column.unwrap_or(0) + 1);
        self.goto(line, column);
        Some(found + 1)
    }

    /// The line of the first error, counting from 1.
    pub(crate) fn first_error(&self) -> Option<usize> {
        self.notes.first().map(|note| note.line + 1)
    }

    /// Whether a line has any.
    pub(super) fn has_note(&self, line: usize) -> bool {
        self.notes.binary_search_by_key(&line, |note| note.line).is_ok()
    }

    /// What stands under a line: (column of the text, what), a line of the screen each, where `room` columns are there.
    pub(super) fn notes_under(&self, line: usize, room: usize, tokens: &[Token]) -> Vec<(usize, String)> {
        let first = self.notes.partition_point(|note| note.line < line);
        let here = self.notes[first..].iter().take_while(|note| note.line == line);
        here.flat_map(|note| self.note_lines(note, room, tokens)).collect()
    }

    /// The message beside `^^^` where it fits there, else below it.
    fn note_lines(&self, note: &Note, room: usize, tokens: &[Token]) -> Vec<(usize, String)> {
        let (column, wide) = self.marked(note, tokens);
        let left = self.left_of_line(note.line);
        let (column, wide) = if column < left { (0, 1) } else { (column - left, wide) };
        let column = column.min(room.saturating_sub(1));
        let sign = "^".repeat(wide.clamp(1, room.saturating_sub(column).max(1)));
        let message = text::clean(&note.message);
        if column + sign.len() + 1 + text::width(&message) <= room {
            return vec![(column, format!("{sign} {message}"))];
        }
        let mut lines = vec![(column, sign)];
        lines.extend(wrapped(&message, room).into_iter().map(|line| (0, line)));
        lines
    }

    /// Column and width of what a note means: the whole word that stands there.
    fn marked(&self, note: &Note, tokens: &[Token]) -> (usize, usize) {
        let line = self.lines.line(note.line);
        let Some(column) = note.column else {
            let indent = line.len() - line.trim_start().len();
            return (width::column_of(line, indent), text::width(line.trim()).clamp(1, 3));
        };
        let byte = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let at = width::column_of(line, byte);
        let rest = &line[byte..];
        let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let token = tokens.iter().position(|token| token.end > byte);
        let is_text = token.is_some_and(|found| tokens[found].ink == crate::theme::Ink::Text);
        let end = match token {
            Some(found) if is_text => tokens[found].end,
            _ => byte + word,
        };
        (at, width::column_of(line, end.min(line.len())).saturating_sub(at).max(1))
    }
}

/// Text in lines of so many columns; what is too much stands in the last one, which is cut off.
fn wrapped(message: &str, room: usize) -> Vec<String> {
    let mut lines = text::wrap(message, room);
    if lines.len() > NOTE_LINES_MAX {
        let rest = lines.split_off(NOTE_LINES_MAX - 1).join(" ");
        lines.push(rest);
    }
    lines
}
