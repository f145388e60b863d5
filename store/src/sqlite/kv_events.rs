//! What triggers hear of keys: each change in the transaction that makes it, and nothing where nobody listens.

use super::DataTx;
use super::emit::emit;
use super::error::JobResult;
use super::savepoint;
use crate::kv_changes::{At, KeyChange};
use crate::matching::Happened;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;

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
    let happened = Happened::Kv { op: change.op(), collection: &at.collection, key: &at.key };
    emit(tx, at.app, cause, &happened, cause.at, || change.body(at))?;
    Ok(())
}
