//! What each version of a script was live with.
//!
//! Modules, env and secrets are written down when a version is made, and its routes and triggers when it is replaced:
//! those of the live version are the ones now. The sources of the modules stay as long as the version, even where the modules are
//! deleted: so it can be run, and brought back, with what it was made for.

use super::DataTx;
use super::error::JobResult;
use super::routes::routes_of_script;
use super::trigger_rows::triggers_of_script;
use picloud_model::hash::ContentHash;
use picloud_model::ids::ScriptId;
use picloud_model::script::{ModuleVersion, VersionContext};
use picloud_model::secret::EVERY_SCRIPT;
use rusqlite::{Connection, OptionalExtension as _, params};

/// Writes down what the live version of the script, just made, is live with. Imports must be written already.
pub(super) fn record(tx: &DataTx<'_>, script: ScriptId) -> JobResult<()> {
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO version_contexts (script_id, version, env, secrets)
         SELECT s.id, s.live_version,
                (SELECT json_group_array(e.key ORDER BY e.key) FROM apps a, json_each(a.env) e WHERE a.id = s.app_id),
                (SELECT json_group_array(c.name ORDER BY c.name) FROM secrets c WHERE c.app_id = s.app_id
                 AND EXISTS (SELECT 1 FROM json_each(c.scripts) g WHERE g.value IN (s.name, ?2)))
         FROM scripts s WHERE s.id = ?1",
    )?;
    insert.execute(params![script.0, EVERY_SCRIPT])?;
    let mut insert = tx.conn.prepare_cached(
        "WITH RECURSIVE reached (id) AS (
             SELECT module_id FROM script_imports WHERE script_id = ?1
             UNION
             SELECT i.module_id FROM reached r JOIN script_imports i ON i.script_id = r.id
         )
         INSERT INTO version_modules (script_id, version, name, module_version, hash)
         SELECT s.id, s.live_version, m.name, m.live_version, m.live_hash
         FROM reached r JOIN scripts m ON m.id = r.id JOIN scripts s ON s.id = ?1",
    )?;
    insert.execute([script.0])?;
    Ok(())
}

/// Writes down the routes and triggers that lead to the live version of the script, which is about to be replaced.
pub(super) fn keep_callers(tx: &DataTx<'_>, script: ScriptId, version: i64) -> JobResult<()> {
    let routes = serde_json::to_string(&routes_of_script(tx.conn, script)?)?;
    let triggers = serde_json::to_string(&triggers_of_script(tx.conn, script)?)?;
    let mut update = tx.conn.prepare_cached(
        "UPDATE version_contexts SET routes = ?3, triggers = ?4 WHERE script_id = ?1 AND version = ?2",
    )?;
    update.execute(params![script.0, version, routes, triggers])?;
    Ok(())
}

/// What the version was live with; an empty one of a version from before this was written down.
pub(super) fn context_of(conn: &Connection, script: ScriptId, version: i64) -> JobResult<Option<VersionContext>> {
    let mut select = conn.prepare_cached(
        "SELECT s.live_version = v.version, c.script_id IS NOT NULL, coalesce(c.env, '[]'),
                coalesce(c.secrets, '[]'), coalesce(c.routes, '[]'), coalesce(c.triggers, '[]')
         FROM script_versions v JOIN scripts s ON s.id = v.script_id
         LEFT JOIN version_contexts c ON c.script_id = v.script_id AND c.version = v.version
         WHERE v.script_id = ?1 AND v.version = ?2",
    )?;
    let columns = select.query_row([script.0, version], |row| {
        let texts: [String; 4] = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?, texts))
    });
    let Some((live, recorded, [env, secrets, routes, triggers])) = columns.optional()? else { return Ok(None) };
    let mut select = conn.prepare_cached(
        "SELECT name, module_version, hash FROM version_modules WHERE script_id = ?1 AND version = ?2 ORDER BY name",
    )?;
    let modules = select.query_map([script.0, version], |row| {
        Ok(ModuleVersion { name: row.get(0)?, version: row.get(1)?, hash: ContentHash(row.get(2)?) })
    })?;
    Ok(Some(VersionContext {
        recorded,
        modules: modules.collect::<rusqlite::Result<_>>()?,
        routes: if live { routes_of_script(conn, script)? } else { serde_json::from_str(&routes)? },
        triggers: if live { triggers_of_script(conn, script)? } else { serde_json::from_str(&triggers)? },
        env: serde_json::from_str(&env)?,
        secrets: serde_json::from_str(&secrets)?,
    }))
}
