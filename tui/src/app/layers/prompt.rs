//! `/`: the filter, as it is typed.

use super::Said;
use crate::app::Key;
use crate::theme::{Ink, Look};
use crate::widgets::input::Input;
use crate::widgets::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The line.
#[derive(Debug)]
pub(crate) struct Prompt {
    input: Input,
    before: String,
}

impl Prompt {
    /// With the filter that is in force.
    pub(crate) fn new(filter: &str) -> Self {
        Self { input: Input::new(filter), before: filter.to_owned() }
    }

    /// Takes a key: Enter keeps, Esc puts back what was.
    pub(super) fn typed(&mut self, key: Key) -> Said {
        match key {
            Key::Enter => Said::Filter(self.input.text().to_owned(), true),
            Key::Esc | Key::Ctrl('c') => Said::Filter(self.before.clone(), true),
            other if self.input.typed(other) => Said::Filter(self.input.text().to_owned(), false),
            _ => Said::Stay,
        }
    }

    /// Takes text.
    pub(super) fn pasted(&mut self, pasted: &str) -> Said {
        self.input.insert(pasted);
        Said::Filter(self.input.text().to_owned(), false)
    }

    /// Draws it on the message line.
    pub(super) fn view(&self, look: &Look, line: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let x = text::put(buf, line, (line.x + 1, line.y), "/", 1, look.ink(Ink::Strong));
        let field = Rect { x: x.min(line.right()), width: line.right().saturating_sub(x), ..line };
        Some(self.input.view(look, field, buf, false))
    }
}
