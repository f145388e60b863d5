//! Keys and values: the value is the body, its version is the ETag.

use crate::admin::body::{self, BODY_BYTES_MAX, done, etag, json, ok};
use crate::admin::caller::{Asked, InApp, Named, Seen, State};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use picloud_model::app::App;
use picloud_model::clock::rfc3339;
use picloud_model::kv::{Condition, KvEntry, KvQuery, KvReply, KvRequest};
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What stands after `?` of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ListQuery {
    #[serde(default)]
    prefix: String,
    cursor: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    reverse: bool,
    #[serde(default)]
    keys_only: bool,
}

/// What stands after `?` of a put.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct PutQuery {
    ttl_ms: Option<u64>,
}

/// An entry in a list.
#[derive(Serialize)]
struct Entry {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    version: i64,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// The app's collections by name.
pub(in crate::admin) async fn collections(
    state: State,
    InApp(app): InApp,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    super::check_page(&page)?;
    let limit = usize::try_from(page.limit.unwrap_or_else(|| page_of(&app))).unwrap_or(usize::MAX);
    let after = page.cursor.as_deref().map(after_cursor).transpose()?;
    let mut items = state.store.kv_collections(app.id, state.clock.now_ms()).await?;
    items.retain(|collection| after.as_ref().is_none_or(|after| collection.name > *after));
    let more = items.len() > limit;
    items.truncate(limit);
    let cursor = items.last().filter(|_last| more).map(|last| URL_SAFE_NO_PAD.encode(&last.name));
    Ok(ok(&Page { items, cursor }))
}

/// The name that the last page of collections ended with.
fn after_cursor(cursor: &str) -> Result<String, StoreError> {
    let name = URL_SAFE_NO_PAD.decode(cursor).map_err(|_not_ours| StoreError::BadCursor)?;
    String::from_utf8(name).map_err(|_not_ours| StoreError::BadCursor)
}

fn page_of(app: &App) -> u32 {
    u32::try_from(app.limits.resolve().list_page).unwrap_or(u32::MAX)
}

/// A page of a collection.
pub(in crate::admin) async fn list(
    state: State,
    InApp(app): InApp,
    Named((_app, collection)): Named<(String, String)>,
    Asked(query): Asked<ListQuery>,
) -> Answer<Response> {
    let limit = query.limit.unwrap_or_else(|| page_of(&app));
    let query = KvQuery {
        prefix: query.prefix,
        cursor: query.cursor,
        limit,
        reverse: query.reverse,
        keys_only: query.keys_only,
    };
    match ask(&state, &app, KvRequest::List { collection, query }).await? {
        KvReply::List(list) => {
            let items = list.entries.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
            Ok(ok(&Page { items, cursor: list.cursor }))
        }
        KvReply::BadCursor => Err(StoreError::BadCursor.into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Removes a collection.
pub(in crate::admin) async fn delete_collection(
    state: State,
    InApp(app): InApp,
    Named((_app, collection)): Named<(String, String)>,
) -> Answer<Response> {
    match state.store.delete_collection(app.id, &collection).await? {
        0 => Err(Problem::not_found("collection", &collection).into()),
        deleted => Ok(ok(&serde_json::json!({ "deleted": deleted }))),
    }
}

/// A value.
pub(in crate::admin) async fn get(
    state: State,
    InApp(app): InApp,
    Named((_app, collection, key)): Named<(String, String, String)>,
) -> Answer<Response> {
    match ask(&state, &app, KvRequest::Get { collection, key: key.clone() }).await? {
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

/// Sets a value.
pub(in crate::admin) async fn put(
    state: State,
    InApp(app): InApp,
    Named((_app, collection, key)): Named<(String, String, String)>,
    Asked(query): Asked<PutQuery>,
    seen: Seen,
    body: Body,
) -> Answer<Response> {
    let value = body::read(body, BODY_BYTES_MAX).await?.to_vec();
    let condition = condition(&state, &app, &collection, &key, seen).await?;
    let request = KvRequest::Set { collection, key: key.clone(), value, ttl_ms: query.ttl_ms, condition };
    match ask(&state, &app, request).await? {
        KvReply::Set(Some(version)) => {
            Ok(json(StatusCode::OK, &serde_json::json!({ "version": version }), Some(version)))
        }
        KvReply::Set(None) => Err(unmet(&key).into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Removes a key.
pub(in crate::admin) async fn delete(
    state: State,
    InApp(app): InApp,
    Named((_app, collection, key)): Named<(String, String, String)>,
    seen: Seen,
) -> Answer<Response> {
    let condition = condition(&state, &app, &collection, &key, seen).await?;
    match ask(&state, &app, KvRequest::Delete { collection, key: key.clone(), condition }).await? {
        KvReply::Was(true) => Ok(done().into_response()),
        KvReply::Was(false) => Err(Problem::not_found("key", &key).into()),
        KvReply::Unmet => Err(unmet(&key).into()),
        other => Err(unexpected(&other).into()),
    }
}

/// Does one thing, checked as what comes from a worker is.
async fn ask(state: &Appliance, app: &App, request: KvRequest) -> Answer<KvReply> {
    crate::kv::check(&request, &app.limits.resolve())?;
    let now = state.clock.now_ms();
    let expires_at = crate::kv::expires_at(&request, now);
    let reply = state.store.kv(app.id, request, now).await?;
    if let Some(at) = expires_at {
        state.expiry.expires(at);
    }
    Ok(reply)
}

/// `If-Match: *` is the version that is there now, so that what follows holds for that one.
async fn condition(state: &Appliance, app: &App, collection: &str, key: &str, seen: Seen) -> Answer<Condition> {
    match seen {
        Seen { absent: true, .. } => Ok(Condition::IfAbsent),
        Seen { version: Some(version), .. } => Ok(Condition::IfVersion(version)),
        Seen { present: true, .. } => {
            let get = KvRequest::Get { collection: collection.to_owned(), key: key.to_owned() };
            match ask(state, app, get).await? {
                KvReply::Entry(Some(entry)) => Ok(Condition::IfVersion(entry.version)),
                _absent => Err(super::gone("key", key).into()),
            }
        }
        Seen { .. } => Ok(Condition::Always),
    }
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
