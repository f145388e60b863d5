//! Routes in Postgres.

use super::PgStore;
use super::apps::{lock_app, rows_max, touch_app};
use super::audit_rows::{Noted, note};
use super::error::{JobResult, expect_version};
use super::script_rows::script_by_name;
use super::transaction::{Tx, reading, writing};
use crate::audit_shown::route_shown;
use crate::cursor::{self, List};
use crate::refusals::{no_endpoint, route_twice};
use crate::route_words::{auth_from, auth_word, methods_from};
use crate::{Result, Routes};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::ids::{AppId, RouteId, ScriptId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::route::{Route, RouteSpec};
use picloud_model::script::ScriptKind;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The columns of [`route_from_row`], in its order, and the position.
macro_rules! select_route {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.methods, r.path, s.name, r.auth, r.position FROM routes r JOIN scripts s ON s.id = r.script_id ",
            $rest
        )
    };
}

#[async_trait]
impl Routes for PgStore {
    async fn routes(&self, app: AppId, page: &PageRequest) -> Result<Page<Route>> {
        let after = cursor::decode_number(List::Routes, page.cursor.as_deref(), i64::MIN)?;
        let items_max = cursor::page_items(page.limit);
        reading!(self, |conn| {
            let select =
                sqlx::query(select_route!("WHERE r.app_id = $1 AND r.position > $2 ORDER BY r.position LIMIT $3"));
            let rows = select.bind(app.0).bind(after).bind(rows_max(items_max)).fetch_all(conn).await?;
            let routes = rows.iter().map(route_and_position).collect::<JobResult<_>>()?;
            let key = |(_route, position): &(Route, i64)| position.to_be_bytes();
            Ok(cursor::page(routes, items_max, List::Routes, key).map(|(route, _position)| route))
        })
    }

    async fn route(&self, app: AppId, id: RouteId) -> Result<Option<Route>> {
        reading!(self, |conn| route_by_id(conn, app, id).await)
    }

    async fn create_route(&self, app: AppId, route: &RouteSpec, expected: i64, act: &Act) -> Result<Route> {
        writing!(self, |tx| {
            let (name, revision) = lock_app(tx, app).await?;
            expect_version(Some(expected), revision)?;
            let script = script_by_name(tx.conn(), app, &route.script).await?;
            let Some(script) = script.filter(|script| script.kind == ScriptKind::Endpoint) else {
                return Err(no_endpoint(route).into());
            };
            let (twin, last): (bool, Option<i64>) = sqlx::query_as(
                "SELECT coalesce(bool_or(path = $2 AND methods = $3), false), max(position)
                 FROM routes WHERE app_id = $1",
            )
            .bind(app.0)
            .bind(&route.path)
            .bind(route.methods.join(","))
            .fetch_one(tx.conn())
            .await?;
            if twin {
                return Err(route_twice(route).into());
            }
            let id = insert_route(tx, app, last.map_or(0, |last| last + 1), route, script.id).await?;
            touch_app(tx, app, act.at).await?;
            let (target, after) = (route.title(), Some(route_shown(route)));
            note(tx, act, Noted { action: "route.create", app: Some(&name), target: &target, before: None, after });
            Ok(Route { id, spec: route.clone() })
        })
    }

    async fn delete_route(&self, app: AppId, id: RouteId, act: &Act) -> Result<bool> {
        writing!(self, |tx| {
            let (name, _revision) = lock_app(tx, app).await?;
            let Some(Route { spec, .. }) = route_by_id(tx.conn(), app, id).await? else { return Ok(false) };
            sqlx::query("DELETE FROM routes WHERE id = $1").bind(id.0).execute(tx.conn()).await?;
            touch_app(tx, app, act.at).await?;
            let (target, before) = (spec.title(), Some(route_shown(&spec)));
            note(tx, act, Noted { action: "route.delete", app: Some(&name), target: &target, before, after: None });
            Ok(true)
        })
    }
}

async fn route_by_id(conn: &mut PgConnection, app: AppId, id: RouteId) -> JobResult<Option<Route>> {
    let select = sqlx::query(select_route!("WHERE r.app_id = $1 AND r.id = $2"));
    let row = select.bind(app.0).bind(id.0).fetch_optional(conn).await?;
    row.as_ref().map(route_from_row).transpose()
}

/// All of the app's routes, each with its position, in order.
pub(super) async fn routes_of(conn: &mut PgConnection, app: AppId) -> JobResult<Vec<(Route, i64)>> {
    let select = sqlx::query(select_route!("WHERE r.app_id = $1 ORDER BY r.position"));
    let rows = select.bind(app.0).fetch_all(conn).await?;
    rows.iter().map(route_and_position).collect()
}

/// The routes that lead to the script, in order.
pub(super) async fn routes_of_script(conn: &mut PgConnection, script: ScriptId) -> JobResult<Vec<RouteSpec>> {
    let select = sqlx::query(select_route!(
        "WHERE r.app_id = (SELECT app_id FROM scripts WHERE id = $1) AND r.script_id = $1 ORDER BY r.position"
    ));
    let rows = select.bind(script.0).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(route_from_row(row)?.spec)).collect()
}

pub(super) async fn insert_route(
    tx: &mut Tx<'_>,
    app: AppId,
    position: i64,
    spec: &RouteSpec,
    script: ScriptId,
) -> JobResult<RouteId> {
    let id = sqlx::query_scalar(
        "INSERT INTO routes (app_id, position, methods, path, script_id, auth)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
    )
    .bind(app.0)
    .bind(position)
    .bind(spec.methods.join(","))
    .bind(&spec.path)
    .bind(script.0)
    .bind(auth_word(spec.auth))
    .fetch_one(tx.conn())
    .await?;
    Ok(RouteId(id))
}

fn route_and_position(row: &PgRow) -> JobResult<(Route, i64)> {
    Ok((route_from_row(row)?, row.try_get(5)?))
}

fn route_from_row(row: &PgRow) -> JobResult<Route> {
    let spec = RouteSpec {
        methods: methods_from(row.try_get(1)?),
        path: row.try_get(2)?,
        script: row.try_get(3)?,
        auth: auth_from(row.try_get(4)?),
    };
    Ok(Route { id: RouteId(row.try_get(0)?), spec })
}
