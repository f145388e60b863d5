//! Scripts and routes of an app, several at once: what deploys and other changes of an app have in common.

use super::DataTx;
use super::audit_shown::names_shown;
use super::error::{JobResult, conflict};
use super::routes::{insert_route, no_endpoint, route_twice, routes_of};
use super::script_rows::{put_imports, put_script};
use super::scripts::missing_modules;
use super::version_contexts;
use crate::ScriptWrite;
use picloud_model::audit::Act;
use picloud_model::ids::{AppId, ScriptId};
use picloud_model::route::{Route, RouteSpec};
use picloud_model::script::{Script, ScriptKind};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Scripts of an app: name → id and kind.
pub(super) type Named<'a> = BTreeMap<&'a str, (ScriptId, ScriptKind)>;

/// What became other than it was.
#[derive(Debug, Default)]
pub(super) struct PartsChanged {
    /// `hello 3`: the script and its new version.
    pub(super) scripts_saved: Vec<String>,
    /// Scripts whose imports lead to other modules than before, though they are the same.
    pub(super) scripts_relinked: Vec<String>,
    pub(super) scripts_deleted: Vec<String>,
    pub(super) routes_added: Vec<String>,
    pub(super) routes_removed: Vec<String>,
    pub(super) routes_moved: bool,
    pub(super) triggers_saved: Vec<String>,
    /// `nightly with 3 queued`: the trigger, and what went with it.
    pub(super) triggers_deleted: Vec<String>,
    pub(super) triggers_moved: bool,
    /// Of scripts that went.
    pub(super) timers_deleted: u64,
    pub(super) static_files: usize,
}

impl PartsChanged {
    pub(super) fn any(&self) -> bool {
        !self.shown().is_empty()
    }

    /// Only what there is.
    pub(super) fn shown(&self) -> Map<String, Value> {
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

/// Makes all scripts, then their imports, which may go in any direction among them and to what is in `named`, and adds
/// them to `named`.
pub(super) fn put_scripts<'a>(
    tx: &DataTx<'_>,
    app: AppId,
    before: &[Script],
    scripts: &'a [ScriptWrite],
    act: &Act,
    named: &mut Named<'a>,
    changed: &mut PartsChanged,
) -> JobResult<()> {
    let live: HashMap<&str, &Script> = before.iter().map(|script| (script.name.as_str(), script)).collect();
    let mut seen = BTreeSet::new();
    let mut made = Vec::new();
    for script in scripts {
        if !seen.insert(script.name.as_str()) {
            let message = format!("`{}` stands twice: endpoints and modules share their names", script.name);
            return Err(conflict(message, vec![script.name.clone()]).into());
        }
        let put = put_script(tx, app, live.get(script.name.as_str()).copied(), script, act)?;
        if put.made {
            changed.scripts_saved.push(format!("{} {}", script.name, put.version));
            made.push(put.id);
        }
        named.insert(&script.name, (put.id, script.kind));
    }
    for script in scripts {
        let (id, _kind) = named[script.name.as_str()];
        let (modules, missing) = modules_among(named, script);
        if !missing.is_empty() {
            return Err(missing_modules(&script.name, missing).into());
        }
        if put_imports(tx, app, id, &modules)? && !made.contains(&id) {
            changed.scripts_relinked.push(script.name.clone());
        }
    }
    // Last: what a version reaches is known once all imports are written.
    made.into_iter().try_for_each(|id| version_contexts::record(tx, id))
}

fn modules_among(named: &Named<'_>, script: &ScriptWrite) -> (BTreeSet<ScriptId>, Vec<String>) {
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

/// Makes the routes exactly these; one that says the same as before keeps its id.
pub(super) fn put_routes(
    tx: &DataTx<'_>,
    app: AppId,
    routes: &[RouteSpec],
    scripts: &Named<'_>,
    changed: &mut PartsChanged,
) -> JobResult<()> {
    let before = routes_of(tx.conn, app)?;
    let unchanged = before.len() == routes.len() && before.iter().zip(routes).all(|((old, _), new)| old.spec == *new);
    let mut wanted: HashMap<(&str, &[String]), &RouteSpec> = HashMap::new();
    for route in routes {
        if !matches!(scripts.get(route.script.as_str()), Some((_, ScriptKind::Endpoint))) {
            return Err(no_endpoint(route).into());
        }
        if wanted.insert((&route.path, &route.methods), route).is_some() {
            return Err(route_twice(route).into());
        }
    }
    if unchanged {
        return Ok(());
    }
    let mut kept: HashMap<(&str, &[String]), &(Route, i64)> = HashMap::new();
    let mut delete = tx.conn.prepare_cached("DELETE FROM routes WHERE id = ?1")?;
    for old in &before {
        let spec = &old.0.spec;
        if wanted.get(&(spec.path.as_str(), spec.methods.as_slice())) == Some(&spec) {
            kept.insert((&spec.path, &spec.methods), old);
        } else {
            delete.execute([old.0.id.0])?;
            changed.routes_removed.push(route_named(spec));
        }
    }
    let mut update = tx.conn.prepare_cached("UPDATE routes SET position = ?2 WHERE id = ?1")?;
    for (position, spec) in (0_i64..).zip(routes) {
        match kept.get(&(spec.path.as_str(), spec.methods.as_slice())) {
            Some((_route, old)) if *old == position => {}
            Some((route, _old)) => {
                update.execute([route.id.0, position])?;
                changed.routes_moved = true;
            }
            None => {
                insert_route(tx, app, position, spec, scripts[spec.script.as_str()].0)?;
                changed.routes_added.push(route_named(spec));
            }
        }
    }
    Ok(())
}

fn route_named(spec: &RouteSpec) -> String {
    format!("{} → {}", spec.title(), spec.script)
}
