//! Deploys in SQLite: an app as a whole, made and read.

use super::app_parts::{put_routes, put_scripts};
use super::apps::{app_by_id, app_by_name, insert_app, note_app, touch_app, update_app};
use super::enqueue::forget_script;
use super::error::JobResult;
use super::routes::routes_of;
use super::script_rows::scripts_of;
use super::static_files::{put_static_files, read_blob, static_files_of};
use super::trigger_parts::put_triggers;
use super::trigger_rows::triggers_of;
use super::{DataTx, SqliteStore, snapshot};
use crate::app_rules::{PutApp, deploy_shown, found_and_wanted};
use crate::parts::{Named, PartsChanged};
use crate::{AppState, DeployWrite, Deploys, Result};
use async_trait::async_trait;
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::protocol::AppSnapshot;
use rusqlite::Connection;
use std::sync::Arc;

#[async_trait]
impl Deploys for SqliteStore {
    async fn deploy(&self, deploy: DeployWrite, act: &Act) -> Result<App> {
        let act = act.clone();
        self.write(move |tx| make_app(tx, &deploy, &act)).await
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

fn make_app(tx: &DataTx<'_>, deploy: &DeployWrite, act: &Act) -> JobResult<App> {
    let PutApp { before, mut app, changed: app_changed } = put_app(tx, deploy, act.at)?;
    let scripts_before = scripts_of(tx.conn, app.id)?;
    let (mut named, mut changed) = (Named::new(), PartsChanged::default());
    put_scripts(tx, app.id, &scripts_before, &deploy.scripts, act, &mut named, &mut changed)?;
    put_routes(tx, app.id, &deploy.routes, &named, &mut changed)?;
    put_triggers(tx, app.id, &deploy.triggers, &named, act.at, &mut changed)?;
    // Last: nothing leads to these any more.
    let mut delete = tx.conn.prepare_cached("DELETE FROM scripts WHERE id = ?1")?;
    for script in scripts_before.iter().filter(|script| !named.contains_key(script.name.as_str())) {
        delete.execute([script.id.0])?;
        changed.timers_deleted += forget_script(tx, app.id, script.id)?;
        changed.scripts_deleted.push(script.name.clone());
    }
    changed.static_files = put_static_files(tx, app.id, &deploy.static_files, act.at)?;
    if !app_changed && !changed.any() {
        return Ok(app);
    }
    if !app_changed {
        touch_app(tx, app.id, act.at)?;
    }
    app = app_by_id(tx.conn, app.id)?.expect("it was written in this transaction");
    let (before, after) = deploy_shown(before.as_ref(), &app, app_changed, &changed, act);
    note_app(tx, act, "app.deploy", &app.name, before, Some(after))?;
    Ok(app)
}

/// Makes the app or brings it to what the deploy says.
fn put_app(tx: &DataTx<'_>, deploy: &DeployWrite, at: UnixMs) -> JobResult<PutApp> {
    let found = app_by_name(tx.conn, &deploy.app.name)?;
    let Some((before, mut app)) = found_and_wanted(found, deploy)? else {
        return Ok(PutApp { before: None, app: insert_app(tx, &deploy.app, at)?, changed: true });
    };
    let changed = app != before;
    if changed {
        update_app(tx, &mut app, at)?;
    }
    Ok(PutApp { before: Some(before), app, changed })
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
    let triggers = triggers_of(&moment, app.id)?.into_iter().map(|row| row.trigger).collect();
    Ok(Some(AppState { app, scripts, routes, static_files, triggers }))
}
