//! What triggers hear of keys: each change in the transaction that makes it, and nothing where nobody listens.

use super::emit::emit;
use super::error::JobResult;
use super::transaction::Tx;
use crate::kv_changes::{At, KeyChange};
use crate::matching::Happened;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;

/// Whether any trigger of the app listens to the collection.
pub(super) async fn is_heard(tx: &mut Tx<'_>, app: AppId, collection: &str) -> JobResult<bool> {
    let store = tx.store;
    Ok(store.triggers.of(tx.conn(), app).await?.listen_to_keys_of(collection))
}

/// Makes the deliveries.
pub(super) async fn tell(tx: &mut Tx<'_>, at: &At, cause: &Cause, change: &KeyChange<'_>) -> JobResult<()> {
    let happened = Happened::Kv { op: change.op(), collection: &at.collection, key: &at.key };
    emit(tx, at.app, cause, &happened, cause.at, || change.body(at)).await?;
    Ok(())
}
