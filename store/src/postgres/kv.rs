//! Keys and values in Postgres. A key whose time is over is in the table until it is purged, and nowhere else.
//!
//! Whoever writes a key has its lock until the end of the transaction, so that what is read of it before, also that it is
//! not there, holds until then. A version is drawn under that lock: a key's versions only grow.

use super::PgStore;
use super::error::JobResult;
use super::kv_by_hand;
use super::kv_events::{is_heard, tell};
use super::kv_list;
use super::transaction::{Tx, reading, writing};
use super::{kv_atomic, kv_quick};
use crate::kv_changes::{At, Change, KeyChange, expiry, holds};
use crate::{Kv, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{Condition, KvCollection, KvEntry, KvReply, KvRequest};
use sqlx::{PgConnection, Row as _};

#[async_trait]
impl Kv for PgStore {
    async fn kv_for(&self, app: AppId, request: KvRequest, cause: &Cause) -> Result<KvReply> {
        let now = cause.at;
        match &request {
            KvRequest::Get { collection, key } => {
                let at = At { app, collection: collection.clone(), key: key.clone() };
                reading!(self, |conn| Ok(KvReply::Entry(get(conn, &at, now).await?)))
            }
            KvRequest::Has { collection, key } => {
                let at = At { app, collection: collection.clone(), key: key.clone() };
                reading!(self, |conn| Ok(KvReply::Was(live(conn, &at, now).await?.is_some())))
            }
            KvRequest::List { collection, query } => {
                reading!(self, |conn| kv_list::list(conn, app, collection, query, now).await)
            }
            KvRequest::Atomic(parts) => writing!(self, |tx| kv_atomic::change(tx, app, parts, cause).await),
            KvRequest::Set { collection, key, value, ttl_ms, condition: Condition::Always } => {
                let change = Change {
                    at: At { app, collection: collection.clone(), key: key.clone() },
                    condition: Condition::Always,
                    cause,
                };
                match kv_quick::set(self, &change, value, expiry(now, *ttl_ms)).await? {
                    Some(version) => Ok(KvReply::Set(Some(version))),
                    None => writing!(self, |tx| change_key(tx, app, &request, cause).await),
                }
            }
            _write => writing!(self, |tx| change_key(tx, app, &request, cause).await),
        }
    }

    async fn kv_collections(&self, app: AppId, now: UnixMs) -> Result<Vec<KvCollection>> {
        reading!(self, |conn| {
            // Counted when asked: a counter kept beside the keys would be one that all writers wait for.
            let rows = sqlx::query(
                "SELECT collection, count(*), sum(length(key) + length(value))::bigint FROM kv
                 WHERE app_id = $1 AND (expires_at IS NULL OR expires_at > $2) GROUP BY collection ORDER BY collection",
            )
            .bind(app.0)
            .bind(now)
            .fetch_all(conn)
            .await?;
            let collection = |row: &sqlx::postgres::PgRow| {
                Ok(KvCollection { name: row.try_get(0)?, keys: row.try_get(1)?, size_bytes: row.try_get(2)? })
            };
            rows.iter().map(collection).collect()
        })
    }

    async fn kv_by_hand(&self, app: AppId, request: KvRequest, act: &Act) -> Result<KvReply> {
        match request {
            KvRequest::Set { .. } | KvRequest::Delete { .. } | KvRequest::Incr { .. } | KvRequest::Atomic(_) => {
                writing!(self, |tx| kv_by_hand::change(tx, app, &request, act).await)
            }
            KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
                self.kv(app, request, act.at).await
            }
        }
    }

    async fn delete_collection(&self, app: AppId, collection: &str, act: &Act) -> Result<u64> {
        writing!(self, |tx| kv_by_hand::delete_collection(tx, app, collection, act).await)
    }

    async fn purge_expired(&self, now: UnixMs, entries_max: u32) -> Result<u64> {
        writing!(self, |tx| {
            // Whoever writes one of them meanwhile keeps it: what is deleted is looked at again under its lock.
            let purged = sqlx::query(
                "DELETE FROM kv WHERE expires_at <= $1 AND (app_id, collection, key) IN
                 (SELECT app_id, collection, key FROM kv WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
                  FOR UPDATE SKIP LOCKED)",
            )
            .bind(now)
            .bind(i64::from(entries_max))
            .execute(tx.conn())
            .await?;
            Ok(purged.rows_affected())
        })
    }

    async fn next_expiry(&self) -> Result<Option<UnixMs>> {
        reading!(self, |conn| {
            let select = sqlx::query_scalar("SELECT min(expires_at) FROM kv WHERE expires_at IS NOT NULL");
            Ok(select.fetch_one(conn).await?)
        })
    }
}

/// Sets, deletes or counts; nothing else is for here.
pub(super) async fn change_key(tx: &mut Tx<'_>, app: AppId, request: &KvRequest, cause: &Cause) -> JobResult<KvReply> {
    let at = |collection: &String, key: &String| At { app, collection: collection.clone(), key: key.clone() };
    match request {
        KvRequest::Set { collection, key, value, ttl_ms, condition } => {
            let change = Change { at: at(collection, key), condition: *condition, cause };
            lock_keys(tx.conn(), &[&change.at]).await?;
            set(tx, &change, value, expiry(cause.at, *ttl_ms)).await
        }
        KvRequest::Delete { collection, key, condition } => {
            let change = Change { at: at(collection, key), condition: *condition, cause };
            lock_keys(tx.conn(), &[&change.at]).await?;
            delete(tx, &change).await
        }
        KvRequest::Incr { collection, key, by } => {
            let change = Change { at: at(collection, key), condition: Condition::Always, cause };
            lock_keys(tx.conn(), &[&change.at]).await?;
            incr(tx, &change, *by).await
        }
        KvRequest::Atomic(_) | KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
            unreachable!("reads change nothing, and several writes have a file of their own")
        }
    }
}

/// Takes the locks of these keys, in one order, until the end of the transaction.
pub(super) async fn lock_keys(conn: &mut PgConnection, keys: &[&At]) -> JobResult<()> {
    let apps: Vec<i64> = keys.iter().map(|at| at.app.0).collect();
    let collections: Vec<&str> = keys.iter().map(|at| at.collection.as_str()).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|at| at.key.as_bytes()).collect();
    let lock = sqlx::query("SELECT lock_kv_keys($1, $2, $3)");
    lock.bind(apps).bind(collections).bind(keys).execute(conn).await?;
    Ok(())
}

async fn get(conn: &mut PgConnection, at: &At, now: UnixMs) -> JobResult<Option<KvEntry>> {
    let row = sqlx::query(
        "SELECT value, version, updated_at, expires_at FROM kv
         WHERE app_id = $1 AND collection = $2 AND key = $3 AND (expires_at IS NULL OR expires_at > $4)",
    )
    .bind(at.app.0)
    .bind(&at.collection)
    .bind(at.key.as_bytes())
    .bind(now)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(KvEntry {
        key: at.key.clone(),
        value: row.try_get(0)?,
        version: row.try_get(1)?,
        updated_at: row.try_get(2)?,
        expires_at: row.try_get(3)?,
    }))
}

/// The version of the key, if it is there.
pub(super) async fn live(conn: &mut PgConnection, at: &At, now: UnixMs) -> JobResult<Option<i64>> {
    let select = sqlx::query_scalar(
        "SELECT version FROM kv
         WHERE app_id = $1 AND collection = $2 AND key = $3 AND (expires_at IS NULL OR expires_at > $4)",
    );
    let select = select.bind(at.app.0).bind(&at.collection).bind(at.key.as_bytes()).bind(now);
    Ok(select.fetch_optional(conn).await?)
}

/// The same of a key whose lock is held: nor does a whole collection take it away before the end of the transaction.
pub(super) async fn locked(conn: &mut PgConnection, at: &At, now: UnixMs) -> JobResult<Option<i64>> {
    let select = sqlx::query_scalar(
        "SELECT version FROM kv WHERE app_id = $1 AND collection = $2 AND key = $3
         AND (expires_at IS NULL OR expires_at > $4) FOR UPDATE",
    );
    let select = select.bind(at.app.0).bind(&at.collection).bind(at.key.as_bytes()).bind(now);
    Ok(select.fetch_optional(conn).await?)
}

pub(super) async fn set(
    tx: &mut Tx<'_>,
    change: &Change<'_>,
    value: &[u8],
    expires_at: Option<UnixMs>,
) -> JobResult<KvReply> {
    let heard = is_heard(tx, change.at.app, &change.at.collection).await?;
    let before = match (heard, change.condition) {
        (false, Condition::Always) => None,
        _ => locked(tx.conn(), &change.at, change.cause.at).await?,
    };
    if !holds(change.condition, before) {
        return Ok(KvReply::Set(None));
    }
    Ok(KvReply::Set(Some(put(tx, change, value, expires_at, heard.then_some(before)).await?)))
}

/// Writes the row and answers its new version. `before` is the version it had, where somebody listens.
async fn put(
    tx: &mut Tx<'_>,
    change: &Change<'_>,
    value: &[u8],
    expires_at: Option<UnixMs>,
    before: Option<Option<i64>>,
) -> JobResult<i64> {
    let Change { at, cause, .. } = change;
    let version: i64 = sqlx::query_scalar(
        "INSERT INTO kv (app_id, collection, key, version, updated_at, expires_at, value)
         VALUES ($1, $2, $3, nextval('kv_versions'), $4, $5, $6)
         ON CONFLICT (app_id, collection, key) DO UPDATE SET version = excluded.version,
         updated_at = excluded.updated_at, expires_at = excluded.expires_at, value = excluded.value RETURNING version",
    )
    .bind(at.app.0)
    .bind(&at.collection)
    .bind(at.key.as_bytes())
    .bind(cause.at)
    .bind(expires_at)
    .bind(value)
    .fetch_one(tx.conn())
    .await?;
    if let Some(old_version) = before {
        tell(tx, at, cause, &KeyChange { old_version, now: Some((version, value)) }).await?;
    }
    Ok(version)
}

pub(super) async fn delete(tx: &mut Tx<'_>, change: &Change<'_>) -> JobResult<KvReply> {
    let Change { at, condition, cause } = change;
    let heard = is_heard(tx, at.app, &at.collection).await?;
    let live = locked(tx.conn(), at, cause.at).await?;
    if !holds(*condition, live) {
        return Ok(KvReply::Unmet);
    }
    sqlx::query("DELETE FROM kv WHERE app_id = $1 AND collection = $2 AND key = $3")
        .bind(at.app.0)
        .bind(&at.collection)
        .bind(at.key.as_bytes())
        .execute(tx.conn())
        .await?;
    if heard && live.is_some() {
        tell(tx, at, cause, &KeyChange { old_version: live, now: None }).await?;
    }
    Ok(KvReply::Was(live.is_some()))
}

async fn incr(tx: &mut Tx<'_>, change: &Change<'_>, by: i64) -> JobResult<KvReply> {
    let At { app, collection, key } = &change.at;
    let heard = is_heard(tx, *app, collection).await?;
    let row = sqlx::query(
        "SELECT value, expires_at, version FROM kv
         WHERE app_id = $1 AND collection = $2 AND key = $3 AND (expires_at IS NULL OR expires_at > $4) FOR UPDATE",
    )
    .bind(app.0)
    .bind(collection)
    .bind(key.as_bytes())
    .bind(change.cause.at)
    .fetch_optional(tx.conn())
    .await?;
    let (number, expires_at, old_version) = match &row {
        Some(row) => (serde_json::from_slice::<i64>(row.try_get(0)?).ok(), row.try_get(1)?, row.try_get(2)?),
        None => (Some(0), None, None),
    };
    let Some(number) = number else { return Ok(KvReply::NotANumber) };
    let Some(sum) = number.checked_add(by) else { return Ok(KvReply::Overflow) };
    put(tx, change, sum.to_string().as_bytes(), expires_at, heard.then_some(old_version)).await?;
    Ok(KvReply::Number(sum))
}
