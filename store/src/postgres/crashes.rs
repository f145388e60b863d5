//! Versions whose runs took their worker down: counted, put into quarantine, and let out of it.

use super::apps::{lock_app, touch_app};
use super::audit_rows::{Noted, note};
use super::error::JobResult;
use super::script_rows::{crashes_in, script_by_name};
use super::transaction::Tx;
use picloud_model::audit::Act;
use picloud_model::ids::{AppId, ExecutionId, ScriptId};
use picloud_model::script::Quarantine;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// A run of a version took its worker down.
pub(super) struct Crash<'a> {
    pub(super) app: AppId,
    pub(super) script: &'a str,
    pub(super) version: i64,
    pub(super) run: ExecutionId,
    pub(super) quarantine_after: u32,
}

/// Counts it; answers how often this version has.
pub(super) async fn count(tx: &mut Tx<'_>, crash: &Crash<'_>, act: &Act) -> JobResult<u32> {
    let Crash { app, script, version, run, quarantine_after } = *crash;
    let (app_name, _revision) = lock_app(tx, app).await?;
    let counted = sqlx::query(
        "INSERT INTO script_crashes AS c (script_id, version, crashes, execution_id)
         SELECT v.script_id, v.version, 1, $4 FROM scripts s JOIN script_versions v ON v.script_id = s.id
         WHERE s.app_id = $1 AND s.name = $2 AND v.version = $3
         -- What is in quarantine says what brought it there: a run that was still under way then changes nothing.
         ON CONFLICT (script_id, version) DO UPDATE SET
             crashes = c.crashes + (c.quarantined_at IS NULL)::int,
             execution_id = CASE WHEN c.quarantined_at IS NULL THEN excluded.execution_id ELSE c.execution_id END
         RETURNING script_id, crashes, quarantined_at IS NOT NULL",
    )
    .bind(app.0)
    .bind(script)
    .bind(version)
    .bind(run.0.into_bytes())
    .fetch_optional(tx.conn())
    .await?;
    // A script that was deleted meanwhile is not run again either.
    let Some(row) = counted else { return Ok(0) };
    let (script_id, crashes, quarantined): (i64, _, bool) = (row.try_get(0)?, crashes_in(&row, 1)?, row.try_get(2)?);
    if crashes >= quarantine_after && !quarantined {
        let update = sqlx::query("UPDATE script_crashes SET quarantined_at = $3 WHERE script_id = $1 AND version = $2");
        update.bind(script_id).bind(version).bind(act.at).execute(tx.conn()).await?;
        touch_app(tx, app, act.at).await?;
        let after = Some(json!({ "version": version, "crashes": crashes, "execution_id": run }));
        note(tx, act, Noted { action: "script.quarantine", app: Some(&app_name), target: script, before: None, after });
    }
    Ok(crashes)
}

/// Forgets the crashes; answers whether any version was in quarantine.
pub(super) async fn release(tx: &mut Tx<'_>, app: AppId, name: &str, act: &Act) -> JobResult<bool> {
    let (app_name, _revision) = lock_app(tx, app).await?;
    let Some(script) = script_by_name(tx.conn(), app, name).await? else { return Ok(false) };
    let quarantined = quarantines_of(tx.conn(), script.id).await?;
    let delete = sqlx::query("DELETE FROM script_crashes WHERE script_id = $1");
    delete.bind(script.id.0).execute(tx.conn()).await?;
    if quarantined.is_empty() {
        return Ok(false);
    }
    touch_app(tx, app, act.at).await?;
    let before = Some(json!({ "quarantined": quarantined }));
    note(tx, act, Noted { action: "script.release", app: Some(&app_name), target: name, before, after: None });
    Ok(true)
}

/// Every version of the script that is in quarantine, the live one or not, oldest first.
async fn quarantines_of(conn: &mut PgConnection, script: ScriptId) -> JobResult<Vec<Quarantine>> {
    let select = sqlx::query(
        "SELECT version, crashes, execution_id, quarantined_at FROM script_crashes
         WHERE script_id = $1 AND quarantined_at IS NOT NULL ORDER BY version",
    );
    let rows = select.bind(script.0).fetch_all(conn).await?;
    let quarantine = |row: &PgRow| {
        Ok(Quarantine {
            version: row.try_get(0)?,
            crashes: row.try_get(1)?,
            execution_id: ExecutionId(uuid::Uuid::from_bytes(row.try_get(2)?)),
            since: row.try_get(3)?,
        })
    };
    rows.iter().map(quarantine).collect()
}
