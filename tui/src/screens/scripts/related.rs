//! What a script uses, and what uses it: modules, importers, routes, triggers.

use super::id::Id;
use super::tree::PAGE;
use crate::app::{Answered, Context, Place, ScreenId, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::list::{Column, List, Row, inked};
use crate::widgets::state::State;
use picloud_model::page::Page;
use picloud_model::route::Route;
use picloud_model::script::Script;
use picloud_model::trigger::TriggerSpec;
use serde::Deserialize;

/// What is read, each in a slot of its own.
pub(super) const SLOTS: [&str; 4] = ["imports", "importers", "routes", "triggers"];

const COLUMNS: &[Column] = &[Column::rest(""), Column::new("", 11)];

/// All of it.
#[derive(Debug)]
pub(super) struct Related {
    imports: Vec<String>,
    importers: Vec<String>,
    routes: Vec<String>,
    triggers: Vec<String>,
    states: [State; 4],
    pub(super) list: List,
}

impl Default for Related {
    fn default() -> Self {
        Self {
            imports: Vec::new(),
            importers: Vec::new(),
            routes: Vec::new(),
            triggers: Vec::new(),
            states: Default::default(),
            list: List::new(COLUMNS),
        }
    }
}

/// What is needed of a trigger.
#[derive(Deserialize)]
struct Trigger {
    #[serde(flatten)]
    spec: TriggerSpec,
}

impl Related {
    /// Reads all of it.
    pub(super) fn load(&mut self, id: &Id, cx: &mut Context<'_>) {
        for (slot, state) in SLOTS.iter().zip(&mut self.states) {
            state.begin();
            let path = match *slot {
                "routes" | "triggers" => ApiPath::of_app(&id.app, &[slot]),
                below => id.path(&[below]),
            };
            cx.load(Slot::from(*slot), path.query("limit", Some(PAGE)));
        }
    }

    /// Some of it was read.
    pub(super) fn take(&mut self, id: &Id, slot: &Slot, answered: &Answered, cx: &Context<'_>) {
        let Some(at) = SLOTS.iter().position(|name| *name == slot.name) else { return };
        let was_read = self.is_read();
        let state = &mut self.states[at];
        match slot.name {
            "imports" => set(&mut self.imports, state.take::<Page<String>>(cx.now, answered), Some),
            "importers" => {
                set(&mut self.importers, state.take::<Page<Script>>(cx.now, answered), |script| Some(script.name));
            }
            "routes" => set(&mut self.routes, state.take::<Page<Route>>(cx.now, answered), |route| {
                (route.spec.script == id.name).then(|| route.spec.title())
            }),
            _ => set(&mut self.triggers, state.take::<Page<Trigger>>(cx.now, answered), |trigger| {
                (trigger.spec.script == id.name).then_some(trigger.spec.name)
            }),
        }
        self.arrange();
        if !was_read {
            // Parts come in any order; the cursor is on none of them yet.
            self.list.act(Action::Top);
        }
    }

    fn arrange(&mut self) {
        let parts = [
            ("imports", "uses", &self.imports),
            ("importers", "used by", &self.importers),
            ("routes", "route to", &self.routes),
            ("triggers", "started by", &self.triggers),
        ];
        let row = |part: &str, how: &str, name: &String| {
            Row::new(format!("{part}/{name}"), vec![name.clone().into(), inked(Ink::Faint, how)])
        };
        let rows = parts.iter().flat_map(|(part, how, names)| names.iter().map(move |name| row(part, how, name)));
        self.list.set(rows.collect());
    }

    /// Whether all of it was read.
    pub(super) fn is_read(&self) -> bool {
        self.states.iter().all(State::is_read)
    }

    /// Why some of it is not there.
    pub(super) fn state(&self) -> &State {
        self.states.iter().find(|state| state.problem().is_some()).unwrap_or_else(|| {
            let unread = self.states.iter().find(|state| !state.is_read());
            unread.unwrap_or(&self.states[0])
        })
    }

    /// What would notice if it went: `route GET /feed`, `trigger nightly`, `script post`.
    pub(super) fn users(&self) -> Vec<String> {
        let named = |word: &'static str, names: &[String]| {
            names.iter().map(move |name| format!("{word} {name}")).collect::<Vec<_>>()
        };
        [named("route", &self.routes), named("trigger", &self.triggers), named("script", &self.importers)].concat()
    }

    /// The same in short, for a question.
    pub(super) fn user_names(&self) -> String {
        [self.routes.as_slice(), &self.triggers, &self.importers].concat().join(", ")
    }

    /// The modules that it uses.
    pub(super) fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Where the line with the cursor leads.
    pub(super) fn place(&self, id: &Id) -> Option<Place> {
        let (part, name) = self.list.selected_id()?.split_once('/')?;
        let screen = match part {
            "routes" => ScreenId::Routes,
            "triggers" => ScreenId::Triggers,
            _ => ScreenId::Scripts,
        };
        Some(Place::of(screen).app(&id.app).thing(name))
    }
}

fn set<T>(into: &mut Vec<String>, page: Option<Page<T>>, name: impl Fn(T) -> Option<String>) {
    if let Some(page) = page {
        *into = page.items.into_iter().filter_map(name).collect();
    }
}
