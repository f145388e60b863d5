//! The Files screen: apps and their collections, the files of one, and what is in the file with the cursor.

mod actions;
mod collections;
mod forms;
mod looks;
mod preview;
mod removal;
mod sharing;
mod table;

#[cfg(test)]
mod tests;

use crate::app::{Answered, Context, Offer, Place, Screen, Slot};
use crate::keymap::Action;
use crate::theme::Look;
use crate::widgets::form::Values;
use crate::widgets::state::State;
use collections::Shelf;
use picloud_model::audit::AuditEntry;
use picloud_model::file::File;
use picloud_model::problem::Problem;
use picloud_model::scope::Scope;
use preview::Preview;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use table::Table;

/// The screen.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// How the list of apps is.
    apps: State,
    shelf: Shelf,
    /// The collection one is in, with its files.
    table: Option<Table>,
    preview: Preview,
    /// Whether moves are the preview's and not the list's.
    is_reading: bool,
    /// What is being sent or saved.
    transfer: Option<&'static str>,
    /// Where it is saved.
    saved_to: String,
    /// The collection whose files are counted before they go.
    emptying: Option<(String, String)>,
    /// Where to go once enough is known.
    wanted: Option<Place>,
    /// Why nothing may be changed in the app with the cursor; why nothing may be swept.
    why_not: Option<String>,
    why_not_sweep: Option<String>,
    /// Whether paths are those of the appliance, which the person sits far from.
    is_far: bool,
}

impl Files {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// What is known of the person, as far as offers need it.
    fn learn(&mut self, cx: &Context<'_>) {
        let app = self.place().map(|(app, _)| app.to_owned());
        self.why_not = cx.facts.refuses(Scope::ScriptWrite, app.as_deref());
        self.why_not_sweep = cx.facts.refuses(Scope::InstanceAdmin, None);
        self.is_far = cx.facts.caps.in_ssh;
    }

    /// The app, and the collection if there is one, that one is in or on.
    fn place(&self) -> Option<(&str, Option<&str>)> {
        match &self.table {
            Some(table) => Some((&table.app, Some(&table.collection))),
            None => self.shelf.selected(),
        }
    }

    /// The file with the cursor.
    fn selected(&self) -> Option<&File> {
        self.table.as_ref()?.selected()
    }
}

impl Screen for Files {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        if place.app.is_some() {
            self.wanted = Some(place.clone());
        }
        if self.apps.is_read() {
            self.arrive(cx);
            self.resume_loads(cx);
            self.settle(cx);
        } else {
            self.load_apps(cx);
        }
        self.learn(cx);
    }

    fn title(&self, look: &Look) -> String {
        self.title_text(look)
    }

    fn offers(&self) -> Vec<Offer> {
        self.offered()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        if let Some(table) = &mut self.table {
            table.ahead = table::AHEAD_PAGES;
        }
        let is_taken = self.acted(action, cx);
        self.settle(cx);
        self.learn(cx);
        is_taken
    }

    fn panes(&self) -> u8 {
        if self.table.is_some() { 2 } else { 1 }
    }

    fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        match &mut self.table {
            Some(table) => {
                table.set_filter(text);
                cx.later("prefix", table::PREFIX_MS);
            }
            None => self.shelf.list.filter(text),
        }
        self.settle(cx);
    }

    fn filter_text(&self) -> &str {
        match &self.table {
            Some(table) => &table.filter,
            None => self.shelf.list.filter_text(),
        }
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        match slot.name {
            "apps" => self.apps_came(&answered, cx),
            "collections" => self.collections_came(&slot.of, answered, cx),
            "page" => self.page_came(answered, cx),
            "preview" => self.preview_came(answered),
            "sweep" => self.sweep_came(answered, cx),
            "empty" => self.count_came(answered, cx),
            _ => {}
        }
        self.learn(cx);
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        self.was_changed(tag, answered, cx);
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        self.touched(entry, cx);
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.reload_all(cx);
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        match form {
            "upload" => self.submitted_upload(values, cx),
            "download" => self.submitted_download(values, cx),
            _ => self.submitted_change(values, cx),
        }
        self.learn(cx);
    }

    fn picked(&mut self, _picker: &'static str, id: &str, cx: &mut Context<'_>) {
        self.picked_copy(id, cx);
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) {
        match slot.name {
            "rest" => self.rested(cx),
            "prefix" => self.read_prefix(cx),
            "touched" => self.reload_table(cx),
            _ => {}
        }
    }

    fn transferred(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        self.was_transferred(slot, answered, cx);
        self.learn(cx);
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.draw(look, area, buf);
    }

    fn view_zoomed(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if self.is_reading && self.table.is_some() {
            self.preview.view(look, area, buf, true);
        } else {
            self.draw_list(look, area, buf);
        }
    }

    fn problem(&self) -> Option<&Problem> {
        self.apps.problem()
    }
}
