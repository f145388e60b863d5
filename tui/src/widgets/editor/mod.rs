//! A text of several lines that is being typed: a script's source, a value's JSON, a long field of a form.
//!
//! It is our own and not a ready-made one, because what is wrong stands under its line, because the text is coloured as
//! Rhai while it is typed, and because only the lines that are visible are looked at: a key costs the same in 10 lines
//! and in 10 000. It has no modes and no selection (Shift with arrows does not arrive over every connection).
//!
//! Keys: arrows, Home, End, PgUp, PgDn; Enter indents like the line above; Tab goes to the next fourth column. Ctrl-F
//! finds (and `:42` goes to line 42), Ctrl-U takes back, Ctrl-R does again, Ctrl-W deletes a word, Ctrl-K a line: all
//! conveniences, none of them a key that terminals and multiplexers take for themselves.

mod edit;
mod find;
mod history;
mod lex;
mod lines;
mod moves;
mod note;
mod view;
mod width;

#[cfg(test)]
mod tests;

pub(crate) use lex::Language;

use find::Find;
use history::History;
use lex::Lexed;
use lines::{Lines, Pos};
use note::Note;
use std::cell::{Cell, RefCell};

/// Longest text, in bytes: what the appliance takes as a source.
pub(crate) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// The text, with its cursor and all that was done to it.
#[derive(Clone, Debug)]
pub(crate) struct Editor {
    lines: Lines,
    cursor: Pos,
    /// The column that Up and Down try to stay in.
    goal: Option<usize>,
    history: History,
    /// Colours; looked up while drawing.
    lexed: RefCell<Lexed>,
    /// What is wrong, by line.
    notes: Vec<Note>,
    find: Find,
    /// Counts edits, so that others see whether anything changed.
    revision: u64,
    has_numbers: bool,
    /// Whether they were left away when it was drawn last.
    is_bare: Cell<bool>,
    /// Whether the last insertion would have made the text too long, and so was not made.
    is_full: bool,
    /// First line and column that were visible, and how many lines there were, when it was drawn last.
    top: Cell<usize>,
    left: Cell<usize>,
    height: Cell<usize>,
    /// Whether the cursor was put somewhere since then: what is around it should be seen, too.
    has_jumped: Cell<bool>,
}

impl Editor {
    /// With text, and the cursor at its beginning.
    pub(crate) fn new(text: impl AsRef<str>, language: Language) -> Self {
        let lines = Lines::new(text.as_ref());
        Self {
            lexed: RefCell::new(Lexed::new(language, lines.count())),
            lines,
            cursor: Pos::default(),
            goal: None,
            history: History::default(),
            notes: Vec::new(),
            find: Find::default(),
            revision: 0,
            has_numbers: true,
            is_bare: Cell::new(false),
            is_full: false,
            top: Cell::new(0),
            left: Cell::new(0),
            height: Cell::new(1),
            has_jumped: Cell::new(false),
        }
    }

    /// Without line numbers: for a field of a form.
    #[must_use]
    pub(crate) fn without_numbers(mut self) -> Self {
        self.has_numbers = false;
        self
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        self.lines.text()
    }

    /// How many lines there are.
    pub(crate) fn line_count(&self) -> usize {
        self.lines.count()
    }

    /// Counts edits: another number, another text (or the same one again).
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the last key or paste was not taken because the text would be longer than [`TEXT_BYTES_MAX`].
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The line and column of the cursor, counting from 1; columns count characters.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.cursor.line + 1, self.column_of(self.cursor) + 1)
    }

    /// In characters from the line's beginning.
    fn column_of(&self, pos: Pos) -> usize {
        self.lines.line(pos.line)[..pos.byte].chars().count()
    }

    /// Puts the cursor at a line and column, counting from 1 in characters; the nearest there is. 0 is the beginning.
    pub(crate) fn goto(&mut self, line: usize, column: usize) {
        let line = line.saturating_sub(1).min(self.lines.count() - 1);
        let text = self.lines.line(line);
        let byte = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        self.moved_to(Pos { line, byte: width::cluster_start(text, byte) });
        self.has_jumped.set(true);
    }

    /// Another text in its place, as one edit that can be taken back.
    pub(crate) fn set_text(&mut self, text: &str) {
        let end = self.lines.end();
        let (line, column) = self.place();
        if self.replace(Pos::default(), end, &lines::plain_ends(text)) {
            self.history.seal();
            self.goto(line, column);
        }
    }
}
