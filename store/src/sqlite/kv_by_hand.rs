//! Changes of keys by somebody's hand: each that changes something is in the audit log, by key and version.

use super::DataTx;
use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::emit::cause_by_hand;
use super::error::JobResult;
use super::kv::{change as change_key, live};
use super::kv_atomic;
use super::kv_events::{is_heard, tell};
use crate::kv_changes::{At, KeyChange};
use picloud_model::audit::Act;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{AtomicRequest, KvReply, KvRequest};
use rusqlite::params;
use serde_json::{Value, json};

/// Does it, and writes it down where it changed something.
pub(super) fn change(tx: &mut DataTx<'_>, app: AppId, request: KvRequest, act: &Act) -> JobResult<KvReply> {
    let cause = cause_by_hand(tx.conn, app, act.at)?;
    let (action, collection, key) = match &request {
        KvRequest::Set { collection, key, .. } => ("kv.set", collection, key),
        KvRequest::Delete { collection, key, .. } => ("kv.delete", collection, key),
        KvRequest::Incr { collection, key, .. } => ("kv.incr", collection, key),
        KvRequest::Atomic(parts) => return change_several(tx, app, parts, &cause, act),
        KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
            unreachable!("reads change nothing")
        }
    };
    let at = At { app, collection: collection.clone(), key: key.clone() };
    let target = format!("{collection}/{key}");
    let before = live(tx.conn, &at, act.at)?.map(version_shown);
    let reply = change_key(tx, app, request, &cause)?;
    let changed = match &reply {
        KvReply::Set(version) => version.is_some(),
        KvReply::Was(was_there) => *was_there,
        KvReply::Number(_) => true,
        _ => false,
    };
    if changed {
        let after = live(tx.conn, &at, act.at)?.map(version_shown);
        note(tx, act, Noted { action, app: Some(&name_of(tx.conn, app)?), target: &target, before, after })?;
    }
    Ok(reply)
}

fn change_several(
    tx: &mut DataTx<'_>,
    app: AppId,
    parts: &AtomicRequest,
    cause: &Cause,
    act: &Act,
) -> JobResult<KvReply> {
    let reply = kv_atomic::change(tx, app, parts, cause)?;
    if matches!(reply, KvReply::Atomic(Some(_))) && !(parts.writes.is_empty() && parts.publishes.is_empty()) {
        let after = json!({ "writes": parts.writes.len(), "publishes": parts.publishes.len() });
        let app = name_of(tx.conn, app)?;
        let noted = Noted { action: "kv.atomic", app: Some(&app), target: "", before: None, after: Some(after) };
        note(tx, act, noted)?;
    }
    Ok(reply)
}

fn version_shown(version: i64) -> Value {
    json!({ "version": version })
}

/// Removes a collection; answers how many keys were in it. Each is an event where a trigger listens: a collection of more
/// keys than the app's queue has room for stays.
pub(super) fn delete_collection(tx: &mut DataTx<'_>, app: AppId, collection: &str, act: &Act) -> JobResult<u64> {
    let mut count = tx.conn.prepare_cached(
        "SELECT count(*) FROM kv WHERE app_id = ?1 AND collection = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
    )?;
    let keys: i64 = count.query_row(params![app.0, collection, act.at], |row| row.get(0))?;
    if is_heard(tx, app, collection)? {
        tell_of_all(tx, app, collection, act)?;
    }
    let mut delete = tx.conn.prepare_cached("DELETE FROM kv WHERE app_id = ?1 AND collection = ?2")?;
    delete.execute(params![app.0, collection])?;
    if keys > 0 {
        let (app, before) = (name_of(tx.conn, app)?, Some(json!({ "keys": keys })));
        let noted = Noted { action: "kv.delete_collection", app: Some(&app), target: collection, before, after: None };
        note(tx, act, noted)?;
    }
    Ok(keys.unsigned_abs())
}

fn tell_of_all(tx: &mut DataTx<'_>, app: AppId, collection: &str, act: &Act) -> JobResult<()> {
    let cause = cause_by_hand(tx.conn, app, act.at)?;
    let mut select = tx.conn.prepare_cached(
        "SELECT key, version FROM kv WHERE app_id = ?1 AND collection = ?2 AND (expires_at IS NULL OR expires_at > ?3)
         ORDER BY key",
    )?;
    let mut rows = select.query(params![app.0, collection, act.at])?;
    while let Some(row) = rows.next()? {
        let key = String::from_utf8_lossy(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?).into_owned();
        let at = At { app, collection: collection.to_owned(), key };
        tell(tx, &at, &cause, &KeyChange { old_version: Some(row.get(1)?), now: None })?;
    }
    Ok(())
}
