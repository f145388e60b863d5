//! The Triggers screen: what starts scripts in all apps, and below it the dead letters of the one that is selected.

mod acts;
mod drafts;
mod forms;
mod letter_acts;
mod letters;
mod load;
mod publish;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod told;

use crate::app::{Answered, Context, Offer, Place, Screen, Slot, StreamEvent};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Look;
use crate::widgets::form::Values;
use crate::widgets::list::List;
use crate::widgets::state::{State, no_match};
use drafts::Drafts;
use letters::Letters;
use picloud_model::audit::AuditEntry;
use picloud_model::scope::Scope;
use picloud_model::trigger::Trigger;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Under so many columns or lines only the pane with the focus is shown.
const BOTH_COLUMNS_MIN: u16 = 72;
const BOTH_LINES_MIN: u16 = 14;

/// What has the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pane {
    /// The list of triggers.
    Triggers,
    /// The letters below it.
    Letters,
}

/// The screen.
#[derive(Debug)]
pub(super) struct Triggers {
    list: List,
    letters: Letters,
    focus: Pane,
    state: State,
    /// Triggers of each app, as they were read.
    apps: BTreeMap<String, Vec<Trigger>>,
    /// How many letters each app has that no trigger led to.
    loose: BTreeMap<String, u64>,
    /// Apps of the pages that were read so far, and triggers of each app.
    new_apps: BTreeSet<String>,
    pages: BTreeMap<String, Vec<Trigger>>,
    /// Apps whose triggers are being read, and when each was read last.
    waiting: BTreeSet<String>,
    read_ms: BTreeMap<String, u64>,
    /// Apps in which something changed.
    dirty: BTreeSet<String>,
    /// The place that was gone to, until it is there; with the letters or not.
    wanted: Option<(String, bool)>,
    editing: Option<acts::Editing>,
    changing: Option<(String, i64)>,
    drafts: Drafts,
    info_next: Value,
    may_not_write: Option<String>,
    zone: jiff::tz::TimeZone,
}

impl Triggers {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self {
            list: List::new(&rows::TRIGGERS),
            letters: Letters::new(),
            focus: Pane::Triggers,
            state: State::default(),
            apps: BTreeMap::new(),
            loose: BTreeMap::new(),
            new_apps: BTreeSet::new(),
            pages: BTreeMap::new(),
            waiting: BTreeSet::new(),
            read_ms: BTreeMap::new(),
            dirty: BTreeSet::new(),
            wanted: None,
            editing: None,
            changing: None,
            drafts: Drafts::default(),
            info_next: Value::Null,
            may_not_write: None,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    fn view_triggers(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if !self.list.is_empty() {
            self.list.view(look, area, buf, self.focus == Pane::Triggers);
        } else if self.apps.values().any(|triggers| !triggers.is_empty()) {
            no_match(look, area, buf, self.list.filter_text());
        } else {
            self.state.view(look, area, buf, "no triggers yet: n makes one");
        }
    }

    fn note(&mut self, cx: &Context<'_>) {
        let of = self.list.selected_id().and_then(letters::Of::row);
        self.may_not_write = cx.facts.refuses(Scope::ScriptWrite, of.as_ref().map(|of| of.app.as_str()));
    }
}

impl Screen for Triggers {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.zone = cx.facts.zone.clone();
        self.drafts.begin(cx);
        cx.follow(load::ACTIVITY, ApiPath::new(&["activity"]));
        if let (Some(app), Some(thing)) = (&place.app, &place.thing) {
            let (name, with_letters) = match thing.strip_suffix("#letters") {
                Some(name) => (name, true),
                None => (thing.as_str(), false),
            };
            self.focus = Pane::Triggers;
            self.list.filter("");
            if with_letters && name.is_empty() {
                self.loose.entry(app.clone()).or_insert(1);
            }
            self.wanted = Some((rows::id(app, name), with_letters));
        }
        if self.state.is_read() {
            self.tell(cx);
        } else {
            self.load(cx);
        }
        self.note(cx);
    }

    fn leave(&mut self) {
        self.waiting.clear();
        self.pages.clear();
        self.new_apps.clear();
        self.dirty.clear();
        self.letters.left();
    }

    fn title(&self, look: &Look) -> String {
        let marked = match self.list.marked() {
            0 => String::new(),
            marked => format!("  {marked} marked"),
        };
        let sorted = self.list.sorted_by().map(|column| format!("  by {column}")).unwrap_or_default();
        let note = self.state.note(&self.zone);
        let count = if self.state.is_read() { format!("[{}]", self.list.len()) } else { String::new() };
        let letters = match self.focus {
            Pane::Letters => format!("  {} {}", look.signs().then, self.letters.told()),
            Pane::Triggers => String::new(),
        };
        format!("{count}{marked}{sorted}{letters}{note}")
    }

    fn offers(&self) -> Vec<Offer> {
        self.offered()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let is_taken = match self.focus {
            Pane::Triggers => self.act_on_triggers(action, cx),
            Pane::Letters => self.act_on_letters(action, cx),
        };
        self.note(cx);
        is_taken
    }

    fn panes(&self) -> u8 {
        2
    }

    fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        match self.focus {
            Pane::Triggers => {
                self.list.filter(text);
                self.rests(cx);
            }
            Pane::Letters => {
                self.letters.list.filter(text);
                self.letters.more(cx);
            }
        }
    }

    fn filter_text(&self) -> &str {
        match self.focus {
            Pane::Triggers => self.list.filter_text(),
            Pane::Letters => self.letters.list.filter_text(),
        }
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        self.came(slot, &answered, cx);
        self.note(cx);
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        self.changed_elsewhere(entry, cx);
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.load(cx);
        self.letters.load(cx);
    }

    fn streamed(&mut self, _slot: &Slot, events: &[StreamEvent], cx: &mut Context<'_>) {
        self.activity(events, cx);
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        match form {
            acts::SPEC => self.spec_filled(values, cx),
            acts::FIRE => self.fire(values, cx),
            letter_acts::LETTER => self.letter_filled(values, cx),
            publish::PUBLISH => Self::publish_filled(values, cx),
            _ => {}
        }
    }

    fn picked(&mut self, picker: &'static str, id: &str, cx: &mut Context<'_>) {
        match id {
            _ if picker == drafts::DRAFT => self.draft_picked(id, cx),
            publish::PUBLISH => self.publish_picked(cx),
            kind => self.kind_picked(kind, cx),
        }
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        match tag {
            publish::PUBLISH => publish::published(answered, cx),
            tables::TABLE | letter_acts::CHANGE_OUTSIDE => self.drafts.answered(answered, cx),
            _ => {}
        }
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) {
        match slot.name {
            load::SOON => self.read_dirty(cx),
            load::RESTS => self.show_letters(cx),
            _ => {}
        }
    }

    fn edited(&mut self, slot: &Slot, text: &str, cx: &mut Context<'_>) {
        match slot.name {
            tables::TABLE => self.table_edited(&slot.of, text, cx),
            letter_acts::CHANGE_OUTSIDE => self.event_edited(&slot.of, text, cx),
            _ => {}
        }
    }

    fn drafts(&self) -> Vec<(String, String)> {
        self.drafts.all()
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let shows_both = self.letters.of.is_some() && area.width >= BOTH_COLUMNS_MIN && area.height >= BOTH_LINES_MIN;
        let below = area.height * 2 / 5;
        let (upper, lower) = match (shows_both, self.focus) {
            (true, _) => {
                let upper = Rect { height: area.height - below, ..area };
                (Some(upper), Some(Rect { y: upper.bottom(), height: below, ..area }))
            }
            (false, Pane::Triggers) => (Some(area), None),
            (false, Pane::Letters) => (None, Some(area)),
        };
        if let Some(upper) = upper {
            self.view_triggers(look, upper, buf);
        }
        if let Some(lower) = lower {
            self.letters.view(look, lower, buf, self.focus == Pane::Letters);
        }
    }

    fn view_zoomed(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        match self.focus {
            Pane::Triggers => self.view_triggers(look, area, buf),
            Pane::Letters => self.letters.view_list(look, area, buf, true),
        }
    }
}
