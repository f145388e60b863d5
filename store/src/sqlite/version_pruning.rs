//! Which versions may go, and their going.

use super::DataTx;
use super::error::JobResult;
use crate::VersionsKept;
use picloud_model::clock::UnixMs;
use rusqlite::{Connection, params};

/// Versions of one transaction: other writers wait for no more.
pub(super) const DROPPED_AT_ONCE: usize = 100;

/// A version of a script, by the script's id.
pub(super) type OldVersion = (i64, i64);

/// Up to `versions_max` versions that `kept` does not keep: none that is live, and none that another version was saved
/// with, as long as that one is there.
pub(super) fn droppable(
    conn: &Connection,
    kept: &VersionsKept,
    now: UnixMs,
    versions_max: u32,
) -> JobResult<Vec<OldVersion>> {
    // Numbers of one script go up by one, so `live_version - version` is how many newer ones there were.
    let mut select = conn.prepare_cached(
        "SELECT v.script_id, v.version
         FROM scripts s JOIN script_versions v ON v.script_id = s.id
         WHERE v.version <= s.live_version - max(?1, 1)
           AND (v.version <= s.live_version - max(?2, 1) OR v.created_at < ?3)
           AND (v.script_id, v.version) NOT IN (
               SELECT m.id, c.module_version FROM version_modules c
               JOIN scripts u ON u.id = c.script_id JOIN scripts m ON m.app_id = u.app_id AND m.name = c.name)
         ORDER BY v.script_id, v.version LIMIT ?4",
    )?;
    let young = now.saturating_sub(kept.age_ms_max);
    let rows = select.query_map(params![kept.newest_min, kept.newest_max, young, versions_max], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Drops them, and the sources that nothing else has.
pub(super) fn drop_versions(tx: &DataTx<'_>, versions: &[OldVersion]) -> JobResult<u64> {
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM script_versions WHERE script_id = ?1 AND version = ?2
         AND version < (SELECT live_version FROM scripts WHERE id = ?1)",
    )?;
    let mut dropped = 0;
    for (script, version) in versions {
        dropped += delete.execute([script, version])? as u64;
    }
    Ok(dropped)
}
