//! Changes of keys by somebody's hand: each that changes something is in the audit log, by key and version.

use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::emit::cause_by_hand;
use super::error::JobResult;
use super::kv::{change_key, live, lock_keys};
use super::kv_atomic;
use super::kv_events::{is_heard, tell};
use super::transaction::Tx;
use crate::kv_changes::{At, KeyChange};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{AtomicRequest, KvReply, KvRequest};
use serde_json::{Value, json};

/// Does it, and writes it down where it changed something.
pub(super) async fn change(tx: &mut Tx<'_>, app: AppId, request: &KvRequest, act: &Act) -> JobResult<KvReply> {
    let cause = cause_by_hand(tx.conn(), app, act.at).await?;
    let (action, collection, key) = match request {
        KvRequest::Set { collection, key, .. } => ("kv.set", collection, key),
        KvRequest::Delete { collection, key, .. } => ("kv.delete", collection, key),
        KvRequest::Incr { collection, key, .. } => ("kv.incr", collection, key),
        KvRequest::Atomic(parts) => return change_several(tx, app, parts, &cause, act).await,
        KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
            unreachable!("reads change nothing")
        }
    };
    let at = At { app, collection: collection.clone(), key: key.clone() };
    let target = format!("{collection}/{key}");
    lock_keys(tx.conn(), &[&at]).await?;
    let before = live(tx.conn(), &at, act.at).await?.map(version_shown);
    let reply = change_key(tx, app, request, &cause).await?;
    let changed = match &reply {
        KvReply::Set(version) => version.is_some(),
        KvReply::Was(was_there) => *was_there,
        KvReply::Number(_) => true,
        _ => false,
    };
    if changed {
        let after = live(tx.conn(), &at, act.at).await?.map(version_shown);
        let app = name_of(tx.conn(), app).await?;
        note(tx, act, Noted { action, app: Some(&app), target: &target, before, after });
    }
    Ok(reply)
}

async fn change_several(
    tx: &mut Tx<'_>,
    app: AppId,
    parts: &AtomicRequest,
    cause: &Cause,
    act: &Act,
) -> JobResult<KvReply> {
    let reply = kv_atomic::change(tx, app, parts, cause).await?;
    if matches!(reply, KvReply::Atomic(Some(_))) && !(parts.writes.is_empty() && parts.publishes.is_empty()) {
        let after = json!({ "writes": parts.writes.len(), "publishes": parts.publishes.len() });
        let app = name_of(tx.conn(), app).await?;
        note(tx, act, Noted { action: "kv.atomic", app: Some(&app), target: "", before: None, after: Some(after) });
    }
    Ok(reply)
}

fn version_shown(version: i64) -> Value {
    json!({ "version": version })
}

/// Removes a collection; answers how many keys were in it. Each is an event where a trigger listens: a collection of more
/// keys than the app's queue has room for stays.
pub(super) async fn delete_collection(tx: &mut Tx<'_>, app: AppId, collection: &str, act: &Act) -> JobResult<u64> {
    let heard = is_heard(tx, app, collection).await?;
    let gone = if heard {
        remove_and_tell(tx, app, collection, act).await?
    } else {
        sqlx::query_scalar(
            "WITH gone AS (DELETE FROM kv WHERE app_id = $1 AND collection = $2 RETURNING expires_at)
             SELECT count(*) FROM gone WHERE expires_at IS NULL OR expires_at > $3",
        )
        .bind(app.0)
        .bind(collection)
        .bind(act.at)
        .fetch_one(tx.conn())
        .await?
    };
    if gone > 0 {
        let (app, before) = (name_of(tx.conn(), app).await?, Some(json!({ "keys": gone })));
        let noted = Noted { action: "kv.delete_collection", app: Some(&app), target: collection, before, after: None };
        note(tx, act, noted);
    }
    Ok(gone.unsigned_abs())
}

/// What is told of is what was deleted, however it stood when it was.
async fn remove_and_tell(tx: &mut Tx<'_>, app: AppId, collection: &str, act: &Act) -> JobResult<i64> {
    let cause = cause_by_hand(tx.conn(), app, act.at).await?;
    let gone: Vec<(Vec<u8>, i64, Option<UnixMs>)> = sqlx::query_as(
        "WITH gone AS (DELETE FROM kv WHERE app_id = $1 AND collection = $2 RETURNING key, version, expires_at)
         SELECT key, version, expires_at FROM gone ORDER BY key",
    )
    .bind(app.0)
    .bind(collection)
    .fetch_all(tx.conn())
    .await?;
    let mut keys = 0;
    for (key, version, expires_at) in gone {
        if expires_at.is_none_or(|at| at > act.at) {
            let key = String::from_utf8_lossy(&key).into_owned();
            let at = At { app, collection: collection.to_owned(), key };
            tell(tx, &at, &cause, &KeyChange { old_version: Some(version), now: None }).await?;
            keys += 1;
        }
    }
    Ok(keys)
}
