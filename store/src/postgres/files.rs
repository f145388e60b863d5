//! Files in Postgres: what is known of them, and what becomes of blobs that a file does not have any more.

use super::PgStore;
use super::error::JobResult;
use super::file_rows::{by_blob, file, page};
use super::file_writes::{Of, create, delete, update};
use super::transaction::{reading, writing};
use crate::{FileChange, FileExpected, FileRow, FileWithBlob, FileWrite, Files, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::file::{File, FileCollection, FileQuery};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, FileId};
use picloud_model::page::Page;
use sqlx::Row as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// Used signatures that are forgotten at once, when another one is noted.
const FORGOTTEN_AT_ONCE: i64 = 16;

#[async_trait]
impl Files for PgStore {
    async fn file_collections(&self, app: AppId) -> Result<Vec<FileCollection>> {
        reading!(self, |conn| {
            let rows = sqlx::query(
                "SELECT collection, count(*), sum(size_bytes)::bigint FROM files WHERE app_id = $1
                 GROUP BY collection ORDER BY collection",
            )
            .bind(app.0)
            .fetch_all(conn)
            .await?;
            let collection = |row: &sqlx::postgres::PgRow| {
                Ok(FileCollection { name: row.try_get(0)?, files: row.try_get(1)?, size_bytes: row.try_get(2)? })
            };
            rows.iter().map(collection).collect::<JobResult<_>>()
        })
    }

    async fn files(&self, app: AppId, collection: &str, query: &FileQuery) -> Result<Page<File>> {
        reading!(self, |conn| page(conn, app, collection, query).await)
    }

    async fn file(&self, app: AppId, collection: &str, id: FileId) -> Result<Option<FileWithBlob>> {
        reading!(self, |conn| file(conn, app, collection, id).await)
    }

    async fn create_file(&self, app: AppId, write: FileWrite, cause: &Cause, act: Option<&Act>) -> Result<File> {
        let of = Of { app, collection: &write.collection, cause, act };
        writing!(self, |tx| create(tx, &of, &write).await)
    }

    async fn update_file(
        &self,
        app: AppId,
        change: FileChange,
        cause: &Cause,
        act: Option<&Act>,
    ) -> Result<Option<File>> {
        let of = Of { app, collection: &change.collection, cause, act };
        let updated = writing!(self, |tx| update(tx, &of, &change).await)?;
        self.dropped.notify_one();
        Ok(updated)
    }

    async fn delete_file(
        &self,
        app: AppId,
        collection: &str,
        id: FileId,
        expected: FileExpected,
        cause: &Cause,
        act: Option<&Act>,
    ) -> Result<bool> {
        let of = Of { app, collection, cause, act };
        let was = writing!(self, |tx| delete(tx, &of, id, expected).await)?;
        self.dropped.notify_one();
        Ok(was)
    }

    async fn unused_blobs(&self, blobs: &[Uuid]) -> Result<Vec<Uuid>> {
        let ids: Vec<Vec<u8>> = blobs.iter().map(|id| id.as_bytes().to_vec()).collect();
        reading!(self, |conn| {
            let select = sqlx::query_scalar("SELECT blob_id FROM files WHERE blob_id = ANY($1)");
            let used: Vec<[u8; 16]> = select.bind(&ids).fetch_all(conn).await?;
            let used: BTreeSet<Uuid> = used.into_iter().map(Uuid::from_bytes).collect();
            Ok(blobs.iter().copied().filter(|id| !used.contains(id)).collect())
        })
    }

    async fn dropped_blobs(&self, blobs_max: u32) -> Result<Vec<Uuid>> {
        reading!(self, |conn| {
            let select = sqlx::query_scalar("SELECT blob_id FROM dropped_blobs ORDER BY blob_id LIMIT $1");
            let dropped: Vec<[u8; 16]> = select.bind(i64::from(blobs_max)).fetch_all(conn).await?;
            Ok(dropped.into_iter().map(Uuid::from_bytes).collect())
        })
    }

    async fn forget_dropped(&self, blobs: Vec<Uuid>) -> Result<()> {
        let ids: Vec<Vec<u8>> = blobs.iter().map(|id| id.as_bytes().to_vec()).collect();
        writing!(self, |tx| {
            let delete = sqlx::query("DELETE FROM dropped_blobs WHERE blob_id = ANY($1)");
            delete.bind(&ids).execute(tx.conn()).await?;
            Ok(())
        })
    }

    fn blobs_dropped(&self) -> Arc<Notify> {
        Arc::clone(&self.dropped)
    }

    async fn files_by_blob(&self, after: Option<Uuid>, files_max: u32) -> Result<Vec<FileRow>> {
        reading!(self, |conn| by_blob(conn, after, files_max).await)
    }

    async fn use_signature_once(&self, token: ContentHash, expires_at: UnixMs, now: UnixMs) -> Result<bool> {
        writing!(self, |tx| {
            sqlx::query(
                "DELETE FROM used_signatures WHERE token IN (SELECT token FROM used_signatures
                 WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            )
            .bind(now)
            .bind(FORGOTTEN_AT_ONCE)
            .execute(tx.conn())
            .await?;
            let insert =
                sqlx::query("INSERT INTO used_signatures (token, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING");
            Ok(insert.bind(token.0).bind(expires_at).execute(tx.conn()).await?.rows_affected() > 0)
        })
    }
}
