//! `picloud nodes upgrade`: a new agent on one node after the other, over ssh, each looked at before the next.
//!
//! It runs where the person is: ssh is the trust that people have in their machines already. A node takes no new work
//! while it is upgraded, and the first one that does not come back well ends it; those behind it stay as they are.

mod package;
mod plan;
mod ssh;
mod steps;

use super::Session;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;
use package::{Package, check_distance};
use picloud_model::node::Node;
use plan::{Planned, Wanted, What, plan, version_of};
use serde_json::{Value, json};
use ssh::Way;
use std::path::{Path, PathBuf};
use steps::Steps;

/// How the names of packages end.
const PACKAGE: &str = ".deb";

#[derive(Args, Debug)]
pub(super) struct Upgrade {
    /// Packages (*.deb), one for each architecture, and the nodes by name or id [default: all nodes]
    #[arg(value_name = "FILE.deb|NODE", required = true)]
    what: Vec<String>,
    /// Who logs in there; root, or somebody whom sudo asks nothing [default: as ssh would]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The configuration of ssh, where it is not the usual one: hosts, ports, keys
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Show what would be done, in which order, and do nothing
    #[arg(long)]
    plan: bool,
    /// Also nodes that have this version already
    #[arg(long)]
    again: bool,
    /// How long a node may take to finish what it runs, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3600))]
    idle_seconds: u32,
    /// How long a node may take to come back with the new version and answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3600))]
    back_seconds: u32,
}

/// What stands below the help.
pub(super) const HELP: &str = "\
One node after the other: it takes no new work, finishes what it has, gets the package over ssh and
dpkg, must come back with the new version, in step with all deploys, and answer; then it takes work
again. The first that does not ends it, and those behind it are untouched.

Examples:
  picloud nodes upgrade picloud-node_0.2.0_arm64.deb --plan
  picloud nodes upgrade picloud-node_0.2.0_arm64.deb garage shed --user pi
  picloud nodes upgrade picloud-node_0.2.0_arm64.deb picloud-node_0.2.0_amd64.deb";

impl Upgrade {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let (files, names): (Vec<String>, Vec<String>) =
            self.what.iter().cloned().partition(|what| what.ends_with(PACKAGE));
        if let Some(user) = self.user.as_deref().filter(|user| user.is_empty() || user.starts_with('-')) {
            return Err(Failure::usage(format!("`{user}` is no name of a user"), "--user pi"));
        }
        let packages: Vec<Package> =
            files.iter().map(|file| Package::read(Path::new(file))).collect::<Result<_, _>>()?;
        let version = version_of(&packages)?;
        let appliance: Value = session.client.get(ApiPath::new(&["version"])).await?;
        check_distance(&version, appliance["version"].as_str().unwrap_or_default())?;
        let nodes: Vec<Node> = session.all(ApiPath::new(&["nodes"])).await?;
        let planned = plan(nodes, &Wanted { names: &names, packages: &packages, again: self.again })?;
        if self.plan {
            show_plan(session, &version, &planned);
            return Ok(());
        }
        for planned in planned.iter().filter(|planned| matches!(planned.what, What::Install(_))) {
            let looked = self.way(&planned.host).look().await;
            looked.map_err(|error| {
                let hint = format!("{}; nothing was changed", error.hint);
                Failure::other(format!("node {}: {}", planned.node.name, error.message), Some(&hint))
            })?;
        }
        self.upgrade_all(session, &version, &planned).await
    }

    async fn upgrade_all(&self, session: &Session<'_>, version: &str, planned: &[Planned<'_>]) -> Result<(), Failure> {
        let mut results = Vec::new();
        let mut failed = None;
        for planned in planned {
            let name = &planned.node.name;
            let (result, why) = match &planned.what {
                _ if failed.is_some() => ("untouched", None),
                What::Skip(why) => {
                    session.output.note(&format!("node {name} is left: {why}"));
                    ("skipped", Some(why.clone()))
                }
                What::Install(packages) => {
                    let way = self.way(&planned.host);
                    let steps = Steps { session, way: &way, version, idle: self.idle_seconds, back: self.back_seconds };
                    match steps.upgrade(&planned.node, packages).await {
                        Ok(()) => {
                            session.output.note(&format!("node {name} has {version} and takes work"));
                            ("upgraded", None)
                        }
                        Err(failure) => {
                            let why = failure.problem().detail;
                            failed = Some(failure);
                            ("failed", Some(why))
                        }
                    }
                }
            };
            results.push(json!({ "node": name, "result": result, "why": why }));
        }
        let count = |wanted: &str| results.iter().filter(|result| result["result"] == wanted).count();
        let (upgraded, untouched) = (count("upgraded"), count("untouched"));
        if session.output.json {
            session.output.value(&json!({ "version": version, "nodes": results }));
        }
        match failed {
            None => {
                if !session.output.json {
                    session
                        .output
                        .text(&format!("{upgraded} nodes have {version} now, {} were left", count("skipped")));
                }
                Ok(())
            }
            Some(failure) => {
                session
                    .output
                    .note(&format!("{upgraded} nodes were upgraded; {untouched} behind this one are untouched"));
                Err(failure)
            }
        }
    }

    fn way(&self, host: &str) -> Way {
        let target = self.user.as_ref().map_or(host.to_owned(), |user| format!("{user}@{host}"));
        Way { target, config: self.ssh_config.clone() }
    }
}

fn show_plan(session: &Session<'_>, version: &str, planned: &[Planned<'_>]) {
    let row = |planned: &Planned<'_>| {
        let (what, why) = match &planned.what {
            What::Install(packages) => {
                let files = packages.iter().map(|package| package.path.display().to_string());
                ("upgrade", files.collect::<Vec<_>>().join(" "))
            }
            What::Skip(why) => ("leave", why.clone()),
        };
        [planned.node.name.clone(), planned.node.version.clone().unwrap_or_default(), what.to_owned(), why]
    };
    let rows: Vec<[String; 4]> = planned.iter().map(row).collect();
    if session.output.json {
        let nodes =
            rows.iter().map(|[node, has, what, why]| json!({ "node": node, "version": has, "plan": what, "why": why }));
        session.output.value(&json!({ "version": version, "nodes": nodes.collect::<Vec<_>>() }));
        return;
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    session.output.table(&["node", "has", "plan", "with"], &rows, "there are no nodes");
}

/// `http://192.168.1.20:8080/` → `192.168.1.20:8080`
fn authority_of(url: &str) -> Option<&str> {
    let (_scheme, rest) = url.split_once("://")?;
    rest.split('/').next().filter(|authority| !authority.is_empty())
}
