//! Keys and values, as far as they are no rows: changes, what triggers hear of them, and where a page of them begins.

use crate::StoreError;
use crate::cursor::{self, List};
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{Condition, KvQuery};
use picloud_model::trigger::Op;
use serde_json::json;

/// Bytes of keys and values of one page: a page of the largest values would not fit a run's memory. A page that
/// meets it is shorter than was asked for and has a cursor.
pub(crate) const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Above every key, for no UTF-8 has this byte.
const ABOVE_ALL: u8 = 0xff;

/// One key of one collection of one app.
pub(crate) struct At {
    pub(crate) app: AppId,
    pub(crate) collection: String,
    pub(crate) key: String,
}

/// A change of one key.
pub(crate) struct Change<'a> {
    pub(crate) at: At,
    pub(crate) condition: Condition,
    pub(crate) cause: &'a Cause,
}

/// When an entry's time is over that lives so long from `now`.
pub(crate) fn expiry(now: UnixMs, ttl_ms: Option<u64>) -> Option<UnixMs> {
    ttl_ms.map(|ttl| now.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)))
}

/// Whether the condition holds of a key at this version, or none.
pub(crate) fn holds(condition: Condition, live: Option<i64>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::IfVersion(version) => live == Some(version),
        Condition::IfAbsent => live.is_none(),
    }
}

/// What became of a key.
pub(crate) struct KeyChange<'a> {
    /// The version it had, if it was there.
    pub(crate) old_version: Option<i64>,
    /// The version and the value (JSON) it has, if it is there.
    pub(crate) now: Option<(i64, &'a [u8])>,
}

impl KeyChange<'_> {
    /// What it is called.
    pub(crate) fn op(&self) -> Op {
        match self {
            Self { now: None, .. } => Op::Delete,
            Self { old_version: None, .. } => Op::Insert,
            Self { old_version: Some(_), .. } => Op::Update,
        }
    }

    /// The event's body. The value goes in as the text it is.
    pub(crate) fn body(&self, at: &At) -> Vec<u8> {
        let (version, value) = self.now.map_or((None, &b"null"[..]), |(version, value)| (Some(version), value));
        let head = json!({
            "op": self.op(), "collection": at.collection, "key": at.key, "old_version": self.old_version, "version": version,
        });
        with_value(head, value)
    }
}

/// An object with one more field, `value`, whose JSON is spliced in.
pub(crate) fn with_value(head: serde_json::Value, value: &[u8]) -> Vec<u8> {
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

/// The keys of the page: from the first (inclusive) to the second (exclusive), whichever way they are read.
pub(crate) fn bounds(query: &KvQuery, list: List) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let prefix = query.prefix.as_bytes();
    let from = prefix.to_vec();
    let mut to = prefix.to_vec();
    match to.last_mut() {
        // The byte after the last one of a prefix is a byte, for no UTF-8 ends in 0xff.
        Some(last) => *last += 1,
        None => to.push(ABOVE_ALL),
    }
    let Some(text) = &query.cursor else { return Ok((from, to)) };
    let mut last = cursor::decode(list, text)?;
    if !last.starts_with(prefix) {
        return Err(StoreError::BadCursor);
    }
    if query.reverse {
        return Ok((from, last));
    }
    // The least text behind the last key.
    last.push(0);
    Ok((last, to))
}
