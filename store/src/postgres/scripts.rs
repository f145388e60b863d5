//! Scripts and modules in Postgres.

use super::PgStore;
use super::apps::{lock_app, rows_max};
use super::error::{JobResult, expect_version};
use super::script_rows::{crashes_in, importers_of, script_by_name, script_from_row, select_script, version_from_row};
use super::transaction::{at_one_moment, reading, writing};
use super::{changes, crashes, script_changes, version_contexts, version_pruning};
use crate::cursor::{self, List};
use crate::{AppChange, Result, ScriptWrite, Scripts, VersionsKept};
use async_trait::async_trait;
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId, ScriptId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::script::{Script, ScriptKind, ScriptVersion, VersionContext};
use sqlx::PgConnection;
use std::sync::Arc;

#[async_trait]
impl Scripts for PgStore {
    async fn scripts(&self, app: AppId, kind: Option<ScriptKind>, page: &PageRequest) -> Result<Page<Script>> {
        let after = cursor::decode_text(List::Scripts, page.cursor.as_deref())?;
        let items_max = cursor::page_items(page.limit);
        reading!(self, |conn| {
            let select = sqlx::query(select_script!(
                "WHERE s.app_id = $1 AND s.name > $2 AND ($3::text IS NULL OR s.kind = $3) ORDER BY s.name LIMIT $4"
            ));
            let select = select.bind(app.0).bind(&after).bind(kind.map(ScriptKind::as_str)).bind(rows_max(items_max));
            let rows = select.fetch_all(conn).await?;
            let scripts = rows.iter().map(script_from_row).collect::<JobResult<_>>()?;
            Ok(cursor::page(scripts, items_max, List::Scripts, |script: &Script| script.name.clone()))
        })
    }

    async fn script(&self, app: AppId, name: &str) -> Result<Option<(Script, ScriptVersion)>> {
        at_one_moment!(self, |conn| {
            let Some(script) = script_by_name(conn, app, name).await? else { return Ok(None) };
            let version = version_of(conn, script.id, script.version).await?;
            Ok(version.map(|version| (script, version)))
        })
    }

    async fn save_script(&self, app: AppId, script: &ScriptWrite, expected: Option<i64>, act: &Act) -> Result<Script> {
        writing!(self, |tx| script_changes::save(tx, app, script, expected, act).await)
    }

    async fn delete_script(
        &self,
        app: AppId,
        name: &str,
        expected: Option<i64>,
        force: bool,
        act: &Act,
    ) -> Result<bool> {
        writing!(self, |tx| {
            let (app_name, _revision) = lock_app(tx, app).await?;
            let Some(script) = script_by_name(tx.conn(), app, name).await? else { return Ok(false) };
            expect_version(expected, script.version)?;
            script_changes::delete(tx, (app, &app_name), &script, force, act).await?;
            Ok(true)
        })
    }

    async fn versions(&self, script: ScriptId, page: &PageRequest) -> Result<Page<ScriptVersion>> {
        let before = cursor::decode_number(List::Versions, page.cursor.as_deref(), i64::MAX)?;
        let items_max = cursor::page_items(page.limit);
        reading!(self, |conn| {
            let select = sqlx::query(
                "SELECT version, kind, hash, author, message, sdk_version, created_at, NULL::text FROM script_versions
                 WHERE script_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
            );
            let rows = select.bind(script.0).bind(before).bind(rows_max(items_max)).fetch_all(conn).await?;
            let versions = rows.iter().map(version_from_row).collect::<JobResult<_>>()?;
            let key = |version: &ScriptVersion| version.version.to_be_bytes();
            Ok(cursor::page(versions, items_max, List::Versions, key))
        })
    }

    async fn version(&self, script: ScriptId, version: i64) -> Result<Option<ScriptVersion>> {
        reading!(self, |conn| version_of(conn, script, version).await)
    }

    async fn imports(&self, script: ScriptId) -> Result<Vec<String>> {
        reading!(self, |conn| {
            let select = sqlx::query_scalar(
                "SELECT m.name FROM script_imports i JOIN scripts m ON m.id = i.module_id
                 WHERE i.script_id = $1 ORDER BY m.name",
            );
            Ok(select.bind(script.0).fetch_all(conn).await?)
        })
    }

    async fn importers(&self, script: ScriptId) -> Result<Vec<Script>> {
        reading!(self, |conn| importers_of(conn, script).await)
    }

    async fn source(&self, hash: ContentHash) -> Result<Option<Arc<str>>> {
        reading!(self, |conn| {
            let select = sqlx::query_scalar::<_, String>("SELECT text FROM sources WHERE hash = $1");
            Ok(select.bind(hash.0).fetch_optional(conn).await?.map(Arc::from))
        })
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
        let crash = crashes::Crash { app, script, version, run, quarantine_after };
        writing!(self, |tx| crashes::count(tx, &crash, act).await)
    }

    async fn quarantined_after_crashes(&self, script: ScriptId, version: i64) -> Result<Option<u32>> {
        reading!(self, |conn| {
            let select = sqlx::query(
                "SELECT crashes FROM script_crashes
                 WHERE script_id = $1 AND version = $2 AND quarantined_at IS NOT NULL",
            );
            let row = select.bind(script.0).bind(version).fetch_optional(conn).await?;
            row.as_ref().map(|row| crashes_in(row, 0)).transpose()
        })
    }

    async fn release_script(&self, app: AppId, script: &str, act: &Act) -> Result<bool> {
        writing!(self, |tx| crashes::release(tx, app, script, act).await)
    }

    async fn version_context(&self, script: ScriptId, version: i64) -> Result<Option<VersionContext>> {
        at_one_moment!(self, |conn| version_contexts::context_of(conn, script, version).await)
    }

    async fn change_app(&self, app: AppId, change: AppChange, act: &Act) -> Result<App> {
        writing!(self, |tx| changes::change(tx, app, &change, act).await)
    }

    async fn prune_versions(&self, kept: &VersionsKept, now: UnixMs, versions_max: u32) -> Result<u64> {
        // What may go stays so: versions only grow older, and no old one is live or needed again.
        let droppable = reading!(self, |conn| version_pruning::droppable(conn, kept, now, versions_max).await)?;
        let mut dropped = 0;
        for some in droppable.chunks(version_pruning::DROPPED_AT_ONCE) {
            dropped += writing!(self, |tx| version_pruning::drop_versions(tx, some).await)?;
        }
        Ok(dropped)
    }
}

async fn version_of(conn: &mut PgConnection, script: ScriptId, version: i64) -> JobResult<Option<ScriptVersion>> {
    let select = sqlx::query(
        "SELECT v.version, v.kind, v.hash, v.author, v.message, v.sdk_version, v.created_at, s.text
         FROM script_versions v JOIN sources s ON s.hash = v.hash WHERE v.script_id = $1 AND v.version = $2",
    );
    let row = select.bind(script.0).bind(version).fetch_optional(conn).await?;
    row.as_ref().map(version_from_row).transpose()
}
