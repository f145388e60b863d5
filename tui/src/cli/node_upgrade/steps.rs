//! One node: it is drained, gets its packages, and must come back well before it takes work again.

use super::package::Package;
use super::ssh::Way;
use super::{Session, authority_of};
use crate::client::{Ask, ingress};
use crate::failure::Failure;
use crate::path::ApiPath;
use http::Method;
use picloud_model::clock::UnixMs;
use picloud_model::node::{Node, NodeState};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// By so much two answers about one connection may differ in when it began: each counts back from its own moment.
const SINCE_SLACK_MS: i64 = 100;
/// How often it is looked how the node is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What its ingress must answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Anything: a drained node tells those who spread requests that it is not to have any.
    Drained,
    /// That it is well.
    AtWork,
}

/// What upgrading a node goes by.
pub(super) struct Steps<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) way: &'a Way,
    /// What it must come back with.
    pub(super) version: &'a str,
    /// How long it may take to become idle, in seconds.
    pub(super) idle: u32,
    /// How long it may take to come back, in seconds.
    pub(super) back: u32,
}

impl Steps<'_> {
    /// Upgrades the node. Where it fails before anything was changed on it, it takes work as before.
    pub(super) async fn upgrade(&self, node: &Node, packages: &[&Package]) -> Result<(), Failure> {
        let name = &node.name;
        let was_draining = node.state == NodeState::Draining;
        if !was_draining {
            self.post(name, "drain").await?;
        }
        let installed = match self.idle(name).await {
            Ok(before) => match self.way.install(packages).await {
                Ok(()) => Ok(before),
                Err(error) if error.is_changed => {
                    let hint =
                        format!("{}; then `picloud nodes resume {name}`: it takes no work until then", error.hint);
                    return Err(Failure::other(format!("node {name}: {}", error.message), Some(&hint)));
                }
                Err(error) => {
                    let hint = format!("{}; the node was not changed", error.hint);
                    Err(Failure::other(format!("node {name}: {}", error.message), Some(&hint)))
                }
            },
            Err(failure) => Err(failure),
        };
        let before = match installed {
            Ok(before) => before,
            Err(failure) => {
                if !was_draining {
                    // The first failure is what counts; the node says itself that it is draining.
                    let _resumed = self.post(name, "resume").await;
                }
                return Err(failure);
            }
        };
        self.comes_back(name, &before, Gate::Drained).await?;
        if was_draining {
            return Ok(());
        }
        self.post(name, "resume").await?;
        let well = self.comes_back(name, &before, Gate::AtWork).await;
        if well.is_err() {
            // What is not well takes no work, as the hint says.
            let _drained = self.post(name, "drain").await;
        }
        well
    }

    /// Waits until it runs nothing; answers how it is then.
    async fn idle(&self, name: &str) -> Result<Node, Failure> {
        let began = Instant::now();
        loop {
            let node = self.node(name).await?;
            if node.running == 0 {
                return Ok(node);
            }
            if began.elapsed() >= Duration::from_secs(u64::from(self.idle)) {
                let message = format!("node {name} still runs {} after {} s", node.running, self.idle);
                let hint = format!(
                    "it was not changed. `picloud executions list` shows what takes so long; wait longer with \
                     --idle-seconds {}",
                    self.idle.saturating_mul(5)
                );
                return Err(Failure::other(message, Some(&hint)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until it is connected anew, with the version, in step, and answers requests.
    async fn comes_back(&self, name: &str, before: &Node, gate: Gate) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            // An appliance that does not answer for a moment is no reason to leave a node drained.
            let missing = match self.node(name).await {
                Ok(node) => self.missing(&node, before.since, gate).await,
                Err(failure) => Some(failure.problem().detail),
            };
            let Some(missing) = missing else { return Ok(()) };
            if began.elapsed() >= Duration::from_secs(u64::from(self.back)) {
                let target = &self.way.target;
                let message = format!("node {name} did not come back well within {} s: {missing}", self.back);
                let had = before.version.as_deref().unwrap_or("before");
                let hint = format!(
                    "look there: ssh {target} journalctl -u picloud-node -n 50. To go back: ssh {target} sudo dpkg -i with \
                     the package of {had}. It takes no work until `picloud nodes resume {name}`"
                );
                return Err(Failure::other(message, Some(&hint)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What is not as it should be.
    async fn missing(&self, node: &Node, before: Option<UnixMs>, gate: Gate) -> Option<String> {
        let Some(version) = &node.version else { return Some(format!("it is {}", node.state.as_str())) };
        if node.since.unwrap_or(0) <= before.unwrap_or(0) + SINCE_SLACK_MS {
            return Some("it was not started again".to_owned());
        }
        if version != self.version {
            return Some(format!("it has version {version}, not {}", self.version));
        }
        if node.in_step != Some(true) {
            return Some("it does not answer from the newest deploy yet".to_owned());
        }
        let Some(authority) = node.urls.first().and_then(|url| authority_of(url)) else {
            return Some("it does not say where it answers".to_owned());
        };
        match ingress::health(authority).await {
            Ok(status) if gate == Gate::Drained || status.is_success() => None,
            Ok(status) => Some(format!("the health of http://{authority} answers {status}")),
            Err(wrong) => Some(format!("http://{authority} does not answer: {wrong}")),
        }
    }

    async fn node(&self, name: &str) -> Result<Node, Failure> {
        self.session.client.get(ApiPath::new(&["nodes", name])).await
    }

    async fn post(&self, name: &str, verb: &str) -> Result<Value, Failure> {
        let path = ApiPath::new(&["nodes", name, verb]);
        self.session.client.send(Ask::new(Method::POST, path).json(&json!({}))).await?.value()
    }
}
