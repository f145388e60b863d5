//! Deploys in SQLite: an app as a whole, made and read.

use super::apps::{app_by_id, app_by_name, insert_app, name_taken, touch_app, update_app};
use super::error::{JobResult, conflict};
use super::routes::{insert_route, no_endpoint, route_twice, routes_of};
use super::script_rows::{put_imports, put_script, scripts_of};
use super::scripts::missing_modules;
use super::static_files::{put_static_files, read_blob, static_files_of};
use super::{DataTx, SqliteStore, snapshot};
use crate::{AppState, Author, DeployWrite, Deploys, Result, ScriptWrite, StoreError};
use async_trait::async_trait;
use picloud_model::app::App;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ScriptId};
use picloud_model::protocol::AppSnapshot;
use picloud_model::route::{Route, RouteSpec};
use picloud_model::script::{Script, ScriptKind};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The scripts of a deploy: name → id and kind.
type Named<'a> = BTreeMap<&'a str, (ScriptId, ScriptKind)>;

#[async_trait]
impl Deploys for SqliteStore {
    async fn deploy(&self, deploy: DeployWrite, author: &Author) -> Result<App> {
        let author = author.clone();
        self.write(move |tx| make_app(tx, &deploy, &author)).await
    }

    async fn app_state(&self, app: AppId) -> Result<Option<AppState>> {
        self.read(move |conn| state_of(conn, app)).await
    }

    async fn snapshot(&self) -> Result<Vec<AppSnapshot>> {
        self.read(snapshot::all).await
    }

    async fn app_snapshot(&self, app: AppId) -> Result<Option<AppSnapshot>> {
        self.read(move |conn| snapshot::one(conn, app)).await
    }

    async fn static_bytes(&self, hash: ContentHash, offset: u64, len: u32) -> Result<Option<Vec<u8>>> {
        self.read(move |conn| read_blob(conn, hash, offset, len)).await
    }
}

fn make_app(tx: &DataTx<'_>, deploy: &DeployWrite, author: &Author) -> JobResult<App> {
    let (mut app, mut counted) = put_app(tx, deploy, author.at)?;
    let before = scripts_of(tx.conn, app.id)?;
    let (scripts, scripts_changed) = put_scripts(tx, app.id, &before, &deploy.scripts, author)?;
    let routes_changed = put_routes(tx, app.id, &deploy.routes, &scripts)?;
    // Last: nothing leads to these any more.
    let mut delete = tx.conn.prepare_cached("DELETE FROM scripts WHERE id = ?1")?;
    let mut gone = 0;
    for script in before.iter().filter(|script| !scripts.contains_key(script.name.as_str())) {
        gone += delete.execute([script.id.0])?;
    }
    let files_changed = put_static_files(tx, app.id, &deploy.static_files, author.at)?;
    if (scripts_changed || routes_changed || files_changed || gone > 0) && !counted {
        touch_app(tx, app.id, author.at)?;
        counted = true;
    }
    if counted {
        app = app_by_id(tx.conn, app.id)?.expect("it was written in this transaction");
    }
    Ok(app)
}

/// Makes the app or brings it to what the deploy says. Answers it and whether its revision is counted up.
fn put_app(tx: &DataTx<'_>, deploy: &DeployWrite, at: UnixMs) -> JobResult<(App, bool)> {
    let wanted = &deploy.app;
    match (app_by_name(tx.conn, &wanted.name)?, deploy.expected) {
        (None, None) => Ok((insert_app(tx, wanted, at)?, true)),
        (None, Some(expected)) => Err(StoreError::Stale { expected, actual: 0 }.into()),
        (Some(_app), None) => Err(name_taken(&wanted.name).into()),
        (Some(app), Some(expected)) if app.revision != expected => {
            Err(StoreError::Stale { expected, actual: app.revision }.into())
        }
        (Some(app), Some(_expected)) => {
            let mut after = app.clone();
            after.hosts.clone_from(&wanted.hosts);
            after.env.clone_from(&wanted.env);
            after.limits.clone_from(&wanted.limits);
            let changed = after != app;
            if changed {
                update_app(tx, &mut after, at)?;
            }
            Ok((after, changed))
        }
    }
}

/// Makes all scripts, then their imports, which may go in any direction among them.
fn put_scripts<'a>(
    tx: &DataTx<'_>,
    app: AppId,
    before: &[Script],
    scripts: &'a [ScriptWrite],
    author: &Author,
) -> JobResult<(Named<'a>, bool)> {
    let live: HashMap<&str, &Script> = before.iter().map(|script| (script.name.as_str(), script)).collect();
    let mut named = Named::new();
    let mut changed = false;
    for script in scripts {
        if named.contains_key(script.name.as_str()) {
            let message = format!("`{}` stands twice: endpoints and modules share their names", script.name);
            return Err(conflict(message, vec![script.name.clone()]).into());
        }
        let (id, made) = put_script(tx, app, live.get(script.name.as_str()).copied(), script, author)?;
        changed |= made;
        named.insert(&script.name, (id, script.kind));
    }
    for script in scripts {
        let (id, _kind) = named[script.name.as_str()];
        let (modules, missing) = modules_among(&named, script);
        if !missing.is_empty() {
            return Err(missing_modules(&script.name, missing).into());
        }
        changed |= put_imports(tx, app, id, &modules)?;
    }
    Ok((named, changed))
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

/// Makes the routes exactly these; one that says the same as before keeps its id. Answers whether anything changed.
fn put_routes(tx: &DataTx<'_>, app: AppId, routes: &[RouteSpec], scripts: &Named<'_>) -> JobResult<bool> {
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
        return Ok(false);
    }
    let mut kept: HashMap<(&str, &[String]), &(Route, i64)> = HashMap::new();
    let mut delete = tx.conn.prepare_cached("DELETE FROM routes WHERE id = ?1")?;
    for old in &before {
        let spec = &old.0.spec;
        if wanted.get(&(spec.path.as_str(), spec.methods.as_slice())) == Some(&spec) {
            kept.insert((&spec.path, &spec.methods), old);
        } else {
            delete.execute([old.0.id.0])?;
        }
    }
    let mut update = tx.conn.prepare_cached("UPDATE routes SET position = ?2 WHERE id = ?1")?;
    for (position, spec) in (0_i64..).zip(routes) {
        match kept.get(&(spec.path.as_str(), spec.methods.as_slice())) {
            Some((_route, old)) if *old == position => {}
            Some((route, _old)) => {
                update.execute([route.id.0, position])?;
            }
            None => {
                insert_route(tx, app, position, spec, scripts[spec.script.as_str()].0)?;
            }
        }
    }
    Ok(true)
}

fn state_of(conn: &Connection, app: AppId) -> JobResult<Option<AppState>> {
    let moment = conn.unchecked_transaction()?;
    let Some(app) = app_by_id(&moment, app)? else { return Ok(None) };
    let scripts = scripts_of(&moment, app.id)?;
    let mut source = moment.prepare_cached("SELECT text FROM sources WHERE hash = ?1")?;
    let scripts = scripts
        .into_iter()
        .map(|script| {
            let text: Arc<str> = source.query_row([script.hash.0], |row| Ok(Arc::from(row.get_ref(0)?.as_str()?)))?;
            Ok((script, text))
        })
        .collect::<rusqlite::Result<_>>()?;
    let routes = routes_of(&moment, app.id)?.into_iter().map(|(route, _position)| route).collect();
    let static_files = static_files_of(&moment, app.id)?;
    Ok(Some(AppState { app, scripts, routes, static_files }))
}
