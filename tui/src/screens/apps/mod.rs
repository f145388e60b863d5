//! The Apps screen: all apps, what each holds, and folders of this machine that are deployed to them and written from them.

mod acts;
mod deploy;
mod forms;
mod info;
mod load;
mod rows;
#[cfg(test)]
mod tests;

use crate::app::{Answered, Context, Offer, Place, Screen, Slot, StreamEvent};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Look;
use crate::widgets::form::Values;
use crate::widgets::list::List;
use crate::widgets::state::State;
use picloud_model::app::App;
use picloud_model::audit::AuditEntry;
use picloud_model::scope::Scope;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::{BTreeMap, BTreeSet};

/// The screen.
#[derive(Debug)]
pub(super) struct Apps {
    list: List,
    state: State,
    apps: Vec<App>,
    pages: Vec<App>,
    /// How much each app holds, as far as it was counted.
    held: BTreeMap<String, rows::Held>,
    /// Counts that are under way.
    counting: BTreeSet<(&'static str, String)>,
    /// What waits in each app, where that may be known.
    queues: BTreeMap<String, load::Queue>,
    /// Dead letters of each app, as the stream of activity says.
    letters: Option<BTreeMap<String, u64>>,
    is_soon: bool,
    wanted: Option<String>,
    /// The app that an open form or picker is about.
    about: Option<String>,
    planned: Option<deploy::Planned>,
    may_not_change: Option<String>,
    zone: jiff::tz::TimeZone,
}

impl Apps {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self {
            list: List::new(&rows::COLUMNS),
            state: State::default(),
            apps: Vec::new(),
            pages: Vec::new(),
            held: BTreeMap::new(),
            counting: BTreeSet::new(),
            queues: BTreeMap::new(),
            letters: None,
            is_soon: false,
            wanted: None,
            about: None,
            planned: None,
            may_not_change: None,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    fn note(&mut self, cx: &Context<'_>) {
        self.may_not_change = cx.facts.refuses(Scope::AppAdmin, self.list.selected_id());
    }

    fn find(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name == name)
    }

    /// The app with the cursor.
    fn selected(&self) -> Option<&App> {
        self.list.selected_id().and_then(|name| self.find(name))
    }

    fn show(&mut self) {
        let row = |app: &App| {
            let letters = self.letters.as_ref().map(|letters| letters.get(&app.name).copied().unwrap_or(0));
            let queue = self.queues.get(&app.name);
            rows::row(app, self.held.get(&app.name), queue, letters.or(queue.map(|queue| queue.dead_letters)))
        };
        self.list.set(self.apps.iter().map(row).collect());
    }
}

impl Screen for Apps {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.zone = cx.facts.zone.clone();
        if let Some(name) = place.thing.as_ref().or(place.app.as_ref()) {
            self.list.filter("");
            self.wanted = Some(name.clone());
        }
        cx.follow(load::ACTIVITY, ApiPath::new(&["activity"]));
        cx.load(load::STATUS, ApiPath::new(&["status"]));
        if self.state.is_read() && !self.state.is_loading() {
            self.find_wanted(cx);
            self.count(cx);
        } else {
            self.load(cx);
        }
        self.note(cx);
    }

    fn leave(&mut self) {
        self.counting.clear();
        self.pages.clear();
        self.is_soon = false;
    }

    fn title(&self, _look: &Look) -> String {
        let sorted = self.list.sorted_by().map(|column| format!("  by {column}")).unwrap_or_default();
        let planned = self.planned.as_ref().map(|planned| format!("  plan for {}: S deploys it", planned.app()));
        let count = if self.state.is_read() { format!("[{}]", self.list.len()) } else { String::new() };
        format!("{count}{sorted}{}{}", planned.unwrap_or_default(), self.state.note(&self.zone))
    }

    fn offers(&self) -> Vec<Offer> {
        self.offered()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let is_taken = match action {
            Action::Back => self.planned.take().is_some(),
            Action::Mark | Action::MarkAll => false,
            _ => self.list.act(action) || self.acted(action, cx),
        };
        self.count(cx);
        self.note(cx);
        is_taken
    }

    fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        self.list.filter(text);
        self.count(cx);
        self.note(cx);
    }

    fn filter_text(&self) -> &str {
        self.list.filter_text()
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        self.came(slot, &answered, cx);
        self.note(cx);
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        self.changed_elsewhere(entry, cx);
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.held.clear();
        cx.load(load::STATUS, ApiPath::new(&["status"]));
        self.load(cx);
    }

    fn streamed(&mut self, _slot: &Slot, events: &[StreamEvent], cx: &mut Context<'_>) {
        self.activity(events, cx);
    }

    fn due(&mut self, _slot: &Slot, cx: &mut Context<'_>) {
        self.is_soon = false;
        self.load(cx);
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        self.filled(form, values, cx);
    }

    fn picked(&mut self, _picker: &'static str, id: &str, cx: &mut Context<'_>) {
        self.jump(id, cx);
    }

    fn transferred(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        self.folder_came(slot, answered, cx);
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if !self.list.is_empty() {
            return self.list.view(look, area, buf, true);
        }
        let nothing = "no apps yet: n makes an empty one, S deploys a folder of this machine";
        self.state.view_filtered(look, area, buf, self.list.filter_text(), nothing);
    }
}
