//! A list that every app has one of, read of all apps: routes, secrets, timers. What changed in an app is read anew for it
//! alone; what is shown stays meanwhile.

use crate::app::{Answered, Context, Slot};
use crate::path::ApiPath;
use crate::widgets::list::{List, Row};
use crate::widgets::state::State;
use picloud_model::app::App;
use picloud_model::page::Page;
use picloud_model::problem::{Code, Problem};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// Apps, and things of an app, of a page.
const PAGE: u32 = 1_000;
/// Changes are waited for so long before they are read: many come at once.
const SOON_MS: u64 = 150;

/// The lists.
#[derive(Debug)]
pub(super) struct EachApp<T> {
    /// The last segment of the path of each list, and the slot they are loaded in.
    what: &'static str,
    /// The slot of the apps, and of the wait.
    apps_slot: &'static str,
    /// How all of it is.
    pub(super) state: State,
    /// Whether all of it had been read before what came last.
    was_read: bool,
    /// The apps, as they were read.
    pub(super) apps: Vec<App>,
    lists: BTreeMap<String, Vec<T>>,
    new_apps: Vec<App>,
    pages: BTreeMap<String, Vec<T>>,
    waiting: BTreeSet<String>,
    dirty: BTreeSet<String>,
    /// Why an app's list could not be read.
    refused: Option<Problem>,
}

impl<T: DeserializeOwned> EachApp<T> {
    /// Without anything read; slots are the screen's own.
    pub(super) fn new(what: &'static str, apps_slot: &'static str) -> Self {
        Self {
            what,
            apps_slot,
            state: State::default(),
            was_read: false,
            apps: Vec::new(),
            lists: BTreeMap::new(),
            new_apps: Vec::new(),
            pages: BTreeMap::new(),
            waiting: BTreeSet::new(),
            dirty: BTreeSet::new(),
            refused: None,
        }
    }

    /// What was read: apps by name, each with its list.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &T)> {
        self.lists.iter().flat_map(|(app, list)| list.iter().map(move |item| (app.as_str(), item)))
    }

    /// Puts rows of all of it into a list; the first time they come in pieces.
    pub(super) fn fill(&self, list: &mut List, row: impl FnMut((&str, &T)) -> Row) {
        let rows = self.all().map(row).collect();
        if self.was_read { list.set(rows) } else { list.grow(rows) }
    }

    /// Reads all of it.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        self.new_apps.clear();
        self.refused = None;
        cx.load(self.apps_slot, ApiPath::new(&["apps"]).query("limit", Some(PAGE)));
    }

    /// Reads an app's list in a moment.
    pub(super) fn load_soon(&mut self, app: &str, cx: &mut Context<'_>) {
        // What is asked for already is not put off further.
        if self.dirty.is_empty() {
            cx.later(self.apps_slot, SOON_MS);
        }
        self.dirty.insert(app.to_owned());
    }

    /// The moment is over; answers whether it was for this.
    pub(super) fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) -> bool {
        if slot.name != self.apps_slot {
            return false;
        }
        for app in std::mem::take(&mut self.dirty) {
            self.load_app(&app, cx);
        }
        true
    }

    /// The screen is left: what was under way ends.
    pub(super) fn left(&mut self) {
        self.waiting.clear();
        self.pages.clear();
        self.new_apps.clear();
        self.dirty.clear();
    }

    /// Something was loaded; answers whether it was of this.
    pub(super) fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        self.was_read = self.state.is_read();
        if slot.name == self.apps_slot {
            self.apps_came(answered, cx);
        } else if slot.name == self.what {
            self.list_came(&slot.of, answered, cx);
        } else {
            return false;
        }
        if self.waiting.is_empty() && self.new_apps.is_empty() && self.state.is_loading() {
            // Where some apps may be read and others not, those that may are all there is.
            let refused = self.refused.take().filter(|_| self.lists.is_empty());
            self.state.ended(cx.now, refused.as_ref());
        }
        true
    }

    fn apps_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let page = match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Page<App>>()) {
            Ok(page) => page,
            Err(problem) => return self.state.ended(cx.now, Some(&problem)),
        };
        self.new_apps.extend(page.items);
        if let Some(cursor) = page.cursor {
            let path = ApiPath::new(&["apps"]).query("limit", Some(PAGE));
            return cx.load(self.apps_slot, path.query("cursor", Some(cursor)));
        }
        self.apps = std::mem::take(&mut self.new_apps);
        let names: Vec<String> = self.apps.iter().map(|app| app.name.clone()).collect();
        self.lists.retain(|app, _| names.contains(app));
        for app in &names {
            self.load_app(app, cx);
        }
    }

    fn load_app(&mut self, app: &str, cx: &mut Context<'_>) {
        self.waiting.insert(app.to_owned());
        self.pages.remove(app);
        cx.load(Slot::of(self.what, app), ApiPath::of_app(app, &[self.what]).query("limit", Some(PAGE)));
    }

    fn list_came(&mut self, app: &str, answered: &Answered, cx: &mut Context<'_>) {
        match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Page<T>>()) {
            Ok(page) => {
                let pages = self.pages.entry(app.to_owned()).or_default();
                pages.extend(page.items);
                if let Some(cursor) = page.cursor {
                    let path = ApiPath::of_app(app, &[self.what]).query("limit", Some(PAGE));
                    return cx.load(Slot::of(self.what, app), path.query("cursor", Some(cursor)));
                }
                let list = self.pages.remove(app).unwrap_or_default();
                self.lists.insert(app.to_owned(), list);
            }
            // An app that is gone, or that this key may not see, has none here.
            Err(problem) if matches!(problem.code, Code::NotFound | Code::Forbidden) => {
                self.lists.remove(app);
                self.refused = Some(problem).filter(|problem| problem.code == Code::Forbidden);
            }
            Err(problem) => self.state.ended(cx.now, Some(&problem)),
        }
        self.waiting.remove(app);
    }
}
