//! Apps and their collections of files.

use super::Files;
use super::table::Table;
use crate::app::{Answered, Context, Place, Slot};
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::list::{Column, List, Row, inked};
use crate::widgets::text;
use picloud_model::app::App;
use picloud_model::audit::AuditEntry;
use picloud_model::file::FileCollection;
use picloud_model::page::Page;
use picloud_model::problem::Problem;

/// Apps or collections in a page.
const PAGE_ITEMS: u32 = 1000;
/// So many apps are opened by themselves.
const APPS_OPEN_MAX: usize = 3;
/// How long after what others change is collected before it is read.
const TOUCHED_MS: u64 = 100;

static COLUMNS: [Column; 3] =
    [Column::rest("name"), Column::new("files", 8).right(), Column::new("size", 8).right().spare(1)];

/// An app.
#[derive(Debug)]
struct Branch {
    name: String,
    is_open: bool,
    is_asked: bool,
    collections: Option<Vec<FileCollection>>,
    problem: Option<Problem>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Shelf {
    apps: Option<Vec<Branch>>,
    /// What is shown of them: an app's row is called by its name, a collection's `app/collection`.
    pub(super) list: List,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { apps: None, list: List::new(&COLUMNS) }
    }
}

impl Shelf {
    /// The app, and the collection if it is on one, with the cursor.
    pub(super) fn selected(&self) -> Option<(&str, Option<&str>)> {
        let id = self.list.selected_id()?;
        Some(match id.split_once('/') {
            Some((app, "")) => (app, None),
            Some((app, collection)) => (app, Some(collection)),
            None => (id, None),
        })
    }

    /// Names of all apps.
    pub(super) fn app_names(&self) -> Vec<String> {
        self.apps.iter().flatten().map(|app| app.name.clone()).collect()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.apps.as_ref().is_none_or(Vec::is_empty)
    }

    /// A collection as the appliance counted it.
    pub(super) fn collection(&self, app: &str, name: &str) -> Option<&FileCollection> {
        let branch = self.apps.iter().flatten().find(|branch| branch.name == app)?;
        branch.collections.iter().flatten().find(|collection| collection.name == name)
    }

    fn app_mut(&mut self, app: &str) -> Option<&mut Branch> {
        self.apps.iter_mut().flatten().find(|branch| branch.name == app)
    }

    fn arrange(&mut self) {
        let mut rows = Vec::new();
        for app in self.apps.iter().flatten() {
            rows.push(Row::new(&app.name, vec![inked(Ink::Strong, &app.name)]).branch(app.is_open));
            if !app.is_open {
                continue;
            }
            // An id with nothing behind the `/` is no collection's.
            let note = |ink, text: &str| Row::new(format!("{}/", app.name), vec![inked(ink, text)]).depth(1);
            match (&app.problem, &app.collections) {
                (Some(problem), _) => rows.push(note(Ink::Bad, &problem.detail)),
                (None, None) => rows.push(note(Ink::Faint, "loading")),
                (None, Some(none)) if none.is_empty() => {
                    rows.push(note(Ink::Faint, "keeps no files yet: n brings one"));
                }
                (None, Some(collections)) => rows.extend(collections.iter().map(|collection| {
                    let size = text::bytes(u64::try_from(collection.size_bytes).unwrap_or(0));
                    let cells = vec![collection.name.as_str().into(), collection.files.to_string().into(), size.into()];
                    Row::new(format!("{}/{}", app.name, collection.name), cells).depth(1)
                })),
            }
        }
        self.list.set(rows);
    }
}

impl Files {
    /// Reads the apps; all else follows.
    pub(super) fn load_apps(&mut self, cx: &mut Context<'_>) {
        self.apps.begin();
        cx.load("apps", ApiPath::new(&["apps"]).query("limit", Some(PAGE_ITEMS)));
    }

    /// Reads the collections of an app.
    pub(super) fn load_collections(&self, app: &str, cx: &mut Context<'_>) {
        cx.load(Slot::of("collections", app), ApiPath::of_app(app, &["files"]).query("limit", Some(PAGE_ITEMS)));
    }

    /// Opens or closes an app.
    pub(super) fn open_app(&mut self, app: &str, is_open: bool, cx: &mut Context<'_>) {
        let Some(branch) = self.shelf.app_mut(app) else { return };
        branch.is_open = is_open;
        if is_open && branch.collections.is_none() && !std::mem::replace(&mut branch.is_asked, true) {
            branch.problem = None;
            self.load_collections(app, cx);
        }
        self.shelf.arrange();
    }

    /// Whether an app is open.
    pub(super) fn is_open(&self, app: &str) -> bool {
        self.shelf.apps.iter().flatten().any(|branch| branch.name == app && branch.is_open)
    }

    /// Apps were read.
    pub(super) fn apps_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(page) = self.apps.take::<Page<App>>(cx.now, answered) else { return };
        let is_first = self.shelf.apps.is_none();
        let mut before = self.shelf.apps.take().unwrap_or_default();
        let names: Vec<String> = page.items.into_iter().map(|app| app.name).collect();
        let branch = |name: &String| match before.iter().position(|branch| branch.name == *name) {
            Some(at) => before.swap_remove(at),
            None => Branch { name: name.clone(), is_open: false, is_asked: false, collections: None, problem: None },
        };
        self.shelf.apps = Some(names.iter().map(branch).collect());
        for name in &names {
            if is_first && names.len() <= APPS_OPEN_MAX {
                self.open_app(name, true, cx);
            } else if self.is_open(name) {
                self.load_collections(name, cx);
            }
        }
        self.shelf.arrange();
        self.arrive(cx);
    }

    /// The collections of an app were read.
    pub(super) fn collections_came(&mut self, app: &str, answered: Answered, cx: &mut Context<'_>) {
        let Some(branch) = self.shelf.app_mut(app) else { return };
        match answered.and_then(|answer| answer.json::<Page<FileCollection>>()) {
            Ok(page) => (branch.collections, branch.problem) = (Some(page.items), None),
            Err(problem) => (branch.problem, branch.is_asked) = (Some(problem), false),
        }
        self.shelf.arrange();
        self.arrive(cx);
    }

    /// Goes to the place that was asked for, as far as it is known by now.
    pub(super) fn arrive(&mut self, cx: &mut Context<'_>) {
        let Some(Place { app: Some(app), thing, .. }) = self.wanted.clone() else { return };
        let Some(apps) = &self.shelf.apps else { return };
        let Some(branch) = apps.iter().find(|branch| branch.name == app) else {
            self.wanted = None;
            return cx.say(format!("there is no app {app}"));
        };
        let is_known = branch.collections.is_some();
        self.open_app(&app, true, cx);
        let Some(thing) = thing else {
            self.wanted = None;
            self.table = None;
            self.shelf.list.select(&app);
            return;
        };
        if !is_known {
            return;
        }
        let (name, id) = thing.split_once('/').map_or((thing.as_str(), None), |(name, id)| (name, Some(id)));
        self.wanted = None;
        if self.shelf.collection(&app, name).is_none() {
            return cx.say(format!("{app} has no collection {name}"));
        }
        self.shelf.list.select(&format!("{app}/{name}"));
        self.enter_collection(&app, name, id, cx);
    }

    /// Goes into a collection, and to a file in it if one is named.
    pub(super) fn enter_collection(&mut self, app: &str, name: &str, id: Option<&str>, cx: &mut Context<'_>) {
        let mut table = Table::new(app, name);
        table.wanted = id.map(str::to_owned);
        self.table = Some(table);
        self.is_reading = false;
        self.load_page(cx);
    }

    /// Reads again what was on its way when the screen was left.
    pub(super) fn resume_loads(&mut self, cx: &mut Context<'_>) {
        let unread = |app: &&Branch| app.is_asked && app.collections.is_none();
        for app in self.shelf.apps.iter().flatten().filter(unread) {
            self.load_collections(&app.name, cx);
        }
        if self.table.as_ref().is_some_and(|table| table.state.is_loading()) {
            self.load_page(cx);
        }
        self.preview.forget_unread();
    }

    /// Everything that is open, anew; what is there stays on the screen meanwhile.
    pub(super) fn reload_all(&mut self, cx: &mut Context<'_>) {
        self.load_apps(cx);
        self.reload_table(cx);
    }

    /// Somebody changed something.
    pub(super) fn touched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        if entry.action.starts_with("app.") {
            return self.load_apps(cx);
        }
        let Some(app) = entry.app.as_deref().filter(|_| entry.action.starts_with("file.")) else { return };
        if self.shelf.app_mut(app).is_some_and(|branch| branch.collections.is_some()) {
            self.load_collections(app, cx);
        }
        let collection = entry.target.split_once('/').map(|(collection, _)| collection);
        let is_here =
            self.table.as_ref().is_some_and(|table| table.app == app && Some(&*table.collection) == collection);
        if is_here {
            cx.later("touched", TOUCHED_MS);
        }
    }
}
