//! The parts of an app that change together: what they are called, and what a change of them came to.

use crate::ScriptWrite;
use crate::audit_shown::names_shown;
use picloud_model::ids::ScriptId;
use picloud_model::route::RouteSpec;
use picloud_model::script::ScriptKind;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Scripts of an app: name → id and kind.
pub(crate) type Named<'a> = BTreeMap<&'a str, (ScriptId, ScriptKind)>;

/// What became other than it was.
#[derive(Debug, Default)]
pub(crate) struct PartsChanged {
    /// `hello 3`: the script and its new version.
    pub(crate) scripts_saved: Vec<String>,
    /// Scripts whose imports lead to other modules than before, though they are the same.
    pub(crate) scripts_relinked: Vec<String>,
    pub(crate) scripts_deleted: Vec<String>,
    pub(crate) routes_added: Vec<String>,
    pub(crate) routes_removed: Vec<String>,
    pub(crate) routes_moved: bool,
    pub(crate) triggers_saved: Vec<String>,
    /// `nightly with 3 queued`: the trigger, and what went with it.
    pub(crate) triggers_deleted: Vec<String>,
    pub(crate) triggers_moved: bool,
    /// Of scripts that went.
    pub(crate) timers_deleted: u64,
    pub(crate) static_files: usize,
}

impl PartsChanged {
    pub(crate) fn any(&self) -> bool {
        !self.shown().is_empty()
    }

    /// Only what there is.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let names = [
            ("scripts_saved", &self.scripts_saved),
            ("scripts_relinked", &self.scripts_relinked),
            ("scripts_deleted", &self.scripts_deleted),
            ("routes_added", &self.routes_added),
            ("routes_removed", &self.routes_removed),
            ("triggers_saved", &self.triggers_saved),
            ("triggers_deleted", &self.triggers_deleted),
        ];
        let names = names.into_iter().filter(|(_field, names)| !names.is_empty());
        let mut shown: Map<String, Value> =
            names.map(|(field, names)| (field.to_owned(), names_shown(names.clone()))).collect();
        if self.routes_moved {
            shown.insert("routes_moved".to_owned(), true.into());
        }
        if self.timers_deleted > 0 {
            shown.insert("timers_deleted".to_owned(), self.timers_deleted.into());
        }
        if self.triggers_moved {
            shown.insert("triggers_moved".to_owned(), true.into());
        }
        if self.static_files > 0 {
            shown.insert("static_files_changed".to_owned(), self.static_files.into());
        }
        shown
    }
}

/// The modules that the script imports, and titles of those that are not there.
pub(crate) fn modules_among(named: &Named<'_>, script: &ScriptWrite) -> (BTreeSet<ScriptId>, Vec<String>) {
    let mut modules = BTreeSet::new();
    let mut missing = Vec::new();
    for import in &script.imports {
        match named.get(import.as_str()) {
            Some((id, ScriptKind::Module)) => {
                modules.insert(*id);
            }
            _ => missing.push(format!("module `{import}`")),
        }
    }
    (modules, missing)
}

/// How a route is called in the audit log.
pub(crate) fn route_named(spec: &RouteSpec) -> String {
    format!("{} → {}", spec.title(), spec.script)
}
