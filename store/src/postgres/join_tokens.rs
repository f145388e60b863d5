//! Join tokens, and who comes in with one.

use super::apps::rows_max;
use super::audit_rows::{Noted, note};
use super::columns::{count_at, json_at};
use super::error::JobResult;
use super::node_rows::{by_fingerprint, insert, names, note_node};
use super::transaction::Tx;
use crate::cursor::{self, List};
use crate::node_rules::{expect_token_room, free_name, in_already, token_shown, token_title};
use crate::{JoinTokenWrite, NodeWrite, TokenJoin};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::join_token::JoinToken;
use picloud_model::page::{Page, PageRequest};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The columns of [`token_from_row`], in its order.
macro_rules! select_token {
    ($rest:literal) => {
        concat!("SELECT id, labels, uses_left, created_by, created_at, expires_at, hash FROM join_tokens ", $rest)
    };
}

/// A page of them, newest first.
pub(super) async fn page(conn: &mut PgConnection, page: &PageRequest) -> JobResult<Page<JoinToken>> {
    let before = cursor::decode_number(List::JoinTokens, page.cursor.as_deref(), i64::MAX)?;
    let items_max = cursor::page_items(page.limit);
    let select = sqlx::query(select_token!("WHERE id < $1 ORDER BY id DESC LIMIT $2"));
    let rows = select.bind(before).bind(rows_max(items_max)).fetch_all(conn).await?;
    let tokens = rows.iter().map(token_from_row).collect::<JobResult<_>>()?;
    Ok(cursor::page(tokens, items_max, List::JoinTokens, |token: &JoinToken| token.id.to_be_bytes()))
}

fn token_from_row(row: &PgRow) -> JobResult<JoinToken> {
    Ok(JoinToken {
        id: row.try_get(0)?,
        labels: json_at(row, 1)?,
        uses_left: count_at(row, 2)?,
        created_by: row.try_get(3)?,
        created_at: row.try_get(4)?,
        expires_at: row.try_get(5)?,
    })
}

/// One of them, with the hash of its secret.
async fn by_id(conn: &mut PgConnection, id: i64) -> JobResult<Option<(JoinToken, ContentHash)>> {
    let row = sqlx::query(select_token!("WHERE id = $1")).bind(id).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((token_from_row(&row)?, ContentHash(row.try_get(6)?))))
}

/// Makes one.
pub(super) async fn create(tx: &mut Tx<'_>, token: &JoinTokenWrite, act: &Act) -> JobResult<JoinToken> {
    let count = sqlx::query_scalar("SELECT count(*) FROM join_tokens");
    expect_token_room(count.fetch_one(tx.conn()).await?)?;
    let id = sqlx::query_scalar(
        "INSERT INTO join_tokens (hash, labels, uses_left, created_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
    )
    .bind(token.hash.0)
    .bind(serde_json::to_string(&token.labels)?)
    .bind(i64::from(token.uses))
    .bind(&act.who.name)
    .bind(act.at)
    .bind(token.expires_at)
    .fetch_one(tx.conn())
    .await?;
    let made = JoinToken {
        id,
        labels: token.labels.clone(),
        uses_left: token.uses,
        created_by: act.who.name.clone(),
        created_at: act.at,
        expires_at: token.expires_at,
    };
    note_token(tx, act, "join_token.create", id, None, Some(&made));
    Ok(made)
}

/// Removes one; answers whether it was there.
pub(super) async fn delete(tx: &mut Tx<'_>, id: i64, act: &Act) -> JobResult<bool> {
    let Some((token, _hash)) = by_id(tx.conn(), id).await? else { return Ok(false) };
    sqlx::query("DELETE FROM join_tokens WHERE id = $1").bind(id).execute(tx.conn()).await?;
    note_token(tx, act, "join_token.delete", id, Some(&token), None);
    Ok(true)
}

fn note_token(
    tx: &mut Tx<'_>,
    act: &Act,
    action: &str,
    id: i64,
    before: Option<&JoinToken>,
    after: Option<&JoinToken>,
) {
    let (before, after) = (before.map(token_shown), after.map(token_shown));
    note(tx, act, Noted { action, app: None, target: &token_title(id), before, after });
}

/// Lets `node` in by a token, as long as that holds.
pub(super) async fn admit(
    tx: &mut Tx<'_>,
    (id, hash): (i64, ContentHash),
    node: &NodeWrite,
    act: &Act,
) -> JobResult<TokenJoin> {
    let found = by_id(tx.conn(), id).await?;
    let found = found.filter(|(token, own)| *own == hash && token.expires_at > act.at);
    let Some((token, _hash)) = found else { return Ok(TokenJoin::Refused) };
    // Also with a token that is used up: its own answer may have been lost.
    if let Some(found) = by_fingerprint(tx.conn(), &node.fingerprint).await? {
        return Ok(TokenJoin::Joined(in_already(found)?));
    }
    if token.uses_left == 0 {
        return Ok(TokenJoin::Refused);
    }
    let name = free_name(node, &names(tx.conn()).await?);
    let made = insert(tx, &NodeWrite { name, labels: token.labels, ..node.clone() }, act).await?;
    sqlx::query("UPDATE join_tokens SET uses_left = uses_left - 1 WHERE id = $1").bind(id).execute(tx.conn()).await?;
    note_node(tx, act, "node.join", None, Some(&made));
    Ok(TokenJoin::Joined(made))
}

/// Drops tokens whose time is over.
pub(super) async fn expire(conn: &mut PgConnection, now: UnixMs, rows_max: u32) -> JobResult<u64> {
    let delete = sqlx::query(
        "DELETE FROM join_tokens WHERE id IN
         (SELECT id FROM join_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    );
    Ok(delete.bind(now).bind(i64::from(rows_max)).execute(conn).await?.rows_affected())
}
