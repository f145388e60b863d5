//! Keys and values of a dry run.

use super::merge::{Asked, BasePage, merged};
use super::{Ports, Written, confused, elsewhere};
use crate::context::CallContext;
use crate::services::Kv;
use picloud_model::clock::UnixMs;
use picloud_model::kv::{AtomicRequest, AtomicWrite, Condition, KvEntry, KvList, KvQuery, KvReply, KvRequest};
use picloud_model::protocol::ServiceFailure;

/// One key that the run has set.
#[derive(Clone)]
pub(super) struct Key {
    value: Vec<u8>,
    version: i64,
    updated_at: UnixMs,
    expires_at: Option<UnixMs>,
}

/// Collection and key.
type At = (String, String);

impl Kv for Ports {
    fn kv(&self, call: &CallContext, request: KvRequest) -> Result<KvReply, ServiceFailure> {
        let _kept_elsewhere = elsewhere(given_bytes(&request));
        match request {
            KvRequest::Set { collection, key, value, ttl_ms, condition } => {
                let at = (collection, key);
                if !self.holds(call, &at, condition)? {
                    return Ok(KvReply::Set(None));
                }
                Ok(KvReply::Set(Some(self.set(&at, value, self.expiry(ttl_ms), "kv.set")?)))
            }
            KvRequest::Get { collection, key } => Ok(KvReply::Entry(self.entry(call, &(collection, key))?)),
            KvRequest::Has { collection, key } => {
                let at = (collection, key);
                if let Some(written) = self.own(&at) {
                    return Ok(KvReply::Was(written.is_some()));
                }
                let (collection, key) = at;
                self.base.kv.kv(call, KvRequest::Has { collection, key })
            }
            KvRequest::Delete { collection, key, condition } => {
                let at = (collection, key);
                let entry = self.entry(call, &at)?;
                if !fits(condition, entry.as_ref().map(|entry| entry.version)) {
                    return Ok(KvReply::Unmet);
                }
                if entry.is_some() {
                    self.delete(at);
                }
                Ok(KvReply::Was(entry.is_some()))
            }
            KvRequest::Incr { collection, key, by } => self.incr(call, (collection, key), by),
            KvRequest::List { collection, query } => self.list(call, &collection, query),
            KvRequest::Atomic(request) => self.atomic(call, request),
        }
    }
}

/// The values that a request hands over.
fn given_bytes(request: &KvRequest) -> usize {
    match request {
        KvRequest::Set { value, .. } => value.capacity(),
        KvRequest::Atomic(request) => {
            let written = request.writes.iter().map(|write| match write {
                AtomicWrite::Set { value, .. } => value.capacity(),
                AtomicWrite::Delete { .. } => 0,
            });
            written.sum::<usize>() + request.publishes.iter().map(|publish| publish.value.capacity()).sum::<usize>()
        }
        _ => 0,
    }
}

fn fits(condition: Condition, live: Option<i64>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::IfVersion(version) => live == Some(version),
        Condition::IfAbsent => live.is_none(),
    }
}

impl Written {
    /// What the run has made of a key: `None` where it left it alone, `Some(None)` where it is not there (any more).
    fn key(&self, at: &At, now: UnixMs) -> Option<Option<&Key>> {
        let written = self.keys.get(at)?;
        Some(written.as_ref().filter(|key| key.expires_at.is_none_or(|expires_at| expires_at > now)))
    }
}

impl Ports {
    /// The same as [`Written::key`], as an entry.
    fn own(&self, at: &At) -> Option<Option<KvEntry>> {
        let written = self.written();
        Some(written.key(at, self.base.clock.now_ms())?.map(|key| entry_of(&at.1, key)))
    }

    /// What is there under a key, for the run.
    fn entry(&self, call: &CallContext, at: &At) -> Result<Option<KvEntry>, ServiceFailure> {
        if let Some(written) = self.own(at) {
            return Ok(written);
        }
        let (collection, key) = at.clone();
        match self.base.kv.kv(call, KvRequest::Get { collection, key })? {
            KvReply::Entry(entry) => Ok(entry),
            _ => Err(confused()),
        }
    }

    fn holds(&self, call: &CallContext, at: &At, condition: Condition) -> Result<bool, ServiceFailure> {
        if condition == Condition::Always {
            return Ok(true);
        }
        Ok(fits(condition, self.entry(call, at)?.map(|entry| entry.version)))
    }

    fn expiry(&self, ttl_ms: Option<u64>) -> Option<UnixMs> {
        ttl_ms.map(|ttl_ms| self.base.clock.now_ms().saturating_add_unsigned(ttl_ms))
    }

    fn set(&self, at: &At, value: Vec<u8>, expires_at: Option<UnixMs>, what: &str) -> Result<i64, ServiceFailure> {
        let mut written = self.written();
        written.take(at.0.len() + at.1.len() + value.len())?;
        written.would(what, format!("{}/{}", at.0, at.1), &value);
        let version = written.version();
        let key = Key { value, version, updated_at: self.base.clock.now_ms(), expires_at };
        written.keys.insert(at.clone(), Some(key));
        Ok(version)
    }

    fn delete(&self, at: At) {
        let mut written = self.written();
        written.would("kv.delete", format!("{}/{}", at.0, at.1), b"");
        written.keys.insert(at, None);
    }

    fn incr(&self, call: &CallContext, at: At, by: i64) -> Result<KvReply, ServiceFailure> {
        let entry = self.entry(call, &at)?;
        let (number, expires_at) = match &entry {
            Some(entry) => (serde_json::from_slice::<i64>(&entry.value).ok(), entry.expires_at),
            None => (Some(0), None),
        };
        let Some(number) = number else { return Ok(KvReply::NotANumber) };
        let Some(sum) = number.checked_add(by) else { return Ok(KvReply::Overflow) };
        self.set(&at, sum.to_string().into_bytes(), expires_at, "kv.incr")?;
        Ok(KvReply::Number(sum))
    }

    fn atomic(&self, call: &CallContext, request: AtomicRequest) -> Result<KvReply, ServiceFailure> {
        for check in request.checks {
            let live = self.entry(call, &(check.collection, check.key))?;
            if live.map(|entry| entry.version) != check.version {
                return Ok(KvReply::Atomic(None));
            }
        }
        let bytes = request.writes.iter().map(|write| match write {
            AtomicWrite::Set { collection, key, value, .. } => collection.len() + key.len() + value.len(),
            AtomicWrite::Delete { .. } => 0,
        });
        // All or none, also where there is no room for all.
        let bytes = bytes.sum();
        self.written().take(bytes)?;
        self.written().bytes -= bytes;
        let mut versions = Vec::new();
        for write in request.writes {
            match write {
                AtomicWrite::Set { collection, key, value, ttl_ms } => {
                    versions.push(self.set(&(collection, key), value, self.expiry(ttl_ms), "atomic.set")?);
                }
                AtomicWrite::Delete { collection, key } => {
                    let at = (collection, key);
                    if self.entry(call, &at)?.is_some() {
                        self.delete(at);
                    }
                }
            }
        }
        for publish in &request.publishes {
            self.written().publish("atomic.publish", publish);
        }
        Ok(KvReply::Atomic(Some(versions)))
    }

    fn list(&self, call: &CallContext, collection: &str, query: KvQuery) -> Result<KvReply, ServiceFailure> {
        let now = self.base.clock.now_ms();
        let over = self.written_keys(collection, &query, now);
        let asked = Asked {
            of: format!("kv {} {collection} {}", query.reverse, query.prefix),
            cursor: query.cursor.as_deref(),
            limit: query.limit as usize,
            reverse: query.reverse,
        };
        let is_untouched =
            |entry: &KvEntry| !self.written().keys.contains_key(&(collection.to_owned(), entry.key.clone()));
        let page = merged(
            &asked,
            over,
            |entry| entry.key.clone(),
            is_untouched,
            |cursor| {
                let query = KvQuery { cursor, ..query.clone() };
                match self.base.kv.kv(call, KvRequest::List { collection: collection.to_owned(), query })? {
                    KvReply::List(KvList { entries, cursor }) => Ok(Some(BasePage { items: entries, cursor })),
                    KvReply::BadCursor => Ok(None),
                    _ => Err(confused()),
                }
            },
        )?;
        Ok(page.map_or(KvReply::BadCursor, |page| KvReply::List(KvList { entries: page.items, cursor: page.cursor })))
    }

    /// What the run has set in a collection, in the list's order.
    fn written_keys(&self, collection: &str, query: &KvQuery, now: UnixMs) -> Vec<KvEntry> {
        let written = self.written();
        let from = (collection.to_owned(), query.prefix.clone());
        let of_prefix = |at: &At| at.0 == collection && at.1.starts_with(&query.prefix);
        let places = written.keys.range(from..).map(|(at, _)| at).take_while(|at| of_prefix(at));
        let live = places.filter_map(|at| written.key(at, now).flatten().map(|key| entry_of(&at.1, key)));
        let mut entries: Vec<KvEntry> = live.collect();
        if query.keys_only {
            entries.iter_mut().for_each(|entry| entry.value = Vec::new());
        }
        if query.reverse {
            entries.reverse();
        }
        entries
    }
}

fn entry_of(key: &str, of: &Key) -> KvEntry {
    let Key { value, version, updated_at, expires_at } = of.clone();
    KvEntry { key: key.to_owned(), value, version, updated_at, expires_at }
}
