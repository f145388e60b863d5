//! Changes of keys by somebody's hand: each that changes something is in the audit log, by key and version.

use super::DataTx;
use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::error::JobResult;
use super::kv::{At, change as change_key, live};
use picloud_model::audit::Act;
use picloud_model::ids::AppId;
use picloud_model::kv::{KvReply, KvRequest};
use rusqlite::params;
use serde_json::{Value, json};

/// Does it, and writes it down where it changed something.
pub(super) fn change(tx: &mut DataTx<'_>, app: AppId, request: KvRequest, act: &Act) -> JobResult<KvReply> {
    let (action, collection, key) = match &request {
        KvRequest::Set { collection, key, .. } => ("kv.set", collection, key),
        KvRequest::Delete { collection, key, .. } => ("kv.delete", collection, key),
        KvRequest::Incr { collection, key, .. } => ("kv.incr", collection, key),
        KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => {
            unreachable!("reads change nothing")
        }
    };
    let at = At { app, collection: collection.clone(), key: key.clone() };
    let target = format!("{collection}/{key}");
    let before = live(tx.conn, &at, act.at)?.map(version_shown);
    let reply = change_key(tx, app, request, act.at)?;
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

fn version_shown(version: i64) -> Value {
    json!({ "version": version })
}

/// Removes a collection; answers how many keys were in it.
pub(super) fn delete_collection(tx: &DataTx<'_>, app: AppId, collection: &str, act: &Act) -> JobResult<u64> {
    let mut count = tx.conn.prepare_cached(
        "SELECT count(*) FROM kv WHERE app_id = ?1 AND collection = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
    )?;
    let keys: i64 = count.query_row(params![app.0, collection, act.at], |row| row.get(0))?;
    let mut delete = tx.conn.prepare_cached("DELETE FROM kv WHERE app_id = ?1 AND collection = ?2")?;
    delete.execute(params![app.0, collection])?;
    if keys > 0 {
        let (app, before) = (name_of(tx.conn, app)?, Some(json!({ "keys": keys })));
        let noted = Noted { action: "kv.delete_collection", app: Some(&app), target: collection, before, after: None };
        note(tx, act, noted)?;
    }
    Ok(keys.unsigned_abs())
}
