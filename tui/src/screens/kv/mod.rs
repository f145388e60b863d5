//! The KV screen: a tree of apps, collections and keys, and the value of the one with the cursor, read as they are looked at.

mod actions;
mod arrivals;
mod bulk;
mod edit;
mod editing;
mod export;
mod line_target;
mod lines;
mod looks;
mod reads;
mod sharing;
mod shelf;
mod touched;
mod tree;
mod tree_line;
mod value;
mod writes;

#[cfg(test)]
mod tests;

use crate::app::{Answered, Context, Key, Offer, Place, Screen, Slot};
use crate::keymap::Action;
use crate::theme::Look;
use crate::widgets::form::Values;
use crate::widgets::split::Split;
use crate::widgets::state::State;
use edit::Edit;
use lines::Target;
use picloud_model::audit::AuditEntry;
use picloud_model::problem::Problem;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use shelf::Shelf;
use std::collections::BTreeSet;
use tree::Tree;
use value::Value;

/// The screen.
#[derive(Debug, Default)]
pub(super) struct Kv {
    /// How the list of apps is.
    apps: State,
    shelf: Shelf,
    tree: Tree,
    value: Value,
    /// The value before, shown until the one with the cursor is read, or that takes long.
    shadow: Option<Value>,
    /// What was asked for while the value was being read, and is done once it is there.
    wants: Option<Action>,
    /// The key whose value was asked for last.
    asked: Option<Target>,
    /// Whether moves are the value's and not the tree's.
    is_reading: bool,
    edit: Option<Edit>,
    /// What they stored while this was edited; absent inside: the key is gone.
    conflict: Option<Option<shelf::Listed>>,
    /// What is being counted before it is deleted.
    counting: Option<bulk::Counting>,
    /// The key that was just stored anew, until it is shown; the one that is asked about before it is deleted.
    stored: Option<Target>,
    deleting: Option<Target>,
    /// Where to go once enough is known.
    wanted: Option<Place>,
    /// Pages that may be read before the next key.
    ahead: u8,
    /// Keys that others changed, to be read soon; and apps whose counts are.
    touched: BTreeSet<Target>,
    counts_wanted: BTreeSet<String>,
    /// Drafts that are kept, by id.
    drafts: BTreeSet<String>,
    /// Why nothing may be changed in the app with the cursor.
    why_not: Option<String>,
}

impl Kv {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// What is known of the person, as far as offers and looks need it.
    fn learn(&mut self, cx: &Context<'_>) {
        let app = self.tree.selected().map(Target::app);
        self.why_not = cx.facts.refuses(picloud_model::scope::Scope::ScriptWrite, app);
        if !self.drafts.iter().eq(cx.facts.drafts.keys().filter(|id| id.starts_with("kv:"))) {
            self.drafts = cx.facts.drafts.keys().filter(|id| id.starts_with("kv:")).cloned().collect();
        }
    }
}

impl Screen for Kv {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.learn(cx);
        self.ahead = reads::AHEAD_PAGES;
        if place.app.is_some() {
            self.keep_draft(true, cx);
            self.edit = None;
            self.wanted = Some(place.clone());
        }
        if self.apps.is_read() {
            self.arrive(cx);
            // What was on its way when the screen was left does not come any more.
            self.resume_loads(cx);
            self.settle(cx);
        } else {
            self.load_apps(cx);
        }
    }

    fn leave(&mut self) {
        if let Some(edit) = &mut self.edit {
            edit.is_typing = false;
        }
    }

    fn title(&self, look: &Look) -> String {
        self.title_text(look)
    }

    fn offers(&self) -> Vec<Offer> {
        self.offered()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        self.ahead = reads::AHEAD_PAGES;
        self.stored = None;
        let is_taken = self.acted(action, cx);
        self.settle(cx);
        self.learn(cx);
        is_taken
    }

    fn panes(&self) -> u8 {
        2
    }

    fn is_typing(&self) -> bool {
        self.edit.as_ref().is_some_and(|edit| edit.is_typing)
    }

    fn typed(&mut self, key: Key, cx: &mut Context<'_>) {
        self.typed_in_edit(key, cx);
    }

    fn pasted(&mut self, text: &str, cx: &mut Context<'_>) {
        if let Some(edit) = &mut self.edit {
            edit.pasted(text);
            cx.later("draft", editing::KEEP_MS);
        }
    }

    fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        self.ahead = reads::AHEAD_PAGES;
        self.filtered(text, cx);
        self.learn(cx);
    }

    fn filter_text(&self) -> &str {
        self.tree.filter_text()
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        match slot.name {
            "apps" => self.apps_came(&answered, cx),
            "collections" => self.collections_came(&slot.of, answered, cx),
            "page" => self.page_came(&slot.of, answered, cx),
            "value" => self.value_came(answered, cx),
            "entry" => self.entry_came(&slot.of, answered, cx),
            "conflict" => self.conflict_came(answered, cx),
            "count" => self.count_came(answered, cx),
            _ => {}
        }
        self.learn(cx);
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        self.was_changed(tag, answered, cx);
        self.learn(cx);
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        self.touched(entry, cx);
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.ahead = reads::AHEAD_PAGES;
        self.reload_all(cx);
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        match form {
            "new" => self.submitted_new(values, cx),
            _ => self.submitted_export(values, cx),
        }
    }

    fn picked(&mut self, picker: &'static str, id: &str, cx: &mut Context<'_>) {
        match picker {
            "copy" => self.picked_copy(id, cx),
            "conflict" => self.picked_conflict(id, cx),
            "draft" => self.picked_draft(id, cx),
            _ => {}
        }
        self.settle(cx);
        self.learn(cx);
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) {
        match slot.name {
            "rest" => self.rested(cx),
            "shadow" => self.shadow = None,
            "touched" => self.read_touched(cx),
            "prefix" => self.read_prefix(cx),
            "draft" => self.keep_draft(false, cx),
            "after" => self.reload_all(cx),
            _ => {}
        }
        self.learn(cx);
    }

    fn edited(&mut self, slot: &Slot, text: &str, cx: &mut Context<'_>) {
        if slot.name == "outside" {
            self.edited_outside(&slot.of, text, cx);
            self.learn(cx);
        }
    }

    fn transferred(&mut self, _slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        export::ended(answered, cx);
    }

    fn drafts(&self) -> Vec<(String, String)> {
        self.edit.iter().filter_map(Edit::draft).filter(|(_, text)| !text.is_empty()).collect()
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.draw(look, area, buf);
    }

    fn view_zoomed(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.draw_pane(look, area, buf);
    }

    fn cursor(&self, area: Rect, is_zoomed: bool) -> Option<(u16, u16)> {
        let pane = if is_zoomed { area } else { Split::of(area, self.shows_value()).thing };
        self.edit.as_ref()?.cursor(pane)
    }

    fn problem(&self) -> Option<&Problem> {
        self.apps.problem()
    }
}
