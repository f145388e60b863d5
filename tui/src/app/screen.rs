//! What a screen is: its state, what keys do to it, and how it looks. Pure: what it wants done goes through
//! [`Context`], what comes of it comes back as a call.

use super::context::Context;
use super::key::Key;
use super::msg::{StreamEvent, StreamState};
use super::request::Answered;
use super::{Place, Slot};
use crate::keymap::Action;
use crate::theme::Look;
use crate::widgets::form::Values;
use picloud_model::audit::AuditEntry;
use picloud_model::problem::Problem;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The screens, in the order of their keys 1 to 9 and 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ScreenId {
    /// What needs a person, nodes, the last hour.
    Home,
    /// Machines.
    Nodes,
    /// Apps.
    Apps,
    /// Scripts and modules.
    Scripts,
    /// URLs.
    Routes,
    /// Schedules and reactions, with dead letters.
    Triggers,
    /// Keys and values.
    Kv,
    /// Files.
    Files,
    /// Executions and logs.
    Runs,
    /// Keys, tokens, secrets, backup, audit, limits, theme.
    Settings,
}

impl ScreenId {
    /// All of them, in the order of their keys.
    pub(crate) const ALL: &[Self] = &[
        Self::Home,
        Self::Nodes,
        Self::Apps,
        Self::Scripts,
        Self::Routes,
        Self::Triggers,
        Self::Kv,
        Self::Files,
        Self::Runs,
        Self::Settings,
    ];

    /// The name in titles, the palette and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::Nodes => "Nodes",
            Self::Apps => "Apps",
            Self::Scripts => "Scripts",
            Self::Routes => "Routes",
            Self::Triggers => "Triggers",
            Self::Kv => "KV",
            Self::Files => "Files",
            Self::Runs => "Runs",
            Self::Settings => "Settings",
        }
    }
}

/// Something that can be done on a screen now, for the footer, `?` and `a`. What cannot be done says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The action; its key comes from the table.
    pub(crate) action: Action,
    /// In a word or two: `approve`, `replay 3 letters`.
    pub(crate) word: String,
    /// Why it is not possible now, if it is not.
    pub(crate) refused: Option<String>,
}

impl Offer {
    /// Possible.
    pub(crate) fn new(action: Action, word: impl Into<String>) -> Self {
        Self { action, word: word.into(), refused: None }
    }

    /// Not possible where there is a reason.
    #[must_use]
    pub(crate) fn unless(mut self, why_not: Option<impl Into<String>>) -> Self {
        self.refused = why_not.map(Into::into);
        self
    }
}

/// A screen. Screens live as long as the program: whoever comes back finds list, filter and selection as they were.
pub(crate) trait Screen {
    /// It is shown from now on, at this place of its own if one is named: load what is missing, follow what is live.
    /// Data that is there is shown meanwhile.
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>);

    /// It is not shown any more: what it follows is ended by the shell.
    fn leave(&mut self) {}

    /// What stands in line 2 after the screen's name: `> kitchen > hello  draft of v41`, `[7]  kind:all`.
    fn title(&self, look: &Look) -> String;

    /// What can be done here now, most used first. The shell adds what is the same everywhere.
    fn offers(&self) -> Vec<Offer>;

    /// A key of the table that is not the shell's; only what [`Self::offers`] or moves. Answers whether it was for this
    /// screen: a `Back` that is not closes nothing here, so the shell goes a level up.
    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool;

    /// Panes that Tab goes through and that are drawn at once: a click is for the one that it is on.
    fn panes(&self) -> u8 {
        1
    }

    /// Whether keys are text now: an editor or a field has the focus. Then all keys but F1 and Ctrl ones come to
    /// [`Self::typed`].
    fn is_typing(&self) -> bool {
        false
    }

    /// A key while typing.
    fn typed(&mut self, _key: Key, _cx: &mut Context<'_>) {}

    /// Text that was pasted while typing.
    fn pasted(&mut self, _text: &str, _cx: &mut Context<'_>) {}

    /// A filter that was typed after `/`, as it is typed; empty for none.
    fn filter(&mut self, _text: &str, _cx: &mut Context<'_>) {}

    /// The filter in force, empty for none; shown in the title by the shell.
    fn filter_text(&self) -> &str {
        ""
    }

    /// A load of this screen ended.
    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>);

    /// A change of this screen was made, or refused; the shell has told the person, and keeps the undo.
    fn changed(&mut self, _tag: &'static str, _answered: &Answered, _cx: &mut Context<'_>) {}

    /// Somebody changed something, here or elsewhere: reload what shows it.
    fn watched(&mut self, _entry: &AuditEntry, _cx: &mut Context<'_>) {}

    /// What is shown may be older than the appliance remembers changes: load everything anew. Also `r`.
    fn reload(&mut self, cx: &mut Context<'_>);

    /// Events of a stream of this screen.
    fn streamed(&mut self, _slot: &Slot, _events: &[StreamEvent], _cx: &mut Context<'_>) {}

    /// How a stream of this screen is.
    fn stream_state(&mut self, _slot: &Slot, _state: &StreamState, _cx: &mut Context<'_>) {}

    /// A form that this screen opened under that name was filled in.
    fn submitted(&mut self, _form: &'static str, _values: &Values, _cx: &mut Context<'_>) {}

    /// One of the things of a picker that this screen opened under that name was chosen.
    fn picked(&mut self, _picker: &'static str, _id: &str, _cx: &mut Context<'_>) {}

    /// The time that [`Context::later`] asked for came.
    fn due(&mut self, _slot: &Slot, _cx: &mut Context<'_>) {}

    /// `$EDITOR` ended.
    fn edited(&mut self, _slot: &Slot, _text: &str, _cx: &mut Context<'_>) {}

    /// A file was sent or saved, or not.
    fn transferred(&mut self, _slot: &Slot, _answered: &Answered, _cx: &mut Context<'_>) {}

    /// Texts that are not saved anywhere else: (id, text). Written down when the line drops.
    fn drafts(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Draws itself. Marks the rows that stand for the cursor with `>` in their first column.
    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer);

    /// Draws the pane with the focus alone, without bars and rules: for the terminal's own selection. The whole screen
    /// where there is only one.
    fn view_zoomed(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.view(look, area, buf);
    }

    /// Where the terminal's cursor is while typing, in what [`Self::view`] or [`Self::view_zoomed`] drew.
    fn cursor(&self, _area: Rect, _is_zoomed: bool) -> Option<(u16, u16)> {
        None
    }

    /// Why this screen has nothing to show, if loading failed: the shell shows it in place of the screen where there is
    /// no older data.
    fn problem(&self) -> Option<&Problem> {
        None
    }
}
