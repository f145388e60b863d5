//! What each version of a script was live with.
//!
//! Modules, env and secrets are written down when a version is made, and its routes and triggers when it is replaced:
//! those of the live version are the ones now. The sources of the modules stay as long as the version, even where the
//! modules are deleted: so it can be run, and brought back, with what it was made for.

use super::error::JobResult;
use super::routes::routes_of_script;
use super::transaction::Tx;
use super::trigger_rows::triggers_of_script;
use picloud_model::hash::ContentHash;
use picloud_model::ids::ScriptId;
use picloud_model::script::{ModuleVersion, VersionContext};
use picloud_model::secret::EVERY_SCRIPT;
use sqlx::PgConnection;

/// Writes down what the live version of the script, just made, is live with. Imports must be written already.
pub(super) async fn record(tx: &mut Tx<'_>, script: ScriptId) -> JobResult<()> {
    sqlx::query(
        "INSERT INTO version_contexts (script_id, version, env, secrets)
         SELECT s.id, s.live_version,
                (SELECT coalesce(json_agg(e.key ORDER BY e.key COLLATE \"C\"), '[]')::text
                 FROM apps a, json_object_keys(a.env::json) AS e (key) WHERE a.id = s.app_id),
                (SELECT coalesce(json_agg(c.name ORDER BY c.name), '[]')::text FROM secrets c WHERE c.app_id = s.app_id
                 AND EXISTS (SELECT 1 FROM json_array_elements_text(c.scripts::json) AS g (name)
                             WHERE g.name IN (s.name, $2)))
         FROM scripts s WHERE s.id = $1",
    )
    .bind(script.0)
    .bind(EVERY_SCRIPT)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "WITH RECURSIVE reached (id) AS (
             SELECT module_id FROM script_imports WHERE script_id = $1
             UNION
             SELECT i.module_id FROM reached r JOIN script_imports i ON i.script_id = r.id
         )
         INSERT INTO version_modules (script_id, version, name, module_version, hash)
         SELECT s.id, s.live_version, m.name, m.live_version, m.live_hash
         FROM reached r JOIN scripts m ON m.id = r.id JOIN scripts s ON s.id = $1",
    )
    .bind(script.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes down the routes and triggers that lead to the live version of the script, which is about to be replaced.
pub(super) async fn keep_callers(tx: &mut Tx<'_>, script: ScriptId, version: i64) -> JobResult<()> {
    let routes = serde_json::to_string(&routes_of_script(tx.conn(), script).await?)?;
    let triggers = serde_json::to_string(&triggers_of_script(tx.conn(), script).await?)?;
    let update =
        sqlx::query("UPDATE version_contexts SET routes = $3, triggers = $4 WHERE script_id = $1 AND version = $2");
    update.bind(script.0).bind(version).bind(routes).bind(triggers).execute(tx.conn()).await?;
    Ok(())
}

/// What the version was live with; an empty one of a version from before this was written down.
pub(super) async fn context_of(
    conn: &mut PgConnection,
    script: ScriptId,
    version: i64,
) -> JobResult<Option<VersionContext>> {
    let found: Option<(bool, bool, String, String, String, String)> = sqlx::query_as(
        "SELECT s.live_version = v.version, c.script_id IS NOT NULL, coalesce(c.env, '[]'),
                coalesce(c.secrets, '[]'), coalesce(c.routes, '[]'), coalesce(c.triggers, '[]')
         FROM script_versions v JOIN scripts s ON s.id = v.script_id
         LEFT JOIN version_contexts c ON c.script_id = v.script_id AND c.version = v.version
         WHERE v.script_id = $1 AND v.version = $2",
    )
    .bind(script.0)
    .bind(version)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((live, recorded, env, secrets, routes, triggers)) = found else { return Ok(None) };
    let modules: Vec<(String, i64, [u8; 32])> = sqlx::query_as(
        "SELECT name, module_version, hash FROM version_modules WHERE script_id = $1 AND version = $2 ORDER BY name",
    )
    .bind(script.0)
    .bind(version)
    .fetch_all(&mut *conn)
    .await?;
    let module = |(name, version, hash)| ModuleVersion { name, version, hash: ContentHash(hash) };
    let routes = if live { routes_of_script(conn, script).await? } else { serde_json::from_str(&routes)? };
    let triggers = if live { triggers_of_script(conn, script).await? } else { serde_json::from_str(&triggers)? };
    Ok(Some(VersionContext {
        recorded,
        modules: modules.into_iter().map(module).collect(),
        routes,
        triggers,
        env: serde_json::from_str(&env)?,
        secrets: serde_json::from_str(&secrets)?,
    }))
}
