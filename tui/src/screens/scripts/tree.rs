//! The tree: apps, and in each its scripts and modules, read when it is opened for the first time.

use super::id::Id;
use crate::app::{Answered, Context, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::list::{Column, List, Row, inked};
use crate::widgets::state::State;
use picloud_model::app::App;
use picloud_model::page::Page;
use picloud_model::script::{Script, ScriptKind};
use std::collections::{BTreeMap, BTreeSet};

/// What is read at once of a list.
pub(super) const PAGE: u32 = 1000;
/// How many scripts of an app are read at most; whoever has more finds them by the filter of the command line.
const SCRIPTS_MAX: usize = 20_000;
/// How many apps are read so that the filter finds what is in them.
const SEARCHED_APPS_MAX: usize = 100;
/// The list of apps.
pub(super) const APPS: &str = "apps";
/// The list of an app's scripts.
pub(super) const SCRIPTS: &str = "scripts";

const COLUMNS: &[Column] = &[Column::rest(""), Column::new("", 8).right()];

/// An app.
#[derive(Debug, Default)]
struct Branch {
    is_open: bool,
    scripts: Vec<Script>,
    /// Read so far, while pages are missing.
    coming: Vec<Script>,
    state: State,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) list: List,
    apps: BTreeMap<String, Branch>,
    pub(super) state: State,
    /// Scripts with a draft, and those of which an error is known.
    drafts: BTreeSet<Id>,
    wrong: BTreeSet<Id>,
}

impl Tree {
    /// Nothing is read yet.
    pub(super) fn new() -> Self {
        Self {
            list: List::new(COLUMNS),
            apps: BTreeMap::new(),
            state: State::default(),
            drafts: BTreeSet::new(),
            wrong: BTreeSet::new(),
        }
    }

    /// Reads the apps.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(APPS, ApiPath::new(&["apps"]).query("limit", Some(PAGE)));
    }

    /// Reads an app's scripts anew.
    pub(super) fn load_app(&mut self, app: &str, cx: &mut Context<'_>) {
        let Some(branch) = self.apps.get_mut(app) else { return };
        branch.coming.clear();
        branch.state.begin();
        load_page(app, None, cx);
    }

    /// Reads all that was read anew; what stopped half way, too.
    pub(super) fn reload(&mut self, cx: &mut Context<'_>) {
        self.load(cx);
        let read = self.apps.iter().filter(|(_, branch)| branch.state.is_read() || branch.is_open);
        for app in read.map(|(app, _)| app.clone()).collect::<Vec<_>>() {
            self.load_app(&app, cx);
        }
    }

    /// Reads what was under way when the screen was left.
    pub(super) fn resume(&mut self, cx: &mut Context<'_>) {
        if !self.state.is_read() {
            self.load(cx);
        }
        let half = self.apps.iter().filter(|(_, branch)| branch.is_open && branch.state.is_loading());
        for app in half.map(|(app, _)| app.clone()).collect::<Vec<_>>() {
            self.load_app(&app, cx);
        }
    }

    /// The apps were read.
    pub(super) fn take_apps(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(page) = self.state.take::<Page<App>>(cx.now, answered) else { return };
        let names: BTreeSet<String> = page.items.into_iter().map(|app| app.name).collect();
        self.apps.retain(|name, _| names.contains(name));
        let is_only = names.len() == 1;
        for name in names {
            let is_new = !self.apps.contains_key(&name);
            let branch = self.apps.entry(name.clone()).or_default();
            if is_only && is_new {
                branch.is_open = true;
            }
            if branch.is_open && !branch.state.is_read() && !branch.state.is_loading() {
                self.load_app(&name, cx);
            }
        }
        self.arrange();
    }

    /// Some of an app's scripts were read; the next page is asked for where there is one.
    pub(super) fn take_scripts(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        let Some(branch) = self.apps.get_mut(&slot.of) else { return };
        let Some(page) = branch.state.take::<Page<Script>>(cx.now, answered) else { return };
        branch.coming.extend(page.items);
        match page.cursor {
            Some(cursor) if branch.coming.len() < SCRIPTS_MAX => {
                branch.state.begin();
                load_page(&slot.of, Some(cursor), cx);
            }
            _ => branch.scripts = std::mem::take(&mut branch.coming),
        }
        self.arrange();
    }

    /// Opens an app, and selects what is in it where that is read.
    pub(super) fn show(&mut self, app: &str, script: Option<&str>, cx: &mut Context<'_>) {
        // Apps are not read yet where somebody comes here first.
        let branch = self.apps.entry(app.to_owned()).or_default();
        branch.is_open = true;
        if !branch.state.is_read() && !branch.state.is_loading() {
            self.load_app(app, cx);
        }
        self.arrange();
        if script.is_none_or(|script| !self.list.select(&format!("{app}/{script}"))) {
            self.list.select(app);
        }
    }

    /// Drafts and errors are these now.
    pub(super) fn sign(&mut self, drafts: BTreeSet<Id>, wrong: BTreeSet<Id>) {
        if (&drafts, &wrong) != (&self.drafts, &self.wrong) {
            (self.drafts, self.wrong) = (drafts, wrong);
            self.arrange();
        }
    }

    /// The script with the cursor.
    pub(super) fn selected(&self) -> Option<Id> {
        self.list.selected_id().and_then(Id::parse)
    }

    /// The app with the cursor, or that of the script.
    pub(super) fn app(&self) -> Option<&str> {
        self.list.selected_id().map(|id| id.split('/').next().unwrap_or(id))
    }

    /// What is known of a script without its source.
    pub(super) fn script(&self, id: &Id) -> Option<&Script> {
        self.apps.get(&id.app)?.scripts.iter().find(|script| script.name == id.name)
    }

    /// Whether an app's scripts were read.
    pub(super) fn is_read(&self, app: &str) -> bool {
        self.apps.get(app).is_some_and(|branch| branch.state.is_read() && !branch.state.is_loading())
    }

    /// How an app's scripts were read, and how many there are.
    pub(super) fn of_app(&self, app: &str) -> Option<(&State, usize)> {
        self.apps.get(app).map(|branch| (&branch.state, branch.scripts.len()))
    }

    /// Names of all apps.
    pub(super) fn app_names(&self) -> Vec<String> {
        self.apps.keys().cloned().collect()
    }

    /// Moves, or opens and closes; answers whether the key was for that.
    pub(super) fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let app = self.app().map(str::to_owned);
        let is_app = self.selected().is_none();
        match (action, app) {
            (Action::Open, Some(app)) if is_app => {
                let is_open = self.apps.get(&app).is_some_and(|branch| branch.is_open);
                self.open(&app, !is_open, cx);
            }
            (Action::Right, Some(app)) if is_app => self.open(&app, true, cx),
            (Action::Left, Some(app)) => {
                self.open(&app, false, cx);
                self.list.select(&app);
            }
            _ => return self.list.act(action),
        }
        true
    }

    fn open(&mut self, app: &str, is_open: bool, cx: &mut Context<'_>) {
        let Some(branch) = self.apps.get_mut(app) else { return };
        branch.is_open = is_open;
        if is_open && !branch.state.is_read() && !branch.state.is_loading() {
            self.load_app(app, cx);
        }
        self.arrange();
    }

    /// Shows only what has this text, of all apps.
    pub(super) fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        let found = self.selected().filter(|_| text.is_empty());
        self.list.filter(text);
        let unread = self.apps.iter().filter(|(_, branch)| !branch.state.is_read() && !branch.state.is_loading());
        let unread: Vec<String> = unread.map(|(app, _)| app.clone()).take(SEARCHED_APPS_MAX).collect();
        for app in unread.into_iter().filter(|_| !text.is_empty()) {
            self.load_app(&app, cx);
        }
        match found {
            // What was found keeps the cursor when the rest is there again.
            Some(id) => self.show(&id.app, Some(&id.name), cx),
            None => self.arrange(),
        }
    }

    fn arrange(&mut self) {
        let is_filtered = !self.list.filter_text().is_empty();
        let mut rows = Vec::new();
        for (app, branch) in &self.apps {
            let state = match &branch.state {
                state if state.problem().is_some() => inked(Ink::Bad, "failed"),
                state if state.is_read() || !branch.is_open => inked(Ink::Plain, ""),
                _ => inked(Ink::Faint, "reads"),
            };
            rows.push(Row::new(app.as_str(), vec![app.as_str().into(), state]).branch(branch.is_open));
            if branch.is_open || is_filtered {
                rows.extend(branch.scripts.iter().map(|script| self.row(app, script, is_filtered)));
            }
        }
        self.list.set(rows);
    }

    /// A script: `m` for a module, `*` where there is a draft, `!` where something is wrong, `Q` where it is quarantined.
    fn row(&self, app: &str, script: &Script, is_filtered: bool) -> Row {
        let id = Id { app: app.to_owned(), name: script.name.clone() };
        let mut signs = if script.kind == ScriptKind::Module { "m".to_owned() } else { String::new() };
        let mut ink = Ink::Faint;
        if self.drafts.contains(&id) {
            signs.push('*');
            ink = Ink::Warn;
        }
        if self.wrong.contains(&id) {
            signs.push('!');
            ink = Ink::Bad;
        }
        if script.quarantine.is_some() {
            signs.push('Q');
            ink = Ink::Bad;
        }
        let path = id.to_string();
        signs = format!("{signs} v{}", script.version);
        // The filter hides the app's own line: then the name says where it is.
        let name = if is_filtered { path.clone() } else { id.name };
        Row::new(path, vec![name.into(), inked(ink, signs.trim_start())]).depth(u16::from(!is_filtered))
    }
}

fn load_page(app: &str, cursor: Option<String>, cx: &mut Context<'_>) {
    let path = ApiPath::of_app(app, &["scripts"]).query("limit", Some(PAGE)).query("cursor", cursor);
    cx.load(Slot::of(SCRIPTS, app), path);
}
