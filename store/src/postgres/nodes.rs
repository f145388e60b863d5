//! Nodes in Postgres, what they publish once, what is kept under a name, and other appliances on the same database.

use super::error::JobResult;
use super::events::publish_as;
use super::signals::News;
use super::transaction::{Tx, reading, writing};
use super::{PgStore, join_tokens, node_rows};
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
use sqlx::PgConnection;
use uuid::Uuid;

/// Whether the connection of the appliance `a` holds its lock.
const IS_THERE: &str = "EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND ((l.classid::bigint << 32) | l.objid::bigint) = a.id)";

#[async_trait]
impl Nodes for PgStore {
    async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        reading!(self, |conn| node_rows::all(conn).await)
    }

    async fn node(&self, id: &NodeId) -> Result<Option<NodeRecord>> {
        reading!(self, |conn| node_rows::by_id(conn, id).await)
    }

    async fn admit_node(&self, node: &NodeWrite, act: &Act) -> Result<NodeRecord> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            node_rows::admit(tx, node, act).await
        })
    }

    async fn replace_node(&self, old: &NodeId, node: &NodeWrite, act: &Act) -> Result<Option<NodeRecord>> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            node_rows::replace(tx, old, node, act).await
        })
    }

    async fn change_node(
        &self,
        id: &NodeId,
        patch: &NodePatch,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Option<NodeRecord>> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            node_rows::change(tx, id, patch, expected, act).await
        })
    }

    async fn drain_node(&self, id: &NodeId, draining: bool, act: &Act) -> Result<Option<NodeRecord>> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            node_rows::drain(tx, id, draining, act).await
        })
    }

    async fn retire_node(&self, id: &NodeId, expected: Option<i64>, act: &Act) -> Result<bool> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            node_rows::retire(tx, id, expected, act).await
        })
    }

    async fn nodes_seen(&self, seen: &[NodeSeen]) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let appliance = number_of(self.instance);
        writing!(self, |tx| node_rows::seen(tx, seen, appliance).await)
    }

    async fn join_tokens(&self, page: &PageRequest) -> Result<Page<JoinToken>> {
        reading!(self, |conn| join_tokens::page(conn, page).await)
    }

    async fn create_join_token(&self, token: &JoinTokenWrite, act: &Act) -> Result<JoinToken> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            join_tokens::create(tx, token, act).await
        })
    }

    async fn delete_join_token(&self, id: i64, act: &Act) -> Result<bool> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            join_tokens::delete(tx, id, act).await
        })
    }

    async fn admit_by_token(&self, id: i64, hash: ContentHash, node: &NodeWrite, act: &Act) -> Result<TokenJoin> {
        writing!(self, |tx| {
            node_rows::lock(tx).await?;
            join_tokens::admit(tx, (id, hash), node, act).await
        })
    }

    async fn expire_join_tokens(&self, now: UnixMs, rows_max: u32) -> Result<u64> {
        writing!(self, |tx| join_tokens::expire(tx.conn(), now, rows_max).await)
    }

    async fn publish_once(
        &self,
        app: AppId,
        publish: Publish,
        cause: &Cause,
        node: &NodeId,
        once: Once,
    ) -> Result<Published> {
        writing!(self, |tx| {
            if !is_first(tx, node, once).await? {
                return Ok(Published { event: Some(once.event), deliveries: 0 });
            }
            publish_as(tx, app, &publish, cause, once.event).await
        })
    }
}

/// Whether the node says this number for the first time, and from now on it has. What it has settled is forgotten but
/// for the highest number, the lowest that is kept of a node: what comes late is not above it.
async fn is_first(tx: &mut Tx<'_>, node: &NodeId, once: Once) -> JobResult<bool> {
    const INSERT: &str = "INSERT INTO node_publishes (node_id, number) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let (number, settled) = numbers(once);
    let lowest = sqlx::query_scalar("SELECT min(number) FROM node_publishes WHERE node_id = $1");
    let lowest: Option<i64> = lowest.bind(node.as_str()).fetch_one(tx.conn()).await?;
    if lowest.is_some_and(|lowest| number <= lowest) {
        return Ok(false);
    }
    if lowest.is_none_or(|lowest| lowest < settled) {
        sqlx::query(INSERT).bind(node.as_str()).bind(settled).execute(tx.conn()).await?;
        let forget = sqlx::query("DELETE FROM node_publishes WHERE node_id = $1 AND number < $2");
        forget.bind(node.as_str()).bind(settled).execute(tx.conn()).await?;
    }
    if number <= settled {
        return Ok(false);
    }
    Ok(sqlx::query(INSERT).bind(node.as_str()).bind(number).execute(tx.conn()).await?.rows_affected() > 0)
}

#[async_trait]
impl Kept for PgStore {
    async fn kept(&self, name: &str) -> Result<Option<Vec<u8>>> {
        reading!(self, |conn| kept(conn, name).await)
    }

    async fn keep(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        writing!(self, |tx| {
            let insert = sqlx::query("INSERT INTO kept (name, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING");
            insert.bind(name).bind(bytes).execute(tx.conn()).await?;
            Ok(kept(tx.conn(), name).await?.unwrap_or_else(|| bytes.to_owned()))
        })
    }

    async fn replace_kept(&self, name: &str, expected: &[u8], bytes: &[u8]) -> Result<bool> {
        writing!(self, |tx| {
            let update = sqlx::query("UPDATE kept SET bytes = $3 WHERE name = $1 AND bytes = $2");
            Ok(update.bind(name).bind(expected).bind(bytes).execute(tx.conn()).await?.rows_affected() > 0)
        })
    }
}

async fn kept(conn: &mut PgConnection, name: &str) -> JobResult<Option<Vec<u8>>> {
    Ok(sqlx::query_scalar("SELECT bytes FROM kept WHERE name = $1").bind(name).fetch_optional(conn).await?)
}

/// The number of an appliance, and of the advisory lock that its connection for news holds while it is there.
pub(super) fn number_of(instance: Uuid) -> i64 {
    let (_time, random) = instance.as_u64_pair();
    (random & i64::MAX as u64).cast_signed()
}

#[async_trait]
impl Others for PgStore {
    fn others_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.signals.others.subscribe()
    }

    async fn revisions(&self) -> Result<Vec<(AppId, i64)>> {
        reading!(self, |conn| {
            let rows: Vec<(i64, i64)> =
                sqlx::query_as("SELECT id, revision FROM apps ORDER BY id").fetch_all(conn).await?;
            Ok(rows.into_iter().map(|(app, revision)| (AppId(app), revision)).collect())
        })
    }

    async fn say_here(&self, name: &str, admin_addr: &str) -> Result<()> {
        writing!(self, |tx| {
            tx.tell(News::Changes);
            let gone = format!("DELETE FROM appliances a WHERE a.id <> $1 AND NOT {IS_THERE}");
            sqlx::query(sqlx::AssertSqlSafe(gone)).bind(number_of(self.instance)).execute(tx.conn()).await?;
            let upsert = sqlx::query(
                "INSERT INTO appliances (id, name, admin_addr) VALUES ($1, $2, $3)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, admin_addr = excluded.admin_addr",
            );
            upsert.bind(number_of(self.instance)).bind(name).bind(admin_addr).execute(tx.conn()).await?;
            Ok(())
        })
    }

    async fn others(&self) -> Result<Vec<(String, String)>> {
        reading!(self, |conn| {
            let there =
                format!("SELECT a.name, a.admin_addr FROM appliances a WHERE a.id <> $1 AND {IS_THERE} ORDER BY 1, 2");
            let select = sqlx::query_as(sqlx::AssertSqlSafe(there)).bind(number_of(self.instance));
            Ok(select.fetch_all(conn).await?)
        })
    }

    async fn connected_elsewhere(&self) -> Result<Vec<(NodeId, String)>> {
        reading!(self, |conn| {
            let there = format!(
                "SELECT n.fingerprint, a.name FROM nodes n JOIN appliances a ON a.id = n.connected_to
                 WHERE n.retired_at IS NULL AND a.id <> $1 AND {IS_THERE} ORDER BY n.id"
            );
            let select = sqlx::query_as(sqlx::AssertSqlSafe(there)).bind(number_of(self.instance));
            let rows: Vec<([u8; 32], String)> = select.fetch_all(conn).await?;
            Ok(rows.into_iter().map(|(key, name)| (NodeId::of(&ContentHash(key)), name)).collect())
        })
    }
}
