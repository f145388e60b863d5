//! How the other machines are.

use crate::doctor::words::count;
use crate::doctor::{About, Case, Check, Finding};
use picloud_model::node::{Node, NodeKind, NodeState};

pub(super) const CHECK: Check =
    Check { name: "nodes", title: "Other machines", about: About::Appliance, look, ..Check::PLAIN };

fn look(case: &Case) -> Finding {
    let nodes = match &case.asked.nodes {
        Ok(nodes) => nodes,
        Err(why) => return Finding::unknown(why.clone()),
    };
    let nodes: Vec<&Node> =
        nodes.iter().filter(|node| node.kind == NodeKind::Node && node.state != NodeState::Retired).collect();
    let findings: Vec<Finding> = nodes.iter().map(|node| judge(node)).collect();
    let all_well = findings.iter().all(|finding| finding.state == crate::doctor::State::Ok);
    if all_well && !nodes.is_empty() {
        return Finding::ok(format!("{} up", count(nodes.len(), "node is", "nodes are")));
    }
    Finding::worst(findings, Finding::ok("there is no other machine"))
}

fn judge(node: &Node) -> Finding {
    let name = &node.name;
    match node.state {
        NodeState::Up if node.in_step == Some(false) => Finding::warning(
            format!("{name} does not answer from the newest deploy yet"),
            "wait a moment; if it stays so: `picloud doctor` on it",
        ),
        NodeState::Up => Finding::ok(format!("{name} is up")),
        NodeState::Draining => Finding::ok(format!("{name} takes no new work, as it was told")),
        NodeState::Slow => {
            Finding::warning(format!("{name} answers late"), format!("`picloud doctor` on {name}: power, heat, Wi-Fi"))
        }
        NodeState::Away => Finding::warning(
            format!("{name} is away"),
            format!("is {name} powered and on the network? `picloud doctor` on it"),
        ),
        NodeState::Lost => Finding::warning(
            format!("{name} has been away for a day or more"),
            format!("bring it back, or take it out: `picloud nodes delete {name}`"),
        ),
        NodeState::Waiting => Finding::warning(
            format!("{name} asks to be let in"),
            format!("compare its fingerprint, then `picloud nodes approve {name}`; or `picloud nodes delete {name}`"),
        ),
        NodeState::Retired => Finding::ok(format!("{name} was taken out")),
    }
}
