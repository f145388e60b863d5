//! Files in SQLite: what is known of them, and what becomes of blobs that a file does not have any more.

use super::SqliteStore;
use super::error::JobResult;
use super::file_rows::{by_blob, file, page};
use super::file_writes::{create, delete, update};
use crate::{FileChange, FileExpected, FileRow, FileWithBlob, FileWrite, Files, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::file::{File, FileCollection, FileQuery};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, FileId};
use picloud_model::page::Page;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// Used signatures that are forgotten at once, when another one is noted.
const FORGOTTEN_AT_ONCE: u32 = 16;

#[async_trait]
impl Files for SqliteStore {
    async fn file_collections(&self, app: AppId) -> Result<Vec<FileCollection>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached(
                "SELECT collection, count(*), sum(size_bytes) FROM files WHERE app_id = ?1
                 GROUP BY collection ORDER BY collection",
            )?;
            let rows = select.query_map([app.0], |row| {
                Ok(FileCollection { name: row.get(0)?, files: row.get(1)?, size_bytes: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn files(&self, app: AppId, collection: &str, query: &FileQuery) -> Result<Page<File>> {
        let (collection, query) = (collection.to_owned(), query.clone());
        self.read(move |conn| page(conn, app, &collection, &query)).await
    }

    async fn file(&self, app: AppId, collection: &str, id: FileId) -> Result<Option<FileWithBlob>> {
        let collection = collection.to_owned();
        self.read(move |conn| file(conn, app, &collection, id)).await
    }

    async fn create_file(&self, app: AppId, write: FileWrite, cause: &Cause, act: Option<&Act>) -> Result<File> {
        let (cause, act) = (cause.clone(), act.cloned());
        self.write(move |tx| create(tx, app, write, &cause, act.as_ref())).await
    }

    async fn update_file(
        &self,
        app: AppId,
        change: FileChange,
        cause: &Cause,
        act: Option<&Act>,
    ) -> Result<Option<File>> {
        let (cause, act) = (cause.clone(), act.cloned());
        let updated = self.write(move |tx| update(tx, app, change, &cause, act.as_ref())).await?;
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
        let (collection, cause, act) = (collection.to_owned(), cause.clone(), act.cloned());
        let was = self.write(move |tx| delete(tx, app, (&collection, id), expected, &cause, act.as_ref())).await?;
        self.dropped.notify_one();
        Ok(was)
    }

    async fn unused_blobs(&self, blobs: &[Uuid]) -> Result<Vec<Uuid>> {
        let blobs = blobs.to_vec();
        self.read(move |conn| {
            let mut select = conn.prepare_cached("SELECT 1 FROM files WHERE blob_id = ?1")?;
            let mut unused = Vec::new();
            for id in blobs {
                if !select.exists([id.into_bytes()])? {
                    unused.push(id);
                }
            }
            Ok(unused)
        })
        .await
    }

    async fn dropped_blobs(&self, blobs_max: u32) -> Result<Vec<Uuid>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached("SELECT blob_id FROM dropped_blobs LIMIT ?1")?;
            let rows = select.query_map([blobs_max], |row| row.get(0).map(Uuid::from_bytes))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn forget_dropped(&self, blobs: Vec<Uuid>) -> Result<()> {
        self.write(move |tx| {
            let mut delete = tx.conn.prepare_cached("DELETE FROM dropped_blobs WHERE blob_id = ?1")?;
            for id in blobs {
                delete.execute([id.into_bytes()])?;
            }
            Ok(())
        })
        .await
    }

    fn blobs_dropped(&self) -> Arc<Notify> {
        Arc::clone(&self.dropped)
    }

    async fn files_by_blob(&self, after: Option<Uuid>, files_max: u32) -> Result<Vec<FileRow>> {
        self.read(move |conn| by_blob(conn, after, files_max)).await
    }

    async fn use_signature_once(&self, token: ContentHash, expires_at: UnixMs, now: UnixMs) -> Result<bool> {
        self.write(move |tx| {
            let mut forget = tx.conn.prepare_cached(
                "DELETE FROM used_signatures WHERE token IN (SELECT token FROM used_signatures
                 WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)",
            )?;
            forget.execute(params![now, FORGOTTEN_AT_ONCE])?;
            let mut insert = tx.conn.prepare_cached(
                "INSERT INTO used_signatures (token, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?;
            Ok(insert.execute(params![token.0, expires_at])? > 0)
        })
        .await
    }
}

/// Bytes of all files of an app.
pub(super) fn files_bytes(conn: &Connection, app: AppId) -> JobResult<u64> {
    let mut select = conn.prepare_cached("SELECT size_bytes FROM file_totals WHERE app_id = ?1")?;
    let total: Option<i64> = select.query_row([app.0], |row| row.get(0)).optional()?;
    Ok(total.unwrap_or(0).unsigned_abs())
}
