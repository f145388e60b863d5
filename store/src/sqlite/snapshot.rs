//! What workers need of the apps, in five queries at one moment, however many apps there are.

use super::apps::{all_apps, app_by_id};
use super::error::JobResult;
use super::routes::{auth_from, methods_from};
use super::script_rows::kind_from;
use crate::snapshots::Parts;
use picloud_model::app::App;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::placement::Placement;
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry, StaticEntry};
use rusqlite::{Connection, Row};
use std::collections::HashMap;

/// Each ends with the app its row belongs to, and takes the first and the last app that is wanted: one statement,
/// on an index, for one app and for all.
const ROUTES: &str = "SELECT r.id, r.methods, r.path, s.name, r.auth, r.app_id
    FROM routes r JOIN scripts s ON s.id = r.script_id
    WHERE r.app_id BETWEEN ?1 AND ?2 ORDER BY r.app_id, r.position";
const SCRIPTS: &str = "SELECT s.name, s.kind, s.live_version, s.live_hash, c.crashes, s.app_id
    FROM scripts s
    LEFT JOIN script_crashes c
        ON c.script_id = s.id AND c.version = s.live_version AND c.quarantined_at IS NOT NULL
    WHERE s.app_id BETWEEN ?1 AND ?2 ORDER BY s.app_id, s.name";
const STATIC_FILES: &str = "SELECT f.path, f.hash, b.size_bytes, f.updated_at, 0, f.app_id
    FROM static_files f JOIN blobs b ON b.hash = f.hash
    WHERE f.app_id BETWEEN ?1 AND ?2 ORDER BY f.app_id, f.path";
/// Where the app stands in the rows above.
const APP_COLUMN: usize = 5;

/// Every app.
pub(super) fn all(conn: &Connection) -> JobResult<Vec<AppSnapshot>> {
    let moment = conn.unchecked_transaction()?;
    let apps = all_apps(&moment)?;
    read(&moment, apps, [i64::MIN, i64::MAX])
}

/// One app.
pub(super) fn one(conn: &Connection, app: AppId) -> JobResult<Option<AppSnapshot>> {
    let moment = conn.unchecked_transaction()?;
    let apps = app_by_id(&moment, app)?.into_iter().collect();
    Ok(read(&moment, apps, [app.0, app.0])?.pop())
}

fn read(conn: &Connection, apps: Vec<App>, from_to: [i64; 2]) -> JobResult<Vec<AppSnapshot>> {
    let routes = by_app(conn, ROUTES, from_to, |row| {
        Ok(RouteEntry {
            id: row.get(0)?,
            methods: methods_from(row.get_ref(1)?.as_str()?),
            path: row.get(2)?,
            script: row.get(3)?,
            auth: auth_from(row.get_ref(4)?.as_str()?),
        })
    })?;
    let scripts = by_app(conn, SCRIPTS, from_to, |row| {
        Ok(ScriptEntry {
            name: row.get(0)?,
            kind: kind_from(row, 1)?,
            version: row.get(2)?,
            hash: ContentHash(row.get(3)?),
            quarantined_after_crashes: row.get(4)?,
            placement: Placement::default(),
            elsewhere: false,
        })
    })?;
    let static_files = by_app(conn, STATIC_FILES, from_to, |row| {
        Ok(StaticEntry {
            path: row.get(0)?,
            hash: ContentHash(row.get(1)?),
            size_bytes: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
            updated_at: row.get(3)?,
        })
    })?;
    Ok(Parts { routes, scripts, static_files }.of(apps))
}

fn by_app<T>(
    conn: &Connection,
    sql: &str,
    from_to: [i64; 2],
    entry: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> JobResult<HashMap<i64, Vec<T>>> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query(from_to)?;
    let mut entries: HashMap<i64, Vec<T>> = HashMap::new();
    while let Some(row) = rows.next()? {
        entries.entry(row.get(APP_COLUMN)?).or_default().push(entry(row)?);
    }
    Ok(entries)
}
