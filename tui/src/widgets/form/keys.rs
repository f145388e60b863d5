//! What keys do to a form.

use super::{Field, FieldKind, Form};
use crate::app::key::Key;
use crate::widgets::input::Input;

/// What came of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Nothing more.
    Stay,
    /// Close it; what was typed goes.
    Leave,
    /// Send it.
    Submit,
}

impl Form {
    /// Takes a key.
    pub(crate) fn typed(&mut self, key: Key) -> Typed {
        let was_leaving = std::mem::take(&mut self.is_leaving);
        match key {
            Key::Esc | Key::Ctrl('c') if was_leaving || !self.is_changed => return Typed::Leave,
            Key::Esc | Key::Ctrl('c') => self.is_leaving = true,
            Key::Tab => self.focus = (self.focus + 1) % (self.fields.len() + 1),
            Key::BackTab => self.focus = self.focus.checked_sub(1).unwrap_or(self.fields.len()),
            Key::Enter if self.takes_enter() => self.key_to_field(key),
            Key::Enter if self.focus + 1 < self.fields.len() => self.focus += 1,
            Key::Enter => return self.submit(),
            Key::Up | Key::Down if !self.moves_within(key) => self.move_focus(key == Key::Down),
            other => self.key_to_field(other),
        }
        Typed::Stay
    }

    /// Takes text for the field with the focus.
    pub(crate) fn pasted(&mut self, pasted: &str) {
        self.is_leaving = false;
        let Some(field) = self.fields.get_mut(self.focus) else { return };
        let is_taken = match (&mut field.text, &field.kind) {
            (Some(text), _) => {
                text.insert(pasted);
                !text.is_full()
            }
            (None, FieldKind::Line | FieldKind::Secret) => field.input.insert(pasted),
            _ => return,
        };
        self.is_changed = true;
        if !is_taken {
            self.refused = Some(format!("{} would be too long: the pasted text was not taken", field.label));
        }
    }

    /// Sends it, unless a field that is needed is empty: then the focus goes there.
    fn submit(&mut self) -> Typed {
        let missing = self.fields.iter().position(|field| field.is_needed && field.value().trim().is_empty());
        let Some(missing) = missing else { return Typed::Submit };
        self.refused = Some(format!("{} is needed", self.fields[missing].label));
        self.focus = missing;
        Typed::Stay
    }

    fn takes_enter(&self) -> bool {
        self.fields.get(self.focus).is_some_and(|field| field.kind == FieldKind::Text)
    }

    /// Whether an arrow stays in the field: there are lines above or below its cursor.
    fn moves_within(&self, key: Key) -> bool {
        let text = self.fields.get(self.focus).and_then(|field| field.text.as_ref());
        text.is_some_and(|text| match key {
            Key::Up => text.place().0 > 1,
            _ => text.place().0 < text.line_count(),
        })
    }

    fn move_focus(&mut self, down: bool) {
        self.focus = if down { (self.focus + 1).min(self.fields.len()) } else { self.focus.saturating_sub(1) };
    }

    fn key_to_field(&mut self, key: Key) {
        let Some(field) = self.fields.get_mut(self.focus) else { return };
        let before = field.text.as_ref().map_or(0, |text| text.revision());
        let had = field.input.text().to_owned();
        field.typed(key);
        let after = field.text.as_ref().map_or(0, |text| text.revision());
        self.is_changed |= before != after || had != field.input.text();
    }
}

impl Field {
    fn typed(&mut self, key: Key) {
        match (&self.kind, &mut self.text) {
            (FieldKind::Text, Some(text)) => {
                text.typed(key);
            }
            (FieldKind::Choice(choices), _) => {
                let at = choices.iter().position(|choice| choice == self.input.text());
                if let Some(chosen) = chosen(choices, at, key) {
                    self.input = Input::new(choices[chosen].clone());
                }
            }
            (FieldKind::Toggle, _) => {
                let is_on = self.input.text() == "yes";
                let turned = match key {
                    Key::Char(' ') | Key::Left | Key::Right => !is_on,
                    Key::Char('y' | 'Y') => true,
                    Key::Char('n' | 'N') => false,
                    _ => is_on,
                };
                self.input = Input::new(if turned { "yes" } else { "no" });
            }
            _ => {
                self.input.typed(key);
            }
        }
    }
}

/// The choice a key leads to: its neighbours by arrows and Space, the next that begins so by a letter.
fn chosen(choices: &[String], at: Option<usize>, key: Key) -> Option<usize> {
    let count = choices.len();
    if count == 0 {
        return None;
    }
    let at = at.unwrap_or(0);
    match key {
        Key::Left => Some((at + count - 1) % count),
        Key::Right | Key::Char(' ') => Some((at + 1) % count),
        Key::Home => Some(0),
        Key::End => Some(count - 1),
        Key::Char(letter) => {
            let begins = |index: &usize| {
                choices[*index].chars().next().is_some_and(|first| first.to_lowercase().eq(letter.to_lowercase()))
            };
            (1..=count).map(|step| (at + step) % count).find(begins)
        }
        _ => None,
    }
}
