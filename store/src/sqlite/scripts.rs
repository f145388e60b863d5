//! Scripts and modules in SQLite.

use super::apps::{rows_max, touch_app};
use super::error::{JobResult, conflict, expect_version};
use super::script_rows::{
    importers_of, put_imports, put_script, routes_to, script_by_name, script_from_row, select_script, version_from_row,
};
use super::{DataTx, SqliteStore};
use crate::cursor::{self, List};
use crate::{Author, Result, ScriptWrite, Scripts};
use async_trait::async_trait;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId, ScriptId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::script::{Script, ScriptKind, ScriptVersion};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeSet;
use std::sync::Arc;

#[async_trait]
impl Scripts for SqliteStore {
    async fn scripts(&self, app: AppId, kind: Option<ScriptKind>, page: &PageRequest) -> Result<Page<Script>> {
        let after = cursor::decode_text(List::Scripts, page.cursor.as_deref())?;
        let items_max = cursor::page_items(page.limit);
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_script!(
                "WHERE s.app_id = ?1 AND s.name > ?2 AND (?3 IS NULL OR s.kind = ?3) ORDER BY s.name LIMIT ?4"
            ))?;
            let kind = kind.map(ScriptKind::as_str);
            let rows = select.query_map(params![app.0, after, kind, rows_max(items_max)], script_from_row)?;
            let scripts = rows.collect::<rusqlite::Result<_>>()?;
            Ok(cursor::page(scripts, items_max, List::Scripts, |script: &Script| script.name.clone()))
        })
        .await
    }

    async fn script(&self, app: AppId, name: &str) -> Result<Option<(Script, ScriptVersion)>> {
        let name = name.to_owned();
        self.read(move |conn| {
            let moment = conn.unchecked_transaction()?;
            let Some(script) = script_by_name(&moment, app, &name)? else { return Ok(None) };
            let version = version_of(&moment, script.id, script.version)?;
            Ok(version.map(|version| (script, version)))
        })
        .await
    }

    async fn save_script(
        &self,
        app: AppId,
        script: &ScriptWrite,
        expected: Option<i64>,
        author: &Author,
    ) -> Result<Script> {
        let (script, author) = (script.clone(), author.clone());
        self.write(move |tx| save(tx, app, &script, expected, &author)).await
    }

    async fn delete_script(&self, app: AppId, name: &str, expected: Option<i64>, force: bool) -> Result<bool> {
        let (name, at) = (name.to_owned(), self.clock.now_ms());
        self.write(move |tx| {
            let Some(script) = script_by_name(tx.conn, app, &name)? else { return Ok(false) };
            expect_version(expected, script.version)?;
            if !force {
                refuse_if_used(tx.conn, app, &script)?;
            }
            let mut routes = tx.conn.prepare_cached("DELETE FROM routes WHERE app_id = ?1 AND script_id = ?2")?;
            routes.execute([app.0, script.id.0])?;
            tx.conn.prepare_cached("DELETE FROM scripts WHERE id = ?1")?.execute([script.id.0])?;
            touch_app(tx, app, at)?;
            Ok(true)
        })
        .await
    }

    async fn versions(&self, script: ScriptId, page: &PageRequest) -> Result<Page<ScriptVersion>> {
        let before = cursor::decode_number(List::Versions, page.cursor.as_deref(), i64::MAX)?;
        let items_max = cursor::page_items(page.limit);
        self.read(move |conn| {
            let mut select = conn.prepare_cached(
                "SELECT version, kind, hash, author, message, sdk_version, created_at, NULL FROM script_versions
                 WHERE script_id = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3",
            )?;
            let rows = select.query_map([script.0, before, rows_max(items_max)], version_from_row)?;
            let versions = rows.collect::<rusqlite::Result<_>>()?;
            let key = |version: &ScriptVersion| version.version.to_be_bytes();
            Ok(cursor::page(versions, items_max, List::Versions, key))
        })
        .await
    }

    async fn version(&self, script: ScriptId, version: i64) -> Result<Option<ScriptVersion>> {
        self.read(move |conn| version_of(conn, script, version)).await
    }

    async fn imports(&self, script: ScriptId) -> Result<Vec<String>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached(
                "SELECT m.name FROM script_imports i JOIN scripts m ON m.id = i.module_id
                 WHERE i.script_id = ?1 ORDER BY m.name",
            )?;
            let rows = select.query_map([script.0], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn importers(&self, script: ScriptId) -> Result<Vec<Script>> {
        self.read(move |conn| importers_of(conn, script)).await
    }

    async fn source(&self, hash: ContentHash) -> Result<Option<Arc<str>>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached("SELECT text FROM sources WHERE hash = ?1")?;
            Ok(select.query_row([hash.0], |row| Ok(Arc::from(row.get_ref(0)?.as_str()?))).optional()?)
        })
        .await
    }

    async fn record_crash(
        &self,
        app: AppId,
        script: &str,
        version: i64,
        run: ExecutionId,
        quarantine_after: u32,
        at: UnixMs,
    ) -> Result<u32> {
        let script = script.to_owned();
        self.write(move |tx| count_crash(tx, app, &script, version, run, quarantine_after, at)).await
    }

    async fn release_script(&self, app: AppId, script: &str) -> Result<bool> {
        let (name, at) = (script.to_owned(), self.clock.now_ms());
        self.write(move |tx| {
            let Some(script) = script_by_name(tx.conn, app, &name)? else { return Ok(false) };
            tx.conn.prepare_cached("DELETE FROM script_crashes WHERE script_id = ?1")?.execute([script.id.0])?;
            if script.quarantine.is_some() {
                touch_app(tx, app, at)?;
            }
            Ok(script.quarantine.is_some())
        })
        .await
    }
}

fn version_of(conn: &Connection, script: ScriptId, version: i64) -> JobResult<Option<ScriptVersion>> {
    let mut select = conn.prepare_cached(
        "SELECT v.version, v.kind, v.hash, v.author, v.message, v.sdk_version, v.created_at, s.text
         FROM script_versions v JOIN sources s ON s.hash = v.hash WHERE v.script_id = ?1 AND v.version = ?2",
    )?;
    Ok(select.query_row([script.0, version], version_from_row).optional()?)
}

fn save(
    tx: &DataTx<'_>,
    app: AppId,
    script: &ScriptWrite,
    expected: Option<i64>,
    author: &Author,
) -> JobResult<Script> {
    let before = script_by_name(tx.conn, app, &script.name)?;
    expect_version(expected, before.as_ref().map_or(0, |script| script.version))?;
    if let Some(before) = before.as_ref().filter(|before| before.kind != script.kind) {
        refuse_if_used(tx.conn, app, before)?;
    }
    let (id, made) = put_script(tx, app, before.as_ref(), script, author)?;
    let modules = modules_named(tx.conn, app, script)?;
    let relinked = put_imports(tx, app, id, &modules)?;
    if made || relinked {
        touch_app(tx, app, author.at)?;
    }
    let saved = script_by_name(tx.conn, app, &script.name)?;
    Ok(saved.expect("it was written in this transaction"))
}

/// The modules a script imports; refuses those the app does not have.
fn modules_named(conn: &Connection, app: AppId, script: &ScriptWrite) -> JobResult<BTreeSet<ScriptId>> {
    let mut ids = BTreeSet::new();
    let mut missing = Vec::new();
    for name in &script.imports {
        match script_by_name(conn, app, name)?.filter(|module| module.kind == ScriptKind::Module) {
            Some(module) => {
                ids.insert(module.id);
            }
            None => missing.push(format!("module `{name}`")),
        }
    }
    if missing.is_empty() { Ok(ids) } else { Err(missing_modules(&script.name, missing).into()) }
}

pub(super) fn missing_modules(script: &str, missing: Vec<String>) -> crate::StoreError {
    conflict(format!("`{script}` imports what the app does not have: {}", missing.join(", ")), missing)
}

/// Refuses where routes lead to the script or others import it.
fn refuse_if_used(conn: &Connection, app: AppId, script: &Script) -> JobResult<()> {
    let mut users = routes_to(conn, app, script.id)?;
    let importers = importers_of(conn, script.id)?;
    users.extend(importers.iter().map(|importer| format!("{} `{}`", importer.kind.as_str(), importer.name)));
    if users.is_empty() {
        return Ok(());
    }
    let message = format!("{} `{}` is in use", script.kind.as_str(), script.name);
    Err(conflict(message, users).into())
}

fn count_crash(
    tx: &DataTx<'_>,
    app: AppId,
    script: &str,
    version: i64,
    run: ExecutionId,
    quarantine_after: u32,
    at: UnixMs,
) -> JobResult<u32> {
    let mut count = tx.conn.prepare_cached(
        "INSERT INTO script_crashes (script_id, version, crashes, execution_id)
         SELECT v.script_id, v.version, 1, ?4 FROM scripts s JOIN script_versions v ON v.script_id = s.id
         WHERE s.app_id = ?1 AND s.name = ?2 AND v.version = ?3
         ON CONFLICT (script_id, version) DO UPDATE SET crashes = crashes + 1, execution_id = excluded.execution_id
         RETURNING script_id, crashes, quarantined_at IS NOT NULL",
    )?;
    let counted = count
        .query_row(params![app.0, script, version, run.0.into_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    // A script that was deleted meanwhile is not run again either.
    let Some((script_id, crashes, quarantined)) = counted else { return Ok(0) };
    if crashes >= quarantine_after && !quarantined {
        let mut update = tx
            .conn
            .prepare_cached("UPDATE script_crashes SET quarantined_at = ?3 WHERE script_id = ?1 AND version = ?2")?;
        update.execute([script_id, version, at])?;
        touch_app(tx, app, at)?;
    }
    Ok(crashes)
}
