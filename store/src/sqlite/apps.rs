//! Apps in SQLite.

use super::audit_rows::{Noted, note};
use super::audit_shown::{app_change_shown, app_shown};
use super::error::{JobResult, expect_version};
use super::{DataTx, SqliteStore, trigger_rows};
use crate::app_rules::{made, patched};
pub(super) use crate::cursor::rows_max;
use crate::cursor::{self, List};
use crate::refusals::name_taken;
use crate::{Apps, Result};
use async_trait::async_trait;
use picloud_model::app::{App, AppPatch, NewApp};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use picloud_model::page::{Page, PageRequest};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

/// The columns of [`app_from_row`], in its order.
macro_rules! select_app {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, hosts, env, limits, revision, created_at, updated_at, http, placement FROM apps ",
            $rest
        )
    };
}

#[async_trait]
impl Apps for SqliteStore {
    async fn apps(&self, page: &PageRequest) -> Result<Page<App>> {
        let after = cursor::decode_text(List::Apps, page.cursor.as_deref())?;
        let items_max = cursor::page_items(page.limit);
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_app!("WHERE name > ?1 ORDER BY name LIMIT ?2"))?;
            let mut rows = select.query(params![after, rows_max(items_max)])?;
            let mut apps = Vec::new();
            while let Some(row) = rows.next()? {
                apps.push(app_from_row(row)?);
            }
            Ok(cursor::page(apps, items_max, List::Apps, |app| app.name.clone()))
        })
        .await
    }

    async fn app(&self, name: &str) -> Result<Option<App>> {
        let name = name.to_owned();
        self.read(move |conn| app_by_name(conn, &name)).await
    }

    async fn create_app(&self, app: &NewApp, act: &Act) -> Result<App> {
        let (app, act) = (app.clone(), act.clone());
        self.write(move |tx| {
            if app_by_name(tx.conn, &app.name)?.is_some() {
                return Err(name_taken(&app.name).into());
            }
            let made = insert_app(tx, &app, act.at)?;
            note_app(tx, &act, "app.create", &made.name, None, Some(app_shown(&made)))?;
            Ok(made)
        })
        .await
    }

    async fn patch_app(&self, app: AppId, patch: &AppPatch, expected: Option<i64>, act: &Act) -> Result<Option<App>> {
        let (patch, act) = (patch.clone(), act.clone());
        self.write(move |tx| {
            let Some(before) = app_by_id(tx.conn, app)? else { return Ok(None) };
            expect_version(expected, before.revision)?;
            let mut after = patched(&before, &patch);
            if after != before {
                update_app(tx, &mut after, act.at)?;
                let shown = Some(app_change_shown(&before, &after));
                note_app(tx, &act, "app.change", &after.name, Some(app_shown(&before)), shown)?;
            }
            Ok(Some(after))
        })
        .await
    }

    async fn delete_app(&self, app: AppId, expected: Option<i64>, act: &Act) -> Result<bool> {
        let act = act.clone();
        let deleted = self
            .write(move |tx| {
                let Some(before) = app_by_id(tx.conn, app)? else { return Ok(false) };
                expect_version(expected, before.revision)?;
                // Routes and triggers refer to scripts, which go with the app: they go first.
                tx.conn.prepare_cached("DELETE FROM routes WHERE app_id = ?1")?.execute([app.0])?;
                tx.conn.prepare_cached("DELETE FROM triggers WHERE app_id = ?1")?.execute([app.0])?;
                trigger_rows::changed(tx, app);
                tx.conn.prepare_cached("DELETE FROM apps WHERE id = ?1")?.execute([app.0])?;
                note_app(tx, &act, "app.delete", &before.name, Some(app_shown(&before)), None)?;
                Ok(true)
            })
            .await?;
        // Its files went with it.
        self.dropped.notify_one();
        Ok(deleted)
    }
}

/// Writes down what was done to an app as a whole.
pub(super) fn note_app(
    tx: &DataTx<'_>,
    act: &Act,
    action: &str,
    name: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> JobResult<()> {
    note(tx, act, Noted { action, app: Some(name), target: name, before, after })
}

pub(super) fn app_by_name(conn: &Connection, name: &str) -> JobResult<Option<App>> {
    let mut select = conn.prepare_cached(select_app!("WHERE name = ?1"))?;
    let mut rows = select.query([name])?;
    rows.next()?.map(app_from_row).transpose()
}

pub(super) fn app_by_id(conn: &Connection, id: AppId) -> JobResult<Option<App>> {
    let mut select = conn.prepare_cached(select_app!("WHERE id = ?1"))?;
    let mut rows = select.query([id.0])?;
    rows.next()?.map(app_from_row).transpose()
}

/// All of them by id.
pub(super) fn all_apps(conn: &Connection) -> JobResult<Vec<App>> {
    let mut select = conn.prepare_cached(select_app!("ORDER BY id"))?;
    let mut rows = select.query([])?;
    let mut apps = Vec::new();
    while let Some(row) = rows.next()? {
        apps.push(app_from_row(row)?);
    }
    Ok(apps)
}

/// The app's name; none where it does not exist, which the foreign keys have told already.
pub(super) fn name_of(conn: &Connection, app: AppId) -> JobResult<String> {
    let mut select = conn.prepare_cached("SELECT name FROM apps WHERE id = ?1")?;
    Ok(select.query_row([app.0], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// The app's revision; 0 where it does not exist.
pub(super) fn revision(conn: &Connection, app: AppId) -> JobResult<i64> {
    let mut select = conn.prepare_cached("SELECT revision FROM apps WHERE id = ?1")?;
    Ok(select.query_row([app.0], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Makes the app, at revision 1.
pub(super) fn insert_app(tx: &DataTx<'_>, app: &NewApp, at: UnixMs) -> JobResult<App> {
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO apps (name, hosts, env, limits, http, placement, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)",
    )?;
    let hosts = serde_json::to_string(&app.hosts)?;
    let env = serde_json::to_string(&app.env)?;
    let limits = serde_json::to_string(&app.limits)?;
    let http = serde_json::to_string(&app.http)?;
    let placement = serde_json::to_string(&app.placement)?;
    let id = AppId(insert.insert(params![app.name, hosts, env, limits, http, placement, at])?);
    Ok(made(id, app, at))
}

/// Writes hosts, env, limits and what may be reached, and counts the revision up.
pub(super) fn update_app(tx: &DataTx<'_>, app: &mut App, at: UnixMs) -> JobResult<()> {
    app.revision += 1;
    app.updated_at = at;
    let mut update = tx.conn.prepare_cached(
        "UPDATE apps SET hosts = ?2, env = ?3, limits = ?4, http = ?5, placement = ?6, revision = ?7,
         updated_at = ?8 WHERE id = ?1",
    )?;
    let hosts = serde_json::to_string(&app.hosts)?;
    let env = serde_json::to_string(&app.env)?;
    let limits = serde_json::to_string(&app.limits)?;
    let http = serde_json::to_string(&app.http)?;
    let placement = serde_json::to_string(&app.placement)?;
    update.execute(params![app.id.0, hosts, env, limits, http, placement, app.revision, at])?;
    Ok(())
}

/// Counts the app's revision up: something of it changed.
pub(super) fn touch_app(tx: &DataTx<'_>, app: AppId, at: UnixMs) -> JobResult<()> {
    let mut update =
        tx.conn.prepare_cached("UPDATE apps SET revision = revision + 1, updated_at = ?2 WHERE id = ?1")?;
    update.execute([app.0, at])?;
    Ok(())
}

fn app_from_row(row: &Row<'_>) -> JobResult<App> {
    Ok(App {
        id: AppId(row.get(0)?),
        name: row.get(1)?,
        hosts: serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
        env: serde_json::from_str(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?,
        limits: serde_json::from_str(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
        revision: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        http: serde_json::from_str(row.get_ref(8)?.as_str().map_err(rusqlite::Error::from)?)?,
        placement: serde_json::from_str(row.get_ref(9)?.as_str().map_err(rusqlite::Error::from)?)?,
    })
}
