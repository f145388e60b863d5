//! What nodes are told: apps, keys, secrets, and what people change about them.

use super::{End, Hub, NoResult};
use picloud_model::ids::AppId;
use picloud_model::node::{NodeId, NodeRecord};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::NodeHello;
use std::time::{Duration, Instant};

/// How long a change waits for the nodes that were in step to answer from it.
const TOLD_MAX: Duration = Duration::from_millis(500);

/// A connected node, for people.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What it said when it came.
    pub hello: NodeHello,
    /// For how long it has been connected.
    pub connected: Duration,
    /// How long ago it was heard.
    pub heard: Duration,
    /// The revision that it answers from.
    pub applied: u64,
    /// The newest one.
    pub revision: u64,
    /// Runs that it holds.
    pub running: u32,
    /// How long its last beat took to be answered.
    pub round_trip_ms: Option<u32>,
    /// Publishes that wait on it.
    pub spooled: Option<u64>,
    /// Others go first.
    pub slow: bool,
}

impl Hub {
    /// The node, where it is connected.
    pub fn shown(&self, id: &NodeId) -> Option<Shown> {
        let (state, now) = (self.lock(), Instant::now());
        let link = state.links.get(id)?;
        let live = link.live(id, state.leases.held_by(id), state.revision, now);
        Some(Shown {
            hello: link.hello.clone(),
            connected: now.saturating_duration_since(link.since),
            heard: now.saturating_duration_since(link.heard),
            applied: link.applied,
            revision: state.revision,
            running: live.running,
            round_trip_ms: link.round_trip_ms,
            spooled: link.spooled,
            slow: live.slow,
        })
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// An app has changed or is gone; returns when the nodes that were in step answer from that, or soon anyway.
    pub(crate) async fn app_changed(&self, app: AppId) {
        let revision = self.change(|due| {
            due.apps.insert(app);
        });
        self.followed(revision).await;
    }

    /// The keys have changed; returns as [`Self::app_changed`] does.
    pub(crate) async fn keys_changed(&self) {
        let revision = self.change(|due| due.keys = true);
        self.followed(revision).await;
    }

    /// An app's secrets have changed.
    pub(crate) fn secrets_changed(&self, app: AppId) {
        for link in self.lock().links.values() {
            link.feed.add(|due| {
                due.secrets.insert(app);
            });
        }
    }

    fn change(&self, add: impl Fn(&mut super::Due)) -> u64 {
        let mut state = self.lock();
        state.revision += 1;
        for link in state.links.values() {
            link.feed.add(&add);
        }
        state.revision
    }

    /// Waits until the nodes that were in step before `revision` are again, or gone.
    async fn followed(&self, revision: u64) {
        let waited_for: Vec<(NodeId, u64)> = {
            let state = self.lock();
            let was_in_step = state.links.iter().filter(|(_id, link)| link.applied + 1 >= revision);
            was_in_step.map(|(id, link)| (id.clone(), link.number)).collect()
        };
        if waited_for.is_empty() {
            return;
        }
        let mut applied = self.0.applied.subscribe();
        let all = applied.wait_for(|_changes| {
            let state = self.lock();
            waited_for.iter().all(|(id, number)| {
                let link = state.links.get(id).filter(|link| link.number == *number);
                link.is_none_or(|link| link.applied >= revision)
            })
        });
        if tokio::time::timeout(TOLD_MAX, all).await.is_err() {
            tracing::info!(revision, "a node does not answer from a change yet; it will when it can");
        }
    }

    pub(super) fn say_applied(&self) {
        self.0.applied.send_modify(|changes| *changes += 1);
    }

    /// A person changed what a node is called, labelled, or whether it drains.
    pub(crate) fn record_changed(&self, record: &NodeRecord) {
        if record.retired_at.is_some() {
            return self.retire(&record.id);
        }
        if let Some(link) = self.lock().links.get_mut(&record.id) {
            link.changed(record);
        }
        self.say_changed();
    }

    /// A node was removed: it is told, its connection ends, and what it held is lost.
    pub(crate) fn retire(&self, id: &NodeId) {
        let runs = {
            let mut state = self.lock();
            if let Some(link) = state.links.remove(id) {
                link.end(End::Retired);
            }
            state.leases.gone(id)
        };
        self.lose(&runs, &NoResult::Lost(Problem::new(Code::NodeAway, format!("node {id} was removed while it ran"))));
        self.say_changed();
        self.say_applied();
    }
}
