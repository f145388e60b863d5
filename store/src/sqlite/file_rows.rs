//! Rows of files, read; and their pages, by name and then by id.

use super::apps::rows_max;
use super::error::JobResult;
use crate::cursor;
use crate::file_rules::{begin, page_of, pieces_of};
use crate::{FileRow, FileWithBlob, StoredBlob};
use picloud_model::file::{File, FileQuery};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, FileId};
use picloud_model::page::Page;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

/// The columns of [`file_from_row`], in its order.
macro_rules! select_file {
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT id, name, content_type, size_bytes, sha256, version, created_at, updated_at, metadata",
            $more,
            " FROM files WHERE app_id = ?1 AND collection = ?2 ",
            $rest
        )
    };
}

/// One file.
pub(super) fn file(conn: &Connection, app: AppId, collection: &str, id: FileId) -> JobResult<Option<FileWithBlob>> {
    let mut select = conn.prepare_cached(select_file!(", blob_id, pieces", "AND id = ?3"))?;
    let found = select.query_row(params![app.0, collection, id.0.into_bytes()], |row| {
        let file = file_from_row(row)?;
        let blob = StoredBlob {
            id: Uuid::from_bytes(row.get("blob_id")?),
            size_bytes: file.size,
            sha256: file.sha256,
            pieces: pieces_of(&row.get::<_, Vec<u8>>("pieces")?),
        };
        Ok(FileWithBlob { file, blob })
    });
    Ok(found.optional()?)
}

fn file_from_row(row: &Row<'_>) -> rusqlite::Result<File> {
    Ok(File {
        id: FileId(Uuid::from_bytes(row.get(0)?)),
        name: row.get(1)?,
        content_type: row.get(2)?,
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        sha256: ContentHash(row.get(4)?),
        version: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        metadata: row.get(8)?,
    })
}

/// The page that `query` asks for.
pub(super) fn page(conn: &Connection, app: AppId, collection: &str, query: &FileQuery) -> JobResult<Page<File>> {
    let (name, id) = begin(query)?;
    let items_max = cursor::page_items(Some(query.limit));
    let mut select = conn.prepare_cached(select_file!("", "AND (name, id) > (?3, ?4) ORDER BY name, id LIMIT ?5"))?;
    let mut rows = select.query(params![app.0, collection, name, id, rows_max(items_max)])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(file_from_row(row)?);
    }
    Ok(page_of(files, query, items_max))
}

/// Files of all apps by their blob's id, those after `after`.
pub(super) fn by_blob(conn: &Connection, after: Option<Uuid>, files_max: u32) -> JobResult<Vec<FileRow>> {
    let mut select = conn.prepare_cached(
        "SELECT app_id, collection, id, blob_id, size_bytes FROM files WHERE blob_id > ?1 ORDER BY blob_id LIMIT ?2",
    )?;
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let rows = select.query_map(params![after, files_max], |row| {
        Ok(FileRow {
            app: AppId(row.get(0)?),
            collection: row.get(1)?,
            id: FileId(Uuid::from_bytes(row.get(2)?)),
            blob: Uuid::from_bytes(row.get(3)?),
            size_bytes: row.get::<_, i64>(4)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
