//! API keys in Postgres.

use super::PgStore;
use super::apps::rows_max;
use super::audit_rows::{Noted, note};
use super::error::{JobResult, conflict};
use super::signals::News;
use super::transaction::{reading, writing};
use crate::audit_shown::key_shown;
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
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The columns of [`key_from_row`], in its order.
macro_rules! select_key {
    ($rest:literal) => {
        concat!("SELECT id, name, scopes, created_at, created_by, expires_at, last_used_at FROM keys ", $rest)
    };
}

#[async_trait]
impl Keys for PgStore {
    async fn keys(&self, page: &PageRequest) -> Result<Page<ApiKey>> {
        let after = cursor::decode_number(List::Keys, page.cursor.as_deref(), 0)?;
        let items_max = cursor::page_items(page.limit);
        reading!(self, |conn| {
            let select = sqlx::query(select_key!("WHERE id > $1 ORDER BY id LIMIT $2"));
            let rows = select.bind(after).bind(rows_max(items_max)).fetch_all(conn).await?;
            let keys = rows.iter().map(key_from_row).collect::<JobResult<_>>()?;
            Ok(cursor::page(keys, items_max, List::Keys, |key: &ApiKey| key.id.0.to_be_bytes()))
        })
    }

    async fn key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        reading!(self, |conn| key_by_id(conn, id).await)
    }

    async fn key_entries(&self) -> Result<Vec<KeyEntry>> {
        reading!(self, |conn| {
            let select = "SELECT id, name, hash, scopes, expires_at FROM keys ORDER BY id";
            let rows = sqlx::query(select).fetch_all(conn).await?;
            let entry = |row: &PgRow| {
                Ok(KeyEntry {
                    id: KeyId(row.try_get(0)?),
                    name: row.try_get(1)?,
                    hash: ContentHash(row.try_get(2)?),
                    scopes: serde_json::from_str(row.try_get(3)?)?,
                    expires_at: row.try_get(4)?,
                })
            };
            rows.iter().map(entry).collect()
        })
    }

    async fn create_key(&self, key: &KeyWrite, act: &Act) -> Result<ApiKey> {
        writing!(self, |tx| {
            let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM keys WHERE name = $1)")
                .bind(&key.name)
                .fetch_one(tx.conn())
                .await?;
            if taken {
                let message = format!("a key named `{}` exists", key.name);
                return Err(conflict(message, vec![format!("key `{}`", key.name)]).into());
            }
            let row = sqlx::query(
                "INSERT INTO keys (name, hash, scopes, created_at, created_by, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 RETURNING id, name, scopes, created_at, created_by, expires_at, last_used_at",
            )
            .bind(&key.name)
            .bind(key.hash.0)
            .bind(serde_json::to_string(&key.scopes)?)
            .bind(act.at)
            .bind(&act.who.name)
            .bind(key.expires_at)
            .fetch_one(tx.conn())
            .await?;
            let made = key_from_row(&row)?;
            tx.tell(News::Changes);
            let after = Some(key_shown(&made));
            note(tx, act, Noted { action: "key.create", app: None, target: &made.name, before: None, after });
            Ok(made)
        })
    }

    async fn delete_key(&self, id: KeyId, act: &Act) -> Result<bool> {
        writing!(self, |tx| {
            let row = sqlx::query(
                "DELETE FROM keys WHERE id = $1
                 RETURNING id, name, scopes, created_at, created_by, expires_at, last_used_at",
            )
            .bind(id.0)
            .fetch_optional(tx.conn())
            .await?;
            let Some(row) = row else { return Ok(false) };
            let key = key_from_row(&row)?;
            tx.tell(News::Changes);
            let before = Some(key_shown(&key));
            note(tx, act, Noted { action: "key.delete", app: None, target: &key.name, before, after: None });
            Ok(true)
        })
    }

    async fn touch_keys(&self, used: &[(KeyId, UnixMs)]) -> Result<()> {
        if used.is_empty() {
            return Ok(());
        }
        // In the order of their ids, so that two appliances do not wait for each other's rows; of several times of one
        // key the last is kept.
        let last: std::collections::BTreeMap<i64, UnixMs> =
            used.iter().fold(Default::default(), |mut last, (id, at)| {
                let kept = last.entry(id.0).or_insert(*at);
                *kept = (*kept).max(*at);
                last
            });
        let (ids, times): (Vec<i64>, Vec<i64>) = last.into_iter().unzip();
        writing!(self, |tx| {
            let update = sqlx::query(
                "WITH used AS (
                     SELECT k.id, u.at FROM unnest($1::bigint[], $2::bigint[]) AS u (id, at) JOIN keys k ON k.id = u.id
                     WHERE k.last_used_at IS NULL OR k.last_used_at < u.at ORDER BY k.id FOR NO KEY UPDATE OF k)
                 UPDATE keys SET last_used_at = greatest(keys.last_used_at, used.at) FROM used WHERE keys.id = used.id",
            );
            update.bind(&ids).bind(&times).execute(tx.conn()).await?;
            Ok(())
        })
    }
}

async fn key_by_id(conn: &mut PgConnection, id: KeyId) -> JobResult<Option<ApiKey>> {
    let row = sqlx::query(select_key!("WHERE id = $1")).bind(id.0).fetch_optional(conn).await?;
    row.as_ref().map(key_from_row).transpose()
}

fn key_from_row(row: &PgRow) -> JobResult<ApiKey> {
    Ok(ApiKey {
        id: KeyId(row.try_get(0)?),
        name: row.try_get(1)?,
        scopes: serde_json::from_str(row.try_get(2)?)?,
        created_at: row.try_get(3)?,
        created_by: row.try_get(4)?,
        expires_at: row.try_get(5)?,
        last_used_at: row.try_get(6)?,
    })
}
