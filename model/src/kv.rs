//! Keys and values: what a script or the admin API asks of the KV store, and what it is answered.
//!
//! A value is the bytes of a JSON text everywhere below the SDK; whoever accepts one from outside checks
//! that it is JSON. A version is drawn from a store-wide sequence: it only grows and is never reused, so
//! that `if_version` cannot be fooled by a delete and a new insert.

use crate::clock::UnixMs;
use serde::{Deserialize, Serialize};

/// Longest name of a collection, in bytes. A collection is not empty and has no `/` and no control character.
pub const COLLECTION_BYTES_MAX: usize = 128;

/// When a set or delete is to happen at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// Only if the key is at this version now.
    IfVersion(i64),
    /// Only if the key is not there now (an expired key is not there).
    IfAbsent,
}

/// One thing asked of the KV store, within one app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum KvRequest {
    /// Answered with [`KvReply::Set`].
    Set {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
        /// JSON.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
        /// Time to live from now; for ever where absent.
        ttl_ms: Option<u64>,
        /// When to do it at all.
        condition: Condition,
    },
    /// Answered with [`KvReply::Entry`].
    Get {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
    },
    /// Reads no value. Answered with [`KvReply::Was`].
    Has {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
    },
    /// Answered with [`KvReply::Was`]; with a condition that does not hold, with [`KvReply::Unmet`].
    Delete {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
        /// When to do it at all.
        condition: Condition,
    },
    /// Adds to a whole number; an absent key counts as 0 and keeps no time to live; a present one keeps its own.
    /// Answered with [`KvReply::Number`], or [`KvReply::NotANumber`], or [`KvReply::Overflow`].
    Incr {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
        /// What to add; may be negative.
        by: i64,
    },
    /// Answered with [`KvReply::List`], or [`KvReply::BadCursor`].
    List {
        /// The collection.
        collection: String,
        /// What to list.
        query: KvQuery,
    },
    /// Several keys and publishes, all or none. Answered with [`KvReply::Atomic`].
    Atomic(AtomicRequest),
}

/// Several things that happen together, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AtomicRequest {
    /// What must hold, each of one key.
    pub checks: Vec<AtomicCheck>,
    /// What to write, in this order.
    pub writes: Vec<AtomicWrite>,
    /// What to publish.
    pub publishes: Vec<crate::publish::Publish>,
}

/// Most checks, writes and publishes of an [`AtomicRequest`], together.
pub const ATOMIC_PARTS_MAX: usize = 100;

/// One key that must be as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtomicCheck {
    /// The collection.
    pub collection: String,
    /// The key.
    pub key: String,
    /// Its version; `None`: it must not be there.
    pub version: Option<i64>,
}

/// One write of an [`AtomicRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AtomicWrite {
    /// Sets a key.
    Set {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
        /// JSON.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
        /// Time to live from now; for ever where absent.
        ttl_ms: Option<u64>,
    },
    /// Deletes a key, if it is there.
    Delete {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
    },
}

/// What to list of a collection, in the order of the keys' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// Where the last page of the same query ended.
    pub cursor: Option<String>,
    /// At most so many; the caller has checked it against `list_page`.
    pub limit: u32,
    /// From the last key to the first.
    pub reverse: bool,
    /// Without values.
    pub keys_only: bool,
}

/// One key and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvEntry {
    /// The key.
    pub key: String,
    /// JSON; empty where only keys were asked for.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
    /// Its version.
    pub version: i64,
    /// When it was last set.
    pub updated_at: UnixMs,
    /// When it ceases to be there.
    pub expires_at: Option<UnixMs>,
}

/// A page of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvList {
    /// The entries.
    pub entries: Vec<KvEntry>,
    /// Where the next page begins; `None` at the end.
    pub cursor: Option<String>,
}

/// What a [`KvRequest`] is answered with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum KvReply {
    /// The new version; `None` when the condition did not hold.
    Set(Option<i64>),
    /// The entry, if the key is there.
    Entry(Option<KvEntry>),
    /// Whether the key is (or was) there.
    Was(bool),
    /// The condition of a delete did not hold.
    Unmet,
    /// The new number.
    Number(i64),
    /// The key holds something else than a whole number.
    NotANumber,
    /// The sum would not fit 64 bits.
    Overflow,
    /// A page.
    List(KvList),
    /// The cursor is not one of ours.
    BadCursor,
    /// The versions of what was set, in order; `None` when a check did not hold, and nothing was done.
    Atomic(Option<Vec<i64>>),
}

/// One collection as the admin API lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KvCollection {
    /// Its name.
    pub name: String,
    /// Keys in it.
    pub keys: i64,
    /// Bytes of its keys and values.
    pub size_bytes: i64,
}

/// What is wrong with a collection's name, if anything.
pub fn check_collection(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("the collection's name is empty".to_owned())
    } else if name.len() > COLLECTION_BYTES_MAX {
        Err(format!("the collection's name has {} bytes, more than {COLLECTION_BYTES_MAX}", name.len()))
    } else if name.chars().any(|c| c == '/' || c.is_control()) {
        Err(format!("the collection's name {name:?} has a `/` or a control character"))
    } else {
        Ok(())
    }
}

/// What is wrong with a key, if anything.
pub fn check_key(key: &str, kv_key_bytes: u64) -> Result<(), String> {
    if key.is_empty() {
        Err("the key is empty".to_owned())
    } else if key.len() as u64 > kv_key_bytes {
        Err(format!("the key has {} bytes, more than kv_key_bytes = {kv_key_bytes}", key.len()))
    } else if key.contains('\0') {
        Err(format!("the key {key:?} has a NUL"))
    } else {
        Ok(())
    }
}
