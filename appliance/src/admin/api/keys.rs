//! `/keys`: API keys are listed, made and revoked. A key itself is seen once, in the answer to making it.

use crate::admin::access::{May, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use crate::keys::{self, KEYS_MAX};
use crate::tasks::refusals::STRANGER;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::KeyId;
use picloud_model::key::{ApiKey, CreatedKey, NewKey, hash_of_key};
use picloud_model::name::check_app_name;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Grant;
use picloud_store::KeyWrite;

/// Longest name of a key, in characters.
const NAME_CHARS_MAX: usize = 64;
/// Scopes of one key; each may stand there for other apps.
const SCOPES_MAX: usize = 64;
/// Apps that one scope is narrowed to.
const APPS_MAX: usize = 256;

/// All API keys.
#[utoipa::path(get, path = "/keys", responses((status = 200, body = Page<ApiKey>)))]
pub(in crate::admin) async fn list(asked: May<may::AdminKeys>, Asked(page): Asked<PageRequest>) -> Answer<Response> {
    super::check_page(&page)?;
    Ok(ok(&asked.store.keys(&page).await?.map(|key| asked.keys.with_last_use(key))))
}

/// Makes an API key; the answer is the only place where the key itself is seen.
#[utoipa::path(post, path = "/keys", responses((status = 201, body = CreatedKey), Conflict, Invalid))]
pub(in crate::admin) async fn create(
    asked: May<may::AdminKeys>,
    seen: Seen,
    Json(new): Json<NewKey>,
) -> Answer<Response> {
    let (name, expires_at) = (new.name.clone(), new.expires_at);
    let scopes = check(new, asked.clock.now_ms())?;
    seen.expected_at(None)?;
    let key = keys::new_key().map_err(|error| {
        tracing::error!(%error, "the system gave no random bytes");
        Problem::internal()
    })?;
    let write = KeyWrite { name, hash: hash_of_key(&key), scopes, expires_at };
    let kept = make(&asked, &write, &asked.act()).await?;
    tracing::info!(id = %kept.id, name = %kept.name, by = %asked.principal().name, "an API key was made");
    let mut response = json(StatusCode::CREATED, &CreatedKey { kept, key }, None);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// One API key, without the key itself.
#[utoipa::path(get, path = "/keys/{id}", responses((status = 200, body = ApiKey, headers(("ETag")))))]
pub(in crate::admin) async fn get(asked: May<may::AdminKeys>, Named(id): Named<i64>) -> Answer<Response> {
    let key = asked.store.key(KeyId(id)).await?.ok_or_else(|| Problem::not_found("API key", id))?;
    // A key never changes: it is at its first version for as long as it exists.
    Ok(json(StatusCode::OK, &asked.keys.with_last_use(key), Some(1)))
}

/// Revokes an API key.
#[utoipa::path(delete, path = "/keys/{id}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: May<may::AdminKeys>,
    Named(id): Named<i64>,
    seen: Seen,
) -> Answer<Response> {
    let id = KeyId(id);
    if asked.store.key(id).await?.is_none() {
        return Err(Problem::not_found("API key", id).into());
    }
    seen.expected_at(Some(1))?;
    if !revoke(&asked, id, &asked.act()).await? {
        return Err(Problem::not_found("API key", id).into());
    }
    tracing::info!(%id, by = %asked.principal().name, "an API key was revoked");
    Ok(done())
}

async fn make(appliance: &Appliance, write: &KeyWrite, act: &Act) -> Answer<ApiKey> {
    // One at a time, so that the number of keys holds.
    let _alone = appliance.changes.lock().await;
    if appliance.keys.count() >= KEYS_MAX {
        let problem = Problem::new(Code::Conflict, format!("there are {KEYS_MAX} API keys already"));
        return Err(problem.limit("keys", KEYS_MAX as u64).hint("revoke some: picloud keys delete NAME").into());
    }
    let kept = appliance.store.create_key(write, act).await?;
    appliance.keys_changed().await?;
    Ok(kept)
}

async fn revoke(appliance: &Appliance, id: KeyId, act: &Act) -> Answer<bool> {
    let _alone = appliance.changes.lock().await;
    if !appliance.store.delete_key(id, act).await? {
        return Ok(false);
    }
    // Before anything that could fail: from here on nobody is let in with it.
    appliance.keys.forget(id);
    appliance.keys_changed().await?;
    Ok(true)
}

/// Checks what is to be made, and answers the scopes with `apps` laid over them.
fn check(new: NewKey, now: UnixMs) -> Result<Vec<Grant>, Problem> {
    let refuse = |detail: String| Problem::new(Code::Invalid, detail);
    let NewKey { name, scopes, apps, expires_at } = new;
    let chars = name.chars().count();
    let is_plain = name.chars().all(|char| !char.is_control()) && name.trim() == name;
    if !(1..=NAME_CHARS_MAX).contains(&chars) || !is_plain {
        return Err(refuse(format!("`name` must have 1 to {NAME_CHARS_MAX} printable characters"))
            .hint("name what the key is for: `laptop`, `backup at night`"));
    }
    if name == STRANGER {
        return Err(refuse(format!(
            "`name` cannot be `{STRANGER}`: those without a key are called that in the audit log"
        ))
        .hint("choose another name"));
    }
    if scopes.is_empty() {
        return Err(refuse("`scopes` is empty: the key could do nothing".to_owned())
            .hint("name at least one, such as `script:read` or `invoke@kitchen`"));
    }
    if scopes.len() > SCOPES_MAX {
        return Err(refuse(format!("`scopes` has more than {SCOPES_MAX} entries")).limit("scopes", SCOPES_MAX as u64));
    }
    if let Some(at) = expires_at
        && at <= now
    {
        return Err(refuse("`expires_at` is over already".to_owned())
            .hint("give a time to come, such as 2030-01-01T00:00:00Z, or leave it out"));
    }
    let mut narrowed = Vec::new();
    for mut grant in scopes {
        if let (None, Some(apps)) = (&grant.apps, &apps) {
            if !grant.scope.is_of_apps() {
                return Err(refuse(format!(
                    "scope `{}` is about the whole instance, and `apps` narrows it",
                    grant.scope
                ))
                .hint("make a key of its own for it, without `apps`"));
            }
            if apps.is_empty() {
                return Err(refuse("`apps` is empty".to_owned()).hint("name apps, or leave it out for all of them"));
            }
            grant.apps = Some(apps.clone());
        }
        for app in grant.apps.iter().flatten() {
            check_app_name(app)?;
        }
        if grant.apps.as_ref().is_some_and(|apps| apps.len() > APPS_MAX) {
            return Err(
                refuse(format!("`{}` names more than {APPS_MAX} apps", grant.scope)).limit("apps", APPS_MAX as u64)
            );
        }
        if !narrowed.contains(&grant) {
            narrowed.push(grant);
        }
    }
    Ok(narrowed)
}
