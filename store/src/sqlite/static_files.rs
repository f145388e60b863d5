//! Static files in SQLite: their rows, and their bytes by content in pieces.

use super::DataTx;
use super::error::JobResult;
use crate::{StaticFile, StaticWrite};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;

/// Bytes of a piece; a range of a file reads only the pieces it touches.
const CHUNK_BYTES: usize = 64 * 1024;

/// The app's static files, by path.
pub(super) fn static_files_of(conn: &Connection, app: AppId) -> JobResult<Vec<StaticFile>> {
    let mut select = conn.prepare_cached(
        "SELECT f.path, f.hash, b.size_bytes, f.updated_at FROM static_files f JOIN blobs b ON b.hash = f.hash
         WHERE f.app_id = ?1 ORDER BY f.path",
    )?;
    let rows = select.query_map([app.0], |row| {
        Ok(StaticFile {
            path: row.get(0)?,
            hash: ContentHash(row.get(1)?),
            size_bytes: row.get(2)?,
            updated_at: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes the app's static files exactly these. Answers how many changed.
pub(super) fn put_static_files(tx: &DataTx<'_>, app: AppId, files: &[StaticWrite], at: UnixMs) -> JobResult<usize> {
    let mut before: BTreeMap<String, ContentHash> =
        static_files_of(tx.conn, app)?.into_iter().map(|file| (file.path, file.hash)).collect();
    let mut changed = 0;
    for file in files {
        let hash = ContentHash::of(&file.bytes);
        if before.remove(&file.path) == Some(hash) {
            continue;
        }
        changed += 1;
        // Right before the row: replacing another file may have dropped these very bytes as nobody's.
        put_blob(tx, hash, &file.bytes)?;
        let mut upsert = tx.conn.prepare_cached(
            "INSERT INTO static_files (app_id, path, hash, updated_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (app_id, path) DO UPDATE SET hash = excluded.hash, updated_at = excluded.updated_at",
        )?;
        upsert.execute(params![app.0, file.path, hash.0, at])?;
    }
    let mut delete = tx.conn.prepare_cached("DELETE FROM static_files WHERE app_id = ?1 AND path = ?2")?;
    for path in before.keys() {
        changed += 1;
        delete.execute(params![app.0, path])?;
    }
    Ok(changed)
}

fn put_blob(tx: &DataTx<'_>, hash: ContentHash, bytes: &[u8]) -> JobResult<()> {
    let mut insert =
        tx.conn.prepare_cached("INSERT INTO blobs (hash, size_bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    let size = i64::try_from(bytes.len()).expect("a file fits memory");
    if insert.execute(params![hash.0, size])? == 0 {
        return Ok(());
    }
    let blob = tx.conn.last_insert_rowid();
    let mut insert = tx.conn.prepare_cached("INSERT INTO blob_chunks (blob_id, number, bytes) VALUES (?1, ?2, ?3)")?;
    for (number, chunk) in (0_i64..).zip(bytes.chunks(CHUNK_BYTES)) {
        insert.execute(params![blob, number, chunk])?;
    }
    Ok(())
}

/// Up to `len` bytes from `offset` on; fewer at the end of the file.
pub(super) fn read_blob(conn: &Connection, hash: ContentHash, offset: u64, len: u32) -> JobResult<Option<Vec<u8>>> {
    let moment = conn.unchecked_transaction()?;
    let mut blob = moment.prepare_cached("SELECT id, size_bytes FROM blobs WHERE hash = ?1")?;
    let found: Option<(i64, i64)> = blob.query_row([hash.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((blob, size)) = found else { return Ok(None) };
    let start = i64::try_from(offset).unwrap_or(i64::MAX).min(size);
    let end = start.saturating_add(i64::from(len)).min(size);
    if start == end {
        return Ok(Some(Vec::new()));
    }
    let chunk_bytes = i64::try_from(CHUNK_BYTES).expect("a chunk is small");
    let (first, last) = (start / chunk_bytes, (end - 1) / chunk_bytes);
    let mut select = moment.prepare_cached(
        "SELECT bytes FROM blob_chunks WHERE blob_id = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number",
    )?;
    let mut rows = select.query([blob, first, last])?;
    let wanted = usize::try_from(end - start).expect("a range fits memory");
    let mut bytes = Vec::with_capacity(wanted);
    let mut skip = usize::try_from(start - first * chunk_bytes).expect("within a chunk");
    while let Some(row) = rows.next()? {
        let chunk = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        let rest = chunk.get(skip..).unwrap_or_default();
        bytes.extend_from_slice(&rest[..rest.len().min(wanted - bytes.len())]);
        skip = 0;
    }
    Ok(Some(bytes))
}
