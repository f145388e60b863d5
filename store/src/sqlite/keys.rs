//! API keys in SQLite.

use super::SqliteStore;
use super::apps::rows_max;
use super::audit_rows::{Noted, note};
use super::audit_shown::key_shown;
use super::error::{JobResult, conflict};
use crate::cursor::{self, List};
use crate::{KeyWrite, Keys, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::KeyId;
use picloud_model::key::ApiKey;
use picloud_model::page::{Page, PageRequest};
use picloud_model::protocol::KeyEntry;
use rusqlite::{Connection, Row, params};

/// The columns of [`key_from_row`], in its order.
macro_rules! select_key {
    ($rest:literal) => {
        concat!("SELECT id, name, scopes, created_at, created_by, expires_at, last_used_at FROM keys ", $rest)
    };
}

#[async_trait]
impl Keys for SqliteStore {
    async fn keys(&self, page: &PageRequest) -> Result<Page<ApiKey>> {
        let after = cursor::decode_number(List::Keys, page.cursor.as_deref(), 0)?;
        let items_max = cursor::page_items(page.limit);
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_key!("WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
            let mut rows = select.query([after, rows_max(items_max)])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(key_from_row(row)?);
            }
            Ok(cursor::page(keys, items_max, List::Keys, |key| key.id.0.to_be_bytes()))
        })
        .await
    }

    async fn key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        self.read(move |conn| key_by_id(conn, id)).await
    }

    async fn key_entries(&self) -> Result<Vec<KeyEntry>> {
        self.read(|conn| {
            let mut select = conn.prepare_cached("SELECT id, name, hash, scopes, expires_at FROM keys ORDER BY id")?;
            let mut rows = select.query([])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(KeyEntry {
                    id: KeyId(row.get(0)?),
                    name: row.get(1)?,
                    hash: ContentHash(row.get(2)?),
                    scopes: serde_json::from_str(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?,
                    expires_at: row.get(4)?,
                });
            }
            Ok(entries)
        })
        .await
    }

    async fn create_key(&self, key: &KeyWrite, act: &Act) -> Result<ApiKey> {
        let (key, act) = (key.clone(), act.clone());
        self.write(move |tx| {
            let mut taken = tx.conn.prepare_cached("SELECT 1 FROM keys WHERE name = ?1")?;
            if taken.exists([&key.name])? {
                let message = format!("a key named `{}` exists", key.name);
                return Err(conflict(message, vec![format!("key `{}`", key.name)]).into());
            }
            let mut insert = tx.conn.prepare_cached(
                "INSERT INTO keys (name, hash, scopes, created_at, created_by, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let scopes = serde_json::to_string(&key.scopes)?;
            let id = insert.insert(params![key.name, key.hash.0, scopes, act.at, act.who.name, key.expires_at])?;
            let made = ApiKey {
                id: KeyId(id),
                name: key.name,
                scopes: key.scopes,
                created_at: act.at,
                created_by: act.who.name.clone(),
                expires_at: key.expires_at,
                last_used_at: None,
            };
            let after = Some(key_shown(&made));
            note(tx, &act, Noted { action: "key.create", app: None, target: &made.name, before: None, after })?;
            Ok(made)
        })
        .await
    }

    async fn delete_key(&self, id: KeyId, act: &Act) -> Result<bool> {
        let act = act.clone();
        self.write(move |tx| {
            let Some(key) = key_by_id(tx.conn, id)? else { return Ok(false) };
            tx.conn.prepare_cached("DELETE FROM keys WHERE id = ?1")?.execute([id.0])?;
            let before = Some(key_shown(&key));
            note(tx, &act, Noted { action: "key.delete", app: None, target: &key.name, before, after: None })?;
            Ok(true)
        })
        .await
    }

    async fn touch_keys(&self, used: &[(KeyId, UnixMs)]) -> Result<()> {
        if used.is_empty() {
            return Ok(());
        }
        let used = used.to_vec();
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached(
                "UPDATE keys SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)",
            )?;
            for (id, at) in used {
                update.execute([id.0, at])?;
            }
            Ok(())
        })
        .await
    }
}

fn key_by_id(conn: &Connection, id: KeyId) -> JobResult<Option<ApiKey>> {
    let mut select = conn.prepare_cached(select_key!("WHERE id = ?1"))?;
    let mut rows = select.query([id.0])?;
    rows.next()?.map(key_from_row).transpose()
}

fn key_from_row(row: &Row<'_>) -> JobResult<ApiKey> {
    Ok(ApiKey {
        id: KeyId(row.get(0)?),
        name: row.get(1)?,
        scopes: serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
        created_at: row.get(3)?,
        created_by: row.get(4)?,
        expires_at: row.get(5)?,
        last_used_at: row.get(6)?,
    })
}
