//! Static files in Postgres: their rows, and their bytes by content in pieces.

use super::error::JobResult;
use super::transaction::Tx;
use crate::{StaticFile, StaticWrite};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Bytes of a piece; a range of a file reads only the pieces it touches.
const CHUNK_BYTES: usize = 64 * 1024;
/// Pieces of one statement: a round trip for each MiB.
const CHUNKS_AT_ONCE: usize = 16;

/// The app's static files, by path.
pub(super) async fn static_files_of(conn: &mut PgConnection, app: AppId) -> JobResult<Vec<StaticFile>> {
    let select = sqlx::query_as(
        "SELECT f.path, f.hash, b.size_bytes, f.updated_at FROM static_files f JOIN blobs b ON b.hash = f.hash
         WHERE f.app_id = $1 ORDER BY f.path",
    );
    let rows: Vec<(String, [u8; 32], i64, UnixMs)> = select.bind(app.0).fetch_all(conn).await?;
    let file =
        |(path, hash, size_bytes, updated_at)| StaticFile { path, hash: ContentHash(hash), size_bytes, updated_at };
    Ok(rows.into_iter().map(file).collect())
}

/// Makes the app's static files exactly these. Answers how many changed.
pub(super) async fn put_static_files(
    tx: &mut Tx<'_>,
    app: AppId,
    files: &[StaticWrite],
    at: UnixMs,
) -> JobResult<usize> {
    let before = static_files_of(tx.conn(), app).await?;
    let mut before: BTreeMap<String, ContentHash> = before.into_iter().map(|file| (file.path, file.hash)).collect();
    let mut changed = 0;
    for file in files {
        let hash = ContentHash::of(&file.bytes);
        if before.remove(&file.path) == Some(hash) {
            continue;
        }
        changed += 1;
        // Right before the row: replacing another file may have dropped these very bytes as nobody's.
        put_blob(tx.conn(), hash, &file.bytes).await?;
        let upsert = sqlx::query(
            "INSERT INTO static_files (app_id, path, hash, updated_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (app_id, path) DO UPDATE SET hash = excluded.hash, updated_at = excluded.updated_at",
        );
        upsert.bind(app.0).bind(&file.path).bind(hash.0).bind(at).execute(tx.conn()).await?;
    }
    changed += before.len();
    let gone: Vec<String> = before.into_keys().collect();
    let delete = sqlx::query("DELETE FROM static_files WHERE app_id = $1 AND path = ANY ($2)");
    delete.bind(app.0).bind(gone).execute(tx.conn()).await?;
    Ok(changed)
}

async fn put_blob(conn: &mut PgConnection, hash: ContentHash, bytes: &[u8]) -> JobResult<()> {
    let insert =
        sqlx::query_scalar("INSERT INTO blobs (hash, size_bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id");
    let size = i64::try_from(bytes.len()).expect("a file fits memory");
    let made: Option<i64> = insert.bind(hash.0).bind(size).fetch_optional(&mut *conn).await?;
    let Some(blob) = made else { return Ok(()) };
    let chunks: Vec<(i64, &[u8])> = (0..).zip(bytes.chunks(CHUNK_BYTES)).collect();
    for some in chunks.chunks(CHUNKS_AT_ONCE) {
        let (numbers, bytes): (Vec<i64>, Vec<&[u8]>) = some.iter().copied().unzip();
        let insert = sqlx::query(
            "INSERT INTO blob_chunks (blob_id, number, bytes)
             SELECT $1, number, bytes FROM unnest($2::bigint[], $3::bytea[]) AS chunk (number, bytes)",
        );
        insert.bind(blob).bind(numbers).bind(bytes).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Up to `len` bytes from `offset` on; fewer at the end of the file.
pub(super) async fn read_blob(
    conn: &mut PgConnection,
    hash: ContentHash,
    offset: u64,
    len: u32,
) -> JobResult<Option<Vec<u8>>> {
    let blob = sqlx::query_as("SELECT id, size_bytes FROM blobs WHERE hash = $1");
    let found: Option<(i64, i64)> = blob.bind(hash.0).fetch_optional(&mut *conn).await?;
    let Some((blob, size)) = found else { return Ok(None) };
    let start = i64::try_from(offset).unwrap_or(i64::MAX).min(size);
    let end = start.saturating_add(i64::from(len)).min(size);
    if start == end {
        return Ok(Some(Vec::new()));
    }
    let chunk_bytes = i64::try_from(CHUNK_BYTES).expect("a chunk is small");
    let (first, last) = (start / chunk_bytes, (end - 1) / chunk_bytes);
    let select = sqlx::query_scalar(
        "SELECT bytes FROM blob_chunks WHERE blob_id = $1 AND number BETWEEN $2 AND $3 ORDER BY number",
    );
    let chunks: Vec<Vec<u8>> = select.bind(blob).bind(first).bind(last).fetch_all(conn).await?;
    let wanted = usize::try_from(end - start).expect("a range fits memory");
    let mut bytes = Vec::with_capacity(wanted);
    let mut skip = usize::try_from(start - first * chunk_bytes).expect("within a chunk");
    for chunk in chunks {
        let rest = chunk.get(skip..).unwrap_or_default();
        bytes.extend_from_slice(&rest[..rest.len().min(wanted - bytes.len())]);
        skip = 0;
    }
    Ok(Some(bytes))
}
