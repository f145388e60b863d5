//! Which versions may go, and their going.

use super::error::JobResult;
use super::transaction::Tx;
use crate::VersionsKept;
use picloud_model::clock::UnixMs;
use sqlx::PgConnection;

/// Versions of one transaction: other writers wait for no more.
pub(super) const DROPPED_AT_ONCE: usize = 100;

/// A version of a script, by the script's id.
pub(super) type OldVersion = (i64, i64);

/// Up to `versions_max` versions that `kept` does not keep: none that is live, and none that another version was saved
/// with, as long as that one is there.
pub(super) async fn droppable(
    conn: &mut PgConnection,
    kept: &VersionsKept,
    now: UnixMs,
    versions_max: u32,
) -> JobResult<Vec<OldVersion>> {
    // Numbers of one script go up by one, so `live_version - version` is how many newer ones there were.
    let select = sqlx::query_as(
        "SELECT v.script_id, v.version
         FROM scripts s JOIN script_versions v ON v.script_id = s.id
         WHERE v.version <= s.live_version - greatest($1, 1::bigint)
           AND (v.version <= s.live_version - greatest($2, 1::bigint) OR v.created_at < $3)
           AND NOT EXISTS (
               SELECT 1 FROM version_modules c
               JOIN scripts u ON u.id = c.script_id JOIN scripts m ON m.app_id = u.app_id AND m.name = c.name
               WHERE m.id = v.script_id AND c.module_version = v.version)
         ORDER BY v.script_id, v.version LIMIT $4",
    );
    let young = now.saturating_sub(kept.age_ms_max);
    let select = select.bind(i64::from(kept.newest_min)).bind(i64::from(kept.newest_max)).bind(young);
    Ok(select.bind(i64::from(versions_max)).fetch_all(conn).await?)
}

/// Drops them, and the sources that nothing else has.
pub(super) async fn drop_versions(tx: &mut Tx<'_>, versions: &[OldVersion]) -> JobResult<u64> {
    let (scripts, numbers): (Vec<i64>, Vec<i64>) = versions.iter().copied().unzip();
    let delete = sqlx::query(
        "DELETE FROM script_versions v USING unnest($1::bigint[], $2::bigint[]) AS old (script_id, version), scripts s
         WHERE v.script_id = old.script_id AND v.version = old.version AND s.id = v.script_id
         AND v.version < s.live_version",
    );
    Ok(delete.bind(scripts).bind(numbers).execute(tx.conn()).await?.rows_affected())
}
