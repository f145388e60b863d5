//! Scripts and modules in SQLite.

use super::apps::{name_of, rows_max, touch_app};
use super::audit_rows::{Noted, note};
use super::audit_shown::{names_shown, script_shown, with_message};
use super::enqueue::forget_script;
use super::error::{JobResult, conflict, expect_version};
use super::script_rows::{
    importers_of, put_imports, put_script, routes_to, script_by_name, script_from_row, select_script, version_from_row,
};
use super::trigger_rows::{remove_trigger, triggers_of, triggers_to};
use super::{DataTx, SqliteStore, changes, version_contexts, version_pruning};
use crate::cursor::{self, List};
use crate::refusals::missing_modules;
use crate::{AppChange, Result, ScriptWrite, Scripts, VersionsKept};
use async_trait::async_trait;
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId, ScriptId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::script::{Quarantine, Script, ScriptKind, ScriptVersion, VersionContext};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
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

    async fn save_script(&self, app: AppId, script: &ScriptWrite, expected: Option<i64>, act: &Act) -> Result<Script> {
        let (script, act) = (script.clone(), act.clone());
        self.write(move |tx| save(tx, app, &script, expected, &act)).await
    }

    async fn delete_script(
        &self,
        app: AppId,
        name: &str,
        expected: Option<i64>,
        force: bool,
        act: &Act,
    ) -> Result<bool> {
        let (name, act) = (name.to_owned(), act.clone());
        self.write(move |tx| {
            let Some(script) = script_by_name(tx.conn, app, &name)? else { return Ok(false) };
            expect_version(expected, script.version)?;
            delete(tx, app, &script, force, &act)?;
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
        act: &Act,
    ) -> Result<u32> {
        let crash = Crash { app, script: script.to_owned(), version, run, quarantine_after };
        let act = act.clone();
        self.write(move |tx| count_crash(tx, &crash, &act)).await
    }

    async fn quarantined_after_crashes(&self, script: ScriptId, version: i64) -> Result<Option<u32>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached(
                "SELECT crashes FROM script_crashes
                 WHERE script_id = ?1 AND version = ?2 AND quarantined_at IS NOT NULL",
            )?;
            Ok(select.query_row([script.0, version], |row| row.get(0)).optional()?)
        })
        .await
    }

    async fn release_script(&self, app: AppId, script: &str, act: &Act) -> Result<bool> {
        let (name, act) = (script.to_owned(), act.clone());
        self.write(move |tx| {
            let Some(script) = script_by_name(tx.conn, app, &name)? else { return Ok(false) };
            let quarantined = quarantines_of(tx.conn, script.id)?;
            tx.conn.prepare_cached("DELETE FROM script_crashes WHERE script_id = ?1")?.execute([script.id.0])?;
            if quarantined.is_empty() {
                return Ok(false);
            }
            touch_app(tx, app, act.at)?;
            note_script(tx, app, &act, "script.release", &name, Some(json!({ "quarantined": quarantined })), None)?;
            Ok(true)
        })
        .await
    }

    async fn version_context(&self, script: ScriptId, version: i64) -> Result<Option<VersionContext>> {
        self.read(move |conn| {
            let moment = conn.unchecked_transaction()?;
            version_contexts::context_of(&moment, script, version)
        })
        .await
    }

    async fn change_app(&self, app: AppId, change: AppChange, act: &Act) -> Result<App> {
        let act = act.clone();
        self.write(move |tx| changes::change(tx, app, &change, &act)).await
    }

    async fn prune_versions(&self, kept: &VersionsKept, now: UnixMs, versions_max: u32) -> Result<u64> {
        let kept = *kept;
        // What may go stays so: versions only grow older, and no old one is live or needed again.
        let droppable = self.read(move |conn| version_pruning::droppable(conn, &kept, now, versions_max)).await?;
        let mut dropped = 0;
        for some in droppable.chunks(version_pruning::DROPPED_AT_ONCE) {
            let some = some.to_vec();
            dropped += self.write(move |tx| version_pruning::drop_versions(tx, &some)).await?;
        }
        Ok(dropped)
    }
}

fn version_of(conn: &Connection, script: ScriptId, version: i64) -> JobResult<Option<ScriptVersion>> {
    let mut select = conn.prepare_cached(
        "SELECT v.version, v.kind, v.hash, v.author, v.message, v.sdk_version, v.created_at, s.text
         FROM script_versions v JOIN sources s ON s.hash = v.hash WHERE v.script_id = ?1 AND v.version = ?2",
    )?;
    Ok(select.query_row([script.0, version], version_from_row).optional()?)
}

fn save(tx: &DataTx<'_>, app: AppId, script: &ScriptWrite, expected: Option<i64>, act: &Act) -> JobResult<Script> {
    let before = script_by_name(tx.conn, app, &script.name)?;
    expect_version(expected, before.as_ref().map_or(0, |script| script.version))?;
    if let Some(before) = before.as_ref().filter(|before| before.kind != script.kind) {
        refuse_if_used(tx.conn, app, before)?;
    }
    let put = put_script(tx, app, before.as_ref(), script, act)?;
    let modules = modules_named(tx.conn, app, script)?;
    let relinked = put_imports(tx, app, put.id, &modules)?;
    if put.made {
        version_contexts::record(tx, put.id)?;
    }
    let saved = script_by_name(tx.conn, app, &script.name)?.expect("it was written in this transaction");
    if put.made || relinked {
        touch_app(tx, app, act.at)?;
        let (before, after) = (before.as_ref().map(script_shown), with_message(script_shown(&saved), act));
        note_script(tx, app, act, "script.save", &saved.name, before, Some(after))?;
    }
    Ok(saved)
}

fn delete(tx: &DataTx<'_>, app: AppId, script: &Script, force: bool, act: &Act) -> JobResult<()> {
    if !force {
        refuse_if_used(tx.conn, app, script)?;
    }
    let mut before = script_shown(script);
    let users = users_of(tx.conn, app, script)?;
    if !users.is_empty() {
        before["in_use_by"] = names_shown(users);
    }
    let mut routes = tx.conn.prepare_cached("DELETE FROM routes WHERE app_id = ?1 AND script_id = ?2")?;
    routes.execute([app.0, script.id.0])?;
    let mut triggers = Vec::new();
    for row in triggers_of(tx.conn, app)?.into_iter().filter(|row| row.script == script.id) {
        let queued = remove_trigger(tx, app, row.trigger.id)?;
        triggers.push(format!("{} with {queued} queued", row.trigger.spec.name));
    }
    let timers = forget_script(tx, app, script.id)?;
    if timers > 0 {
        before["timers_deleted"] = timers.into();
    }
    if !triggers.is_empty() {
        before["triggers_deleted"] = names_shown(triggers);
    }
    tx.conn.prepare_cached("DELETE FROM scripts WHERE id = ?1")?.execute([script.id.0])?;
    touch_app(tx, app, act.at)?;
    note_script(tx, app, act, "script.delete", &script.name, Some(before), None)
}

fn note_script(
    tx: &DataTx<'_>,
    app: AppId,
    act: &Act,
    action: &str,
    script: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> JobResult<()> {
    note(tx, act, Noted { action, app: Some(&name_of(tx.conn, app)?), target: script, before, after })
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

/// Refuses where routes or triggers lead to the script, or others import it.
fn refuse_if_used(conn: &Connection, app: AppId, script: &Script) -> JobResult<()> {
    let users = users_of(conn, app, script)?;
    if users.is_empty() {
        return Ok(());
    }
    let message = format!("{} `{}` is in use", script.kind.as_str(), script.name);
    Err(conflict(message, users).into())
}

/// Routes and triggers that lead to the script, and who imports it.
fn users_of(conn: &Connection, app: AppId, script: &Script) -> JobResult<Vec<String>> {
    let mut users = routes_to(conn, app, script.id)?;
    users.extend(triggers_to(conn, script.id)?);
    let importers = importers_of(conn, script.id)?;
    users.extend(importers.iter().map(|importer| format!("{} `{}`", importer.kind.as_str(), importer.name)));
    Ok(users)
}

/// A run of a version took its worker down.
struct Crash {
    app: AppId,
    script: String,
    version: i64,
    run: ExecutionId,
    quarantine_after: u32,
}

/// Every version of the script that is in quarantine, the live one or not, oldest first.
fn quarantines_of(conn: &Connection, script: ScriptId) -> JobResult<Vec<Quarantine>> {
    let mut select = conn.prepare_cached(
        "SELECT version, crashes, execution_id, quarantined_at FROM script_crashes
         WHERE script_id = ?1 AND quarantined_at IS NOT NULL ORDER BY version",
    )?;
    let rows = select.query_map([script.0], |row| {
        Ok(Quarantine {
            version: row.get(0)?,
            crashes: row.get(1)?,
            execution_id: ExecutionId(uuid::Uuid::from_bytes(row.get(2)?)),
            since: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn count_crash(tx: &DataTx<'_>, crash: &Crash, act: &Act) -> JobResult<u32> {
    let Crash { app, script, version, run, quarantine_after } = crash;
    let mut count = tx.conn.prepare_cached(
        "INSERT INTO script_crashes (script_id, version, crashes, execution_id)
         SELECT v.script_id, v.version, 1, ?4 FROM scripts s JOIN script_versions v ON v.script_id = s.id
         WHERE s.app_id = ?1 AND s.name = ?2 AND v.version = ?3
         -- What is in quarantine says what brought it there: a run that was still under way then changes nothing.
         ON CONFLICT (script_id, version) DO UPDATE SET
             crashes = crashes + (quarantined_at IS NULL),
             execution_id = iif(quarantined_at IS NULL, excluded.execution_id, execution_id)
         RETURNING script_id, crashes, quarantined_at IS NOT NULL",
    )?;
    let counted = count
        .query_row(params![app.0, script, version, run.0.into_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    // A script that was deleted meanwhile is not run again either.
    let Some((script_id, crashes, quarantined)) = counted else { return Ok(0) };
    if crashes >= *quarantine_after && !quarantined {
        let mut update = tx
            .conn
            .prepare_cached("UPDATE script_crashes SET quarantined_at = ?3 WHERE script_id = ?1 AND version = ?2")?;
        update.execute([script_id, *version, act.at])?;
        touch_app(tx, *app, act.at)?;
        let after = json!({ "version": version, "crashes": crashes, "execution_id": run });
        note_script(tx, *app, act, "script.quarantine", script, None, Some(after))?;
    }
    Ok(crashes)
}
