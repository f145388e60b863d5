//! Routes in SQLite.

use super::apps::{name_of, revision, rows_max, touch_app};
use super::audit_rows::{Noted, note};
use super::audit_shown::route_shown;
use super::error::{JobResult, expect_version};
use super::script_rows::script_by_name;
use super::{DataTx, SqliteStore};
use crate::cursor::{self, List};
use crate::refusals::{no_endpoint, route_twice};
use crate::route_words::auth_word;
pub(super) use crate::route_words::{auth_from, methods_from};
use crate::{Result, Routes};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::ids::{AppId, RouteId, ScriptId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::route::{Route, RouteSpec};
use picloud_model::script::ScriptKind;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The columns of [`route_from_row`], in its order.
macro_rules! select_route {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.methods, r.path, s.name, r.auth, r.position FROM routes r JOIN scripts s ON s.id = r.script_id ",
            $rest
        )
    };
}

#[async_trait]
impl Routes for SqliteStore {
    async fn routes(&self, app: AppId, page: &PageRequest) -> Result<Page<Route>> {
        let after = cursor::decode_number(List::Routes, page.cursor.as_deref(), i64::MIN)?;
        let items_max = cursor::page_items(page.limit);
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_route!(
                "WHERE r.app_id = ?1 AND r.position > ?2 ORDER BY r.position LIMIT ?3"
            ))?;
            let rows = select.query_map([app.0, after, rows_max(items_max)], |row| {
                Ok((route_from_row(row)?, row.get::<_, i64>(5)?))
            })?;
            let routes = rows.collect::<rusqlite::Result<_>>()?;
            let page = cursor::page(routes, items_max, List::Routes, |(_route, position)| position.to_be_bytes());
            Ok(page.map(|(route, _position)| route))
        })
        .await
    }

    async fn route(&self, app: AppId, id: RouteId) -> Result<Option<Route>> {
        self.read(move |conn| route_by_id(conn, app, id)).await
    }

    async fn create_route(&self, app: AppId, route: &RouteSpec, expected: i64, act: &Act) -> Result<Route> {
        let (spec, act) = (route.clone(), act.clone());
        self.write(move |tx| {
            expect_version(Some(expected), revision(tx.conn, app)?)?;
            let script = script_by_name(tx.conn, app, &spec.script)?;
            let Some(script) = script.filter(|script| script.kind == ScriptKind::Endpoint) else {
                return Err(no_endpoint(&spec).into());
            };
            let mut twin =
                tx.conn.prepare_cached("SELECT 1 FROM routes WHERE app_id = ?1 AND path = ?2 AND methods = ?3")?;
            if twin.exists(params![app.0, spec.path, spec.methods.join(",")])? {
                return Err(route_twice(&spec).into());
            }
            let mut last = tx.conn.prepare_cached("SELECT max(position) FROM routes WHERE app_id = ?1")?;
            let last: Option<i64> = last.query_row([app.0], |row| row.get(0))?;
            let id = insert_route(tx, app, last.map_or(0, |last| last + 1), &spec, script.id)?;
            touch_app(tx, app, act.at)?;
            let (name, title, after) = (name_of(tx.conn, app)?, spec.title(), Some(route_shown(&spec)));
            note(tx, &act, Noted { action: "route.create", app: Some(&name), target: &title, before: None, after })?;
            Ok(Route { id, spec })
        })
        .await
    }

    async fn delete_route(&self, app: AppId, id: RouteId, act: &Act) -> Result<bool> {
        let act = act.clone();
        self.write(move |tx| {
            let Some(Route { spec, .. }) = route_by_id(tx.conn, app, id)? else { return Ok(false) };
            tx.conn.prepare_cached("DELETE FROM routes WHERE id = ?1")?.execute([id.0])?;
            touch_app(tx, app, act.at)?;
            let (name, title, before) = (name_of(tx.conn, app)?, spec.title(), Some(route_shown(&spec)));
            note(tx, &act, Noted { action: "route.delete", app: Some(&name), target: &title, before, after: None })?;
            Ok(true)
        })
        .await
    }
}

fn route_by_id(conn: &Connection, app: AppId, id: RouteId) -> JobResult<Option<Route>> {
    let mut select = conn.prepare_cached(select_route!("WHERE r.app_id = ?1 AND r.id = ?2"))?;
    Ok(select.query_row([app.0, id.0], route_from_row).optional()?)
}

/// All of the app's routes, each with its position, in order.
pub(super) fn routes_of(conn: &Connection, app: AppId) -> JobResult<Vec<(Route, i64)>> {
    let mut select = conn.prepare_cached(select_route!("WHERE r.app_id = ?1 ORDER BY r.position"))?;
    let rows = select.query_map([app.0], |row| Ok((route_from_row(row)?, row.get(5)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The routes that lead to the script, in order.
pub(super) fn routes_of_script(conn: &Connection, script: ScriptId) -> JobResult<Vec<RouteSpec>> {
    let mut select = conn.prepare_cached(select_route!(
        "WHERE r.app_id = (SELECT app_id FROM scripts WHERE id = ?1) AND r.script_id = ?1 ORDER BY r.position"
    ))?;
    let rows = select.query_map([script.0], |row| Ok(route_from_row(row)?.spec))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn insert_route(
    tx: &DataTx<'_>,
    app: AppId,
    position: i64,
    spec: &RouteSpec,
    script: ScriptId,
) -> JobResult<RouteId> {
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO routes (app_id, position, methods, path, script_id, auth) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let auth = auth_word(spec.auth);
    let methods = spec.methods.join(",");
    Ok(RouteId(insert.insert(params![app.0, position, methods, spec.path, script.0, auth])?))
}

fn route_from_row(row: &Row<'_>) -> rusqlite::Result<Route> {
    let spec = RouteSpec {
        methods: methods_from(row.get_ref(1)?.as_str()?),
        path: row.get(2)?,
        script: row.get(3)?,
        auth: auth_from(row.get_ref(4)?.as_str()?),
    };
    Ok(Route { id: RouteId(row.get(0)?), spec })
}
