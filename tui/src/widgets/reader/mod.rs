//! A long text to read: info, a difference, a letter, help. Scrolls, wraps, finds, copies.

mod keys;
mod rows;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use keys::Typed;

use super::input::Input;
use crate::theme::Ink;
use rows::Rows;
use serde_json::Value;
use std::cell::{Cell, RefCell};

/// The text.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// What it is about.
    pub(crate) title: String,
    /// Its lines, each in parts with a meaning.
    pub(crate) lines: Vec<Vec<(Ink, String)>>,
    /// The same as JSON, for `i` again and for copying.
    pub(crate) json: Option<Value>,
    /// The first row that is shown.
    pub(crate) top: usize,
    /// Whether long lines are wrapped.
    pub(crate) wraps: bool,
    /// What is looked for in it.
    pub(crate) needle: String,
    /// What is being typed to look for.
    looking: Option<Input>,
    /// The lines of the JSON, while that is what is shown.
    as_json: Option<Vec<Vec<(Ink, String)>>>,
    /// Whether it is shown without title: for the terminal's own selection.
    is_bare: bool,
    /// The first column that is shown of lines that are not wrapped.
    left: usize,
    /// The lines as they were broken when it was drawn last.
    rows: RefCell<Rows>,
    /// How many rows there were room for then.
    height: Cell<usize>,
}

impl Reader {
    /// Plain lines.
    pub(crate) fn new(title: impl Into<String>, text: &str) -> Self {
        let lines = text.lines().map(|line| vec![(Ink::Plain, line.to_owned())]).collect();
        Self::of(title, lines)
    }

    /// Lines in parts.
    pub(crate) fn of(title: impl Into<String>, lines: Vec<Vec<(Ink, String)>>) -> Self {
        Self {
            title: title.into(),
            lines,
            json: None,
            top: 0,
            wraps: true,
            needle: String::new(),
            looking: None,
            as_json: None,
            is_bare: false,
            left: 0,
            rows: RefCell::default(),
            height: Cell::new(1),
        }
    }

    /// With the same as JSON.
    #[must_use]
    pub(crate) fn json(mut self, value: Value) -> Self {
        self.json = Some(value);
        self
    }

    /// The lines that are shown.
    fn shown(&self) -> &[Vec<(Ink, String)>] {
        self.as_json.as_deref().unwrap_or(&self.lines)
    }

    /// All of what is shown, as text.
    pub(crate) fn text(&self) -> String {
        let line = |line: &Vec<(Ink, String)>| line.iter().map(|(_, part)| part.as_str()).collect::<String>() + "\n";
        self.shown().iter().map(line).collect()
    }
}
