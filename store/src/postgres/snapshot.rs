//! What workers need of the apps, in four queries at one moment, however many apps there are.

use super::apps::{all_apps, app_by_id};
use super::error::JobResult;
use super::script_rows::{crashes_in, kind_from};
use crate::route_words::{auth_from, methods_from};
use crate::snapshots::Parts;
use picloud_model::app::App;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::placement::Placement;
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry, StaticEntry};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;

/// Each ends with the app its row belongs to, and takes the first and the last app that is wanted: one statement,
/// on an index, for one app and for all.
const ROUTES: &str = "SELECT r.id, r.methods, r.path, s.name, r.auth, r.app_id
    FROM routes r JOIN scripts s ON s.id = r.script_id
    WHERE r.app_id BETWEEN $1 AND $2 ORDER BY r.app_id, r.position";
const SCRIPTS: &str = "SELECT s.name, s.kind, s.live_version, s.live_hash, c.crashes, s.app_id
    FROM scripts s
    LEFT JOIN script_crashes c
        ON c.script_id = s.id AND c.version = s.live_version AND c.quarantined_at IS NOT NULL
    WHERE s.app_id BETWEEN $1 AND $2 ORDER BY s.app_id, s.name";
const STATIC_FILES: &str = "SELECT f.path, f.hash, b.size_bytes, f.updated_at, 0, f.app_id
    FROM static_files f JOIN blobs b ON b.hash = f.hash
    WHERE f.app_id BETWEEN $1 AND $2 ORDER BY f.app_id, f.path";
/// Where the app stands in the rows above.
const APP_COLUMN: usize = 5;

/// Every app.
pub(super) async fn all(conn: &mut PgConnection) -> JobResult<Vec<AppSnapshot>> {
    let apps = all_apps(conn).await?;
    read(conn, apps, [i64::MIN, i64::MAX]).await
}

/// One app.
pub(super) async fn one(conn: &mut PgConnection, app: AppId) -> JobResult<Option<AppSnapshot>> {
    let apps = app_by_id(conn, app).await?.into_iter().collect();
    Ok(read(conn, apps, [app.0, app.0]).await?.pop())
}

async fn read(conn: &mut PgConnection, apps: Vec<App>, from_to: [i64; 2]) -> JobResult<Vec<AppSnapshot>> {
    let routes = by_app(conn, ROUTES, from_to, |row| {
        Ok(RouteEntry {
            id: row.try_get(0)?,
            methods: methods_from(row.try_get(1)?),
            path: row.try_get(2)?,
            script: row.try_get(3)?,
            auth: auth_from(row.try_get(4)?),
        })
    });
    let routes = routes.await?;
    let scripts = by_app(conn, SCRIPTS, from_to, |row| {
        let crashed: Option<i64> = row.try_get(4)?;
        Ok(ScriptEntry {
            name: row.try_get(0)?,
            kind: kind_from(row, 1)?,
            version: row.try_get(2)?,
            hash: ContentHash(row.try_get(3)?),
            quarantined_after_crashes: crashed.map(|_any| crashes_in(row, 4)).transpose()?,
            placement: Placement::default(),
            elsewhere: false,
        })
    });
    let scripts = scripts.await?;
    let static_files = by_app(conn, STATIC_FILES, from_to, |row| {
        Ok(StaticEntry {
            path: row.try_get(0)?,
            hash: ContentHash(row.try_get(1)?),
            size_bytes: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
            updated_at: row.try_get(3)?,
        })
    });
    let static_files = static_files.await?;
    Ok(Parts { routes, scripts, static_files }.of(apps))
}

async fn by_app<T>(
    conn: &mut PgConnection,
    sql: &'static str,
    [from, to]: [i64; 2],
    entry: impl Fn(&PgRow) -> JobResult<T>,
) -> JobResult<HashMap<i64, Vec<T>>> {
    let rows = sqlx::query(sql).bind(from).bind(to).fetch_all(conn).await?;
    let mut entries: HashMap<i64, Vec<T>> = HashMap::new();
    for row in &rows {
        entries.entry(row.try_get(APP_COLUMN)?).or_default().push(entry(row)?);
    }
    Ok(entries)
}
