//! One line of text that is being typed.

use super::text;
use crate::app::key::Key;
use crate::theme::{Ink, Look};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

/// Longest line that is taken, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    text: String,
    /// In bytes, between two clusters.
    cursor: usize,
}

impl Input {
    /// With text, and the cursor at its end.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    /// What was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Takes a key; answers whether it was one for a line of text.
    pub(crate) fn typed(&mut self, key: Key) -> bool {
        match key {
            Key::Char(letter) => {
                self.insert(letter.encode_utf8(&mut [0; 4]));
            }
            Key::Backspace => {
                let from = self.before();
                self.text.replace_range(from..self.cursor, "");
                self.cursor = from;
            }
            Key::Delete => {
                let to = self.after();
                self.text.replace_range(self.cursor..to, "");
            }
            Key::Left => self.cursor = self.before(),
            Key::Right => self.cursor = self.after(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::Ctrl('u') => {
                self.text.replace_range(..self.cursor, "");
                self.cursor = 0;
            }
            _ => return false,
        }
        true
    }

    /// Takes text; its line ends become blanks. Answers whether there was room for it.
    pub(crate) fn insert(&mut self, pasted: &str) -> bool {
        let pasted = pasted.replace("\r\n", " ").replace(['\r', '\n'], " ");
        let fits = self.text.len() + pasted.len() <= LINE_BYTES_MAX;
        if fits {
            self.text.insert_str(self.cursor, &pasted);
            self.cursor += pasted.len();
        }
        fits
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.cursor..].graphemes(true).next().map_or(self.cursor, |cluster| self.cursor + cluster.len())
    }

    /// Draws the part around the cursor; answers where the terminal's cursor belongs. Shows blobs for a secret.
    pub(crate) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, is_secret: bool) -> (u16, u16) {
        let shown = |part: &str| if is_secret { "*".repeat(part.graphemes(true).count()) } else { text::clean(part) };
        let before = shown(&self.text[..self.cursor]);
        let room = usize::from(area.width).saturating_sub(1);
        let mut skipped = 0;
        let mut visible = before.as_str();
        while text::width(visible) > room {
            let first = visible.graphemes(true).next().map_or(visible.len(), str::len);
            skipped += first;
            visible = &before[skipped..];
        }
        let x = text::put(buf, area, (area.x, area.y), visible, room, look.ink(Ink::Plain));
        let rest = usize::from(area.right().saturating_sub(x));
        text::put(buf, area, (x, area.y), &shown(&self.text[self.cursor..]), rest, look.ink(Ink::Plain));
        (x, area.y)
    }
}
