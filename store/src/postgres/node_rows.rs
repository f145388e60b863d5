//! Rows of nodes: read, added, changed, each change with its entry in the audit log. Whoever changes any holds a lock, so
//! that names and numbers of nodes stay as they were checked.

use super::audit_rows::{Noted, note};
use super::columns::json_at;
use super::error::{JobResult, expect_version};
use super::signals::News;
use super::transaction::Tx;
use crate::node_rules::{expect_room, has_a_place, in_already, made, name_taken, node_shown};
use crate::{NodeSeen, NodeWrite};
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::node::{NodeId, NodePatch, NodeRecord};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::BTreeSet;

/// The advisory lock of whoever changes nodes or tokens.
const NODES_LOCK: i64 = 0x7069_636c_6e6f_6465;

/// The columns of [`node_from_row`], in its order.
macro_rules! select_node {
    ($rest:literal) => {
        concat!(
            "SELECT fingerprint, name, labels, facts, draining, version, joined_at, last_seen_at, certificate_expires_at,
                    retired_at FROM nodes ",
            $rest
        )
    };
}

/// Lets nobody else change nodes or tokens until the transaction ends, which others are told of.
pub(super) async fn lock(tx: &mut Tx<'_>) -> JobResult<()> {
    tx.tell(News::Changes);
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(NODES_LOCK).execute(tx.conn()).await?;
    Ok(())
}

/// All nodes, retired ones last, by name.
pub(super) async fn all(conn: &mut PgConnection) -> JobResult<Vec<NodeRecord>> {
    let rows = sqlx::query(select_node!("ORDER BY retired_at IS NOT NULL, name, id")).fetch_all(conn).await?;
    rows.iter().map(node_from_row).collect()
}

/// One of them.
pub(super) async fn by_id(conn: &mut PgConnection, id: &NodeId) -> JobResult<Option<NodeRecord>> {
    let select = sqlx::query(select_node!("WHERE id = $1")).bind(id.as_str());
    select.fetch_optional(conn).await?.as_ref().map(node_from_row).transpose()
}

/// The one with this key.
pub(super) async fn by_fingerprint(conn: &mut PgConnection, key: &ContentHash) -> JobResult<Option<NodeRecord>> {
    let select = sqlx::query(select_node!("WHERE fingerprint = $1")).bind(key.0);
    select.fetch_optional(conn).await?.as_ref().map(node_from_row).transpose()
}

/// One that was not removed.
async fn in_by_id(conn: &mut PgConnection, id: &NodeId) -> JobResult<Option<NodeRecord>> {
    Ok(by_id(conn, id).await?.filter(|node| node.retired_at.is_none()))
}

fn node_from_row(row: &PgRow) -> JobResult<NodeRecord> {
    let fingerprint = ContentHash(row.try_get(0)?);
    Ok(NodeRecord {
        id: NodeId::of(&fingerprint),
        name: row.try_get(1)?,
        fingerprint,
        labels: json_at(row, 2)?,
        facts: json_at(row, 3)?,
        draining: row.try_get::<i64, _>(4)? != 0,
        version: row.try_get(5)?,
        joined_at: row.try_get(6)?,
        last_seen_at: row.try_get(7)?,
        certificate_expires_at: row.try_get(8)?,
        retired_at: row.try_get(9)?,
    })
}

/// Names of nodes that are in.
pub(super) async fn names(conn: &mut PgConnection) -> JobResult<BTreeSet<String>> {
    let select = sqlx::query_scalar("SELECT name FROM nodes WHERE retired_at IS NULL");
    Ok(select.fetch_all(conn).await?.into_iter().collect())
}

async fn is_taken(conn: &mut PgConnection, name: &str) -> JobResult<bool> {
    let select = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM nodes WHERE name = $1 AND retired_at IS NULL)");
    Ok(select.bind(name).fetch_one(conn).await?)
}

/// Lets `node` in.
pub(super) async fn admit(tx: &mut Tx<'_>, node: &NodeWrite, act: &Act) -> JobResult<NodeRecord> {
    if let Some(found) = by_fingerprint(tx.conn(), &node.fingerprint).await? {
        return Ok(in_already(found)?);
    }
    if is_taken(tx.conn(), &node.name).await? {
        return Err(name_taken(&node.name).into());
    }
    let made = insert(tx, node, act).await?;
    note_node(tx, act, "node.approve", None, Some(&made));
    Ok(made)
}

/// Writes the row of a node that is not there.
pub(super) async fn insert(tx: &mut Tx<'_>, node: &NodeWrite, act: &Act) -> JobResult<NodeRecord> {
    let count = sqlx::query_scalar("SELECT count(*) FROM nodes WHERE retired_at IS NULL");
    expect_room(count.fetch_one(tx.conn()).await?)?;
    let made = made(node, act.at);
    sqlx::query(
        "INSERT INTO nodes (id, fingerprint, name, labels, facts, version, joined_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(made.id.as_str())
    .bind(made.fingerprint.0)
    .bind(&made.name)
    .bind(serde_json::to_string(&made.labels)?)
    .bind(serde_json::to_string(&made.facts)?)
    .bind(made.version)
    .bind(made.joined_at)
    .execute(tx.conn())
    .await?;
    Ok(made)
}

/// Lets `node` in, in the place of `old`.
pub(super) async fn replace(
    tx: &mut Tx<'_>,
    old: &NodeId,
    node: &NodeWrite,
    act: &Act,
) -> JobResult<Option<NodeRecord>> {
    let Some(before) = in_by_id(tx.conn(), old).await? else { return Ok(None) };
    if let Some(found) = by_fingerprint(tx.conn(), &node.fingerprint).await? {
        return Err(has_a_place(&in_already(found)?).into());
    }
    put_away(tx, &before, act).await?;
    let node = NodeWrite { name: before.name.clone(), labels: before.labels.clone(), ..node.clone() };
    let made = insert(tx, &node, act).await?;
    note_node(tx, act, "node.replace", Some(&before), Some(&made));
    Ok(Some(made))
}

/// Changes what `patch` names.
pub(super) async fn change(
    tx: &mut Tx<'_>,
    id: &NodeId,
    patch: &NodePatch,
    expected: Option<i64>,
    act: &Act,
) -> JobResult<Option<NodeRecord>> {
    let Some(before) = in_by_id(tx.conn(), id).await? else { return Ok(None) };
    expect_version(expected, before.version)?;
    let mut after = before.clone();
    after.name = patch.name.clone().unwrap_or(after.name);
    after.labels = patch.labels.clone().unwrap_or(after.labels);
    if after.name != before.name && is_taken(tx.conn(), &after.name).await? {
        return Err(name_taken(&after.name).into());
    }
    put_if_changed(tx, &before, after, "node.change", act).await.map(Some)
}

/// Has it take no new work, or take it again.
pub(super) async fn drain(tx: &mut Tx<'_>, id: &NodeId, draining: bool, act: &Act) -> JobResult<Option<NodeRecord>> {
    let Some(before) = in_by_id(tx.conn(), id).await? else { return Ok(None) };
    let after = NodeRecord { draining, ..before.clone() };
    let action = if draining { "node.drain" } else { "node.resume" };
    put_if_changed(tx, &before, after, action, act).await.map(Some)
}

async fn put_if_changed(
    tx: &mut Tx<'_>,
    before: &NodeRecord,
    mut after: NodeRecord,
    action: &str,
    act: &Act,
) -> JobResult<NodeRecord> {
    if after == *before {
        return Ok(after);
    }
    after.version += 1;
    sqlx::query("UPDATE nodes SET name = $2, labels = $3, draining = $4, version = $5 WHERE id = $1")
        .bind(after.id.as_str())
        .bind(&after.name)
        .bind(serde_json::to_string(&after.labels)?)
        .bind(i64::from(after.draining))
        .bind(after.version)
        .execute(tx.conn())
        .await?;
    note_node(tx, act, action, Some(before), Some(&after));
    Ok(after)
}

/// Removes it; answers whether it was in.
pub(super) async fn retire(tx: &mut Tx<'_>, id: &NodeId, expected: Option<i64>, act: &Act) -> JobResult<bool> {
    let Some(before) = in_by_id(tx.conn(), id).await? else { return Ok(false) };
    expect_version(expected, before.version)?;
    put_away(tx, &before, act).await?;
    note_node(tx, act, "node.retire", Some(&before), None);
    Ok(true)
}

/// The row stays, for its key; what it published and may say again is not taken from it any more.
async fn put_away(tx: &mut Tx<'_>, node: &NodeRecord, act: &Act) -> JobResult<()> {
    let update = sqlx::query("UPDATE nodes SET retired_at = $2, version = version + 1 WHERE id = $1");
    update.bind(node.id.as_str()).bind(act.at).execute(tx.conn()).await?;
    let delete = sqlx::query("DELETE FROM node_publishes WHERE node_id = $1");
    delete.bind(node.id.as_str()).execute(tx.conn()).await?;
    Ok(())
}

/// Writes down a change of a node, under the name that it has after it.
pub(super) fn note_node(
    tx: &mut Tx<'_>,
    act: &Act,
    action: &str,
    before: Option<&NodeRecord>,
    after: Option<&NodeRecord>,
) {
    let target = after.or(before).map_or("", |node| &node.name);
    let (before, after) = (before.map(node_shown), after.map(node_shown));
    note(tx, act, Noted { action, app: None, target, before, after });
}

/// Notes what nodes were seen with by `appliance`, later ones only. In the order of their ids, so that two who do this at once do not
/// lock each other up.
pub(super) async fn seen(tx: &mut Tx<'_>, seen: &[NodeSeen], appliance: i64) -> JobResult<()> {
    let mut seen: Vec<&NodeSeen> = seen.iter().collect();
    seen.sort_by(|a, b| a.id.cmp(&b.id));
    for one in seen {
        sqlx::query(
            // What is older than what is known changes nothing, but for where it is connected: of a node that went from
            // another appliance a moment ago, or by a clock ahead of ours, that is known here.
            "UPDATE nodes SET last_seen_at = greatest(last_seen_at, $2),
                              facts = CASE WHEN last_seen_at > $2 THEN facts ELSE coalesce($3, facts) END,
                              certificate_expires_at = CASE WHEN last_seen_at > $2 THEN certificate_expires_at
                                                            ELSE coalesce($4, certificate_expires_at) END,
                              connected_to = CASE WHEN $5 AND (connected_to IS NULL OR last_seen_at IS NULL
                                                               OR last_seen_at <= $2) THEN $6
                                                  WHEN NOT $5 AND connected_to = $6 THEN NULL
                                                  ELSE connected_to END
             WHERE id = $1 AND retired_at IS NULL",
        )
        .bind(one.id.as_str())
        .bind(one.at)
        .bind(one.facts.as_ref().map(serde_json::to_string).transpose()?)
        .bind(one.certificate_expires_at)
        .bind(one.connected)
        .bind(appliance)
        .execute(tx.conn())
        .await?;
        if one.facts.is_some() {
            tx.tell(News::Changes);
        }
    }
    Ok(())
}
