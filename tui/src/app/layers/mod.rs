//! What lies over a screen: questions, forms, menus. The top one gets the keys; Esc closes it.

pub(crate) mod form;
pub(crate) mod menu;
pub(crate) mod palette;
pub(crate) mod picker;
pub(crate) mod prompt;
pub(crate) mod question;
pub(crate) mod reader;

use super::change::Change;
use super::{Key, Place, ScreenId};
use crate::keymap::{Action, Point};
use crate::theme::Look;
use crate::widgets::form::{Form, Values};
use crate::widgets::picker::Picker;
use crate::widgets::reader::Reader;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// A layer.
#[derive(Debug)]
pub(crate) enum Layer {
    /// Something must be decided before changes are made.
    Question(question::Question),
    /// A form of a screen; while its change is under way its number stands here.
    Form { screen: ScreenId, name: &'static str, form: Form, pending: Option<u64> },
    /// A list of a screen to choose from.
    Picker { screen: ScreenId, name: &'static str, picker: Picker },
    /// A text to read.
    Reader(Reader),
    /// Keys of this screen, or what can be done with this thing.
    Menu(menu::Menu),
    /// Screens, things and actions, found by typing.
    Palette(palette::Palette),
    /// The filter, as it is typed.
    Prompt(prompt::Prompt),
}

/// What came of a key for a layer.
#[derive(Debug)]
pub(crate) enum Said {
    /// Nothing more.
    Stay,
    /// It is done with.
    Close,
    /// It was answered: make the changes.
    Confirmed(Vec<Change>),
    /// The form is filled in.
    Submitted(Values),
    /// This was chosen.
    Picked(String),
    /// Close, and do this on the screen.
    Act(Action),
    /// Close, and go there.
    Go(Place),
    /// Close, and do this command of the palette.
    Command(palette::Command),
    /// The filter is this; `true` closes.
    Filter(String, bool),
    /// Put this on the clipboard: what it is, and its text.
    Copy(&'static str, String),
    /// Stay, and say this on the message line.
    Told(String),
}

impl Layer {
    /// Takes a key. `now_ms` is the time by the clock that never jumps.
    pub(super) fn typed(&mut self, key: Key, now_ms: u64) -> Said {
        match self {
            Self::Question(question) => question.typed(key, now_ms),
            Self::Form { form, pending, .. } => form::typed(form, pending.is_some(), key),
            Self::Picker { picker, .. } => picker::typed(picker, key),
            Self::Reader(reader) => reader::typed(reader, key),
            Self::Menu(menu) => menu.typed(key),
            Self::Palette(palette) => palette.typed(key),
            Self::Prompt(prompt) => prompt.typed(key),
        }
    }

    /// Takes a click: a list chooses what it is on, all else takes none.
    pub(super) fn clicked(&mut self, point: Point) -> Said {
        match self {
            Self::Picker { picker, .. } => picker::clicked(picker, point),
            Self::Menu(menu) => menu.clicked(point),
            Self::Palette(palette) => palette.clicked(point),
            _ => Said::Stay,
        }
    }

    /// Takes text that was pasted: only fields do; a question never.
    pub(super) fn pasted(&mut self, text: &str) -> Said {
        match self {
            Self::Form { form, pending: None, .. } => form.pasted(text),
            Self::Picker { picker, .. } => picker.pasted(text),
            Self::Reader(reader) => reader.pasted(text),
            Self::Menu(menu) => menu.pasted(text),
            Self::Palette(palette) => palette.pasted(text),
            Self::Prompt(prompt) => return prompt.pasted(text),
            _ => {}
        }
        Said::Stay
    }

    /// What keys do on it, for the last line.
    pub(super) fn keys(&self) -> &'static str {
        match self {
            Self::Question(question) => question.keys(),
            Self::Form { pending: Some(_), .. } => "Esc close: what was sent goes on",
            Self::Form { .. } => "Tab next  Shift-Tab previous  Enter next, at the end send  Esc leave",
            Self::Picker { .. } => "type to find  Up Down move  Enter choose  Esc leave",
            Self::Reader(_) => "/ find  ] next  w wrap  y copy  i JSON  z bare  g G ends  q close",
            Self::Menu(_) => "Enter or its key  / filter  Esc close",
            Self::Palette(_) => "Enter go  Tab complete  Up recall  Esc close",
            Self::Prompt(_) => "Enter keep  Esc as before  !text: rows without it",
        }
    }

    /// Draws it: over the body of the screen, or on the message line. Answers where the terminal's cursor belongs.
    pub(super) fn view(&self, look: &Look, body: Rect, message_line: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        match self {
            Self::Question(question) => question.view(look, message_line, buf),
            Self::Form { form, pending, .. } => form.view(look, body, buf, pending.is_some()),
            Self::Picker { picker, .. } => picker.view(look, body, buf),
            Self::Reader(reader) => reader.view(look, body, message_line, buf),
            Self::Menu(menu) => menu.view(look, body, message_line, buf),
            Self::Palette(palette) => palette.view(look, body, buf),
            Self::Prompt(prompt) => prompt.view(look, message_line, buf),
        }
    }
}
