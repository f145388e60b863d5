//! `/cluster`: all machines at a glance.

use crate::admin::access::{May, may};
use crate::admin::body::ok;
use crate::admin::refusal::Answer;
use axum::response::Response;
use picloud_model::node::{Node, NodeKind, NodeState};
use serde::Serialize;
use std::collections::BTreeMap;

/// All machines at a glance.
#[derive(Serialize, utoipa::ToSchema)]
struct ClusterStatus {
    /// The appliances: this one, and others on the same database.
    appliances: Vec<ApplianceSeen>,
    /// How many nodes are in each state; states without any are left out.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    nodes: BTreeMap<&'static str, u64>,
    /// Strangers that ask to join.
    waiting: u64,
    /// The newest change of what is deployed, counted since this appliance started.
    revision: Option<u64>,
    /// Nodes that are connected and do not answer from all that was deployed.
    behind: Vec<String>,
    /// Nodes whose certificates end within two weeks: they should have renewed them long ago.
    certificates_ending: Vec<String>,
    /// Deliveries that connected nodes are running.
    running: u64,
    /// Deliveries that they take at once.
    places: u64,
    /// Publishes that wait on nodes to be forwarded, as these last said.
    spooled: u64,
    /// What the data is kept in: `sqlite` or `postgres`.
    store: &'static str,
}

/// An appliance.
#[derive(Serialize, utoipa::ToSchema)]
struct ApplianceSeen {
    /// Its name.
    name: String,
    /// What it is right now.
    state: NodeState,
    /// Whether it is the one that answers.
    here: bool,
}

/// Certificates that end sooner than this are told of.
const ENDING_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// All machines at a glance: appliances, nodes by state, who is behind, what waits.
#[utoipa::path(get, path = "/cluster", responses((status = 200, body = ClusterStatus)))]
pub(in crate::admin) async fn cluster(asked: May<may::ReadNodes>) -> Answer<Response> {
    let nodes = asked.cluster.nodes().await?;
    let mut status = status(&nodes, &asked.node, asked.clock.now_ms());
    status.store = asked.store_kind();
    Ok(ok(&status))
}

fn status(all: &[Node], here: &str, now: i64) -> ClusterStatus {
    let (appliances, nodes): (Vec<&Node>, Vec<&Node>) = all.iter().partition(|node| node.kind == NodeKind::Appliance);
    let mut by_state = BTreeMap::new();
    for node in &nodes {
        *by_state.entry(node.state.as_str()).or_insert(0) += 1;
    }
    let live = |node: &&&Node| matches!(node.state, NodeState::Up | NodeState::Slow | NodeState::Draining);
    let joined = |node: &&&Node| !matches!(node.state, NodeState::Waiting | NodeState::Retired);
    let names = |those: &mut dyn Iterator<Item = &&Node>| those.map(|node| node.name.clone()).collect::<Vec<_>>();
    let ends = |node: &&&Node| node.certificate_expires_at.is_some_and(|at| at - now < ENDING_MS);
    ClusterStatus {
        appliances: appliances
            .iter()
            .map(|node| ApplianceSeen { name: node.name.clone(), state: node.state, here: node.name == here })
            .collect(),
        waiting: by_state.get(NodeState::Waiting.as_str()).copied().unwrap_or(0),
        nodes: by_state,
        revision: all.iter().filter_map(|node| node.revision).max(),
        behind: names(&mut nodes.iter().filter(live).filter(|node| node.in_step == Some(false))),
        certificates_ending: names(&mut nodes.iter().filter(joined).filter(ends)),
        running: nodes.iter().filter(live).map(|node| u64::from(node.running)).sum(),
        places: nodes.iter().filter(live).filter_map(|node| node.places).map(u64::from).sum(),
        spooled: nodes.iter().filter_map(|node| node.spooled).sum(),
        store: "sqlite",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_by_state_and_those_with_something_wrong_are_named() {
        let node = |name: &str, kind: NodeKind, state: NodeState| {
            let mut node: Node = serde_json::from_value(serde_json::json!({
                "id": "0".repeat(20), "name": name, "kind": kind, "state": state, "labels": {}, "facts": {},
                "urls": [], "running": 2, "revision_of_record": 1,
            }))
            .unwrap();
            (node.places, node.revision, node.spooled) = (Some(4), Some(7), Some(3));
            node
        };
        let mut behind = node("behind", NodeKind::Node, NodeState::Slow);
        behind.in_step = Some(false);
        let mut ending = node("ending", NodeKind::Node, NodeState::Away);
        (ending.certificate_expires_at, ending.in_step) = (Some(1_000), Some(false));
        let all = [
            node("here", NodeKind::Appliance, NodeState::Up),
            node("there", NodeKind::Appliance, NodeState::Up),
            node("good", NodeKind::Node, NodeState::Up),
            behind,
            ending,
            node("stranger", NodeKind::Node, NodeState::Waiting),
        ];
        insta::assert_json_snapshot!(status(&all, "here", 0));
    }
}
