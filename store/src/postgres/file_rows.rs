//! Rows of files, read; and their pages, by name and then by id.

use super::apps::rows_max;
use super::columns::uuid_at;
use super::error::JobResult;
use crate::cursor;
use crate::file_rules::{begin, page_of, pieces_of};
use crate::{FileRow, FileWithBlob, StoredBlob};
use picloud_model::file::{File, FileQuery};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, FileId};
use picloud_model::page::Page;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// The columns of [`file_from_row`], in its order.
macro_rules! select_file {
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT id, name, content_type, size_bytes, sha256, version, created_at, updated_at, metadata",
            $more,
            " FROM files WHERE app_id = $1 AND collection = $2 ",
            $rest
        )
    };
}

/// One file.
pub(super) async fn file(
    conn: &mut PgConnection,
    app: AppId,
    collection: &str,
    id: FileId,
) -> JobResult<Option<FileWithBlob>> {
    one(conn, select_file!(", blob_id, pieces", "AND id = $3"), app, collection, id).await
}

/// The same, and nobody else changes it until the transaction ends.
pub(super) async fn file_locked(
    conn: &mut PgConnection,
    app: AppId,
    collection: &str,
    id: FileId,
) -> JobResult<Option<FileWithBlob>> {
    one(conn, select_file!(", blob_id, pieces", "AND id = $3 FOR UPDATE"), app, collection, id).await
}

async fn one(
    conn: &mut PgConnection,
    sql: &'static str,
    app: AppId,
    collection: &str,
    id: FileId,
) -> JobResult<Option<FileWithBlob>> {
    let select = sqlx::query(sql).bind(app.0).bind(collection).bind(id.0.into_bytes());
    let Some(row) = select.fetch_optional(conn).await? else { return Ok(None) };
    let file = file_from_row(&row)?;
    let blob = StoredBlob {
        id: uuid_at(&row, 9)?,
        size_bytes: file.size,
        sha256: file.sha256,
        pieces: pieces_of(row.try_get(10)?),
    };
    Ok(Some(FileWithBlob { file, blob }))
}

fn file_from_row(row: &PgRow) -> JobResult<File> {
    Ok(File {
        id: FileId(uuid_at(row, 0)?),
        name: row.try_get(1)?,
        content_type: row.try_get(2)?,
        size: row.try_get::<i64, _>(3)?.unsigned_abs(),
        sha256: ContentHash(row.try_get(4)?),
        version: row.try_get(5)?,
        created_at: row.try_get(6)?,
        updated_at: row.try_get(7)?,
        metadata: row.try_get(8)?,
    })
}

/// The page that `query` asks for.
pub(super) async fn page(
    conn: &mut PgConnection,
    app: AppId,
    collection: &str,
    query: &FileQuery,
) -> JobResult<Page<File>> {
    let (name, id) = begin(query)?;
    let items_max = cursor::page_items(Some(query.limit));
    let rows = sqlx::query(select_file!("", "AND (name, id) > ($3, $4) ORDER BY name, id LIMIT $5"))
        .bind(app.0)
        .bind(collection)
        .bind(name)
        .bind(id)
        .bind(rows_max(items_max))
        .fetch_all(conn)
        .await?;
    let files = rows.iter().map(file_from_row).collect::<JobResult<_>>()?;
    Ok(page_of(files, query, items_max))
}

/// Files of all apps by their blob's id, those after `after`.
pub(super) async fn by_blob(conn: &mut PgConnection, after: Option<Uuid>, files_max: u32) -> JobResult<Vec<FileRow>> {
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let select = "SELECT app_id, collection, id, blob_id, size_bytes FROM files WHERE blob_id > $1
                  ORDER BY blob_id LIMIT $2";
    let rows = sqlx::query(select).bind(after).bind(i64::from(files_max)).fetch_all(conn).await?;
    let file = |row: &PgRow| {
        Ok(FileRow {
            app: AppId(row.try_get(0)?),
            collection: row.try_get(1)?,
            id: FileId(uuid_at(row, 2)?),
            blob: uuid_at(row, 3)?,
            size_bytes: row.try_get::<i64, _>(4)?.unsigned_abs(),
        })
    };
    rows.iter().map(file).collect()
}
