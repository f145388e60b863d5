//! A form: fields to fill in, one below the other, with what each is for.
//!
//! Tab, Shift-Tab, Up and Down go from field to field; Enter too, and sends the form from its last one or from the word
//! below them. Left, Right or the first letter choose; Space turns a toggle. Esc leaves; where something was typed only
//! the second one does.

mod keys;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use keys::Typed;

use super::editor::{Editor, Language};
use super::input::Input;
use std::cell::Cell;

/// The form.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// What is being made or changed.
    pub(crate) title: String,
    /// What happens when it is sent: `create`, `save`, `run`.
    pub(crate) verb: &'static str,
    /// The fields.
    pub(crate) fields: Vec<Field>,
    /// Which has the focus.
    pub(crate) focus: usize,
    /// Why it was refused, if it was.
    pub(crate) refused: Option<String>,
    /// Whether something was typed since it was opened.
    is_changed: bool,
    /// Whether the next Esc throws away what was typed.
    is_leaving: bool,
    /// First line of the fields that was visible when it was drawn last.
    top: Cell<u16>,
}

/// A field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its name in [`Values`].
    pub(crate) name: &'static str,
    /// What stands before it.
    pub(crate) label: &'static str,
    /// What it is for, shown while it has the focus.
    pub(crate) help: &'static str,
    /// Whether it may not be empty.
    pub(crate) is_needed: bool,
    /// What it takes.
    pub(crate) kind: FieldKind,
    /// What is in it.
    pub(crate) input: Input,
    /// What is in it, where it takes several lines.
    text: Option<Box<Editor>>,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A line.
    Line,
    /// A line that is not shown.
    Secret,
    /// One of these; Left and Right go through them.
    Choice(Vec<String>),
    /// `yes` or `no`; Space turns it.
    Toggle,
    /// Several lines.
    Text,
}

/// What was filled in, by the fields' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values(pub(crate) Vec<(&'static str, String)>);

impl Values {
    /// What is in a field; empty where there is no such field.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value.as_str())
    }

    /// What is in a field, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// Whether a toggle is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name) == "yes"
    }
}

impl Form {
    /// Without fields yet.
    pub(crate) fn new(title: impl Into<String>, verb: &'static str) -> Self {
        Self {
            title: title.into(),
            verb,
            fields: Vec::new(),
            focus: 0,
            refused: None,
            is_changed: false,
            is_leaving: false,
            top: Cell::new(0),
        }
    }

    /// With one more field.
    #[must_use]
    pub(crate) fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// What is filled in.
    pub(crate) fn values(&self) -> Values {
        Values(self.fields.iter().map(|field| (field.name, field.value())).collect())
    }
}

impl Field {
    /// A line, empty.
    pub(crate) fn line(name: &'static str, label: &'static str, help: &'static str) -> Self {
        Self { name, label, help, is_needed: false, kind: FieldKind::Line, input: Input::default(), text: None }
    }

    /// With something in it.
    #[must_use]
    pub(crate) fn with(mut self, value: impl Into<String>) -> Self {
        let value = value.into();
        if self.kind == FieldKind::Text {
            self.text = Some(Box::new(editor(&value)));
        } else {
            self.input = Input::new(value);
        }
        self
    }

    /// That takes something else.
    #[must_use]
    pub(crate) fn kind(mut self, kind: FieldKind) -> Self {
        match &kind {
            FieldKind::Choice(choices) if self.input.text().is_empty() => {
                self.input = Input::new(choices.first().cloned().unwrap_or_default());
            }
            FieldKind::Toggle if self.input.text().is_empty() => self.input = Input::new("no"),
            FieldKind::Text => self.text = Some(Box::new(editor(self.input.text()))),
            _ => {}
        }
        self.kind = kind;
        self
    }

    /// That may not be empty.
    #[must_use]
    pub(crate) fn needed(mut self) -> Self {
        self.is_needed = true;
        self
    }

    /// What is in it.
    pub(crate) fn value(&self) -> String {
        self.text.as_ref().map_or_else(|| self.input.text().to_owned(), |text| text.text())
    }
}

/// For several lines: in the colours of JSON where that is what they are.
fn editor(text: &str) -> Editor {
    let language = if text.trim_start().starts_with(['{', '[', '"']) { Language::Json } else { Language::Plain };
    Editor::new(text, language).without_numbers()
}
