//! Keys and values at the appliance's edge: what a worker or a person sends is checked here, again.

use picloud_model::clock::UnixMs;
use picloud_model::kv::{
    ATOMIC_PARTS_MAX, AtomicRequest, AtomicWrite, KvReply, KvRequest, check_collection, check_key,
};
use picloud_model::limits::Limits;
use picloud_model::problem::{Code, Problem};

/// Refuses names of a wrong shape, and values that are too large or no JSON.
pub fn check(request: &KvRequest, limits: &Limits) -> Result<(), Problem> {
    match request {
        KvRequest::Set { collection, key, value, .. } => {
            check_name(collection, key, limits)?;
            check_value(key, value, limits)
        }
        KvRequest::Get { collection, key }
        | KvRequest::Has { collection, key }
        | KvRequest::Delete { collection, key, .. }
        | KvRequest::Incr { collection, key, .. } => check_name(collection, key, limits),
        KvRequest::List { collection, query } => {
            check_collection(collection).map_err(malformed)?;
            check_page(query.limit)
        }
        KvRequest::Atomic(request) => check_atomic(request, limits),
    }
}

fn check_atomic(request: &AtomicRequest, limits: &Limits) -> Result<(), Problem> {
    let AtomicRequest { checks, writes, publishes } = request;
    let parts = checks.len() + writes.len() + publishes.len();
    if parts > ATOMIC_PARTS_MAX {
        return Err(malformed(format!(
            "{parts} checks, writes and publishes are together more than {ATOMIC_PARTS_MAX}"
        )));
    }
    for check in checks {
        check_name(&check.collection, &check.key, limits)?;
    }
    for write in writes {
        match write {
            AtomicWrite::Set { collection, key, value, .. } => {
                check_name(collection, key, limits)?;
                check_value(key, value, limits)?;
            }
            AtomicWrite::Delete { collection, key } => check_name(collection, key, limits)?,
        }
    }
    publishes.iter().try_for_each(|publish| crate::host::check_publish(publish, limits))
}

fn check_name(collection: &str, key: &str, limits: &Limits) -> Result<(), Problem> {
    check_collection(collection).map_err(malformed)?;
    check_key(key, limits.kv_key_bytes).map_err(|message| malformed(message).limit("kv_key_bytes", limits.kv_key_bytes))
}

fn malformed(message: String) -> Problem {
    Problem::new(Code::Malformed, message)
}

/// When the entry it sets ceases to be there, if ever.
pub fn expires_at(request: &KvRequest, now: UnixMs) -> Option<UnixMs> {
    match request {
        KvRequest::Set { ttl_ms: Some(ttl_ms), .. } => Some(now.saturating_add_unsigned(*ttl_ms)),
        KvRequest::Atomic(request) => {
            let lives = request.writes.iter().filter_map(|write| match write {
                AtomicWrite::Set { ttl_ms, .. } => *ttl_ms,
                AtomicWrite::Delete { .. } => None,
            });
            lives.min().map(|ttl_ms| now.saturating_add_unsigned(ttl_ms))
        }
        _ => None,
    }
}

/// Bytes of key and value that it writes, if it writes.
pub fn bytes_to_write(request: &KvRequest) -> u64 {
    let bytes = match request {
        KvRequest::Set { key, value, .. } => key.len() + value.len(),
        KvRequest::Incr { key, .. } => key.len() + size_of::<i64>(),
        KvRequest::Delete { key, .. } => key.len(),
        KvRequest::Get { .. } | KvRequest::Has { .. } | KvRequest::List { .. } => 0,
        KvRequest::Atomic(request) => {
            let written = request.writes.iter().map(|write| match write {
                AtomicWrite::Set { key, value, .. } => key.len() + value.len(),
                AtomicWrite::Delete { key, .. } => key.len(),
            });
            let published = request.publishes.iter().map(|publish| publish.topic.len() + publish.value.len());
            written.chain(published).sum()
        }
    };
    bytes as u64
}

/// Whether what asked for a write was one.
pub fn has_written(reply: &KvReply) -> bool {
    matches!(reply, KvReply::Set(Some(_)) | KvReply::Was(true) | KvReply::Number(_) | KvReply::Atomic(Some(_)))
}

fn check_value(key: &str, value: &[u8], limits: &Limits) -> Result<(), Problem> {
    let max = limits.kv_value_bytes;
    if value.len() as u64 > max {
        let detail = format!("the value of key `{key}` has {} bytes, more than kv_value_bytes = {max}", value.len());
        return Err(Problem::new(Code::TooLarge, detail).limit("kv_value_bytes", max));
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(value).map(|_any| ()).map_err(|error| {
        Problem::new(Code::Malformed, format!("the value of key `{key}` is no JSON: {error}"))
            .hint("text needs its quotes: \"like this\"")
    })
}

/// Refuses a page size of 0 or above the ceiling.
pub fn check_page(limit: u32) -> Result<(), Problem> {
    let ceiling = list_page_ceiling();
    if limit == 0 || u64::from(limit) > ceiling {
        return Err(Problem::new(Code::Malformed, format!("`limit` is {limit}, not between 1 and {ceiling}"))
            .limit("list_page", ceiling));
    }
    Ok(())
}

fn list_page_ceiling() -> u64 {
    picloud_model::limits::by_name()["list_page"].ceiling
}
