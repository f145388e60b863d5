//! Asking before something is lost. Keys that were on their way before the question could be read never answer it.

use super::Said;
use crate::app::Key;
use crate::app::change::{Change, Danger};
use crate::app::screen::ScreenId;
use crate::theme::{Ink, Look};
use crate::widgets::input::Input;
use crate::widgets::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Keys within this time after the question was drawn are thrown away: they were typed before it could be read.
const TYPE_AHEAD_MS: u64 = 300;

/// A question.
#[derive(Debug)]
pub(crate) struct Question {
    /// Whose changes these are.
    pub(crate) screen: ScreenId,
    changes: Vec<Change>,
    danger: Danger,
    typed: Input,
    /// When it takes keys; absent until it was drawn.
    ready_at_ms: Option<u64>,
}

impl Question {
    /// Asks before these are made, if their danger says so; else gives them back.
    pub(crate) fn before(screen: ScreenId, changes: Vec<Change>) -> Result<Self, Vec<Change>> {
        let Some(danger) = changes.iter().map(|change| &change.danger).find(|danger| **danger != Danger::None) else {
            return Err(changes);
        };
        Ok(Self { screen, danger: danger.clone(), changes, typed: Input::default(), ready_at_ms: None })
    }

    /// It can be read from now on.
    pub(crate) fn drawn(&mut self, now_ms: u64) {
        self.ready_at_ms.get_or_insert(now_ms + TYPE_AHEAD_MS);
    }

    /// Takes a key.
    pub(super) fn typed(&mut self, key: Key, now_ms: u64) -> Said {
        if self.ready_at_ms.is_none_or(|ready| now_ms < ready) {
            return Said::Stay;
        }
        match &self.danger {
            Danger::Many { word, .. } => match key {
                Key::Enter if self.typed.text().trim() == word => Said::Confirmed(std::mem::take(&mut self.changes)),
                Key::Esc | Key::Ctrl('c') | Key::Enter => Said::Close,
                other => {
                    self.typed.typed(other);
                    Said::Stay
                }
            },
            _ if key == Key::Char('y') => Said::Confirmed(std::mem::take(&mut self.changes)),
            _ => Said::Close,
        }
    }

    /// What keys do, for the last line. Enter never confirms.
    pub(crate) fn keys(&self) -> &'static str {
        match self.danger {
            Danger::Many { .. } => "type the word, then Enter  Esc keeps everything",
            _ => "y does it  any other key keeps everything",
        }
    }

    /// Whether a word has to be typed.
    #[cfg(test)]
    pub(crate) fn needs_word(&self) -> bool {
        matches!(self.danger, Danger::Many { .. })
    }

    /// Whether a key would be taken at this time.
    #[cfg(test)]
    pub(crate) fn is_ready(&self, now_ms: u64) -> bool {
        self.ready_at_ms.is_some_and(|ready| now_ms >= ready)
    }

    /// Draws it on the message line; the key that confirms is never the key that asked.
    pub(super) fn view(&self, look: &Look, line: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let (question, keys) = match &self.danger {
            Danger::None => return None,
            Danger::One { verb, question } => (question, format!("[y] {verb}  [other key] keep")),
            Danger::Many { verb, question, word } => (question, format!("type {word} to {verb}, Esc keeps: ")),
        };
        let width = usize::from(line.width);
        let needs_word = matches!(self.danger, Danger::Many { .. });
        let keys_room = text::width(&keys) + if needs_word { 12 } else { 1 };
        let room = width.saturating_sub(keys_room + 2).max(width / 3);
        let question = text::cut(&text::clean(question), room, look.signs().more);
        let x = text::put(buf, line, (line.x + 1, line.y), &question, room, look.ink(Ink::Bad));
        let x = text::put(buf, line, (x.saturating_add(2), line.y), &keys, width, look.ink(Ink::Strong));
        if !needs_word {
            return None;
        }
        let field = Rect { x: x.min(line.right()), width: line.right().saturating_sub(x), ..line };
        Some(self.typed.view(look, field, buf, false))
    }
}
