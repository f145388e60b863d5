//! Rows of scripts and their versions, read and written within the transactions of others.

use super::DataTx;
use super::error::JobResult;
use super::version_contexts::keep_callers;
use crate::ScriptWrite;
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId, ScriptId};
use picloud_model::script::{Quarantine, SDK_VERSION, Script, ScriptKind, ScriptVersion};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use std::collections::BTreeSet;

/// The columns of [`script_from_row`], in its order.
macro_rules! select_script {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.name, s.kind, s.live_version, v.hash, v.size_bytes, v.created_at,
                    c.crashes, c.execution_id, c.quarantined_at
             FROM scripts s
             JOIN script_versions v ON v.script_id = s.id AND v.version = s.live_version
             LEFT JOIN script_crashes c ON c.script_id = s.id AND c.version = s.live_version ",
            $rest
        )
    };
}
pub(super) use select_script;

pub(super) fn script_from_row(row: &Row<'_>) -> rusqlite::Result<Script> {
    let version = row.get(3)?;
    let quarantine = match row.get(9)? {
        None => None,
        Some(since) => Some(Quarantine {
            version,
            crashes: row.get(7)?,
            execution_id: ExecutionId(uuid::Uuid::from_bytes(row.get(8)?)),
            since,
        }),
    };
    Ok(Script {
        id: ScriptId(row.get(0)?),
        name: row.get(1)?,
        kind: kind_from(row, 2)?,
        version,
        hash: ContentHash(row.get(4)?),
        size_bytes: row.get(5)?,
        updated_at: row.get(6)?,
        quarantine,
    })
}

/// The kind in a column that holds its word.
pub(super) fn kind_from(row: &Row<'_>, column: usize) -> rusqlite::Result<ScriptKind> {
    let word = row.get_ref(column)?.as_str()?;
    [ScriptKind::Endpoint, ScriptKind::Module]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, "no kind of script".into()))
}

/// The columns: version, kind, hash, author, message, sdk_version, created_at, then the source or NULL.
pub(super) fn version_from_row(row: &Row<'_>) -> rusqlite::Result<ScriptVersion> {
    Ok(ScriptVersion {
        version: row.get(0)?,
        kind: kind_from(row, 1)?,
        hash: ContentHash(row.get(2)?),
        author: row.get(3)?,
        message: row.get(4)?,
        sdk_version: row.get(5)?,
        created_at: row.get(6)?,
        source: row.get(7)?,
    })
}

/// The app's script of that name.
pub(super) fn script_by_name(conn: &Connection, app: AppId, name: &str) -> JobResult<Option<Script>> {
    let mut select = conn.prepare_cached(select_script!("WHERE s.app_id = ?1 AND s.name = ?2"))?;
    let mut rows = select.query(params![app.0, name])?;
    Ok(rows.next()?.map(script_from_row).transpose()?)
}

/// All of the app's scripts and modules, by name.
pub(super) fn scripts_of(conn: &Connection, app: AppId) -> JobResult<Vec<Script>> {
    let mut select = conn.prepare_cached(select_script!("WHERE s.app_id = ?1 ORDER BY s.name"))?;
    let rows = select.query_map([app.0], script_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What became of a script that was to be saved.
pub(super) struct Put {
    pub(super) id: ScriptId,
    /// The live version.
    pub(super) version: i64,
    /// Whether it is new.
    pub(super) made: bool,
}

/// Makes the script or a new version of it, unless its kind and source are live already. Imports are written apart, for what they refer to may
/// come later in the same transaction, and what the version is live with after them.
pub(super) fn put_script(
    tx: &DataTx<'_>,
    app: AppId,
    before: Option<&Script>,
    script: &ScriptWrite,
    act: &Act,
) -> JobResult<Put> {
    let hash = ContentHash::of(script.source.as_bytes());
    let kind = script.kind.as_str();
    let (id, version) = match before {
        Some(before) if before.hash == hash && before.kind == script.kind => {
            return Ok(Put { id: before.id, version: before.version, made: false });
        }
        Some(before) => {
            keep_callers(tx, before.id, before.version)?;
            let version = before.version + 1;
            let mut update = tx
                .conn
                .prepare_cached("UPDATE scripts SET kind = ?2, live_version = ?3, live_hash = ?4 WHERE id = ?1")?;
            update.execute(params![before.id.0, kind, version, hash.0])?;
            (before.id, version)
        }
        None => {
            let mut insert = tx.conn.prepare_cached(
                "INSERT INTO scripts (app_id, name, kind, live_version, live_hash) VALUES (?1, ?2, ?3, 1, ?4)",
            )?;
            (ScriptId(insert.insert(params![app.0, script.name, kind, hash.0])?), 1)
        }
    };
    let mut source =
        tx.conn.prepare_cached("INSERT INTO sources (hash, text) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    source.execute(params![hash.0, script.source])?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO script_versions (script_id, version, kind, hash, size_bytes, author, message, sdk_version, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let size = i64::try_from(script.source.len()).expect("a source fits memory");
    insert.execute(params![id.0, version, kind, hash.0, size, act.who.name, act.message, SDK_VERSION, act.at])?;
    Ok(Put { id, version, made: true })
}

/// Makes the script's imports exactly these. Answers whether anything changed.
pub(super) fn put_imports(
    tx: &DataTx<'_>,
    app: AppId,
    script: ScriptId,
    modules: &BTreeSet<ScriptId>,
) -> JobResult<bool> {
    let mut select = tx.conn.prepare_cached("SELECT module_id FROM script_imports WHERE script_id = ?1")?;
    let before: BTreeSet<ScriptId> =
        select.query_map([script.0], |row| row.get(0).map(ScriptId))?.collect::<Result<_, _>>()?;
    if before == *modules {
        return Ok(false);
    }
    tx.conn.prepare_cached("DELETE FROM script_imports WHERE script_id = ?1")?.execute([script.0])?;
    let mut insert =
        tx.conn.prepare_cached("INSERT INTO script_imports (app_id, script_id, module_id) VALUES (?1, ?2, ?3)")?;
    for module in modules {
        insert.execute([app.0, script.0, module.0])?;
    }
    Ok(true)
}

/// Titles of the app's routes that lead to the script.
pub(super) fn routes_to(conn: &Connection, app: AppId, script: ScriptId) -> JobResult<Vec<String>> {
    let mut select = conn.prepare_cached(
        "SELECT methods, path FROM routes WHERE app_id = ?1 AND script_id = ?2 ORDER BY position, id",
    )?;
    let rows = select.query_map([app.0, script.0], |row| {
        let methods: String = row.get(0)?;
        let path: String = row.get(1)?;
        Ok(format!("route {} {path}", if methods.is_empty() { "*" } else { &methods }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Who imports the module, by name.
pub(super) fn importers_of(conn: &Connection, module: ScriptId) -> JobResult<Vec<Script>> {
    let mut select = conn.prepare_cached(select_script!(
        "WHERE s.id IN (SELECT i.script_id FROM scripts m JOIN script_imports i
                        ON i.app_id = m.app_id AND i.module_id = m.id WHERE m.id = ?1) ORDER BY s.name"
    ))?;
    let rows = select.query_map([module.0], script_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
