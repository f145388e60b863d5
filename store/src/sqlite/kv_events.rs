//! What triggers hear of keys: each change in the transaction that makes it, and nothing where nobody listens.

use super::DataTx;
use super::emit::{Happened, emit};
use super::error::JobResult;
use super::kv::At;
use super::savepoint;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::trigger::Op;
use serde_json::json;

/// What became of a key.
pub(super) struct KeyChange<'a> {
    /// The version it had, if it was there.
    pub(super) old_version: Option<i64>,
    /// The version and the value (JSON) it has, if it is there.
    pub(super) now: Option<(i64, &'a [u8])>,
}

/// Does `work`, which writes a key and may tell of it: where somebody listens, as one of several writes.
pub(super) fn heard<T>(
    tx: &mut DataTx<'_>,
    app: AppId,
    collection: &str,
    work: impl FnOnce(&mut DataTx<'_>, bool) -> JobResult<T>,
) -> JobResult<T> {
    if is_heard(tx, app, collection)? { savepoint::within(tx, |tx| work(tx, true)) } else { work(tx, false) }
}

/// Whether any trigger of the app listens to the collection.
pub(super) fn is_heard(tx: &DataTx<'_>, app: AppId, collection: &str) -> JobResult<bool> {
    Ok(tx.state.triggers.of(tx.conn, app)?.listen_to_keys_of(collection))
}

/// Makes the deliveries.
pub(super) fn tell(tx: &mut DataTx<'_>, at: &At, cause: &Cause, change: &KeyChange<'_>) -> JobResult<()> {
    let op = match change {
        KeyChange { now: None, .. } => Op::Delete,
        KeyChange { old_version: None, .. } => Op::Insert,
        KeyChange { old_version: Some(_), .. } => Op::Update,
    };
    let happened = Happened::Kv { op, collection: &at.collection, key: &at.key };
    emit(tx, at.app, cause, &happened, cause.at, || body(op, at, change))?;
    Ok(())
}

/// The value goes in as the text it is.
fn body(op: Op, at: &At, change: &KeyChange<'_>) -> Vec<u8> {
    let (version, value) = change.now.map_or((None, &b"null"[..]), |(version, value)| (Some(version), value));
    let head = json!({
        "op": op, "collection": at.collection, "key": at.key, "old_version": change.old_version, "version": version,
    });
    with_value(head, value)
}

/// An object with one more field, `value`, whose JSON is spliced in.
pub(super) fn with_value(head: serde_json::Value, value: &[u8]) -> Vec<u8> {
    let mut body = head.to_string().into_bytes();
    body.pop();
    if body.len() > 1 {
        body.push(b',');
    }
    body.extend_from_slice(b"\"value\":");
    body.extend_from_slice(value);
    body.push(b'}');
    body
}
