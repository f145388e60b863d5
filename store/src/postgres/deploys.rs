//! Deploys in Postgres: an app as a whole, made and read.

use super::app_parts::{put_routes, put_scripts};
use super::apps::{app_by_id, app_locked_by_name, insert_app, note_app, touch_app, update_app};
use super::enqueue::forget_script;
use super::error::JobResult;
use super::routes::routes_of;
use super::script_rows::scripts_of;
use super::static_files::{put_static_files, read_blob, static_files_of};
use super::transaction::{Tx, at_one_moment, writing};
use super::trigger_parts::put_triggers;
use super::trigger_rows::triggers_of;
use super::{PgStore, snapshot};
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
use sqlx::PgConnection;
use std::collections::HashMap;
use std::sync::Arc;

#[async_trait]
impl Deploys for PgStore {
    async fn deploy(&self, deploy: DeployWrite, act: &Act) -> Result<App> {
        writing!(self, |tx| make_app(tx, &deploy, act).await)
    }

    async fn app_state(&self, app: AppId) -> Result<Option<AppState>> {
        at_one_moment!(self, |conn| state_of(conn, app).await)
    }

    async fn snapshot(&self) -> Result<Vec<AppSnapshot>> {
        at_one_moment!(self, |conn| snapshot::all(conn).await)
    }

    async fn app_snapshot(&self, app: AppId) -> Result<Option<AppSnapshot>> {
        at_one_moment!(self, |conn| snapshot::one(conn, app).await)
    }

    async fn static_bytes(&self, hash: ContentHash, offset: u64, len: u32) -> Result<Option<Vec<u8>>> {
        at_one_moment!(self, |conn| read_blob(conn, hash, offset, len).await)
    }
}

async fn make_app(tx: &mut Tx<'_>, deploy: &DeployWrite, act: &Act) -> JobResult<App> {
    let PutApp { before, mut app, changed: app_changed } = put_app(tx, deploy, act.at).await?;
    let scripts_before = scripts_of(tx.conn(), app.id).await?;
    let (mut named, mut changed) = (Named::new(), PartsChanged::default());
    put_scripts(tx, app.id, &scripts_before, &deploy.scripts, act, &mut named, &mut changed).await?;
    put_routes(tx, app.id, &deploy.routes, &named, &mut changed).await?;
    put_triggers(tx, app.id, &deploy.triggers, &named, act.at, &mut changed).await?;
    // Last: nothing leads to these any more.
    for script in scripts_before.iter().filter(|script| !named.contains_key(script.name.as_str())) {
        sqlx::query("DELETE FROM scripts WHERE id = $1").bind(script.id.0).execute(tx.conn()).await?;
        changed.timers_deleted += forget_script(tx.conn(), app.id, script.id).await?;
        changed.scripts_deleted.push(script.name.clone());
    }
    changed.static_files = put_static_files(tx, app.id, &deploy.static_files, act.at).await?;
    if !app_changed && !changed.any() {
        return Ok(app);
    }
    if !app_changed {
        touch_app(tx, app.id, act.at).await?;
    }
    app = app_by_id(tx.conn(), app.id).await?.expect("it was written in this transaction");
    let (before, after) = deploy_shown(before.as_ref(), &app, app_changed, &changed, act);
    note_app(tx, act, "app.deploy", &app.name, before, Some(after));
    Ok(app)
}

/// Makes the app or brings it to what the deploy says.
async fn put_app(tx: &mut Tx<'_>, deploy: &DeployWrite, at: UnixMs) -> JobResult<PutApp> {
    let found = app_locked_by_name(tx, &deploy.app.name).await?;
    let Some((before, mut app)) = found_and_wanted(found, deploy)? else {
        return Ok(PutApp { before: None, app: insert_app(tx, &deploy.app, at).await?, changed: true });
    };
    let changed = app != before;
    if changed {
        update_app(tx, &mut app, at).await?;
    }
    Ok(PutApp { before: Some(before), app, changed })
}

async fn state_of(conn: &mut PgConnection, app: AppId) -> JobResult<Option<AppState>> {
    let Some(app) = app_by_id(conn, app).await? else { return Ok(None) };
    let scripts = scripts_of(conn, app.id).await?;
    let select = sqlx::query_as(
        "SELECT hash, text FROM sources WHERE hash IN (SELECT live_hash FROM scripts WHERE app_id = $1)",
    );
    let sources: Vec<([u8; 32], String)> = select.bind(app.id.0).fetch_all(&mut *conn).await?;
    let sources: HashMap<[u8; 32], Arc<str>> = sources.into_iter().map(|(hash, text)| (hash, text.into())).collect();
    let source = |hash: ContentHash| sources.get(&hash.0).cloned().ok_or(sqlx::Error::RowNotFound);
    let scripts = scripts.into_iter().map(|script| source(script.hash).map(|text| (script, text)));
    let scripts = scripts.collect::<Result<_, _>>()?;
    let routes = routes_of(conn, app.id).await?.into_iter().map(|(route, _position)| route).collect();
    let static_files = static_files_of(conn, app.id).await?;
    let triggers = triggers_of(conn, app.id).await?.into_iter().map(|row| row.trigger).collect();
    Ok(Some(AppState { app, scripts, routes, static_files, triggers }))
}
