//! Rows of nodes: read, added, changed, each change with its entry in the audit log.

use super::DataTx;
use super::audit_rows::{Noted, note};
use super::error::{JobResult, expect_version};
use crate::node_rules::{expect_room, has_a_place, in_already, made, name_taken, node_shown};
use crate::{NodeSeen, NodeWrite};
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::node::{NodeId, NodePatch, NodeRecord};
use picloud_model::placement::Labels;
use rusqlite::{Connection, Row, ToSql, params};
use std::collections::BTreeSet;

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

/// All nodes, retired ones last, by name.
pub(super) fn all(conn: &Connection) -> JobResult<Vec<NodeRecord>> {
    let mut select = conn.prepare_cached(select_node!("ORDER BY retired_at IS NOT NULL, name, id"))?;
    let mut rows = select.query([])?;
    let mut nodes = Vec::new();
    while let Some(row) = rows.next()? {
        nodes.push(node_from_row(row)?);
    }
    Ok(nodes)
}

/// One of them.
pub(super) fn by_id(conn: &Connection, id: &NodeId) -> JobResult<Option<NodeRecord>> {
    one(conn, select_node!("WHERE id = ?1"), &id.as_str())
}

/// The one with this key.
pub(super) fn by_fingerprint(conn: &Connection, fingerprint: &ContentHash) -> JobResult<Option<NodeRecord>> {
    one(conn, select_node!("WHERE fingerprint = ?1"), &fingerprint.0)
}

/// One that was not removed.
fn in_by_id(conn: &Connection, id: &NodeId) -> JobResult<Option<NodeRecord>> {
    Ok(by_id(conn, id)?.filter(|node| node.retired_at.is_none()))
}

fn one(conn: &Connection, sql: &str, wanted: &dyn ToSql) -> JobResult<Option<NodeRecord>> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([wanted])?;
    rows.next()?.map(node_from_row).transpose()
}

fn node_from_row(row: &Row<'_>) -> JobResult<NodeRecord> {
    let fingerprint = ContentHash(row.get(0)?);
    let labels = |at: usize| -> JobResult<Labels> {
        Ok(serde_json::from_str(row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?)?)
    };
    Ok(NodeRecord {
        id: NodeId::of(&fingerprint),
        name: row.get(1)?,
        fingerprint,
        labels: labels(2)?,
        facts: labels(3)?,
        draining: row.get(4)?,
        version: row.get(5)?,
        joined_at: row.get(6)?,
        last_seen_at: row.get(7)?,
        certificate_expires_at: row.get(8)?,
        retired_at: row.get(9)?,
    })
}

/// Names of nodes that are in.
pub(super) fn names(conn: &Connection) -> JobResult<BTreeSet<String>> {
    let mut select = conn.prepare_cached("SELECT name FROM nodes WHERE retired_at IS NULL")?;
    let names = select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(names)
}

fn is_taken(conn: &Connection, name: &str) -> JobResult<bool> {
    let mut select = conn.prepare_cached("SELECT 1 FROM nodes WHERE name = ?1 AND retired_at IS NULL")?;
    Ok(select.exists([name])?)
}

/// Lets `node` in.
pub(super) fn admit(tx: &DataTx<'_>, node: &NodeWrite, act: &Act) -> JobResult<NodeRecord> {
    if let Some(found) = by_fingerprint(tx.conn, &node.fingerprint)? {
        return Ok(in_already(found)?);
    }
    if is_taken(tx.conn, &node.name)? {
        return Err(name_taken(&node.name).into());
    }
    let made = insert(tx, node, act)?;
    note_node(tx, act, "node.approve", None, Some(&made))?;
    Ok(made)
}

/// Writes the row of a node that is not there.
pub(super) fn insert(tx: &DataTx<'_>, node: &NodeWrite, act: &Act) -> JobResult<NodeRecord> {
    let mut count = tx.conn.prepare_cached("SELECT count(*) FROM nodes WHERE retired_at IS NULL")?;
    expect_room(count.query_row([], |row| row.get(0))?)?;
    let made = made(node, act.at);
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO nodes (id, fingerprint, name, labels, facts, version, joined_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let (labels, facts) = (serde_json::to_string(&made.labels)?, serde_json::to_string(&made.facts)?);
    insert.execute(params![
        made.id.as_str(),
        made.fingerprint.0,
        made.name,
        labels,
        facts,
        made.version,
        made.joined_at
    ])?;
    Ok(made)
}

/// Lets `node` in, in the place of `old`.
pub(super) fn replace(tx: &DataTx<'_>, old: &NodeId, node: &NodeWrite, act: &Act) -> JobResult<Option<NodeRecord>> {
    let Some(before) = in_by_id(tx.conn, old)? else { return Ok(None) };
    if let Some(found) = by_fingerprint(tx.conn, &node.fingerprint)? {
        return Err(has_a_place(&in_already(found)?).into());
    }
    put_away(tx, &before, act)?;
    let node = NodeWrite { name: before.name.clone(), labels: before.labels.clone(), ..node.clone() };
    let made = insert(tx, &node, act)?;
    note_node(tx, act, "node.replace", Some(&before), Some(&made))?;
    Ok(Some(made))
}

/// Changes what `patch` names.
pub(super) fn change(
    tx: &DataTx<'_>,
    id: &NodeId,
    patch: NodePatch,
    expected: Option<i64>,
    act: &Act,
) -> JobResult<Option<NodeRecord>> {
    let Some(before) = in_by_id(tx.conn, id)? else { return Ok(None) };
    expect_version(expected, before.version)?;
    let mut after = before.clone();
    after.name = patch.name.unwrap_or(after.name);
    after.labels = patch.labels.unwrap_or(after.labels);
    if after.name != before.name && is_taken(tx.conn, &after.name)? {
        return Err(name_taken(&after.name).into());
    }
    put_if_changed(tx, &before, after, "node.change", act).map(Some)
}

/// Has it take no new work, or take it again.
pub(super) fn drain(tx: &DataTx<'_>, id: &NodeId, draining: bool, act: &Act) -> JobResult<Option<NodeRecord>> {
    let Some(before) = in_by_id(tx.conn, id)? else { return Ok(None) };
    let after = NodeRecord { draining, ..before.clone() };
    let action = if draining { "node.drain" } else { "node.resume" };
    put_if_changed(tx, &before, after, action, act).map(Some)
}

fn put_if_changed(
    tx: &DataTx<'_>,
    before: &NodeRecord,
    mut after: NodeRecord,
    action: &str,
    act: &Act,
) -> JobResult<NodeRecord> {
    if after == *before {
        return Ok(after);
    }
    after.version += 1;
    let mut update =
        tx.conn.prepare_cached("UPDATE nodes SET name = ?2, labels = ?3, draining = ?4, version = ?5 WHERE id = ?1")?;
    let labels = serde_json::to_string(&after.labels)?;
    update.execute(params![after.id.as_str(), after.name, labels, after.draining, after.version])?;
    note_node(tx, act, action, Some(before), Some(&after))?;
    Ok(after)
}

/// Removes it; answers whether it was in.
pub(super) fn retire(tx: &DataTx<'_>, id: &NodeId, expected: Option<i64>, act: &Act) -> JobResult<bool> {
    let Some(before) = in_by_id(tx.conn, id)? else { return Ok(false) };
    expect_version(expected, before.version)?;
    put_away(tx, &before, act)?;
    note_node(tx, act, "node.retire", Some(&before), None)?;
    Ok(true)
}

/// The row stays, for its key; what it published and may say again is not taken from it any more.
fn put_away(tx: &DataTx<'_>, node: &NodeRecord, act: &Act) -> JobResult<()> {
    let mut update = tx.conn.prepare_cached("UPDATE nodes SET retired_at = ?2, version = version + 1 WHERE id = ?1")?;
    update.execute(params![node.id.as_str(), act.at])?;
    tx.conn.prepare_cached("DELETE FROM node_publishes WHERE node_id = ?1")?.execute([node.id.as_str()])?;
    Ok(())
}

/// Writes down a change of a node, under the name that it has after it.
pub(super) fn note_node(
    tx: &DataTx<'_>,
    act: &Act,
    action: &str,
    before: Option<&NodeRecord>,
    after: Option<&NodeRecord>,
) -> JobResult<()> {
    let target = after.or(before).map_or("", |node| &node.name);
    let (before, after) = (before.map(node_shown), after.map(node_shown));
    note(tx, act, Noted { action, app: None, target, before, after })
}

/// Notes what nodes were seen with, later ones only.
pub(super) fn seen(tx: &DataTx<'_>, seen: &[NodeSeen]) -> JobResult<()> {
    let mut update = tx.conn.prepare_cached(
        "UPDATE nodes SET last_seen_at = ?2, facts = coalesce(?3, facts),
                          certificate_expires_at = coalesce(?4, certificate_expires_at)
         WHERE id = ?1 AND retired_at IS NULL AND (last_seen_at IS NULL OR last_seen_at <= ?2)",
    )?;
    for one in seen {
        let facts = one.facts.as_ref().map(serde_json::to_string).transpose()?;
        update.execute(params![one.id.as_str(), one.at, facts, one.certificate_expires_at])?;
    }
    Ok(())
}
