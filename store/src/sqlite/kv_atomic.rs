//! `kv::atomic()`: several keys and publishes of one app, all or none.

use super::DataTx;
use super::error::JobResult;
use super::events::publish;
use super::kv::{delete, live, set};
use crate::kv_changes::{At, Change, expiry};
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{AtomicRequest, AtomicWrite, Condition, KvReply};

/// Does all of it where every check holds. Writes several rows: who calls it takes all of them back where it fails.
pub(super) fn change(tx: &mut DataTx<'_>, app: AppId, parts: &AtomicRequest, cause: &Cause) -> JobResult<KvReply> {
    for check in &parts.checks {
        let at = At { app, collection: check.collection.clone(), key: check.key.clone() };
        if live(tx.conn, &at, cause.at)? != check.version {
            return Ok(KvReply::Atomic(None));
        }
    }
    let mut versions = Vec::new();
    for write in &parts.writes {
        let (AtomicWrite::Set { collection, key, .. } | AtomicWrite::Delete { collection, key }) = write;
        let at = At { app, collection: collection.clone(), key: key.clone() };
        let one = Change { at, condition: Condition::Always, cause };
        match write {
            AtomicWrite::Set { value, ttl_ms, .. } => {
                let KvReply::Set(Some(version)) = set(tx, &one, value, expiry(cause.at, *ttl_ms))? else {
                    unreachable!("nothing was asked of the key")
                };
                versions.push(version);
            }
            AtomicWrite::Delete { .. } => drop(delete(tx, &one)?),
        }
    }
    for one in &parts.publishes {
        publish(tx, app, one, cause)?;
    }
    Ok(KvReply::Atomic(Some(versions)))
}
