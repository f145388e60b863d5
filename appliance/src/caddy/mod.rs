//! Keeps the upstreams of a Caddy in front of the nodes current, over its admin API.
//!
//! Only nodes that are added, drained, resumed, removed or answer elsewhere change them; a node that is away or slow does
//! not (`wanted.rs`). What is set is read first, and written where it differs. A Caddy that is not there, or says no, is
//! told of once and tried again with growing pauses; nothing else depends on it.

mod address;
mod admin;
mod wanted;

pub use address::{CaddyAddress, upstreams_path};

use crate::nodes::Cluster;
use crate::watch::{Follower, Hub, News};
use admin::CaddyError;
use picloud_model::node::NodeId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use wanted::Wanted;

/// What happens within this time becomes one change.
const BATCH: Duration = Duration::from_secs(1);
/// First pause after a failure; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Writes that may be refused in a row because somebody else changed the same meanwhile.
const COLLISIONS_MAX: u32 = 5;

/// Which Caddy, and where its upstreams are.
#[derive(Clone, Debug)]
pub struct CaddySettings {
    /// Where its admin API listens.
    pub address: CaddyAddress,
    /// The path of the upstreams, of [`upstreams_path`].
    pub path: String,
}

/// Keeps them, for ever.
pub async fn run(settings: CaddySettings, cluster: Cluster, changes: Hub) {
    let mut news = NodeNews::new(cluster.clone(), changes);
    let mut keeper = Keeper { settings, cluster, wanted: Wanted::default(), failed: false };
    loop {
        let mut pause = PAUSE_MIN;
        while let Err(error) = keeper.bring_up_to_date().await {
            keeper.complain(&error);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = news.changed() => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        news.changed().await;
        tokio::time::sleep(BATCH).await;
    }
}

struct Keeper {
    settings: CaddySettings,
    cluster: Cluster,
    wanted: Wanted,
    /// It was told that it does not work.
    failed: bool,
}

impl Keeper {
    async fn bring_up_to_date(&mut self) -> Result<(), CaddyError> {
        match self.cluster.nodes().await {
            Ok(nodes) => self.wanted.learn(&nodes),
            // The store's own trouble, which it has told of: what is set stays until it is over.
            Err(problem) => {
                tracing::debug!(error = %problem.detail, "the nodes cannot be listed for Caddy");
                return Ok(());
            }
        }
        if self.wanted.is_empty() {
            return Ok(());
        }
        let CaddySettings { address, path } = &self.settings;
        let mut collisions = 0;
        loop {
            let read = admin::read(address, path).await?;
            let now = read.upstreams.as_deref().unwrap_or_default();
            let wanted = self.wanted.upstreams(now);
            if wanted == now {
                break;
            }
            match admin::write(address, path, &read, &wanted).await {
                Ok(()) => {
                    tracing::info!(caddy = %address, upstreams = %dials(&wanted), was = %dials(now), "upstreams are set");
                    break;
                }
                Err(CaddyError::Refused { status: http::StatusCode::PRECONDITION_FAILED, .. })
                    if collisions < COLLISIONS_MAX =>
                {
                    collisions += 1;
                }
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.failed) {
            tracing::info!(caddy = %address, "Caddy has its upstreams again");
        }
        Ok(())
    }

    /// Says once that it does not work, until it does.
    fn complain(&mut self, error: &CaddyError) {
        let CaddySettings { address, path } = &self.settings;
        if std::mem::replace(&mut self.failed, true) {
            tracing::debug!(caddy = %address, %error, "Caddy's upstreams are still not set");
        } else {
            tracing::warn!(
                caddy = %address, %path, %error,
                "Caddy's upstreams cannot be set; it goes on with those it has, and this is tried again (docs/caddy.md)"
            );
        }
    }
}

/// `10.0.0.1:8080, 10.0.0.2:8080`
fn dials(upstreams: &[Value]) -> String {
    let dials: Vec<&str> = upstreams.iter().filter_map(|upstream| upstream["dial"].as_str()).collect();
    dials.join(", ")
}

/// What of a connected node matters to Caddy: whether it drains, and where it answers.
type Seen = BTreeMap<NodeId, (bool, Vec<String>)>;

/// Tells when it may matter to look at the nodes again.
struct NodeNews {
    cluster: Cluster,
    changes: Hub,
    follower: Follower,
    hub: tokio::sync::watch::Receiver<u64>,
    /// The nodes that were connected the last time.
    seen: Seen,
}

impl NodeNews {
    fn new(cluster: Cluster, changes: Hub) -> Self {
        let (follower, hub) = (changes.follow(None), cluster.hub.changed());
        let seen = seen(&cluster);
        Self { cluster, changes, follower, hub, seen }
    }

    /// Ends when somebody changed a node, or a node came that was not there or answers elsewhere. That one goes away, or
    /// gets room, is no reason.
    async fn changed(&mut self) {
        loop {
            tokio::select! {
                news = self.follower.next() => match news {
                    Some(News::Change(change)) if !change.done || !change.action.starts_with("node.") => {}
                    Some(News::Change(_) | News::Gap { .. }) => {
                        // What comes after it is looked at anew: a node that was away while it was resumed is news.
                        self.seen.clear();
                        return;
                    }
                    None => {
                        // The store refuses, and has told of it.
                        tokio::time::sleep(PAUSE_MIN).await;
                        self.follower = self.changes.follow(Some(self.follower.position()));
                    }
                },
                changed = self.hub.changed() => {
                    if changed.is_err() {
                        // The appliance ends.
                        std::future::pending::<()>().await;
                    }
                    let now = seen(&self.cluster);
                    let is_news = now.iter().any(|(id, node)| self.seen.get(id) != Some(node));
                    self.seen.extend(now);
                    if is_news {
                        return;
                    }
                }
            }
        }
    }
}

fn seen(cluster: &Cluster) -> Seen {
    let live = cluster.hub.live();
    live.iter().map(|node| (node.id.clone(), (node.draining, node.urls.clone()))).collect()
}
