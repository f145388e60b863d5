//! Keys that move the cursor.

use super::lines::Pos;
use super::{Editor, width};
use crate::app::key::Key;
use crate::keymap::Action;

impl Editor {
    /// Moves as an action of the table says, while nothing is typed: for reading. Answers whether it was one.
    pub(crate) fn act(&mut self, action: Action) -> bool {
        let key = match action {
            Action::Up => Key::Up,
            Action::Down => Key::Down,
            Action::PageUp => Key::PageUp,
            Action::PageDown => Key::PageDown,
            Action::Left => Key::Left,
            Action::Right => Key::Right,
            Action::Top => {
                self.moved_to(Pos::default());
                return true;
            }
            Action::Bottom => {
                let end = self.lines.end();
                self.moved_to(Pos { byte: 0, ..end });
                return true;
            }
            _ => return false,
        };
        self.moves(key)
    }

    /// Moves; answers whether the key was one for that.
    pub(super) fn moves(&mut self, key: Key) -> bool {
        let page = self.height.get().saturating_sub(1).max(1);
        match key {
            Key::Left => self.moved_to(self.left_of(self.cursor)),
            Key::Right => self.moved_to(self.right_of(self.cursor)),
            Key::Home => self.go_to_line_start(),
            Key::End => {
                let byte = self.lines.line(self.cursor.line).len();
                self.moved_to(Pos { byte, ..self.cursor });
            }
            Key::Up => self.go_to_line(self.cursor.line.saturating_sub(1)),
            Key::Down => self.go_to_line(self.cursor.line + 1),
            Key::PageUp => self.go_to_line(self.cursor.line.saturating_sub(page)),
            Key::PageDown => self.go_to_line(self.cursor.line + page),
            _ => return false,
        }
        true
    }

    /// Puts the cursor somewhere, on its own account: what is typed next is another step.
    pub(super) fn moved_to(&mut self, pos: Pos) {
        self.cursor = pos;
        self.goal = None;
        self.history.seal();
    }

    /// To the first letter of the line, and from there to its first column.
    fn go_to_line_start(&mut self) {
        let text = self.lines.line(self.cursor.line);
        let indent = text.len() - text.trim_start().len();
        let byte = if self.cursor.byte == indent { 0 } else { indent };
        self.moved_to(Pos { byte, ..self.cursor });
    }

    /// To another line, in the column where one was.
    fn go_to_line(&mut self, line: usize) {
        let goal = self.goal.unwrap_or_else(|| width::column_of(self.lines.line(self.cursor.line), self.cursor.byte));
        let line = line.min(self.lines.count() - 1);
        let byte = width::byte_at(self.lines.line(line), goal);
        self.moved_to(Pos { line, byte });
        self.goal = Some(goal);
    }

    pub(super) fn left_of(&self, pos: Pos) -> Pos {
        if pos.byte == 0 {
            let Some(line) = pos.line.checked_sub(1) else { return pos };
            return Pos { line, byte: self.lines.line(line).len() };
        }
        Pos { byte: width::before(self.lines.line(pos.line), pos.byte), ..pos }
    }

    pub(super) fn right_of(&self, pos: Pos) -> Pos {
        let text = self.lines.line(pos.line);
        if pos.byte == text.len() {
            let is_last = pos.line + 1 == self.lines.count();
            return if is_last { pos } else { Pos { line: pos.line + 1, byte: 0 } };
        }
        Pos { byte: width::after(text, pos.byte), ..pos }
    }

    /// The beginning of the word before the cursor; the end of the line before, from the first column.
    pub(super) fn word_left(&self) -> Pos {
        if self.cursor.byte == 0 {
            return self.left_of(self.cursor);
        }
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let before = self.lines.line(self.cursor.line)[..self.cursor.byte].trim_end();
        let word = before.trim_end_matches(is_word);
        // A sign is a word of its own.
        let byte = if word.len() < before.len() { word.len() } else { width::before(before, before.len()) };
        Pos { byte, ..self.cursor }
    }
}
