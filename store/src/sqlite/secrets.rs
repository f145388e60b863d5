//! Secrets in SQLite, sealed.

use super::apps::{name_of, rows_max};
use super::audit_rows::{Noted, note};
use super::audit_shown::secret_shown;
use super::error::{JobResult, expect_version};
use super::{DataTx, SqliteStore};
use crate::cursor::{self, List};
use crate::secret_rules::{SecretPut, SecretWrite};
use crate::{Result, Secrets};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::ids::AppId;
use picloud_model::page::{Page, PageRequest};
use picloud_model::secret::Secret;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The columns of [`secret_from_row`], in its order, and the sealed value.
macro_rules! select_secret {
    ($rest:literal) => {
        concat!("SELECT name, scripts, version, created_at, updated_at, sealed FROM secrets ", $rest)
    };
}
/// Where the sealed value stands there.
const SEALED_COLUMN: usize = 5;

#[async_trait]
impl Secrets for SqliteStore {
    async fn secrets(&self, app: AppId, page: &PageRequest) -> Result<Page<Secret>> {
        let after = cursor::decode_text(List::Secrets, page.cursor.as_deref())?;
        let items_max = cursor::page_items(page.limit);
        self.read(move |conn| {
            let mut select =
                conn.prepare_cached(select_secret!("WHERE app_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3"))?;
            let mut rows = select.query(params![app.0, after, rows_max(items_max)])?;
            let mut secrets = Vec::new();
            while let Some(row) = rows.next()? {
                secrets.push(secret_from_row(row)?);
            }
            Ok(cursor::page(secrets, items_max, List::Secrets, |secret| secret.name.clone()))
        })
        .await
    }

    async fn secret(&self, app: AppId, name: &str) -> Result<Option<Secret>> {
        let name = name.to_owned();
        self.read(move |conn| Ok(sealed_by_name(conn, app, &name)?.map(|(secret, _sealed)| secret))).await
    }

    async fn sealed_secrets(&self, app: AppId) -> Result<Vec<(Secret, Vec<u8>)>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_secret!("WHERE app_id = ?1 ORDER BY name"))?;
            let mut rows = select.query([app.0])?;
            let mut secrets = Vec::new();
            while let Some(row) = rows.next()? {
                secrets.push((secret_from_row(row)?, row.get(SEALED_COLUMN)?));
            }
            Ok(secrets)
        })
        .await
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
        let (name, act) = (name.to_owned(), act.clone());
        self.write(move |tx| {
            let write = SecretWrite { name: &name, sealed: sealed.as_deref(), scripts: scripts.as_deref(), expected };
            put(tx, app, &write, &act)
        })
        .await
    }

    async fn delete_secret(&self, app: AppId, name: &str, expected: Option<i64>, act: &Act) -> Result<bool> {
        let (name, act) = (name.to_owned(), act.clone());
        self.write(move |tx| {
            let Some((secret, _sealed)) = sealed_by_name(tx.conn, app, &name)? else { return Ok(false) };
            expect_version(expected, secret.version)?;
            let mut delete = tx.conn.prepare_cached("DELETE FROM secrets WHERE app_id = ?1 AND name = ?2")?;
            delete.execute(params![app.0, name])?;
            // What seals nothing any more goes, too: the way back for an app whose key cannot be opened.
            let mut forget = tx.conn.prepare_cached(
                "DELETE FROM app_keys WHERE app_id = ?1 AND NOT EXISTS (SELECT 1 FROM secrets WHERE app_id = ?1)",
            )?;
            forget.execute([app.0])?;
            let (app, before) = (name_of(tx.conn, app)?, Some(secret_shown(&secret)));
            note(tx, &act, Noted { action: "secret.delete", app: Some(&app), target: &name, before, after: None })?;
            Ok(true)
        })
        .await
    }

    async fn app_key(&self, app: AppId) -> Result<Option<Vec<u8>>> {
        self.read(move |conn| app_key_of(conn, app)).await
    }

    async fn put_app_key(&self, app: AppId, sealed: Vec<u8>) -> Result<Vec<u8>> {
        self.write(move |tx| {
            if let Some(kept) = app_key_of(tx.conn, app)? {
                return Ok(kept);
            }
            let mut insert = tx.conn.prepare_cached("INSERT INTO app_keys (app_id, sealed) VALUES (?1, ?2)")?;
            insert.execute(params![app.0, sealed])?;
            Ok(sealed)
        })
        .await
    }
}

fn put(tx: &DataTx<'_>, app: AppId, write: &SecretWrite<'_>, act: &Act) -> JobResult<Secret> {
    let (before, after, sealed) = match write.over(sealed_by_name(tx.conn, app, write.name)?, act.at)? {
        SecretPut::Same(secret) => return Ok(secret),
        SecretPut::Changed { before, after, sealed } => (before, after, sealed),
    };
    let mut upsert = tx.conn.prepare_cached(
        "INSERT INTO secrets (app_id, name, scripts, version, created_at, updated_at, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (app_id, name) DO UPDATE SET scripts = excluded.scripts, version = excluded.version,
         updated_at = excluded.updated_at, sealed = excluded.sealed",
    )?;
    let scripts = serde_json::to_string(&after.scripts)?;
    upsert.execute(params![app.0, after.name, scripts, after.version, after.created_at, after.updated_at, sealed])?;
    let (app, before) = (name_of(tx.conn, app)?, before.as_ref().map(secret_shown));
    let (action, after_shown) = (write.action(), Some(secret_shown(&after)));
    note(tx, act, Noted { action, app: Some(&app), target: &after.name, before, after: after_shown })?;
    Ok(after)
}

fn sealed_by_name(conn: &Connection, app: AppId, name: &str) -> JobResult<Option<(Secret, Vec<u8>)>> {
    let mut select = conn.prepare_cached(select_secret!("WHERE app_id = ?1 AND name = ?2"))?;
    let mut rows = select.query(params![app.0, name])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((secret_from_row(row)?, row.get(SEALED_COLUMN)?)))
}

fn app_key_of(conn: &Connection, app: AppId) -> JobResult<Option<Vec<u8>>> {
    let mut select = conn.prepare_cached("SELECT sealed FROM app_keys WHERE app_id = ?1")?;
    Ok(select.query_row([app.0], |row| row.get(0)).optional()?)
}

fn secret_from_row(row: &Row<'_>) -> JobResult<Secret> {
    Ok(Secret {
        name: row.get(0)?,
        scripts: serde_json::from_str(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
        version: row.get(2)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}
