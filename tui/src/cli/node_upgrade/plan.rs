//! Which nodes are to be upgraded, in which order, and why others are not. Nothing is done here.

use super::package::{AGENT, Package, debian_arch};
use crate::failure::Failure;
use picloud_model::node::{Node, NodeKind, NodeState};

/// What is to be done with a node.
#[derive(Clone, Debug)]
pub(super) struct Planned<'p> {
    /// The node as it was when the plan was made.
    pub(super) node: Node,
    /// Where ssh reaches it.
    pub(super) host: String,
    /// What to do.
    pub(super) what: What<'p>,
}

/// What to do with it.
#[derive(Clone, Debug)]
pub(super) enum What<'p> {
    /// Install these.
    Install(Vec<&'p Package>),
    /// Leave it, for this reason.
    Skip(String),
}

/// What the plan goes by.
pub(super) struct Wanted<'a> {
    /// The nodes that were named; all where there are none.
    pub(super) names: &'a [String],
    /// The packages; those with the agent have one version.
    pub(super) packages: &'a [Package],
    /// Also nodes that have the version already.
    pub(super) again: bool,
}

/// The agent's version in the packages; refuses none, and several.
pub(super) fn version_of(packages: &[Package]) -> Result<String, Failure> {
    let mut agents = packages.iter().filter(|package| package.name == AGENT);
    let Some(first) = agents.next() else {
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        let message = format!("no {AGENT} is among the packages: {}", names.join(", "));
        return Err(Failure::usage(message, format!("name a file such as {AGENT}_0.2.0_arm64.deb")));
    };
    if let Some(other) = agents.find(|other| other.version != first.version || other.arch == first.arch) {
        let message = format!("{} and {} do not go together", first.path.display(), other.path.display());
        return Err(Failure::usage(message, "one version, and one file for each architecture"));
    }
    Ok(first.program_version().to_owned())
}

/// Plans for `nodes`, by name. A node that was named and cannot be upgraded is refused; others are left.
pub(super) fn plan<'p>(mut nodes: Vec<Node>, wanted: &Wanted<'p>) -> Result<Vec<Planned<'p>>, Failure> {
    let version = version_of(wanted.packages)?;
    let is_named = |node: &Node| wanted.names.iter().any(|name| *name == node.name || *name == node.id.to_string());
    for name in wanted.names {
        if !nodes.iter().any(|node| node.name == *name || node.id.to_string() == *name) {
            let message = format!("there is no node {name}");
            return Err(Failure::usage(message, "`picloud nodes` lists them; nothing was changed"));
        }
    }
    nodes.retain(|node| if wanted.names.is_empty() { is_ours(node) } else { is_named(node) });
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let mut planned = Vec::new();
    for node in nodes {
        let host = node.urls.first().and_then(|url| host_of(url)).unwrap_or_default();
        let what = match obstacle(&node, &host) {
            Some(why) if !wanted.names.is_empty() => {
                let message = format!("node {} cannot be upgraded: {why}", node.name);
                return Err(Failure::other(message, Some("nothing was changed")));
            }
            Some(why) => What::Skip(why),
            None if node.version.as_deref() == Some(&version) && !wanted.again => {
                What::Skip(format!("it has {version}"))
            }
            None => What::Install(packages_for(&node, wanted.packages)?),
        };
        planned.push(Planned { node, host, what });
    }
    Ok(planned)
}

fn is_ours(node: &Node) -> bool {
    node.kind == NodeKind::Node && !matches!(node.state, NodeState::Waiting | NodeState::Retired)
}

/// Why a node cannot be upgraded now.
fn obstacle(node: &Node, host: &str) -> Option<String> {
    if node.kind == NodeKind::Appliance {
        return Some("it is an appliance; its own package upgrades it".to_owned());
    }
    match (node.state, &node.version) {
        (NodeState::Up | NodeState::Slow | NodeState::Draining, Some(_version)) if !host.is_empty() => None,
        (NodeState::Up | NodeState::Draining, None) => {
            let at = node.appliance.as_deref().unwrap_or("another appliance");
            Some(format!("it is connected to {at}: upgrade it from there"))
        }
        (state, _version) => Some(format!("it is {}", state.as_str())),
    }
}

/// The packages for its architecture.
fn packages_for<'p>(node: &Node, packages: &'p [Package]) -> Result<Vec<&'p Package>, Failure> {
    let arch = node.facts.get("arch").map(String::as_str).unwrap_or_default();
    let fitting: Vec<&Package> = packages.iter().filter(|package| package.runs_on(arch)).collect();
    if fitting.iter().any(|package| package.name == AGENT) {
        return Ok(fitting);
    }
    let have: Vec<&str> = packages.iter().map(|package| package.arch.as_str()).collect();
    let message = format!("node {} is {}, and the packages are for {}", node.name, debian_arch(arch), have.join(", "));
    let hint = "name the packages of all architectures, or the nodes that these are for; nothing was changed";
    Err(Failure::other(message, Some(hint)))
}

/// `http://192.168.1.20:8080` → `192.168.1.20`; an IPv6 address without its brackets, as ssh takes it.
fn host_of(url: &str) -> Option<String> {
    let authority = super::authority_of(url)?;
    let (host, _port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // What begins with a dash would be an option of ssh's.
    (!host.is_empty() && !host.starts_with('-')).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, version: &str, arch: &str) -> Package {
        let (name, version, arch) = (name.to_owned(), version.to_owned(), arch.to_owned());
        Package { path: format!("{name}_{arch}.deb").into(), name, version, arch, size_bytes: 1, sha256: String::new() }
    }

    fn node(name: &str, change: serde_json::Value) -> Node {
        let mut node = json!({
            "id": "0123456789abcdef0123", "name": name, "kind": "node", "state": "up", "labels": {},
            "facts": { "arch": "aarch64" }, "version": "0.1.0", "urls": ["http://192.168.1.20:8080"], "running": 0,
            "revision_of_record": 1,
        });
        node.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(node).unwrap()
    }

    fn told(planned: &[Planned<'_>]) -> Vec<String> {
        let tell = |planned: &Planned<'_>| match &planned.what {
            What::Skip(why) => format!("{}: {why}", planned.node.name),
            What::Install(packages) => {
                let arches: Vec<&str> = packages.iter().map(|package| package.arch.as_str()).collect();
                format!("{} at {}: {}", planned.node.name, planned.host, arches.join(" "))
            }
        };
        planned.iter().map(tell).collect()
    }

    #[test]
    fn all_nodes_that_can_be_upgraded_come_by_name_each_with_its_packages() {
        let packages = [
            package(AGENT, "0.2.0-1", "arm64"),
            package(AGENT, "0.2.0-1", "amd64"),
            package("picloud", "0.2.0-1", "arm64"),
        ];
        let nodes = vec![
            node("shed", json!({ "facts": { "arch": "x86_64" }, "urls": ["http://[fd00::7]:8080"] })),
            node("garage", json!({})),
            node("attic", json!({ "state": "away", "version": null })),
            node("cellar", json!({ "version": "0.2.0" })),
            node("pi", json!({ "kind": "appliance" })),
            node("porch", json!({ "version": null, "appliance": "pi2" })),
            node("stranger", json!({ "state": "waiting" })),
        ];
        let wanted = Wanted { names: &[], packages: &packages, again: false };
        let planned = plan(nodes, &wanted).unwrap();
        assert_eq!(
            told(&planned),
            [
                "attic: it is away",
                "cellar: it has 0.2.0",
                "garage at 192.168.1.20: arm64 arm64",
                "porch: it is connected to pi2: upgrade it from there",
                "shed at fd00::7: amd64",
            ]
        );
    }

    #[test]
    fn what_was_named_and_cannot_be_upgraded_is_refused_before_anything_is_done() {
        let packages = [package(AGENT, "0.2.0-1", "arm64")];
        for (change, said) in [
            (json!({ "state": "away", "version": null }), "node garage cannot be upgraded: it is away"),
            (
                json!({ "kind": "appliance" }),
                "node garage cannot be upgraded: it is an appliance; its own package upgrades it",
            ),
            (json!({ "facts": { "arch": "x86_64" } }), "node garage is amd64, and the packages are for arm64"),
            (json!({ "name": "shed" }), "there is no node garage"),
        ] {
            let names = ["garage".to_owned()];
            let wanted = Wanted { names: &names, packages: &packages, again: false };
            let refused = plan(vec![node("garage", change)], &wanted).unwrap_err();
            assert_eq!(refused.problem().detail, said);
        }
    }

    #[test]
    fn packages_without_the_agent_or_with_two_of_it_are_refused() {
        for packages in [
            vec![package("picloud", "0.2.0", "arm64")],
            vec![package(AGENT, "0.2.0", "arm64"), package(AGENT, "0.3.0", "amd64")],
            vec![package(AGENT, "0.2.0", "arm64"), package(AGENT, "0.2.0", "arm64")],
        ] {
            assert_eq!(version_of(&packages).unwrap_err().exit_code(), 2, "{packages:?}");
        }
    }
}
