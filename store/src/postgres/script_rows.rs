//! Rows of scripts and their versions, read and written within the transactions of others.

use super::error::{JobResult, unreadable};
use super::transaction::Tx;
use super::version_contexts::keep_callers;
use crate::ScriptWrite;
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId, ScriptId};
use picloud_model::script::{Quarantine, SDK_VERSION, Script, ScriptKind, ScriptVersion};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
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

pub(super) fn script_from_row(row: &PgRow) -> JobResult<Script> {
    let version = row.try_get(3)?;
    let quarantine = match row.try_get(9)? {
        None => None,
        Some(since) => Some(Quarantine {
            version,
            crashes: row.try_get(7)?,
            execution_id: ExecutionId(uuid::Uuid::from_bytes(row.try_get(8)?)),
            since,
        }),
    };
    Ok(Script {
        id: ScriptId(row.try_get(0)?),
        name: row.try_get(1)?,
        kind: kind_from(row, 2)?,
        version,
        hash: ContentHash(row.try_get(4)?),
        size_bytes: row.try_get(5)?,
        updated_at: row.try_get(6)?,
        quarantine,
    })
}

/// The kind in a column that holds its word.
pub(super) fn kind_from(row: &PgRow, column: usize) -> JobResult<ScriptKind> {
    let word: &str = row.try_get(column)?;
    let kinds = [ScriptKind::Endpoint, ScriptKind::Module];
    kinds.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| unreadable("kind", "the word"))
}

/// How often a version took its worker down.
pub(super) fn crashes_in(row: &PgRow, column: usize) -> JobResult<u32> {
    u32::try_from(row.try_get::<i64, _>(column)?).map_err(|_range| unreadable("crashes", "the number"))
}

/// The columns: version, kind, hash, author, message, sdk_version, created_at, then the source or NULL.
pub(super) fn version_from_row(row: &PgRow) -> JobResult<ScriptVersion> {
    Ok(ScriptVersion {
        version: row.try_get(0)?,
        kind: kind_from(row, 1)?,
        hash: ContentHash(row.try_get(2)?),
        author: row.try_get(3)?,
        message: row.try_get(4)?,
        sdk_version: row.try_get(5)?,
        created_at: row.try_get(6)?,
        source: row.try_get(7)?,
    })
}

/// The app's script of that name.
pub(super) async fn script_by_name(conn: &mut PgConnection, app: AppId, name: &str) -> JobResult<Option<Script>> {
    let select = sqlx::query(select_script!("WHERE s.app_id = $1 AND s.name = $2"));
    let row = select.bind(app.0).bind(name).fetch_optional(conn).await?;
    row.as_ref().map(script_from_row).transpose()
}

/// All of the app's scripts and modules, by name.
pub(super) async fn scripts_of(conn: &mut PgConnection, app: AppId) -> JobResult<Vec<Script>> {
    let select = sqlx::query(select_script!("WHERE s.app_id = $1 ORDER BY s.name"));
    select.bind(app.0).fetch_all(conn).await?.iter().map(script_from_row).collect()
}

/// What became of a script that was to be saved.
pub(super) struct Put {
    pub(super) id: ScriptId,
    /// The live version.
    pub(super) version: i64,
    /// Whether it is new.
    pub(super) made: bool,
}

/// Makes the script or a new version of it, unless its kind and source are live already. Imports are written apart, for
/// what they refer to may come later in the same transaction, and what the version is live with after them.
pub(super) async fn put_script(
    tx: &mut Tx<'_>,
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
            keep_callers(tx, before.id, before.version).await?;
            let version = before.version + 1;
            let update = sqlx::query("UPDATE scripts SET kind = $2, live_version = $3, live_hash = $4 WHERE id = $1");
            update.bind(before.id.0).bind(kind).bind(version).bind(hash.0).execute(tx.conn()).await?;
            (before.id, version)
        }
        None => {
            let insert = sqlx::query_scalar(
                "INSERT INTO scripts (app_id, name, kind, live_version, live_hash) VALUES ($1, $2, $3, 1, $4)
                 RETURNING id",
            );
            let id = insert.bind(app.0).bind(&script.name).bind(kind).bind(hash.0).fetch_one(tx.conn()).await?;
            (ScriptId(id), 1)
        }
    };
    let source = sqlx::query("INSERT INTO sources (hash, text) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    source.bind(hash.0).bind(&script.source).execute(tx.conn()).await?;
    let size = i64::try_from(script.source.len()).expect("a source fits memory");
    sqlx::query(
        "INSERT INTO script_versions (script_id, version, kind, hash, size_bytes, author, message, sdk_version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id.0)
    .bind(version)
    .bind(kind)
    .bind(hash.0)
    .bind(size)
    .bind(&act.who.name)
    .bind(&act.message)
    .bind(SDK_VERSION)
    .bind(act.at)
    .execute(tx.conn())
    .await?;
    Ok(Put { id, version, made: true })
}

/// Makes the script's imports exactly these. Answers whether anything changed.
pub(super) async fn put_imports(
    tx: &mut Tx<'_>,
    app: AppId,
    script: ScriptId,
    modules: &BTreeSet<ScriptId>,
) -> JobResult<bool> {
    let select = sqlx::query_scalar("SELECT module_id FROM script_imports WHERE script_id = $1 ORDER BY module_id");
    let before: Vec<i64> = select.bind(script.0).fetch_all(tx.conn()).await?;
    let modules: Vec<i64> = modules.iter().map(|module| module.0).collect();
    if before == modules {
        return Ok(false);
    }
    let delete = sqlx::query("DELETE FROM script_imports WHERE script_id = $1");
    delete.bind(script.0).execute(tx.conn()).await?;
    let insert =
        sqlx::query("INSERT INTO script_imports (app_id, script_id, module_id) SELECT $1, $2, unnest($3::bigint[])");
    insert.bind(app.0).bind(script.0).bind(modules).execute(tx.conn()).await?;
    Ok(true)
}

/// Titles of the app's routes that lead to the script.
pub(super) async fn routes_to(conn: &mut PgConnection, app: AppId, script: ScriptId) -> JobResult<Vec<String>> {
    let select = sqlx::query_scalar(
        "SELECT 'route ' || CASE methods WHEN '' THEN '*' ELSE methods END || ' ' || path
         FROM routes WHERE app_id = $1 AND script_id = $2 ORDER BY position, id",
    );
    Ok(select.bind(app.0).bind(script.0).fetch_all(conn).await?)
}

/// Who imports the module, by name.
pub(super) async fn importers_of(conn: &mut PgConnection, module: ScriptId) -> JobResult<Vec<Script>> {
    let select = sqlx::query(select_script!(
        "WHERE s.id IN (SELECT i.script_id FROM scripts m JOIN script_imports i
                        ON i.app_id = m.app_id AND i.module_id = m.id WHERE m.id = $1) ORDER BY s.name"
    ));
    select.bind(module.0).fetch_all(conn).await?.iter().map(script_from_row).collect()
}
