//! Names of all things in all apps, for the palette: read when it is opened, a few lists at a time, and kept until
//! something changes them.

use super::{Answered, Facts, Slot};
use crate::path::ApiPath;
use picloud_model::audit::AuditEntry;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many lists are read at once.
const LISTS_AT_ONCE: usize = 4;
/// How many names of one list are read.
const NAMES_MAX: u32 = 1000;
/// How many lists are kept: three of each of a thousand apps.
const LISTS_MAX: usize = 3001;

/// What kind of thing a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An endpoint.
    Script,
    /// A module.
    Module,
    /// A URL.
    Route,
    /// A schedule or reaction.
    Trigger,
    /// A machine.
    Node,
}

/// A thing that the palette finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    /// What it is.
    pub(super) kind: Kind,
    /// Whose, where it belongs to an app.
    pub(super) app: Option<String>,
    /// Its name, or what a route answers to.
    pub(super) name: String,
    /// What its screen knows it by.
    pub(super) id: String,
}

/// A list: its slot's name and its app.
type ListId = (&'static str, String);

const SCRIPTS: &str = "names-of-scripts";
const ROUTES: &str = "names-of-routes";
const TRIGGERS: &str = "names-of-triggers";
const NODES: &str = "names-of-nodes";

/// All names that were read.
#[derive(Debug, Default)]
pub(crate) struct Names {
    lists: BTreeMap<ListId, Vec<Thing>>,
    /// Lists that are as they are at the appliance, as far as is known.
    fresh: BTreeSet<ListId>,
    waiting: VecDeque<ListId>,
    under_way: BTreeSet<ListId>,
}

impl Names {
    /// What is to be read now that somebody looks for names.
    pub(super) fn wanted(&mut self, facts: &Facts) -> Vec<(Slot, ApiPath)> {
        let apps = facts.app_names();
        let of_apps = |what: &'static str| apps.iter().map(move |app| (what, (*app).to_owned()));
        let all = [(NODES, String::new())].into_iter().chain(of_apps(SCRIPTS)).chain(of_apps(TRIGGERS));
        let all: Vec<ListId> = all.chain(of_apps(ROUTES)).take(LISTS_MAX).collect();
        self.lists.retain(|list, _| list.0 == NODES || apps.contains(&list.1.as_str()));
        self.waiting =
            all.into_iter().filter(|list| !self.fresh.contains(list) && !self.under_way.contains(list)).collect();
        self.next()
    }

    /// Nobody looks any more: nothing further is read.
    pub(super) fn pause(&mut self) {
        self.waiting.clear();
    }

    fn next(&mut self) -> Vec<(Slot, ApiPath)> {
        let mut wanted = Vec::new();
        while self.under_way.len() < LISTS_AT_ONCE
            && let Some(list) = self.waiting.pop_front()
        {
            let path = match list.0 {
                NODES => ApiPath::new(&["nodes"]),
                SCRIPTS => ApiPath::of_app(&list.1, &["scripts"]),
                ROUTES => ApiPath::of_app(&list.1, &["routes"]),
                _ => ApiPath::of_app(&list.1, &["triggers"]),
            };
            wanted.push((Slot::of(list.0, list.1.clone()), path.query("limit", Some(NAMES_MAX))));
            self.under_way.insert(list);
        }
        wanted
    }

    /// A list came, or did not; answers what is to be read next.
    pub(super) fn loaded(&mut self, slot: &Slot, answered: &Answered) -> Vec<(Slot, ApiPath)> {
        let list = (slot.name, slot.of.clone());
        if self.under_way.remove(&list)
            && let Ok(page) = answered.as_ref().map_err(|_problem| ()).and_then(|a| a.json::<Value>().map_err(|_p| ()))
        {
            let items = page["items"].as_array().into_iter().flatten().take(NAMES_MAX as usize);
            self.lists.insert(list.clone(), items.filter_map(|item| thing(&list, item)).collect());
            self.fresh.insert(list);
        }
        self.next()
    }

    /// Something was changed: its list is read anew next time.
    pub(super) fn changed(&mut self, entry: &AuditEntry) {
        let what = entry.action.split('.').next().unwrap_or_default();
        let app = entry.app.clone().unwrap_or_default();
        match what {
            "script" | "module" => _ = self.fresh.remove(&(SCRIPTS, app)),
            "route" => _ = self.fresh.remove(&(ROUTES, app)),
            "trigger" => _ = self.fresh.remove(&(TRIGGERS, app)),
            "node" => _ = self.fresh.remove(&(NODES, String::new())),
            "kv" | "file" | "env" | "secret" | "key" => {}
            _ => self.fresh.clear(),
        }
    }

    /// Everything may have changed.
    pub(super) fn forget(&mut self) {
        self.fresh.clear();
    }

    /// All that are known.
    pub(super) fn all(&self) -> impl Iterator<Item = &Thing> {
        self.lists.values().flatten()
    }

    /// Whether some are still on their way.
    pub(super) fn is_reading(&self) -> bool {
        !self.under_way.is_empty()
    }
}

fn thing((what, app): &ListId, item: &Value) -> Option<Thing> {
    let text = |field: &str| item[field].as_str();
    let (kind, name, id) = match *what {
        SCRIPTS if text("kind") == Some("module") => (Kind::Module, text("name")?.to_owned(), text("name")?),
        SCRIPTS => (Kind::Script, text("name")?.to_owned(), text("name")?),
        TRIGGERS => (Kind::Trigger, text("name")?.to_owned(), text("name")?),
        ROUTES => {
            let methods: Vec<&str> =
                item["methods"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let methods = if methods.is_empty() { "*".to_owned() } else { methods.join(",") };
            (Kind::Route, format!("{methods} {}", text("path")?), text("id")?)
        }
        _ => (Kind::Node, text("name")?.to_owned(), text("name")?),
    };
    let app = (*what != NODES).then(|| app.clone());
    Some(Thing { kind, app, name, id: id.to_owned() })
}
