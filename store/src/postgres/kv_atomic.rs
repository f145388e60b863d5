//! `kv::atomic()`: several keys and publishes of one app, all or none.

use super::error::JobResult;
use super::events::publish;
use super::kv::{delete, lock_keys, locked, set};
use super::transaction::Tx;
use crate::kv_changes::{At, Change, expiry};
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{AtomicRequest, AtomicWrite, Condition, KvReply};

/// Does all of it where every check holds.
pub(super) async fn change(tx: &mut Tx<'_>, app: AppId, parts: &AtomicRequest, cause: &Cause) -> JobResult<KvReply> {
    let at = |collection: &String, key: &String| At { app, collection: collection.clone(), key: key.clone() };
    let checked = parts.checks.iter().map(|check| at(&check.collection, &check.key));
    let written = parts.writes.iter().map(|write| match write {
        AtomicWrite::Set { collection, key, .. } | AtomicWrite::Delete { collection, key } => at(collection, key),
    });
    let keys: Vec<At> = checked.chain(written).collect();
    lock_keys(tx.conn(), &keys.iter().collect::<Vec<_>>()).await?;
    let (checked, written) = keys.split_at(parts.checks.len());
    for (check, at) in parts.checks.iter().zip(checked) {
        if locked(tx.conn(), at, cause.at).await? != check.version {
            return Ok(KvReply::Atomic(None));
        }
    }
    let mut versions = Vec::new();
    for (write, at) in parts.writes.iter().zip(written) {
        let at = At { app, collection: at.collection.clone(), key: at.key.clone() };
        let one = Change { at, condition: Condition::Always, cause };
        match write {
            AtomicWrite::Set { value, ttl_ms, .. } => {
                let KvReply::Set(Some(version)) = set(tx, &one, value, expiry(cause.at, *ttl_ms)).await? else {
                    unreachable!("nothing was asked of the key")
                };
                versions.push(version);
            }
            AtomicWrite::Delete { .. } => drop(delete(tx, &one).await?),
        }
    }
    for one in &parts.publishes {
        publish(tx, app, one, cause).await?;
    }
    Ok(KvReply::Atomic(Some(versions)))
}
