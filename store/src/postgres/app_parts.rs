//! Scripts and routes of an app, several at once: what deploys and other changes of an app have in common.

use super::error::{JobResult, conflict};
use super::routes::{insert_route, routes_of};
use super::script_rows::{put_imports, put_script};
use super::transaction::Tx;
use super::version_contexts;
use crate::ScriptWrite;
use crate::parts::{Named, PartsChanged, modules_among, route_named};
use crate::refusals::{missing_modules, no_endpoint, route_twice};
use picloud_model::audit::Act;
use picloud_model::ids::AppId;
use picloud_model::route::{Route, RouteSpec};
use picloud_model::script::{Script, ScriptKind};
use std::collections::{BTreeSet, HashMap};

/// Makes all scripts, then their imports, which may go in any direction among them and to what is in `named`, and adds
/// them to `named`.
pub(super) async fn put_scripts<'a>(
    tx: &mut Tx<'_>,
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
        let put = put_script(tx, app, live.get(script.name.as_str()).copied(), script, act).await?;
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
        if put_imports(tx, app, id, &modules).await? && !made.contains(&id) {
            changed.scripts_relinked.push(script.name.clone());
        }
    }
    // Last: what a version reaches is known once all imports are written.
    for id in made {
        version_contexts::record(tx, id).await?;
    }
    Ok(())
}

/// Makes the routes exactly these; one that says the same as before keeps its id.
pub(super) async fn put_routes(
    tx: &mut Tx<'_>,
    app: AppId,
    routes: &[RouteSpec],
    scripts: &Named<'_>,
    changed: &mut PartsChanged,
) -> JobResult<()> {
    let before = routes_of(tx.conn(), app).await?;
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
    let mut gone = Vec::new();
    for old in &before {
        let spec = &old.0.spec;
        if wanted.get(&(spec.path.as_str(), spec.methods.as_slice())) == Some(&spec) {
            kept.insert((&spec.path, &spec.methods), old);
        } else {
            gone.push(old.0.id.0);
            changed.routes_removed.push(route_named(spec));
        }
    }
    sqlx::query("DELETE FROM routes WHERE id = ANY ($1)").bind(gone).execute(tx.conn()).await?;
    for (position, spec) in (0_i64..).zip(routes) {
        match kept.get(&(spec.path.as_str(), spec.methods.as_slice())) {
            Some((_route, old)) if *old == position => {}
            Some((route, _old)) => {
                let update = sqlx::query("UPDATE routes SET position = $2 WHERE id = $1");
                update.bind(route.id.0).bind(position).execute(tx.conn()).await?;
                changed.routes_moved = true;
            }
            None => {
                insert_route(tx, app, position, spec, scripts[spec.script.as_str()].0).await?;
                changed.routes_added.push(route_named(spec));
            }
        }
    }
    Ok(())
}
