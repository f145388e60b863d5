//! What of the nodes is measured: how many are in which state, and what each that is connected does.

use super::text::{counters, gauges};
use crate::nodes::hub::HubCounts;
use picloud_model::node::{Node, NodeKind, NodeState};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::BTreeMap;
use std::fmt;

/// Nodes that are told of one by one; the states count all of them.
const NODES_MAX: usize = 100;

/// The nodes at one moment.
#[derive(Clone, Debug, Default)]
pub struct NodesNow {
    states: BTreeMap<&'static str, u64>,
    connected: Vec<Node>,
    counts: HubCounts,
}

impl NodesNow {
    /// Of these.
    pub fn of(nodes: Vec<Node>, counts: HubCounts) -> Self {
        let nodes: Vec<Node> = nodes.into_iter().filter(|node| node.kind == NodeKind::Node).collect();
        let mut states: BTreeMap<&'static str, u64> = NodeState::ALL.iter().map(|state| (state.as_str(), 0)).collect();
        for node in &nodes {
            *states.entry(node.state.as_str()).or_default() += 1;
        }
        let is_connected = |node: &Node| node.places.is_some();
        let connected = nodes.into_iter().filter(is_connected).take(NODES_MAX).collect();
        Self { states, connected, counts }
    }

    /// As text; nothing where no node was ever seen.
    pub(super) fn encode(
        &self,
        forwards: &BTreeMap<&'static str, u64>,
        out: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let words = forwards.iter().map(|(word, count)| ([("outcome", *word)], *count));
        counters(out, "forwarded_requests", "Requests that another node ran, by how that went", words)?;
        if self.states.values().all(|count| *count == 0) {
            return Ok(());
        }
        let states = self.states.iter().map(|(state, count)| ([("state", *state)], *count));
        gauges(out, "nodes", "Nodes, by what they are right now", states)?;
        let each = |value: fn(&Node) -> Option<u64>| {
            self.connected.iter().filter_map(move |node| Some(([("node", node.name.clone())], value(node)?)))
        };
        gauges(out, "node_deliveries", "Deliveries that the node runs", each(|node| Some(u64::from(node.running))))?;
        gauges(out, "node_places", "Deliveries that the node takes at once", each(|node| node.places.map(u64::from)))?;
        let help = "Publishes that wait on the node to be forwarded, as it last said";
        gauges(out, "node_spooled_publishes", help, each(|node| node.spooled))?;
        let help = "Whether the node answers from all that was deployed";
        gauges(out, "node_in_step", help, each(|node| node.in_step.map(u64::from)))?;
        let help = "How long the node's last beat took to be answered";
        let mut trips = out.encode_descriptor("node_round_trip_seconds", help, None, MetricType::Gauge)?;
        for node in &self.connected {
            if let Some(ms) = node.round_trip_ms {
                ConstGauge::new(f64::from(ms) / 1_000.0)
                    .encode(trips.encode_family(&[("node", node.name.as_str())])?)?;
            }
        }
        let HubCounts { leases, calls } = self.counts;
        let help = "Runs that nodes hold for this appliance";
        ConstGauge::new(leases).encode(out.encode_descriptor("leases", help, None, MetricType::Gauge)?)?;
        let help = "Calls of scripts on nodes that were answered";
        ConstCounter::new(calls).encode(out.encode_descriptor("node_calls", help, None, MetricType::Counter)?)
    }
}
