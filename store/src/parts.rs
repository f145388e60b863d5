//! The parts of an app that change together: what they are called, and what a change of them came to.

use crate::audit_shown::names_shown;
use crate::refusals::{no_endpoint, route_twice, script_twice};
use crate::{ScriptWrite, StoreError};
use picloud_model::ids::{RouteId, ScriptId};
use picloud_model::route::{Route, RouteSpec};
use picloud_model::script::ScriptKind;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// Refuses two scripts of one name.
pub(crate) fn expect_each_once(scripts: &[ScriptWrite]) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    match scripts.iter().find(|script| !seen.insert(script.name.as_str())) {
        Some(script) => Err(script_twice(&script.name)),
        None => Ok(()),
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

/// What is to be done for the routes of an app to be those that are wanted.
#[derive(Debug, Default)]
pub(crate) struct RoutePlan<'a> {
    /// These go, before anything is made: no two routes may answer the same.
    pub(crate) removed: Vec<RouteId>,
    /// These follow, in order.
    pub(crate) steps: Vec<RouteStep<'a>>,
}

/// One of the routes that are wanted, as far as it is not what it was.
#[derive(Debug)]
pub(crate) enum RouteStep<'a> {
    /// It stands elsewhere in the order.
    Move(RouteId, i64),
    /// It is new, and leads to the script.
    Make(i64, &'a RouteSpec, ScriptId),
}

/// How `before`, each with its position, becomes `wanted`; one that says the same as before keeps its id.
pub(crate) fn plan_routes<'a>(
    before: &[(Route, i64)],
    wanted: &'a [RouteSpec],
    scripts: &Named<'_>,
    changed: &mut PartsChanged,
) -> Result<RoutePlan<'a>, StoreError> {
    let mut by_what_they_answer: HashMap<(&str, &[String]), &RouteSpec> = HashMap::new();
    for route in wanted {
        if !matches!(scripts.get(route.script.as_str()), Some((_, ScriptKind::Endpoint))) {
            return Err(no_endpoint(route));
        }
        if by_what_they_answer.insert((&route.path, &route.methods), route).is_some() {
            return Err(route_twice(route));
        }
    }
    let mut plan = RoutePlan::default();
    if before.len() == wanted.len() && before.iter().zip(wanted).all(|((old, _), new)| old.spec == *new) {
        return Ok(plan);
    }
    let mut kept: HashMap<(&str, &[String]), (RouteId, i64)> = HashMap::new();
    for (Route { id, spec }, position) in before {
        if by_what_they_answer.get(&(spec.path.as_str(), spec.methods.as_slice())) == Some(&spec) {
            kept.insert((&spec.path, &spec.methods), (*id, *position));
        } else {
            plan.removed.push(*id);
            changed.routes_removed.push(route_named(spec));
        }
    }
    for (position, spec) in (0_i64..).zip(wanted) {
        match kept.get(&(spec.path.as_str(), spec.methods.as_slice())) {
            Some((_id, old)) if *old == position => {}
            Some((id, _old)) => {
                plan.steps.push(RouteStep::Move(*id, position));
                changed.routes_moved = true;
            }
            None => {
                plan.steps.push(RouteStep::Make(position, spec, scripts[spec.script.as_str()].0));
                changed.routes_added.push(route_named(spec));
            }
        }
    }
    Ok(plan)
}
