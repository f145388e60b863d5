//! Keys and values in SQLite. A key whose time is over is in the table until it is purged, and nowhere else.

use super::error::JobResult;
use super::kv_atomic;
use super::kv_by_hand;
use super::kv_events::{heard, tell};
use super::kv_list;
use super::queue::Hurry;
use super::writer::Undo;
use super::{DataTx, SqliteStore};
use crate::kv_changes::{At, Change, KeyChange, expiry, holds};
use crate::{Kv, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{Condition, KvCollection, KvEntry, KvReply, KvRequest};
use rusqlite::{Connection, OptionalExtension as _, params};

#[async_trait]
impl Kv for SqliteStore {
    async fn kv_for(&self, app: AppId, request: KvRequest, cause: &Cause) -> Result<KvReply> {
        let now = cause.at;
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
            KvRequest::Atomic(parts) => {
                let cause = cause.clone();
                self.write(move |tx| kv_atomic::change(tx, app, &parts, &cause)).await
            }
            write => {
                let cause = cause.clone();
                self.kv_write(move |tx| change(tx, app, write, &cause)).await
            }
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
            KvRequest::Set { .. } | KvRequest::Delete { .. } | KvRequest::Incr { .. } | KvRequest::Atomic(_) => {
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
    /// A write whose last statement is its only write, unless a trigger hears of it, which has a savepoint of its own.
    async fn kv_write<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut DataTx<'_>) -> JobResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.write(Undo::LastStatement, Hurry::Now, work).await
    }
}

/// Sets, deletes or counts; nothing else is for here.
pub(super) fn change(tx: &mut DataTx<'_>, app: AppId, request: KvRequest, cause: &Cause) -> JobResult<KvReply> {
    match request {
        KvRequest::Set { collection, key, value, ttl_ms, condition } => {
            let expires_at = expiry(cause.at, ttl_ms);
            set(tx, &Change { at: At { app, collection, key }, condition, cause }, &value, expires_at)
        }
        KvRequest::Delete { collection, key, condition } => {
            delete(tx, &Change { at: At { app, collection, key }, condition, cause })
        }
        KvRequest::Incr { collection, key, by } => {
            incr(tx, &Change { at: At { app, collection, key }, condition: Condition::Always, cause }, by)
        }
        KvRequest::Atomic(_) | KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
            unreachable!("reads go to the readers, and several writes have a file of their own")
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

pub(super) fn set(
    tx: &mut DataTx<'_>,
    change: &Change<'_>,
    value: &[u8],
    expires_at: Option<UnixMs>,
) -> JobResult<KvReply> {
    heard(tx, change.at.app, &change.at.collection, |tx, heard| {
        let before = match (heard, change.condition) {
            (false, Condition::Always) => None,
            _ => live(tx.conn, &change.at, change.cause.at)?,
        };
        if !holds(change.condition, before) {
            return Ok(KvReply::Set(None));
        }
        Ok(KvReply::Set(Some(put(tx, change, value, expires_at, heard.then_some(before))?)))
    })
}

/// Writes the row and answers its new version. `before` is the version it had, where somebody listens.
fn put(
    tx: &mut DataTx<'_>,
    change: &Change<'_>,
    value: &[u8],
    expires_at: Option<UnixMs>,
    before: Option<Option<i64>>,
) -> JobResult<i64> {
    let Change { at, cause, .. } = change;
    let version = tx.state.versions.draw(tx.conn)?;
    let mut upsert = tx.conn.prepare_cached(
        "INSERT INTO kv (app_id, collection, key, version, updated_at, expires_at, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (app_id, collection, key) DO UPDATE SET version = excluded.version,
         updated_at = excluded.updated_at, expires_at = excluded.expires_at, value = excluded.value",
    )?;
    upsert.execute(params![at.app.0, at.collection, at.key.as_bytes(), version, cause.at, expires_at, value])?;
    if let Some(old_version) = before {
        tell(tx, at, cause, &KeyChange { old_version, now: Some((version, value)) })?;
    }
    Ok(version)
}

pub(super) fn delete(tx: &mut DataTx<'_>, change: &Change<'_>) -> JobResult<KvReply> {
    let Change { at, condition, cause } = change;
    heard(tx, at.app, &at.collection, |tx, heard| {
        let live = live(tx.conn, at, cause.at)?;
        if !holds(*condition, live) {
            return Ok(KvReply::Unmet);
        }
        let mut delete = tx.conn.prepare_cached("DELETE FROM kv WHERE app_id = ?1 AND collection = ?2 AND key = ?3")?;
        delete.execute(params![at.app.0, at.collection, at.key.as_bytes()])?;
        if heard && live.is_some() {
            tell(tx, at, cause, &KeyChange { old_version: live, now: None })?;
        }
        Ok(KvReply::Was(live.is_some()))
    })
}

fn incr(tx: &mut DataTx<'_>, change: &Change<'_>, by: i64) -> JobResult<KvReply> {
    let At { app, collection, key } = &change.at;
    heard(tx, *app, collection, |tx, heard| {
        let mut select = tx.conn.prepare_cached(
            "SELECT value, expires_at, version FROM kv
             WHERE app_id = ?1 AND collection = ?2 AND key = ?3 AND (expires_at IS NULL OR expires_at > ?4)",
        )?;
        let before = select
            .query_row(params![app.0, collection, key.as_bytes(), change.cause.at], |row| {
                let number = serde_json::from_slice::<i64>(row.get_ref(0)?.as_blob()?).ok();
                Ok((number, row.get::<_, Option<UnixMs>>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()?;
        let old_version = before.map(|(_number, _expires_at, version)| version);
        let (number, expires_at) =
            before.map_or((Some(0), None), |(number, expires_at, _version)| (number, expires_at));
        let Some(number) = number else { return Ok(KvReply::NotANumber) };
        let Some(sum) = number.checked_add(by) else { return Ok(KvReply::Overflow) };
        put(tx, change, sum.to_string().as_bytes(), expires_at, heard.then_some(old_version))?;
        Ok(KvReply::Number(sum))
    })
}
