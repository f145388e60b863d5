//! Keys that change the text.

use super::history::Step;
use super::lines::{Pos, end_of, plain_ends};
use super::{Editor, TEXT_BYTES_MAX, width};
use crate::app::key::Key;

/// Columns of an indentation.
pub(super) const INDENT_COLUMNS: usize = 4;

impl Editor {
    /// Takes a key; answers whether it was one for a text. Esc and Shift-Tab are the screen's, unless something is being
    /// looked for.
    pub(crate) fn typed(&mut self, key: Key) -> bool {
        self.is_full = false;
        if self.find.is_open() {
            return self.typed_in_find(key);
        }
        match key {
            Key::Char(letter) => self.letter(letter),
            Key::Enter => self.new_line(),
            Key::Tab => self.indent(),
            Key::Backspace => self.delete_left(),
            Key::Delete => {
                let to = self.right_of(self.cursor);
                self.delete(self.cursor, to);
            }
            Key::Ctrl('u') => {
                self.undo();
            }
            Key::Ctrl('r') => self.redo(),
            Key::Ctrl('w') => self.delete(self.word_left(), self.cursor),
            Key::Ctrl('k') => self.delete_line(),
            Key::Ctrl('f') => self.open_find(),
            other => return self.moves(other),
        }
        true
    }

    /// Takes text that was pasted: one step, as it is.
    pub(crate) fn insert(&mut self, text: &str) {
        self.is_full = false;
        if self.find.is_open() {
            return self.pasted_in_find(text);
        }
        self.history.seal();
        self.replace(self.cursor, self.cursor, &plain_ends(text));
        self.history.seal();
    }

    /// Takes the last edit back; answers whether there was one.
    pub(crate) fn undo(&mut self) -> bool {
        let Some(step) = self.history.undo() else { return false };
        let end = end_of(step.at, &step.inserted);
        self.exchange(step.at, end, &step.removed);
        self.moved_to(step.before);
        true
    }

    /// Whether there is an edit to take back.
    pub(crate) fn can_undo(&self) -> bool {
        self.history.can_undo()
    }

    fn redo(&mut self) {
        let Some(step) = self.history.redo() else { return };
        let end = end_of(step.at, &step.removed);
        self.exchange(step.at, end, &step.inserted);
        self.moved_to(step.after);
    }

    /// Puts text in place of what stands between two places, and the cursor behind it; answers whether it fitted.
    pub(super) fn replace(&mut self, from: Pos, to: Pos, with: &str) -> bool {
        let removed = self.lines.between(from, to);
        if removed.is_empty() && with.is_empty() {
            return true;
        }
        if with.len() > removed.len() && self.lines.bytes() + with.len() - removed.len() > TEXT_BYTES_MAX {
            self.is_full = true;
            return false;
        }
        let before = self.cursor;
        let after = self.exchange(from, to, with);
        self.history.push(Step { at: from, removed, inserted: with.to_owned(), before, after });
        self.cursor = after;
        self.goal = None;
        true
    }

    /// The same without remembering it.
    fn exchange(&mut self, from: Pos, to: Pos, with: &str) -> Pos {
        let to_column = self.column_of(to);
        let end = self.lines.replace(from, to, with);
        self.lexed.get_mut().edited(from.line, to.line, end.line);
        let end_column = self.column_of(end);
        for note in &mut self.notes {
            note.shift((to.line, to_column), (end.line, end_column));
        }
        self.revision += 1;
        end
    }

    fn delete(&mut self, from: Pos, to: Pos) {
        self.replace(from, to, "");
    }

    fn letter(&mut self, letter: char) {
        let line = &self.lines.line(self.cursor.line)[..self.cursor.byte];
        let closes = matches!(letter, '}' | ']' | ')') && !line.is_empty() && line.bytes().all(|byte| byte == b' ');
        let from = if closes {
            Pos { byte: self.cursor.byte.saturating_sub(INDENT_COLUMNS), ..self.cursor }
        } else {
            self.cursor
        };
        self.replace(from, self.cursor, letter.encode_utf8(&mut [0; 4]));
    }

    /// Indents like this line; one more behind what opens a block.
    fn new_line(&mut self) {
        let before = &self.lines.line(self.cursor.line)[..self.cursor.byte];
        let indent = &before[..before.len() - before.trim_start().len()];
        let opens = before.trim_end().ends_with(['{', '[', '(']);
        let more = if opens { " ".repeat(INDENT_COLUMNS) } else { String::new() };
        let text = format!("\n{indent}{more}");
        self.history.seal();
        self.replace(self.cursor, self.cursor, &text);
    }

    fn indent(&mut self) {
        let column = width::column_of(self.lines.line(self.cursor.line), self.cursor.byte);
        let blanks = " ".repeat(INDENT_COLUMNS - column % INDENT_COLUMNS);
        self.replace(self.cursor, self.cursor, &blanks);
    }

    /// One cluster; in an indentation, back to the fourth column before.
    fn delete_left(&mut self) {
        let before = &self.lines.line(self.cursor.line)[..self.cursor.byte];
        let is_indent = !before.is_empty() && before.bytes().all(|byte| byte == b' ');
        let from = if is_indent {
            Pos { byte: (before.len() - 1) / INDENT_COLUMNS * INDENT_COLUMNS, ..self.cursor }
        } else {
            self.left_of(self.cursor)
        };
        self.delete(from, self.cursor);
    }

    fn delete_line(&mut self) {
        let line = self.cursor.line;
        let (from, to) = if line + 1 < self.lines.count() {
            (Pos { line, byte: 0 }, Pos { line: line + 1, byte: 0 })
        } else {
            (Pos { line, byte: 0 }, self.lines.end())
        };
        self.history.seal();
        self.delete(from, to);
    }
}
