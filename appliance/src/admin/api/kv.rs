//! Keys and values: the value is the body, its version is the ETag.

use super::paging::{default_limit, page_of};
use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{self, BODY_BYTES_MAX, done, etag, json, ok};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::clock::rfc3339;
use picloud_model::kv::{Condition, KvCollection, KvEntry, KvQuery, KvReply, KvRequest};
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What stands after `?` of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ListQuery {
    /// Only keys that begin so.
    #[serde(default)]
    prefix: String,
    /// Where the last page ended.
    #[param(min_length = 1)]
    cursor: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From the last key to the first.
    #[serde(default)]
    reverse: bool,
    /// Without values.
    #[serde(default)]
    keys_only: bool,
}

/// What stands after `?` of a put.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct PutQuery {
    /// Time to live from now; for ever where absent.
    #[param(minimum = 1)]
    ttl_ms: Option<u64>,
}

/// An entry in a list.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = KvEntry)]
struct Entry {
    /// The key.
    key: String,
    /// Its value; absent where only keys were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    value: Option<Box<RawValue>>,
    /// Its version; the ETag.
    version: i64,
    /// When it was last set.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it ceases to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The answer to a put.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = KvWritten)]
struct Written {
    /// The key's version now.
    version: i64,
}

/// The answer to the removal of a collection.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CollectionDeleted)]
struct Deleted {
    /// How many keys were in it.
    deleted: u64,
}

/// The version of every collection: it has none of its own, and no tag is ever given that would name this one.
const COLLECTION_VERSION: i64 = 0;

/// The app's collections by name.
#[utoipa::path(get, path = "/apps/{app}/kv", responses((status = 200, body = Page<KvCollection>)))]
pub(in crate::admin) async fn collections(
    asked: InApp<may::ReadKv>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    let items = asked.store.kv_collections(asked.app.id, asked.clock.now_ms()).await?;
    Ok(ok(&page_of(items, &page, &asked.app.limits.resolve(), |collection| &collection.name)?))
}

/// The keys and values of a collection.
#[utoipa::path(get, path = "/apps/{app}/kv/{collection}", responses((status = 200, body = Page<Entry>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadKv>,
    Named((_app, collection)): Named<(String, String)>,
    Asked(query): Asked<ListQuery>,
) -> Answer<Response> {
    let limit = query.limit.unwrap_or_else(|| default_limit(&asked.app.limits.resolve()));
    let query = KvQuery {
        prefix: query.prefix,
        cursor: query.cursor,
        limit,
        reverse: query.reverse,
        keys_only: query.keys_only,
    };
    match ask(&asked, &asked.app, KvRequest::List { collection, query }).await? {
        KvReply::List(list) => {
            let items = list.entries.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
            Ok(ok(&Page { items, cursor: list.cursor }))
        }
        KvReply::BadCursor => Err(StoreError::BadCursor.into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Removes a collection.
#[utoipa::path(delete, path = "/apps/{app}/kv/{collection}", responses((status = 200, body = Deleted)))]
pub(in crate::admin) async fn delete_collection(
    asked: InApp<may::WriteKv>,
    Named((_app, collection)): Named<(String, String)>,
    seen: Seen,
) -> Answer<Response> {
    let collections = asked.store.kv_collections(asked.app.id, asked.clock.now_ms()).await?;
    if !collections.iter().any(|there| there.name == collection) {
        return Err(Problem::not_found("collection", &collection).into());
    }
    // A collection has no version; `*` and nothing are what can hold.
    seen.expected_at(Some(COLLECTION_VERSION))?;
    match asked.store.delete_collection(asked.app.id, &collection, &asked.act()).await? {
        0 => Err(Problem::not_found("collection", &collection).into()),
        deleted => Ok(ok(&Deleted { deleted })),
    }
}

/// The value of a key.
#[utoipa::path(get, path = "/apps/{app}/kv/{collection}/{*key}", responses((status = 200, body = serde_json::Value, headers(("ETag")))))]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadKv>,
    Named((_app, collection, key)): Named<(String, String, String)>,
) -> Answer<Response> {
    match ask(&asked, &asked.app, KvRequest::Get { collection, key: key.clone() }).await? {
        KvReply::Entry(Some(entry)) => {
            let mut response = Response::new(Body::from(entry.value));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response.headers_mut().insert(ETAG, etag(entry.version));
            Ok(response)
        }
        KvReply::Entry(None) => Err(Problem::not_found("key", &key).into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Sets the value of a key.
#[utoipa::path(put, path = "/apps/{app}/kv/{collection}/{*key}", request_body = serde_json::Value, responses((status = 200, body = Written, headers(("ETag")))))]
pub(in crate::admin) async fn put(
    asked: InApp<may::WriteKv>,
    Named((_app, collection, key)): Named<(String, String, String)>,
    Asked(query): Asked<PutQuery>,
    seen: Seen,
    body: Body,
) -> Answer<Response> {
    let value = body::read(body, BODY_BYTES_MAX).await?.to_vec();
    if query.ttl_ms == Some(0) {
        let problem = Problem::new(Code::Malformed, "`ttl_ms` is 0: the value would be gone at once");
        return Err(problem.hint("send at least 1, or leave it out").into());
    }
    let condition = condition(&asked, &asked.app, &collection, &key, seen).await?;
    let request = KvRequest::Set { collection, key: key.clone(), value, ttl_ms: query.ttl_ms, condition };
    match do_by_hand(&asked, &asked.app, request, &asked.act()).await? {
        KvReply::Set(Some(version)) => Ok(json(StatusCode::OK, &Written { version }, Some(version))),
        KvReply::Set(None) => Err(unmet(&key).into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Removes a key.
#[utoipa::path(delete, path = "/apps/{app}/kv/{collection}/{*key}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteKv>,
    Named((_app, collection, key)): Named<(String, String, String)>,
    seen: Seen,
) -> Answer<Response> {
    let condition = condition(&asked, &asked.app, &collection, &key, seen).await?;
    let request = KvRequest::Delete { collection, key: key.clone(), condition };
    match do_by_hand(&asked, &asked.app, request, &asked.act()).await? {
        KvReply::Was(true) => Ok(done().into_response()),
        KvReply::Was(false) => Err(Problem::not_found("key", &key).into()),
        KvReply::Unmet => Err(unmet(&key).into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Reads one thing, checked as what comes from a worker is.
async fn ask(state: &Appliance, app: &App, request: KvRequest) -> Answer<KvReply> {
    crate::kv::check(&request, &app.limits.resolve())?;
    Ok(state.store.kv(app.id, request, state.clock.now_ms()).await?)
}

/// Changes one thing, which goes into the audit log.
async fn do_by_hand(state: &Appliance, app: &App, request: KvRequest, act: &Act) -> Answer<KvReply> {
    crate::kv::check(&request, &app.limits.resolve())?;
    let expires_at = crate::kv::expires_at(&request, act.at);
    let bytes = crate::kv::bytes_to_write(&request);
    let reply = state.store.kv_by_hand(app.id, request, act).await?;
    if crate::kv::has_written(&reply) {
        state.metrics.kv_written(&app.name, bytes);
    }
    if let Some(at) = expires_at {
        state.expiry.expires(at);
    }
    Ok(reply)
}

/// What must hold of the key for the request to be done at all.
async fn condition(state: &Appliance, app: &App, collection: &str, key: &str, seen: Seen) -> Answer<Condition> {
    let get = KvRequest::Get { collection: collection.to_owned(), key: key.to_owned() };
    let now = match ask(state, app, get).await? {
        KvReply::Entry(entry) => entry.map(|entry| entry.version),
        other => return Err(unexpected(&other).into()),
    };
    Ok(match seen.expected_at(now)? {
        None => Condition::Always,
        Some(0) => Condition::IfAbsent,
        Some(version) => Condition::IfVersion(version),
    })
}

fn shown(entry: KvEntry) -> Result<Entry, Problem> {
    let KvEntry { key, value, version, updated_at, expires_at } = entry;
    let value = match value.as_slice() {
        [] => None,
        bytes => Some(serde_json::from_slice(bytes).map_err(|_not_json| {
            Problem::new(Code::Corrupted, format!("what is stored under key `{key}` is no JSON"))
        })?),
    };
    Ok(Entry { key, value, version, updated_at: rfc3339(updated_at), expires_at: expires_at.map(rfc3339) })
}

fn unmet(key: &str) -> Problem {
    Problem::new(Code::PreconditionFailed, format!("key `{key}` is not as the request expects it"))
        .hint("read it again, and change what is there now")
}

fn unexpected(reply: &KvReply) -> Problem {
    tracing::error!(?reply, "the store answered something else than it was asked");
    Problem::internal()
}
