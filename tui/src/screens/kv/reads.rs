//! What is read of the appliance, and when: apps first, then what is opened, then what the cursor comes near.

use super::Kv;
use super::lines::{Filter, Target};
use super::shelf::Listed;
use super::value::{self, Value};
use crate::app::{Answered, Context, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::text;
use picloud_model::app::App;
use picloud_model::kv::KvCollection;
use picloud_model::page::Page;
use picloud_model::problem::Problem;

/// Keys, apps or collections in a page.
const PAGE_ITEMS: u32 = 1000;
/// Pages that are read for one key that was typed: closed prefixes may hide thousands of keys in a line.
pub(super) const AHEAD_PAGES: u8 = 10;
/// So many apps are opened by themselves.
const APPS_OPEN_MAX: usize = 3;
/// How long the cursor rests before a value is read.
const REST_MS: u64 = 80;
/// How long the value before stays in the place of one that is being read.
const SHADOW_MS: u64 = 300;
/// How long after a beginning of keys was typed the appliance is asked for them.
const PREFIX_MS: u64 = 200;

impl Kv {
    /// Reads the apps; all else follows.
    pub(super) fn load_apps(&mut self, cx: &mut Context<'_>) {
        self.apps.begin();
        cx.load("apps", ApiPath::new(&["apps"]).query("limit", Some(PAGE_ITEMS)));
    }

    /// Reads the collections of an app.
    pub(super) fn load_collections(&self, app: &str, cx: &mut Context<'_>) {
        cx.load(Slot::of("collections", app), ApiPath::of_app(app, &["kv"]).query("limit", Some(PAGE_ITEMS)));
    }

    /// Reads the next page of a collection.
    fn load_page(&mut self, app: &str, name: &str, cx: &mut Context<'_>) {
        let Some(known) = self.shelf.collection_mut(app, name) else { return };
        known.is_loading = true;
        known.problem = None;
        let path = ApiPath::of_app(app, &["kv", name])
            .query("prefix", Some(&known.prefix).filter(|prefix| !prefix.is_empty()))
            .flag("keys_only", true)
            .query("limit", Some(PAGE_ITEMS))
            .query("cursor", known.cursor.as_ref());
        cx.load(Slot::of("page", format!("{app}/{name}")), path);
    }

    /// Everything that is open, anew; what is there stays on the screen meanwhile.
    pub(super) fn reload_all(&mut self, cx: &mut Context<'_>) {
        self.load_apps(cx);
        for target in self.open_collections() {
            if let Some((app, name)) = target.collection() {
                self.restart(app, name, cx);
            }
        }
        if let Some(target) = self.value.target().cloned() {
            self.load_value(&target, cx);
        }
    }

    /// Collections whose keys are shown.
    pub(super) fn open_collections(&self) -> Vec<Target> {
        let mut open = Vec::new();
        for branch in self.shelf.apps.iter().flatten() {
            for known in branch.collections.iter().flatten().filter(|known| known.is_open) {
                open.push(Target::Collection(branch.name.clone(), known.counted.name.clone()));
            }
        }
        open
    }

    /// Reads a collection from its first page.
    pub(super) fn restart(&mut self, app: &str, name: &str, cx: &mut Context<'_>) {
        if let Some(known) = self.shelf.collection_mut(app, name) {
            known.restart();
            self.load_page(app, name, cx);
        }
    }

    /// Opens or closes a branch; what is not known yet is read.
    pub(super) fn open(&mut self, target: &Target, is_open: bool, cx: &mut Context<'_>) {
        match target {
            Target::App(app) => {
                let Some(branch) = self.shelf.app_mut(app) else { return };
                branch.is_open = is_open;
                if is_open && branch.collections.is_none() && !std::mem::replace(&mut branch.is_asked, true) {
                    self.load_collections(app, cx);
                }
            }
            Target::Collection(app, name) => {
                let prefix = self.wanted_prefix();
                let Some(known) = self.shelf.collection_mut(app, name) else { return };
                known.is_open = is_open;
                let is_unread = known.read_at.is_empty() && !known.is_loading;
                if is_open && (is_unread || known.prefix != prefix) {
                    known.prefix = prefix;
                    self.restart(app, name, cx);
                }
            }
            Target::Prefix(app, name, prefix) => {
                let Some(known) = self.shelf.collection_mut(app, name) else { return };
                if is_open {
                    known.open.insert(prefix.clone());
                } else {
                    known.open.remove(prefix);
                }
            }
            Target::Key(..) | Target::Rest(..) | Target::Empty(_) => {}
        }
    }

    /// Whether a branch is open; `None` for what is none.
    pub(super) fn is_open(&self, target: &Target) -> Option<bool> {
        match target {
            Target::App(app) => Some(self.shelf.app(app)?.is_open),
            Target::Collection(app, name) => Some(self.shelf.collection(app, name)?.is_open),
            Target::Prefix(app, name, prefix) => Some(self.shelf.collection(app, name)?.open.contains(prefix)),
            Target::Key(..) | Target::Rest(..) | Target::Empty(_) => None,
        }
    }

    /// The lines follow what is known; more is read where it runs out, and the value where the cursor rests.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        self.tree.arrange(&self.shelf);
        let stale = |target: &Target| {
            let known = target.collection().and_then(|(app, name)| self.shelf.collection(app, name));
            known.is_some_and(|known| known.has_stale() && !known.is_loading && known.problem.is_none())
        };
        let behind: Vec<Target> = self.open_collections().into_iter().filter(stale).collect();
        for target in behind {
            if let Some((app, name)) = target.collection() {
                self.load_page(app, name, cx);
            }
        }
        if self.ahead > 0
            && let Some((app, name)) = self.tree.runs_out(&self.shelf)
        {
            self.ahead -= 1;
            self.load_page(&app, &name, cx);
        }
        self.follow_cursor(cx);
    }

    fn follow_cursor(&mut self, cx: &mut Context<'_>) {
        let key = self.tree.selected().filter(|target| matches!(target, Target::Key(..)));
        if key == self.value.target() {
            return;
        }
        let before = match key.cloned() {
            Some(target) => {
                cx.later("rest", REST_MS);
                cx.later("shadow", REST_MS + SHADOW_MS);
                std::mem::replace(&mut self.value, Value::Loading(target))
            }
            None => std::mem::take(&mut self.value),
        };
        if !matches!(before, Value::Loading(_)) {
            self.shadow = Some(before).filter(|before| matches!(before, Value::Here(_)));
        }
        self.asked = None;
        self.wants = None;
    }

    /// Reads a value with all that is known of its key.
    pub(super) fn load_value(&mut self, target: &Target, cx: &mut Context<'_>) {
        if let Target::Key(app, collection, key) = target {
            self.asked = Some(target.clone());
            cx.load("value", value::path(app, collection, key));
        }
    }

    /// The cursor has rested.
    pub(super) fn rested(&mut self, cx: &mut Context<'_>) {
        if let Value::Loading(target) = &self.value
            && self.asked.as_ref() != Some(target)
        {
            let target = target.clone();
            self.load_value(&target, cx);
        }
    }

    /// Apps were read.
    pub(super) fn apps_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(page) = self.apps.take::<Page<App>>(cx.now, answered) else { return };
        let is_first = self.shelf.apps.is_none();
        let names: Vec<String> = page.items.into_iter().map(|app| app.name).collect();
        let opens = is_first && names.len() <= APPS_OPEN_MAX;
        self.shelf.take_apps(names.clone());
        for name in names {
            if opens {
                self.open(&Target::App(name.clone()), true, cx);
            } else if self.shelf.app(&name).is_some_and(|branch| branch.is_open) {
                self.load_collections(&name, cx);
            }
        }
        self.arrive(cx);
        self.settle(cx);
    }

    /// The collections of an app were read.
    pub(super) fn collections_came(&mut self, app: &str, answered: Answered, cx: &mut Context<'_>) {
        match answered.and_then(|answer| answer.json::<Page<KvCollection>>()) {
            Ok(page) => self.shelf.take_collections(app, page.items),
            Err(problem) => {
                if let Some(branch) = self.shelf.app_mut(app) {
                    branch.problem = Some(problem);
                    branch.is_asked = false;
                }
            }
        }
        self.arrive(cx);
        self.reveal(cx);
        self.settle(cx);
    }

    /// A page of keys was read.
    pub(super) fn page_came(&mut self, of: &str, answered: Answered, cx: &mut Context<'_>) {
        let Some((app, name)) = of.split_once('/') else { return };
        let Some(known) = self.shelf.collection_mut(app, name) else { return };
        match answered.and_then(|answer| answer.json::<Page<Listed>>()) {
            Ok(page) => {
                if known.cursor.is_none() {
                    known.read_at = text::time_of_day(cx.now.unix_ms, &cx.facts.zone);
                }
                known.absorb(&page);
            }
            Err(problem) => {
                known.is_loading = false;
                known.problem = Some(problem);
            }
        }
        self.arrive(cx);
        self.reveal(cx);
        self.settle(cx);
    }

    /// A value was read.
    pub(super) fn value_came(&mut self, answered: Answered, cx: &mut Context<'_>) {
        let Some(target) = self.asked.clone().filter(|asked| self.value.target() == Some(asked)) else { return };
        let with_numbers = self.is_reading;
        match listed_of(&target, answered) {
            Ok(listed) => {
                self.take_listed(&target, listed.as_ref());
                self.value.take(target, Ok(listed.as_ref()), with_numbers);
            }
            // What was read before is better than nothing, as long as its age is told.
            Err(problem) if self.value.here().is_some() => cx.complain(problem),
            Err(problem) => self.value.take(target, Err(problem), with_numbers),
        }
        self.shadow = None;
        let wanted = self.wants.take().filter(|action| self.why_not_edit(*action == Action::EditOutside).is_none());
        match wanted {
            Some(Action::EditOutside) => self.edit_outside(cx),
            Some(_) => self.begin_edit(cx),
            None => {}
        }
        self.settle(cx);
    }

    /// What is known of a key now, or that it is gone.
    pub(super) fn take_listed(&mut self, target: &Target, listed: Option<&Listed>) {
        let Target::Key(app, name, key) = target else { return };
        let Some(known) = self.shelf.collection_mut(app, name) else { return };
        match listed {
            Some(listed) => known.put(listed),
            None => known.remove(key),
        }
    }

    /// Reads again what was on its way when the screen was left.
    pub(super) fn resume_loads(&mut self, cx: &mut Context<'_>) {
        for app in self.shelf.apps.iter().flatten().filter(|app| app.is_asked && app.collections.is_none()) {
            self.load_collections(&app.name, cx);
        }
        for target in self.open_collections() {
            if let Some((app, name)) = target.collection()
                && self.shelf.collection(app, name).is_some_and(|known| known.is_loading)
            {
                self.load_page(app, name, cx);
            }
        }
        if let Value::Loading(target) = &self.value {
            let target = target.clone();
            self.load_value(&target, cx);
        }
    }

    /// What keys begin with that are asked for, for all collections.
    fn wanted_prefix(&self) -> String {
        match self.tree.filter() {
            Filter::Begins(prefix) => prefix.clone(),
            _ => String::new(),
        }
    }

    /// Another filter: beginnings are found by the appliance, a little later, the rest among what was read.
    pub(super) fn filtered(&mut self, text: &str, cx: &mut Context<'_>) {
        self.tree.set_filter(text, &self.shelf);
        cx.later("prefix", PREFIX_MS);
        self.settle(cx);
    }

    /// Asks for keys that begin as was typed.
    pub(super) fn read_prefix(&mut self, cx: &mut Context<'_>) {
        let prefix = self.wanted_prefix();
        for target in self.open_collections() {
            let Some((app, name)) = target.collection() else { continue };
            let Some(known) = self.shelf.collection_mut(app, name) else { continue };
            if known.prefix != prefix {
                known.prefix.clone_from(&prefix);
                self.restart(app, name, cx);
            }
        }
    }
}

/// The key as it was listed; nothing where the first one that begins so is another.
pub(super) fn listed_of(target: &Target, answered: Answered) -> Result<Option<Listed>, Problem> {
    let page = answered.and_then(|answer| answer.json::<Page<Listed>>())?;
    let Target::Key(_, _, key) = target else { return Ok(None) };
    Ok(page.items.into_iter().find(|listed| listed.key == *key))
}
