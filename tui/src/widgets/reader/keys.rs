//! What keys do to a text that is read: those of the table, with the same meaning as everywhere.

use super::Reader;
use super::rows::Row;
use crate::app::key::Key;
use crate::keymap::{Action, action_of};
use crate::theme::Ink;
use crate::widgets::input::Input;

/// Columns that Left and Right move by.
const SIDE_COLUMNS: usize = 8;

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Nothing more.
    Stay,
    /// Close it.
    Close,
    /// Copy this: what it is, and its text.
    Copy(&'static str, String),
}

impl Reader {
    /// Takes a key.
    pub(crate) fn typed(&mut self, key: Key) -> Typed {
        if self.looking.is_some() {
            self.look(key);
            return Typed::Stay;
        }
        let page = self.height.get().saturating_sub(1).max(1);
        match action_of(key) {
            Some(Action::Back) if self.is_bare => self.is_bare = false,
            Some(Action::Back) if !self.needle.is_empty() => self.needle.clear(),
            Some(Action::Back | Action::Quit | Action::Cancel) => return Typed::Close,
            Some(Action::Up) => self.top = self.top.saturating_sub(1),
            Some(Action::Down) => self.top += 1,
            Some(Action::PageUp) => self.top = self.top.saturating_sub(page),
            Some(Action::PageDown | Action::Mark) => self.top += page,
            Some(Action::Top) => self.top = 0,
            Some(Action::Bottom) => self.top = usize::MAX,
            Some(Action::Left) => self.left = self.left.saturating_sub(SIDE_COLUMNS),
            Some(Action::Right) if !self.wraps => self.left += SIDE_COLUMNS,
            Some(Action::NextHit) => self.go_to_hit(true),
            Some(Action::PreviousHit) => self.go_to_hit(false),
            Some(Action::Filter) => self.looking = Some(Input::new(&self.needle)),
            Some(Action::Wrap) => {
                self.wraps = !self.wraps;
                (self.left, self.top) = (0, 0);
            }
            Some(Action::Zoom) => self.is_bare = !self.is_bare,
            Some(Action::Info) => self.turn_to_json(),
            Some(Action::Copy) => {
                let what = if self.as_json.is_some() { "the JSON" } else { "the text" };
                return Typed::Copy(what, self.text());
            }
            _ => {}
        }
        self.top = self.top.min(self.last_top());
        Typed::Stay
    }

    /// Takes text, where something is being looked for.
    pub(crate) fn pasted(&mut self, pasted: &str) {
        if let Some(input) = &mut self.looking {
            input.insert(pasted);
        }
    }

    fn look(&mut self, key: Key) {
        let Some(input) = &mut self.looking else { return };
        match key {
            Key::Enter => {
                self.needle = input.text().to_lowercase();
                self.looking = None;
                if !self.row_has(self.top) {
                    self.go_to_hit(true);
                }
            }
            Key::Esc | Key::Ctrl('c') => self.looking = None,
            other => {
                input.typed(other);
            }
        }
    }

    fn turn_to_json(&mut self) {
        let Some(value) = &self.json else { return };
        (self.top, self.left) = (0, 0);
        self.as_json = match self.as_json.take() {
            Some(_) => None,
            None => Some(format!("{value:#}").lines().map(|line| vec![(Ink::Plain, line.to_owned())]).collect()),
        };
        // The rows are made for the other lines.
        *self.rows.borrow_mut() = super::Rows::default();
    }

    /// To the next or previous row with what is looked for; without that, to the next change or error.
    fn go_to_hit(&mut self, forward: bool) {
        let count = self.rows.borrow().rows.len();
        let found = if forward {
            (self.top + 1..count).find(|row| self.row_has(*row))
        } else {
            (0..self.top.min(count)).rev().find(|row| self.row_has(*row))
        };
        self.top = found.unwrap_or(self.top);
    }

    fn row_has(&self, row: usize) -> bool {
        let rows = &self.rows.borrow().rows;
        let Some(at) = rows.get(row) else { return false };
        if self.needle.is_empty() {
            return stands_out(at)
                && row.checked_sub(1).and_then(|row| rows.get(row)).is_none_or(|row| !stands_out(row));
        }
        at.iter().map(|(_, part)| part.as_str()).collect::<String>().to_lowercase().contains(&self.needle)
    }

    fn last_top(&self) -> usize {
        self.rows.borrow().rows.len().saturating_sub(self.height.get())
    }
}

/// Whether a row is part of a difference, or says what is wrong.
fn stands_out(row: &Row) -> bool {
    row.iter().any(|(ink, _)| matches!(ink, Ink::Added | Ink::Removed | Ink::Bad))
}
