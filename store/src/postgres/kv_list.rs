//! Pages of a KV collection, by the bytes of its keys.
//!
//! A page begins where the last key of the one before stands, whatever became of that key: so a key that
//! nobody touches is on exactly one page.

use super::apps::rows_max;
use super::error::JobResult;
use crate::cursor::{self, List};
use crate::kv_changes::{PAGE_BYTES_MAX, bounds};
use futures_util::TryStreamExt as _;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use picloud_model::kv::{KvEntry, KvList, KvQuery, KvReply};
use sqlx::{PgConnection, Row as _};

macro_rules! select_entries {
    ($value:literal, $order:literal) => {
        concat!(
            "SELECT key, version, updated_at, expires_at, ",
            $value,
            " FROM kv WHERE app_id = $1 AND collection = $2 AND key >= $3 AND key < $4
              AND (expires_at IS NULL OR expires_at > $5) ORDER BY key ",
            $order,
            " LIMIT $6"
        )
    };
}

/// The page that `query` asks for.
pub(super) async fn list(
    conn: &mut PgConnection,
    app: AppId,
    collection: &str,
    query: &KvQuery,
    now: UnixMs,
) -> JobResult<KvReply> {
    let list = if query.reverse { List::KvReverse } else { List::KvForward };
    let (from, to) = match bounds(query, list) {
        Ok(bounds) => bounds,
        Err(_bad_cursor) => return Ok(KvReply::BadCursor),
    };
    let select = sqlx::query(match (query.keys_only, query.reverse) {
        (false, false) => select_entries!("value", "ASC"),
        (false, true) => select_entries!("value", "DESC"),
        (true, false) => select_entries!("''::bytea", "ASC"),
        (true, true) => select_entries!("''::bytea", "DESC"),
    });
    let items_max = cursor::page_items(Some(query.limit));
    let select = select.bind(app.0).bind(collection).bind(from).bind(to).bind(now).bind(rows_max(items_max));
    // Row by row: a page of the largest values would not fit.
    let mut rows = select.fetch(conn);
    let mut page = KvList::default();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let (key, value): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(4)?);
        let size = key.len() + value.len();
        let full = page.entries.len() == items_max || bytes + size > PAGE_BYTES_MAX;
        if let Some(last) = page.entries.last().filter(|_last| full) {
            page.cursor = Some(cursor::encode(list, last.key.as_bytes()));
            break;
        }
        bytes += size;
        page.entries.push(KvEntry {
            key: String::from_utf8_lossy(key).into_owned(),
            version: row.try_get(1)?,
            updated_at: row.try_get(2)?,
            expires_at: row.try_get(3)?,
            value: value.to_vec(),
        });
    }
    Ok(KvReply::List(page))
}
