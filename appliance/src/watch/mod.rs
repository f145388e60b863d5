//! What changes, for whoever follows it: the audit log's entries, as they are committed.
//!
//! One task reads each new entry once and hands it to everybody; who comes late, was away or cannot keep up reads from
//! the store what it missed. So nobody misses an entry without being told, and nothing is done while nothing changes.

mod streams;

pub use streams::{OpenStream, STREAMS_MAX, Streams};

use picloud_model::audit::{AuditEntry, AuditOutcome};
use picloud_store::Store;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Entries read at once.
const PAGE_ENTRIES: u32 = 100;
/// Batches that a follower may be behind before it reads from the store again.
const BATCHES_BEHIND_MAX: usize = 16;
/// Whoever missed more entries than these is told so, and goes on from now.
const CAUGHT_UP_ENTRIES_MAX: i64 = 10_000;
/// How long to wait before a store that refuses is read again.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// Entries that were committed one after the other.
struct Batch {
    /// The number of the entry before the first.
    after: i64,
    entries: Vec<Arc<Change>>,
}

/// An entry as followers get it.
#[derive(Debug)]
pub struct Change {
    /// Its number.
    pub seq: i64,
    /// In which app, where it is about one.
    pub app: Option<String>,
    /// What was done.
    pub action: String,
    /// Whether it was done, and not refused.
    pub done: bool,
    /// The entry as JSON.
    pub json: String,
}

impl From<AuditEntry> for Change {
    fn from(entry: AuditEntry) -> Self {
        let json = serde_json::json!(entry).to_string();
        let AuditEntry { seq, app, action, outcome, .. } = entry;
        Self { seq, app, action, done: outcome == AuditOutcome::Done, json }
    }
}

/// Where changes come from. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    store: Arc<dyn Store>,
    committed: watch::Receiver<i64>,
    live: broadcast::Sender<Arc<Batch>>,
}

impl Hub {
    /// Nobody follows yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let committed = store.audit_signal();
        Self { store, committed, live: broadcast::Sender::new(BATCHES_BEHIND_MAX) }
    }

    /// The number of the newest entry.
    pub fn newest(&self) -> i64 {
        *self.committed.borrow()
    }

    /// Every change after the entry `seen`, or from now on.
    pub fn follow(&self, seen: Option<i64>) -> Follower {
        // In this order: what is committed after the look at the number comes over the channel.
        let live = self.live.subscribe();
        let now = self.newest();
        let mut missed = VecDeque::new();
        let position = match seen {
            // Numbers that are not given out yet: the log is another one than the follower knew.
            Some(seen) if seen > now => {
                missed.push_back(News::Gap { missed_from: now + 1, missed_to: seen });
                now
            }
            Some(seen) if now - seen > CAUGHT_UP_ENTRIES_MAX => {
                missed.push_back(News::Gap { missed_from: seen + 1, missed_to: now });
                now
            }
            Some(seen) => seen,
            None => now,
        };
        Follower { hub: self.clone(), live, position, behind_until: now, waiting: missed }
    }
}

/// What a follower gets.
#[derive(Debug)]
pub enum News {
    /// An entry.
    Change(Arc<Change>),
    /// Entries that are not to be had any more.
    Gap {
        /// The first of them.
        missed_from: i64,
        /// The last.
        missed_to: i64,
    },
}

/// Somebody who follows.
pub struct Follower {
    hub: Hub,
    live: broadcast::Receiver<Arc<Batch>>,
    /// The last entry that was read.
    position: i64,
    /// Entries up to this one are to be read from the store.
    behind_until: i64,
    waiting: VecDeque<News>,
}

impl Follower {
    /// The last entry that was read.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// What comes next; `None` at the end, after which it may be tried again from the last entry.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.waiting.pop_front() {
                return Some(news);
            }
            if self.position < self.behind_until {
                self.read_missed().await?;
                continue;
            }
            match self.live.recv().await {
                // A batch that does not follow is read from the store, together with what is before it.
                Ok(batch) if batch.after > self.position => self.behind_until = self.hub.newest(),
                Ok(batch) => self.take(&batch.entries),
                Err(broadcast::error::RecvError::Lagged(_batches)) => self.behind_until = self.hub.newest(),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Reads a page of what it missed.
    async fn read_missed(&mut self) -> Option<()> {
        match self.hub.store.audit_after(self.position, PAGE_ENTRIES).await {
            Ok((entries, _first)) if entries.is_empty() => {
                let (missed_from, missed_to) = (self.position + 1, self.behind_until);
                self.waiting.push_back(News::Gap { missed_from, missed_to });
                self.position = self.behind_until;
            }
            Ok((entries, _first)) => {
                let entries: Vec<_> = entries.into_iter().map(|entry| Arc::new(Change::from(entry))).collect();
                self.take(&entries);
            }
            Err(error) => {
                tracing::warn!(%error, "changes could not be read for somebody who follows them");
                return None;
            }
        }
        Some(())
    }

    /// Takes what is new of `entries`.
    fn take(&mut self, entries: &[Arc<Change>]) {
        for change in entries {
            if change.seq <= self.position {
                continue;
            }
            if change.seq > self.position + 1 {
                let (missed_from, missed_to) = (self.position + 1, change.seq - 1);
                self.waiting.push_back(News::Gap { missed_from, missed_to });
            }
            self.position = change.seq;
            self.waiting.push_back(News::Change(Arc::clone(change)));
        }
    }
}

/// Hands on what is committed, for ever; asleep while nothing changes, and does nothing while nobody follows.
pub async fn run(hub: Hub) {
    let mut committed = hub.committed.clone();
    let mut last = *committed.borrow_and_update();
    while committed.changed().await.is_ok() {
        let newest = *committed.borrow_and_update();
        if hub.live.receiver_count() == 0 {
            last = newest;
            continue;
        }
        while last < newest {
            match hub.store.audit_after(last, PAGE_ENTRIES).await {
                Ok((entries, _first)) => {
                    let after = entries.first().map_or(newest, |entry| entry.seq - 1);
                    let entries: Vec<_> = entries.into_iter().map(|entry| Arc::new(Change::from(entry))).collect();
                    last = entries.last().map_or(newest, |change| change.seq);
                    // Whoever left meanwhile misses nothing.
                    let _nobody = hub.live.send(Arc::new(Batch { after, entries }));
                }
                Err(error) => {
                    tracing::warn!(%error, "changes could not be read for those who follow them; trying again");
                    tokio::time::sleep(READ_PAUSE).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
