//! Nodes in SQLite, what they publish once, and what is kept under a name.

use super::error::JobResult;
use super::events::publish_as;
use super::{DataTx, SqliteStore, join_tokens, node_rows};
use crate::node_rules::numbers;
use crate::{JoinTokenWrite, Kept, NodeSeen, NodeWrite, Nodes, Others, Result, TokenJoin};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::join_token::JoinToken;
use picloud_model::node::{NodeId, NodePatch, NodeRecord};
use picloud_model::page::{Page, PageRequest};
use picloud_model::protocol::node::Once;
use picloud_model::publish::{Publish, Published};
use rusqlite::{Connection, OptionalExtension as _};

#[async_trait]
impl Nodes for SqliteStore {
    async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        self.read(node_rows::all).await
    }

    async fn node(&self, id: &NodeId) -> Result<Option<NodeRecord>> {
        let id = id.clone();
        self.read(move |conn| node_rows::by_id(conn, &id)).await
    }

    async fn admit_node(&self, node: &NodeWrite, act: &Act) -> Result<NodeRecord> {
        let (node, act) = (node.clone(), act.clone());
        self.write(move |tx| node_rows::admit(tx, &node, &act)).await
    }

    async fn replace_node(&self, old: &NodeId, node: &NodeWrite, act: &Act) -> Result<Option<NodeRecord>> {
        let (old, node, act) = (old.clone(), node.clone(), act.clone());
        self.write(move |tx| node_rows::replace(tx, &old, &node, &act)).await
    }

    async fn change_node(
        &self,
        id: &NodeId,
        patch: &NodePatch,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Option<NodeRecord>> {
        let (id, patch, act) = (id.clone(), patch.clone(), act.clone());
        self.write(move |tx| node_rows::change(tx, &id, patch, expected, &act)).await
    }

    async fn drain_node(&self, id: &NodeId, draining: bool, act: &Act) -> Result<Option<NodeRecord>> {
        let (id, act) = (id.clone(), act.clone());
        self.write(move |tx| node_rows::drain(tx, &id, draining, &act)).await
    }

    async fn retire_node(&self, id: &NodeId, expected: Option<i64>, act: &Act) -> Result<bool> {
        let (id, act) = (id.clone(), act.clone());
        self.write(move |tx| node_rows::retire(tx, &id, expected, &act)).await
    }

    async fn nodes_seen(&self, seen: &[NodeSeen]) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let seen = seen.to_vec();
        self.write(move |tx| node_rows::seen(tx, &seen)).await
    }

    async fn join_tokens(&self, page: &PageRequest) -> Result<Page<JoinToken>> {
        let page = page.clone();
        self.read(move |conn| join_tokens::page(conn, &page)).await
    }

    async fn create_join_token(&self, token: &JoinTokenWrite, act: &Act) -> Result<JoinToken> {
        let (token, act) = (token.clone(), act.clone());
        self.write(move |tx| join_tokens::create(tx, token, &act)).await
    }

    async fn delete_join_token(&self, id: i64, act: &Act) -> Result<bool> {
        let act = act.clone();
        self.write(move |tx| join_tokens::delete(tx, id, &act)).await
    }

    async fn admit_by_token(&self, id: i64, hash: ContentHash, node: &NodeWrite, act: &Act) -> Result<TokenJoin> {
        let (node, act) = (node.clone(), act.clone());
        self.write(move |tx| join_tokens::admit(tx, (id, hash), node, &act)).await
    }

    async fn expire_join_tokens(&self, now: UnixMs, rows_max: u32) -> Result<u64> {
        self.write(move |tx| join_tokens::expire(tx, now, rows_max)).await
    }

    async fn publish_once(
        &self,
        app: AppId,
        publish: Publish,
        cause: &Cause,
        node: &NodeId,
        once: Once,
    ) -> Result<Published> {
        let (cause, node) = (cause.clone(), node.clone());
        self.write(move |tx| {
            if !is_first(tx, &node, once)? {
                return Ok(Published { event: Some(once.event), deliveries: 0 });
            }
            publish_as(tx, app, &publish, &cause, once.event)
        })
        .await
    }
}

/// Whether the node says this number for the first time, and from now on it has. What it has settled is forgotten but
/// for the highest number, the lowest that is kept of a node: what comes late is not above it.
fn is_first(tx: &DataTx<'_>, node: &NodeId, once: Once) -> JobResult<bool> {
    let (number, settled) = numbers(once);
    let mut lowest = tx.conn.prepare_cached("SELECT min(number) FROM node_publishes WHERE node_id = ?1")?;
    let lowest: Option<i64> = lowest.query_row([node.as_str()], |row| row.get(0))?;
    if lowest.is_some_and(|lowest| number <= lowest) {
        return Ok(false);
    }
    let mut insert = tx
        .conn
        .prepare_cached("INSERT INTO node_publishes (node_id, number) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    if lowest.is_none_or(|lowest| lowest < settled) {
        insert.execute((node.as_str(), settled))?;
        let mut forget = tx.conn.prepare_cached("DELETE FROM node_publishes WHERE node_id = ?1 AND number < ?2")?;
        forget.execute((node.as_str(), settled))?;
    }
    Ok(number > settled && insert.execute((node.as_str(), number))? > 0)
}

#[async_trait]
impl Kept for SqliteStore {
    async fn kept(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = name.to_owned();
        self.read(move |conn| kept(conn, &name)).await
    }

    async fn keep(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let (name, bytes) = (name.to_owned(), bytes.to_owned());
        self.write(move |tx| {
            let mut insert =
                tx.conn.prepare_cached("INSERT INTO kept (name, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
            insert.execute((&name, &bytes))?;
            Ok(kept(tx.conn, &name)?.unwrap_or(bytes))
        })
        .await
    }

    async fn replace_kept(&self, name: &str, expected: &[u8], bytes: &[u8]) -> Result<bool> {
        let (name, expected, bytes) = (name.to_owned(), expected.to_owned(), bytes.to_owned());
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached("UPDATE kept SET bytes = ?3 WHERE name = ?1 AND bytes = ?2")?;
            Ok(update.execute((&name, &expected, &bytes))? > 0)
        })
        .await
    }
}

fn kept(conn: &Connection, name: &str) -> JobResult<Option<Vec<u8>>> {
    let mut select = conn.prepare_cached("SELECT bytes FROM kept WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

#[async_trait]
impl Others for SqliteStore {
    fn others_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.others_signal.subscribe()
    }

    async fn revisions(&self) -> Result<Vec<(AppId, i64)>> {
        self.read(|conn| {
            let mut select = conn.prepare_cached("SELECT id, revision FROM apps ORDER BY id")?;
            let rows = select.query_map([], |row| Ok((AppId(row.get(0)?), row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn say_here(&self, _name: &str, _admin_addr: &str) -> Result<()> {
        // There is one appliance, and nobody asks it where it is.
        Ok(())
    }

    async fn others(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    async fn connected_elsewhere(&self) -> Result<Vec<(NodeId, String)>> {
        Ok(Vec::new())
    }
}
