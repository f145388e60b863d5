//! One node's connection, as the hub knows it.

use super::LiveNode;
use super::feed::{End, Feed};
use picloud_model::node::{NodeId, NodeRecord};
use picloud_model::placement::Labels;
use picloud_model::protocol::node::{BEAT_ANSWER_MS, BEAT_BUSY_MS, NodeHello, SLOW_ROUND_TRIP_MS};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A busy node whose last word is older than this is slow: one beat, and the time that an answer may take.
const LATE_AFTER: Duration = Duration::from_millis(BEAT_BUSY_MS + BEAT_ANSWER_MS / 2);

/// A node's connection.
#[derive(Debug)]
pub(super) struct Link {
    /// Which connection of all that there ever were.
    pub(super) number: u64,
    /// What is to be said to it.
    pub(super) feed: Arc<Feed>,
    pub(super) name: String,
    pub(super) labels: Arc<Labels>,
    pub(super) draining: bool,
    pub(super) hello: NodeHello,
    /// When it was connected.
    pub(super) since: Instant,
    /// When anything came from it.
    pub(super) heard: Instant,
    /// The revision that it answers from.
    pub(super) applied: u64,
    pub(super) round_trip_ms: Option<u32>,
    pub(super) spooled: Option<u64>,
}

impl Link {
    /// A new connection of this node.
    pub(super) fn new(number: u64, record: &NodeRecord, hello: NodeHello, now: Instant) -> Self {
        let feed = Arc::new(Feed::default());
        let draining = record.draining;
        feed.add(|due| {
            due.welcome = true;
            due.everything = true;
            due.drain = Some(draining);
        });
        let labels = labels_of(record, &hello);
        Self {
            number,
            feed,
            name: record.name.clone(),
            labels,
            draining,
            hello,
            since: now,
            heard: now,
            applied: 0,
            round_trip_ms: None,
            spooled: None,
        }
    }

    /// What a person has changed about the node.
    pub(super) fn changed(&mut self, record: &NodeRecord) {
        let labels = labels_of(record, &self.hello);
        let (renamed, labelled) = (self.name != record.name, *self.labels != *labels);
        let drain = (self.draining != record.draining).then_some(record.draining);
        self.name.clone_from(&record.name);
        self.labels = labels;
        self.draining = record.draining;
        if renamed || labelled || drain.is_some() {
            self.feed.add(|due| {
                due.welcome |= renamed;
                due.everything |= labelled;
                due.drain = drain.or(due.drain);
            });
        }
    }

    /// Ends the connection.
    pub(super) fn end(&self, why: End) {
        self.feed.add(|due| due.end = due.end.or(Some(why)));
    }

    /// The node as others see it.
    pub(super) fn live(&self, id: &NodeId, running: usize, revision: u64, now: Instant) -> LiveNode {
        LiveNode {
            id: id.clone(),
            name: self.name.clone(),
            labels: Arc::clone(&self.labels),
            places: self.hello.places,
            running: u32::try_from(running).unwrap_or(u32::MAX),
            draining: self.draining,
            slow: self.is_slow(running, now),
            in_step: self.applied == revision,
            urls: self.hello.urls.clone(),
        }
    }

    fn is_slow(&self, running: usize, now: Instant) -> bool {
        let is_late = running > 0 && now.saturating_duration_since(self.heard) > LATE_AFTER;
        is_late || self.round_trip_ms.is_some_and(|ms| ms > SLOW_ROUND_TRIP_MS)
    }
}

/// What it says of itself now goes before what is stored.
fn labels_of(record: &NodeRecord, hello: &NodeHello) -> Arc<Labels> {
    let mut labels = hello.facts.clone();
    labels.insert("name".to_owned(), record.name.clone());
    labels.extend(record.labels.clone());
    Arc::new(labels)
}
