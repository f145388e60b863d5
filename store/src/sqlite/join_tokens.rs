//! Join tokens, and who comes in with one.

use super::DataTx;
use super::apps::rows_max;
use super::audit_rows::{Noted, note};
use super::error::JobResult;
use super::node_rows::{by_fingerprint, insert, names, note_node};
use crate::cursor::{self, List};
use crate::node_rules::{expect_token_room, free_name, in_already, token_shown, token_title};
use crate::{JoinTokenWrite, NodeWrite, TokenJoin};
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::join_token::JoinToken;
use picloud_model::page::{Page, PageRequest};
use rusqlite::{Connection, Row, params};

/// The columns of [`token_from_row`], in its order.
macro_rules! select_token {
    ($rest:literal) => {
        concat!("SELECT id, labels, uses_left, created_by, created_at, expires_at, hash FROM join_tokens ", $rest)
    };
}

/// A page of them, newest first.
pub(super) fn page(conn: &Connection, page: &PageRequest) -> JobResult<Page<JoinToken>> {
    let before = cursor::decode_number(List::JoinTokens, page.cursor.as_deref(), i64::MAX)?;
    let items_max = cursor::page_items(page.limit);
    let mut select = conn.prepare_cached(select_token!("WHERE id < ?1 ORDER BY id DESC LIMIT ?2"))?;
    let mut rows = select.query([before, rows_max(items_max)])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(token_from_row(row)?);
    }
    Ok(cursor::page(tokens, items_max, List::JoinTokens, |token| token.id.to_be_bytes()))
}

fn token_from_row(row: &Row<'_>) -> JobResult<JoinToken> {
    Ok(JoinToken {
        id: row.get(0)?,
        labels: serde_json::from_str(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
        uses_left: row.get(2)?,
        created_by: row.get(3)?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
    })
}

/// One of them, with the hash of its secret.
fn by_id(conn: &Connection, id: i64) -> JobResult<Option<(JoinToken, ContentHash)>> {
    let mut select = conn.prepare_cached(select_token!("WHERE id = ?1"))?;
    let mut rows = select.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((token_from_row(row)?, ContentHash(row.get(6)?))))
}

/// Makes one.
pub(super) fn create(tx: &DataTx<'_>, token: JoinTokenWrite, act: &Act) -> JobResult<JoinToken> {
    let mut count = tx.conn.prepare_cached("SELECT count(*) FROM join_tokens")?;
    expect_token_room(count.query_row([], |row| row.get(0))?)?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO join_tokens (hash, labels, uses_left, created_by, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let labels = serde_json::to_string(&token.labels)?;
    let bound = params![token.hash.0, labels, token.uses, act.who.name, act.at, token.expires_at];
    let made = JoinToken {
        id: insert.insert(bound)?,
        labels: token.labels,
        uses_left: token.uses,
        created_by: act.who.name.clone(),
        created_at: act.at,
        expires_at: token.expires_at,
    };
    note_token(tx, act, "join_token.create", made.id, None, Some(&made))?;
    Ok(made)
}

/// Removes one; answers whether it was there.
pub(super) fn delete(tx: &DataTx<'_>, id: i64, act: &Act) -> JobResult<bool> {
    let Some((token, _hash)) = by_id(tx.conn, id)? else { return Ok(false) };
    tx.conn.prepare_cached("DELETE FROM join_tokens WHERE id = ?1")?.execute([id])?;
    note_token(tx, act, "join_token.delete", id, Some(&token), None)?;
    Ok(true)
}

fn note_token(
    tx: &DataTx<'_>,
    act: &Act,
    action: &str,
    id: i64,
    before: Option<&JoinToken>,
    after: Option<&JoinToken>,
) -> JobResult<()> {
    let (before, after) = (before.map(token_shown), after.map(token_shown));
    note(tx, act, Noted { action, app: None, target: &token_title(id), before, after })
}

/// Lets `node` in by a token, as long as that holds.
pub(super) fn admit(
    tx: &DataTx<'_>,
    (id, hash): (i64, ContentHash),
    node: NodeWrite,
    act: &Act,
) -> JobResult<TokenJoin> {
    let found = by_id(tx.conn, id)?.filter(|(token, own)| *own == hash && token.expires_at > act.at);
    let Some((token, _hash)) = found else { return Ok(TokenJoin::Refused) };
    // Also with a token that is used up: its own answer may have been lost.
    if let Some(found) = by_fingerprint(tx.conn, &node.fingerprint)? {
        return Ok(TokenJoin::Joined(in_already(found)?));
    }
    if token.uses_left == 0 {
        return Ok(TokenJoin::Refused);
    }
    let name = free_name(&node, &names(tx.conn)?);
    let made = insert(tx, &NodeWrite { name, labels: token.labels, ..node }, act)?;
    tx.conn.prepare_cached("UPDATE join_tokens SET uses_left = uses_left - 1 WHERE id = ?1")?.execute([id])?;
    note_node(tx, act, "node.join", None, Some(&made))?;
    Ok(TokenJoin::Joined(made))
}

/// Drops tokens whose time is over.
pub(super) fn expire(tx: &DataTx<'_>, now: i64, rows_max: u32) -> JobResult<u64> {
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM join_tokens WHERE id IN
         (SELECT id FROM join_tokens WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)",
    )?;
    Ok(delete.execute([now, i64::from(rows_max)])? as u64)
}
