//! What people change about nodes.

use super::Cluster;
use super::approval::check_labels;
use super::shown::Found;
use super::strangers::Decision;
use crate::admin::from_store;
use picloud_model::audit::Act;
use picloud_model::node::{Node, NodeId, NodePatch, NodeRecord, check_name};
use picloud_model::problem::{Code, Problem};

impl Cluster {
    /// Changes name and labels; `expected` is the version it must be at.
    pub async fn change(
        &self,
        node: &str,
        patch: NodePatch,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Node, Problem> {
        if let Some(name) = &patch.name {
            check_name(name).map_err(|error| Problem::new(Code::Invalid, error))?;
        }
        if let Some(labels) = &patch.labels {
            check_labels(labels)?;
        }
        let id = self.joined(node)?;
        let changed = self.shared.store.change_node(&id, &patch, expected, act).await.map_err(from_store)?;
        self.after(node, changed).await
    }

    /// Has it take no new work, or take it again.
    pub async fn drain(&self, node: &str, draining: bool, act: &Act) -> Result<Node, Problem> {
        let id = self.joined(node)?;
        let changed = self.shared.store.drain_node(&id, draining, act).await.map_err(from_store)?;
        self.after(node, changed).await
    }

    /// Removes it (of a stranger: forgets it): its connections end, and its key is not let in again.
    pub async fn remove(&self, node: &str, expected: Option<i64>, act: &Act) -> Result<(), Problem> {
        let id = match self.find(node)? {
            Found::Stranger(stranger) => {
                self.strangers().decide(&stranger.id, Decision::TurnedAway);
                return Ok(());
            }
            Found::Record(record) => record.id.clone(),
            Found::Appliance(_) => return Err(appliance(node)),
        };
        let retired = self.shared.store.retire_node(&id, expected, act).await.map_err(from_store)?;
        self.reload().await.map_err(from_store)?;
        if retired { Ok(()) } else { Err(Problem::not_found("node", node)) }
    }

    /// The node that was let in and is meant.
    fn joined(&self, node: &str) -> Result<NodeId, Problem> {
        match self.find(node)? {
            Found::Record(record) if record.retired_at.is_none() => Ok(record.id.clone()),
            Found::Record(record) => Err(Problem::new(Code::Conflict, format!("node `{}` was removed", record.name))),
            Found::Stranger(stranger) => {
                Err(Problem::new(Code::Conflict, format!("`{}` is not let in yet", stranger.name))
                    .hint(format!("picloud nodes approve {}", stranger.id)))
            }
            Found::Appliance(_) => Err(appliance(node)),
        }
    }

    async fn after(&self, node: &str, changed: Option<NodeRecord>) -> Result<Node, Problem> {
        self.reload().await.map_err(from_store)?;
        changed.map(|record| self.shown(&record)).ok_or_else(|| Problem::not_found("node", node))
    }
}

fn appliance(node: &str) -> Problem {
    Problem::new(Code::Conflict, format!("`{node}` is an appliance: it is not changed here"))
        .hint("what an appliance is, its settings say; see `picloud-appliance check-config`")
}
