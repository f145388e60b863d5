//! Which upstreams a Caddy is to have. Pure.
//!
//! A node that is away or slow stays: Caddy's own health checks take it out and bring it back, without a change of its
//! configuration, each of which costs it connections.

use picloud_model::node::{Node, NodeId, NodeState};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of where nodes answer.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Where each node answers, or last answered.
    at: BTreeMap<NodeId, String>,
    /// Where nodes answered that are gone, drain, or answer elsewhere now.
    gone: BTreeSet<String>,
    /// Nodes that are in, and of which nobody knows yet where they answer: since this appliance started, they have not
    /// been seen.
    unknown: usize,
}

impl Wanted {
    /// Takes in what the nodes are now.
    pub(super) fn learn(&mut self, nodes: &[Node]) {
        let mut at = BTreeMap::new();
        self.unknown = 0;
        for node in nodes {
            match (node.state, address_of(node)) {
                (NodeState::Waiting | NodeState::Retired | NodeState::Draining, _) => {
                    self.gone.extend(address_of(node));
                }
                (_, Some(address)) => {
                    at.insert(node.id.clone(), address);
                }
                // Away, and it does not say where it was: it is where it was.
                (_, None) => match self.at.get(&node.id) {
                    Some(address) => {
                        at.insert(node.id.clone(), address.clone());
                    }
                    None => self.unknown += 1,
                },
            }
        }
        let before = std::mem::replace(&mut self.at, at);
        self.gone.extend(before.into_values());
        self.gone.retain(|address| !self.at.values().any(|known| known == address));
    }

    /// What the upstreams are to be where they are `now`; what stays keeps its place and its settings.
    pub(super) fn upstreams(&self, now: &[Value]) -> Vec<Value> {
        let known: BTreeSet<&str> = self.at.values().map(String::as_str).collect();
        let stays = |upstream: &&Value| match upstream["dial"].as_str() {
            Some(dial) if known.contains(dial) => true,
            // It may be that of a node that has not been seen yet.
            Some(dial) => self.unknown > 0 && !self.gone.contains(dial),
            None => false,
        };
        let mut wanted: Vec<Value> = now.iter().filter(stays).cloned().collect();
        for address in known {
            if !wanted.iter().any(|upstream| upstream["dial"] == address) {
                wanted.push(json!({ "dial": address }));
            }
        }
        wanted
    }

    /// Whether anything is known at all: nobody's upstreams are emptied because nothing has been seen yet.
    pub(super) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

/// `http://192.168.1.20:8080` → `192.168.1.20:8080`; the first address that another machine can use.
fn address_of(node: &Node) -> Option<String> {
    let all = || node.urls.iter().filter_map(|url| url.strip_prefix("http://")).map(|rest| rest.trim_end_matches('/'));
    // An IPv4 address goes first: Caddy may be where no IPv6 is. A link-local one has a scope of its own machine.
    let is_local = |address: &&str| address.contains('%') || address.starts_with("[fe80");
    let found = all().find(|address| !address.starts_with('[')).or_else(|| all().find(|address| !is_local(address)));
    found.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: char, state: NodeState, urls: &[&str]) -> Node {
        serde_json::from_value(json!({
            "id": id.to_string().repeat(20), "name": id, "kind": "node", "state": state, "labels": {}, "facts": {},
            "urls": urls, "running": 0, "revision_of_record": 1,
        }))
        .unwrap()
    }

    fn dials(wanted: &Wanted, now: &[&str]) -> Vec<String> {
        let now: Vec<Value> = now.iter().map(|dial| json!({ "dial": dial })).collect();
        wanted.upstreams(&now).iter().map(|upstream| upstream["dial"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_flap_changes_nothing_and_what_is_added_drained_moved_or_removed_does() {
        use NodeState::{Away, Draining, Lost, Retired, Slow, Up, Waiting};
        let mut wanted = Wanted::default();
        wanted.learn(&[node('a', Up, &["http://10.0.0.1:80"]), node('b', Up, &["http://10.0.0.2:80"])]);
        assert_eq!(dials(&wanted, &[]), ["10.0.0.1:80", "10.0.0.2:80"]);
        let both = ["10.0.0.2:80", "10.0.0.1:80"];
        for flap in [Slow, Away, Lost, Up] {
            wanted.learn(&[node('a', flap, &[]), node('b', Up, &["http://10.0.0.2:80"])]);
            assert_eq!(dials(&wanted, &both), both, "{flap:?}");
        }
        for state in [Waiting, Draining, Retired] {
            wanted.learn(&[node('a', state, &["http://10.0.0.1:80"]), node('b', Up, &["http://10.0.0.2:80"])]);
            assert_eq!(dials(&wanted, &both), ["10.0.0.2:80"], "{state:?}");
        }
        wanted.learn(&[node('b', Up, &["http://10.0.0.3:80"])]);
        assert_eq!(dials(&wanted, &["10.0.0.2:80"]), ["10.0.0.3:80"], "it answers elsewhere");
    }

    #[test]
    fn what_is_there_stays_as_long_as_it_may_be_that_of_a_node_not_seen_yet() {
        let mut wanted = Wanted::default();
        wanted.learn(&[node('a', NodeState::Up, &["http://10.0.0.1:80"]), node('b', NodeState::Away, &[])]);
        let there = ["10.0.0.9:80", "10.0.0.1:80"];
        assert_eq!(dials(&wanted, &there), there);
        wanted.learn(&[node('a', NodeState::Up, &["http://10.0.0.4:80"]), node('b', NodeState::Away, &[])]);
        assert_eq!(dials(&wanted, &there), ["10.0.0.9:80", "10.0.0.4:80"], "what was a's is known to be gone");
        wanted.learn(&[
            node('a', NodeState::Up, &["http://10.0.0.4:80"]),
            node('b', NodeState::Up, &["http://10.0.0.2:80"]),
        ]);
        assert_eq!(dials(&wanted, &there), ["10.0.0.2:80", "10.0.0.4:80"]);
    }

    #[test]
    fn settings_of_an_upstream_stay_and_addresses_are_those_that_another_machine_can_use() {
        let mut wanted = Wanted::default();
        let urls = ["http://[fe80::1%2]:8080", "http://[2001:db8::1]:8080", "http://10.0.0.1:80/"];
        wanted.learn(&[node('a', NodeState::Up, &urls), node('b', NodeState::Up, &urls[..2])]);
        let now = [json!({ "dial": "10.0.0.1:80", "max_requests": 5 })];
        assert_eq!(wanted.upstreams(&now), [now[0].clone(), json!({ "dial": "[2001:db8::1]:8080" })]);
    }
}
