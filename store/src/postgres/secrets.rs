//! Secrets in Postgres, sealed.

use super::PgStore;
use super::apps::{lock_app, rows_max};
use super::audit_rows::{Noted, note};
use super::error::{JobResult, expect_version};
use super::signals::News;
use super::transaction::{Tx, reading, writing};
use crate::audit_shown::secret_shown;
use crate::cursor::{self, List};
use crate::secret_rules::{SecretPut, SecretWrite};
use crate::{Result, Secrets};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::ids::AppId;
use picloud_model::page::{Page, PageRequest};
use picloud_model::secret::Secret;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The columns of [`secret_from_row`], in its order, and the sealed value.
macro_rules! select_secret {
    ($rest:literal) => {
        concat!("SELECT name, scripts, version, created_at, updated_at, sealed FROM secrets ", $rest)
    };
}
/// Where the sealed value stands there.
const SEALED_COLUMN: usize = 5;

#[async_trait]
impl Secrets for PgStore {
    async fn secrets(&self, app: AppId, page: &PageRequest) -> Result<Page<Secret>> {
        let after = cursor::decode_text(List::Secrets, page.cursor.as_deref())?;
        let items_max = cursor::page_items(page.limit);
        reading!(self, |conn| {
            let select = sqlx::query(select_secret!("WHERE app_id = $1 AND name > $2 ORDER BY name LIMIT $3"));
            let rows = select.bind(app.0).bind(&after).bind(rows_max(items_max)).fetch_all(conn).await?;
            let secrets = rows.iter().map(secret_from_row).collect::<JobResult<_>>()?;
            Ok(cursor::page(secrets, items_max, List::Secrets, |secret: &Secret| secret.name.clone()))
        })
    }

    async fn secret(&self, app: AppId, name: &str) -> Result<Option<Secret>> {
        reading!(self, |conn| Ok(sealed_by_name(conn, app, name).await?.map(|(secret, _sealed)| secret)))
    }

    async fn sealed_secrets(&self, app: AppId) -> Result<Vec<(Secret, Vec<u8>)>> {
        reading!(self, |conn| {
            let select = sqlx::query(select_secret!("WHERE app_id = $1 ORDER BY name"));
            let rows = select.bind(app.0).fetch_all(conn).await?;
            rows.iter().map(|row| Ok((secret_from_row(row)?, row.try_get(SEALED_COLUMN)?))).collect()
        })
    }

    async fn put_secret(
        &self,
        app: AppId,
        name: &str,
        sealed: Option<Vec<u8>>,
        scripts: Option<Vec<String>>,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Secret> {
        writing!(self, |tx| {
            let write = SecretWrite { name, sealed: sealed.as_deref(), scripts: scripts.as_deref(), expected };
            put(tx, app, &write, act).await
        })
    }

    async fn delete_secret(&self, app: AppId, name: &str, expected: Option<i64>, act: &Act) -> Result<bool> {
        writing!(self, |tx| {
            let (app_name, _revision) = lock_app(tx, app).await?;
            let Some((secret, _sealed)) = sealed_by_name(tx.conn(), app, name).await? else { return Ok(false) };
            expect_version(expected, secret.version)?;
            let delete = sqlx::query("DELETE FROM secrets WHERE app_id = $1 AND name = $2");
            delete.bind(app.0).bind(name).execute(tx.conn()).await?;
            // What seals nothing any more goes, too: the way back for an app whose key cannot be opened.
            let forget = sqlx::query(
                "DELETE FROM app_keys WHERE app_id = $1 AND NOT EXISTS (SELECT 1 FROM secrets WHERE app_id = $1)",
            );
            forget.bind(app.0).execute(tx.conn()).await?;
            tx.tell(News::Changes);
            let (app, before) = (Some(app_name.as_str()), Some(secret_shown(&secret)));
            note(tx, act, Noted { action: "secret.delete", app, target: name, before, after: None });
            Ok(true)
        })
    }

    async fn app_key(&self, app: AppId) -> Result<Option<Vec<u8>>> {
        reading!(self, |conn| app_key_of(conn, app).await)
    }

    async fn put_app_key(&self, app: AppId, sealed: Vec<u8>) -> Result<Vec<u8>> {
        writing!(self, |tx| {
            lock_app(tx, app).await?;
            if let Some(kept) = app_key_of(tx.conn(), app).await? {
                return Ok(kept);
            }
            let insert = sqlx::query("INSERT INTO app_keys (app_id, sealed) VALUES ($1, $2)");
            insert.bind(app.0).bind(&sealed).execute(tx.conn()).await?;
            Ok(sealed.clone())
        })
    }
}

async fn put(tx: &mut Tx<'_>, app: AppId, write: &SecretWrite<'_>, act: &Act) -> JobResult<Secret> {
    let (app_name, _revision) = lock_app(tx, app).await?;
    let (before, after, sealed) = match write.over(sealed_by_name(tx.conn(), app, write.name).await?, act.at)? {
        SecretPut::Same(secret) => return Ok(secret),
        SecretPut::Changed { before, after, sealed } => (before, after, sealed),
    };
    sqlx::query(
        "INSERT INTO secrets (app_id, name, scripts, version, created_at, updated_at, sealed)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (app_id, name) DO UPDATE SET scripts = excluded.scripts, version = excluded.version,
         updated_at = excluded.updated_at, sealed = excluded.sealed",
    )
    .bind(app.0)
    .bind(&after.name)
    .bind(serde_json::to_string(&after.scripts)?)
    .bind(after.version)
    .bind(after.created_at)
    .bind(after.updated_at)
    .bind(sealed)
    .execute(tx.conn())
    .await?;
    tx.tell(News::Changes);
    let before = before.as_ref().map(secret_shown);
    let (action, after_shown) = (write.action(), Some(secret_shown(&after)));
    note(tx, act, Noted { action, app: Some(&app_name), target: &after.name, before, after: after_shown });
    Ok(after)
}

async fn sealed_by_name(conn: &mut PgConnection, app: AppId, name: &str) -> JobResult<Option<(Secret, Vec<u8>)>> {
    let select = sqlx::query(select_secret!("WHERE app_id = $1 AND name = $2"));
    let Some(row) = select.bind(app.0).bind(name).fetch_optional(conn).await? else { return Ok(None) };
    Ok(Some((secret_from_row(&row)?, row.try_get(SEALED_COLUMN)?)))
}

async fn app_key_of(conn: &mut PgConnection, app: AppId) -> JobResult<Option<Vec<u8>>> {
    let select = sqlx::query_scalar("SELECT sealed FROM app_keys WHERE app_id = $1");
    Ok(select.bind(app.0).fetch_optional(conn).await?)
}

fn secret_from_row(row: &PgRow) -> JobResult<Secret> {
    Ok(Secret {
        name: row.try_get(0)?,
        scripts: serde_json::from_str(row.try_get(1)?)?,
        version: row.try_get(2)?,
        created_at: row.try_get(3)?,
        updated_at: row.try_get(4)?,
    })
}
