//! Whether all parts have the same version.

use crate::doctor::{About, Case, Check, Finding};
use picloud_model::node::{NodeKind, NodeState};

pub(super) const CHECK: Check =
    Check { name: "versions", title: "Versions", about: About::Appliance, look, ..Check::PLAIN };

fn look(case: &Case) -> Finding {
    let Some(status) = case.status() else {
        return Finding::unknown("the appliance did not answer");
    };
    let mut findings = Vec::new();
    if status.version != case.version {
        findings.push(Finding::warning(
            format!("the appliance has version {}, this program {}", status.version, case.version),
            "install the same version of all packages: `sudo apt install --only-upgrade picloud picloud-appliance`",
        ));
    }
    if let Some(agent) =
        case.agent.as_ref().filter(|agent| !agent.version.is_empty() && agent.version != status.version)
    {
        findings.push(Finding::warning(
            format!("the agent of this machine has version {}, the appliance {}", agent.version, status.version),
            "`sudo apt install --only-upgrade picloud-node`",
        ));
    }
    let live = |state| !matches!(state, NodeState::Waiting | NodeState::Retired | NodeState::Lost);
    let nodes = case.asked.nodes.iter().flatten().filter(|node| node.kind == NodeKind::Node && live(node.state));
    let apart: Vec<String> = nodes
        .filter_map(|node| {
            let version = node.version.as_ref().filter(|version| **version != status.version)?;
            Some(format!("{} has {version}", node.name))
        })
        .collect();
    if !apart.is_empty() {
        findings.push(Finding::warning(
            format!("nodes with another version than the appliance's {}: {}", status.version, apart.join(", ")),
            "`picloud nodes upgrade FILE.deb`, one after the other, each checked",
        ));
    }
    Finding::worst(findings, Finding::ok(format!("all parts have version {}", status.version)))
}
