//! Keys and values in SQLite. A key whose time is over is in the table until it is purged, and nowhere else.

use super::error::JobResult;
use super::kv_by_hand;
use super::kv_list;
use super::writer::Undo;
use super::{DataTx, SqliteStore};
use crate::{Kv, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use picloud_model::kv::{Condition, KvCollection, KvEntry, KvReply, KvRequest};
use rusqlite::{Connection, OptionalExtension as _, params};

#[async_trait]
impl Kv for SqliteStore {
    async fn kv(&self, app: AppId, request: KvRequest, now: UnixMs) -> Result<KvReply> {
        match request {
            KvRequest::Get { collection, key } => {
                self.read(move |conn| Ok(KvReply::Entry(get(conn, At { app, collection, key }, now)?))).await
            }
            KvRequest::Has { collection, key } => {
                self.read(move |conn| Ok(KvReply::Was(live(conn, &At { app, collection, key }, now)?.is_some()))).await
            }
            KvRequest::List { collection, query } => {
                self.read(move |conn| kv_list::list(conn, app, &collection, &query, now)).await
            }
            write => self.kv_write(move |tx| change(tx, app, write, now)).await,
        }
    }

    async fn kv_collections(&self, app: AppId, now: UnixMs) -> Result<Vec<KvCollection>> {
        self.read(move |conn| {
            // Counted when asked: a counter kept beside the keys would cost every write a page.
            let mut select = conn.prepare_cached(
                "SELECT collection, count(*), sum(length(key) + length(value)) FROM kv
                 WHERE app_id = ?1 AND (expires_at IS NULL OR expires_at > ?2) GROUP BY collection ORDER BY collection",
            )?;
            let rows = select.query_map([app.0, now], |row| {
                Ok(KvCollection { name: row.get(0)?, keys: row.get(1)?, size_bytes: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn kv_by_hand(&self, app: AppId, request: KvRequest, act: &Act) -> Result<KvReply> {
        match request {
            KvRequest::Set { .. } | KvRequest::Delete { .. } | KvRequest::Incr { .. } => {
                let act = act.clone();
                self.write(move |tx| kv_by_hand::change(tx, app, request, &act)).await
            }
            KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
                self.kv(app, request, act.at).await
            }
        }
    }

    async fn delete_collection(&self, app: AppId, collection: &str, act: &Act) -> Result<u64> {
        let (collection, act) = (collection.to_owned(), act.clone());
        self.write(move |tx| kv_by_hand::delete_collection(tx, app, &collection, &act)).await
    }

    async fn purge_expired(&self, now: UnixMs, entries_max: u32) -> Result<u64> {
        self.kv_write(move |tx| {
            let mut delete = tx.conn.prepare_cached(
                "DELETE FROM kv WHERE (app_id, collection, key) IN
                 (SELECT app_id, collection, key FROM kv WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?;
            Ok(delete.execute([now, i64::from(entries_max)])? as u64)
        })
        .await
    }

    async fn next_expiry(&self) -> Result<Option<UnixMs>> {
        self.read(|conn| {
            let mut select = conn.prepare_cached("SELECT min(expires_at) FROM kv WHERE expires_at IS NOT NULL")?;
            Ok(select.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

impl SqliteStore {
    /// A write whose last statement is its only write.
    async fn kv_write<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut DataTx<'_>) -> JobResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.write(Undo::LastStatement, work).await
    }
}

/// One key of one collection of one app.
pub(super) struct At {
    pub(super) app: AppId,
    pub(super) collection: String,
    pub(super) key: String,
}

/// A change of one key as of `now`.
struct Change {
    at: At,
    condition: Condition,
    now: UnixMs,
}

/// Sets, deletes or counts; what reads is not for here.
pub(super) fn change(tx: &mut DataTx<'_>, app: AppId, request: KvRequest, now: UnixMs) -> JobResult<KvReply> {
    match request {
        KvRequest::Set { collection, key, value, ttl_ms, condition } => {
            let expires_at = ttl_ms.map(|ttl| now.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)));
            set(tx, &Change { at: At { app, collection, key }, condition, now }, &value, expires_at)
        }
        KvRequest::Delete { collection, key, condition } => {
            delete(tx, &Change { at: At { app, collection, key }, condition, now })
        }
        KvRequest::Incr { collection, key, by } => {
            incr(tx, &Change { at: At { app, collection, key }, condition: Condition::Always, now }, by)
        }
        KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
            unreachable!("reads go to the readers")
        }
    }
}

fn get(conn: &Connection, at: At, now: UnixMs) -> JobResult<Option<KvEntry>> {
    let mut select = conn.prepare_cached(
        "SELECT value, version, updated_at, expires_at FROM kv
         WHERE app_id = ?1 AND collection = ?2 AND key = ?3 AND (expires_at IS NULL OR expires_at > ?4)",
    )?;
    let entry = select.query_row(params![at.app.0, at.collection, at.key.as_bytes(), now], |row| {
        Ok(KvEntry {
            key: String::new(),
            value: row.get(0)?,
            version: row.get(1)?,
            updated_at: row.get(2)?,
            expires_at: row.get(3)?,
        })
    });
    Ok(entry.optional()?.map(|entry| KvEntry { key: at.key, ..entry }))
}

/// The version of the key, if it is there.
pub(super) fn live(conn: &Connection, at: &At, now: UnixMs) -> JobResult<Option<i64>> {
    let mut select = conn.prepare_cached(
        "SELECT version FROM kv
         WHERE app_id = ?1 AND collection = ?2 AND key = ?3 AND (expires_at IS NULL OR expires_at > ?4)",
    )?;
    Ok(select.query_row(params![at.app.0, at.collection, at.key.as_bytes(), now], |row| row.get(0)).optional()?)
}

fn holds(condition: Condition, live: Option<i64>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::IfVersion(version) => live == Some(version),
        Condition::IfAbsent => live.is_none(),
    }
}

fn set(tx: &mut DataTx<'_>, change: &Change, value: &[u8], expires_at: Option<UnixMs>) -> JobResult<KvReply> {
    if change.condition != Condition::Always && !holds(change.condition, live(tx.conn, &change.at, change.now)?) {
        return Ok(KvReply::Set(None));
    }
    Ok(KvReply::Set(Some(put(tx, change, value, expires_at)?)))
}

/// Writes the row and answers its new version.
fn put(tx: &mut DataTx<'_>, change: &Change, value: &[u8], expires_at: Option<UnixMs>) -> JobResult<i64> {
    let Change { at, now, .. } = change;
    let version = tx.state.versions.draw();
    let mut upsert = tx.conn.prepare_cached(
        "INSERT INTO kv (app_id, collection, key, version, updated_at, expires_at, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (app_id, collection, key) DO UPDATE SET version = excluded.version,
         updated_at = excluded.updated_at, expires_at = excluded.expires_at, value = excluded.value",
    )?;
    upsert.execute(params![at.app.0, at.collection, at.key.as_bytes(), version, now, expires_at, value])?;
    Ok(version)
}

fn delete(tx: &mut DataTx<'_>, change: &Change) -> JobResult<KvReply> {
    let Change { at, condition, now } = change;
    let live = live(tx.conn, at, *now)?;
    if !holds(*condition, live) {
        return Ok(KvReply::Unmet);
    }
    let mut delete = tx.conn.prepare_cached("DELETE FROM kv WHERE app_id = ?1 AND collection = ?2 AND key = ?3")?;
    delete.execute(params![at.app.0, at.collection, at.key.as_bytes()])?;
    Ok(KvReply::Was(live.is_some()))
}

fn incr(tx: &mut DataTx<'_>, change: &Change, by: i64) -> JobResult<KvReply> {
    let At { app, collection, key } = &change.at;
    let mut select = tx.conn.prepare_cached(
        "SELECT value, expires_at FROM kv
         WHERE app_id = ?1 AND collection = ?2 AND key = ?3 AND (expires_at IS NULL OR expires_at > ?4)",
    )?;
    let before = select
        .query_row(params![app.0, collection, key.as_bytes(), change.now], |row| {
            let number = serde_json::from_slice::<i64>(row.get_ref(0)?.as_blob()?).ok();
            Ok((number, row.get::<_, Option<UnixMs>>(1)?))
        })
        .optional()?;
    let (number, expires_at) = before.unwrap_or((Some(0), None));
    let Some(number) = number else { return Ok(KvReply::NotANumber) };
    let Some(sum) = number.checked_add(by) else { return Ok(KvReply::Overflow) };
    put(tx, change, sum.to_string().as_bytes(), expires_at)?;
    Ok(KvReply::Number(sum))
}
