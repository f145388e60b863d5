//! Secrets of an app: set, granted, removed; their values are never answered.

use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use crate::secrets::{SecretWrite, VaultError};
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::App;
use picloud_model::name::check_script_name;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::AppSnapshot;
use picloud_model::secret::{EVERY_SCRIPT, SECRET_VALUE_BYTES_MAX, Secret, SecretInput};
use serde::Serialize;
use zeroize::Zeroizing;

/// Scripts that one secret may be granted to by name.
const GRANTS_MAX: usize = 256;
/// Longest name.
const NAME_BYTES_MAX: usize = 63;

/// The secret as it is now.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SavedSecret)]
struct PutSecret {
    #[serde(flatten)]
    secret: Secret,
    /// What may not be as it was meant, such as a grant to a script that does not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// The app's secrets by name, without their values.
#[utoipa::path(get, path = "/apps/{app}/secrets", responses((status = 200, body = Page<Secret>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadSecrets>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    super::check_page(&page)?;
    Ok(ok(&asked.store.secrets(asked.app.id, &page).await?))
}

/// One secret, without its value.
#[utoipa::path(get, path = "/apps/{app}/secrets/{name}", responses((status = 200, body = Secret, headers(("ETag")))))]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadSecrets>,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    let secret = asked.store.secret(asked.app.id, &name).await?.ok_or_else(|| absent(&asked.app, &name))?;
    Ok(json(StatusCode::OK, &secret, Some(secret.version)))
}

/// Sets the value of a secret, or whom it is granted to, or both. The next call of a script reads it.
#[utoipa::path(
    put,
    path = "/apps/{app}/secrets/{name}",
    responses(
        (status = 200, body = PutSecret, headers(("ETag"))),
        (status = 201, body = PutSecret, headers(("ETag"))),
        Conflict,
        Invalid,
    ),
)]
pub(in crate::admin) async fn put(
    asked: InApp<may::WriteSecrets>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
    Json(input): Json<SecretInput>,
) -> Answer<Response> {
    check_name(&name)?;
    let value = input.value.map(Zeroizing::new);
    if let Some(value) = &value {
        check_value(&name, value)?;
    }
    let scripts = input.scripts.map(|scripts| check_scripts(&name, scripts)).transpose()?;
    let now = asked.store.secret(asked.app.id, &name).await?.map(|secret| secret.version);
    let expected = seen.expected_at(now)?;
    let write = SecretWrite { name, value, scripts, expected };
    let put = asked.vault.put(asked.app.id, write, &asked.act()).await;
    let put = put.map_err(VaultError::problem)?;
    let status = if put.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let warnings = asked.registry.app(asked.app.id).map(|app| warnings(&app, &put.secret)).unwrap_or_default();
    let version = put.secret.version;
    Ok(json(status, &PutSecret { secret: put.secret, warnings }, Some(version)))
}

/// Removes a secret. The next call of a script does not find it.
#[utoipa::path(delete, path = "/apps/{app}/secrets/{name}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteSecrets>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
) -> Answer<Response> {
    let now = asked.store.secret(asked.app.id, &name).await?.ok_or_else(|| absent(&asked.app, &name))?.version;
    let expected = seen.expected_at(Some(now))?;
    let deleted = asked.vault.delete(asked.app.id, &name, expected, &asked.act()).await;
    if deleted.map_err(VaultError::problem)? { Ok(done()) } else { Err(absent(&asked.app, &name).into()) }
}

fn absent(app: &App, name: &str) -> Problem {
    Problem::not_found("secret", format_args!("{name}` of app `{}", app.name))
}

fn check_name(name: &str) -> Result<(), Problem> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if first && rest && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Problem::new(Code::Malformed, format!("`{name}` is no name of a secret"))
        .hint("it is a letter or `_`, and then up to 62 letters, digits and `_`"))
}

fn check_value(name: &str, value: &str) -> Result<(), Problem> {
    if value.is_empty() {
        return Err(Problem::new(Code::Invalid, format!("the value of secret `{name}` is empty"))
            .hint("send the value, or remove the secret"));
    }
    if value.len() > SECRET_VALUE_BYTES_MAX {
        let detail =
            format!("the value of secret `{name}` has {} bytes, more than {SECRET_VALUE_BYTES_MAX}", value.len());
        return Err(Problem::new(Code::TooLarge, detail).limit("secret_value_bytes", SECRET_VALUE_BYTES_MAX as u64));
    }
    Ok(())
}

/// The scripts in order, each once.
fn check_scripts(name: &str, mut scripts: Vec<String>) -> Result<Vec<String>, Problem> {
    scripts.sort_unstable();
    scripts.dedup();
    if scripts.len() > GRANTS_MAX {
        let detail = format!("secret `{name}` is granted to {} scripts by name, more than {GRANTS_MAX}", scripts.len());
        return Err(Problem::new(Code::Invalid, detail).hint("grant it to `*`: every script of the app"));
    }
    for script in scripts.iter().filter(|script| *script != EVERY_SCRIPT) {
        check_script_name(script)
            .map_err(|problem| Problem::new(Code::Invalid, problem.detail).hint(problem.hint.unwrap_or_default()))?;
    }
    Ok(scripts)
}

/// Grants that reach no script.
fn warnings(app: &AppSnapshot, secret: &Secret) -> Vec<String> {
    if secret.scripts.is_empty() {
        return vec![format!("secret `{}` is granted to no script", secret.name)];
    }
    let absent = secret.scripts.iter().filter(|script| *script != EVERY_SCRIPT && app.script(script).is_none());
    absent.map(|script| format!("it is granted to script `{script}`, which does not exist")).collect()
}
