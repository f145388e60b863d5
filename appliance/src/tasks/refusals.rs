//! Writes refusals into the audit log: in batches, equal ones once in a while, and never more than the log can bear.
//!
//! The log keeps a bounded number of entries. Whoever has no key must not be able to push out what others did, so that
//! strangers get fewer entries than holders of keys.

use picloud_model::audit::RefusedAct;
use picloud_store::Store;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Entries in one span of time; beyond it refusals are only counted.
const ENTRIES_MAX: usize = 60;
/// How long equal refusals of somebody who is known are one entry, and what the bound is for.
const SPAN: Duration = Duration::from_secs(60);
/// The same for strangers.
const SPAN_OF_STRANGERS: Duration = Duration::from_secs(60 * 60);
/// Whom strangers stand in the log as; no key has this name.
pub const STRANGER: &str = "unknown";
/// How long the first refusal of a batch waits for company.
const BATCH_WINDOW: Duration = Duration::from_millis(200);

/// The refusals that wait to be written down. Cheap to clone.
#[derive(Clone, Default)]
pub struct Refusals(Arc<Shared>);

struct Shared {
    /// Of those who are known, and of strangers.
    waiting: Mutex<[Waiting; 2]>,
    arrived: Notify,
}

impl Default for Shared {
    fn default() -> Self {
        Self { waiting: Mutex::new([SPAN, SPAN_OF_STRANGERS].map(Waiting::new)), arrived: Notify::new() }
    }
}

struct Waiting {
    span: Duration,
    /// When the span began; `None` while nothing has been refused for one.
    began: Option<Instant>,
    /// What this span's entries are about; bounded by their number.
    seen: HashMap<Key, Again>,
    /// To be written now.
    new: Vec<RefusedAct>,
    /// Refused beyond the bound, with the last of them.
    more: Option<(RefusedAct, u64)>,
}

/// Refusals that are equal in this are one entry.
type Key = (String, String, String, Option<String>, String);

/// A refusal that has been written down, and how often it came again.
struct Again {
    last: RefusedAct,
    times: u64,
}

impl Refusals {
    /// Takes one. Never blocks.
    pub fn push(&self, refused: RefusedAct) {
        self.push_times(refused, 1);
    }

    /// Takes one that came so many times. Never blocks.
    pub fn push_times(&self, refused: RefusedAct, times: u64) {
        self.with(refused, |waiting, refused| waiting.take(refused, times));
    }

    /// Takes so many that are not told apart, of which this is the last. Never blocks.
    pub fn push_others(&self, last: RefusedAct, times: u64) {
        self.with(last, |waiting, last| waiting.take_others(last, times));
    }

    fn with(&self, refused: RefusedAct, take: impl FnOnce(&mut Waiting, RefusedAct)) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stranger = refused.act.who.name == STRANGER;
        take(&mut waiting[usize::from(is_stranger)], refused);
        drop(waiting);
        self.0.arrived.notify_one();
    }

    /// Writes down what waits; `all` of it, or what can still come again only at the end of its span.
    pub async fn flush(&self, store: &dyn Store, all: bool) {
        let due: Vec<RefusedAct> = {
            let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.iter_mut().flat_map(|waiting| waiting.due(all, Instant::now())).collect()
        };
        if due.is_empty() {
            return;
        }
        let entries = due.len();
        if let Err(error) = store.audit_refusals(due).await {
            tracing::warn!(entries, %error, "refusals could not be written into the audit log");
        }
    }

    /// How long the next span to end still goes.
    fn left(&self) -> Option<Duration> {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().filter_map(|waiting| Some(waiting.span.saturating_sub(waiting.began?.elapsed()))).min()
    }
}

impl Waiting {
    fn new(span: Duration) -> Self {
        Self { span, began: None, seen: HashMap::new(), new: Vec::new(), more: None }
    }

    fn take(&mut self, refused: RefusedAct, times: u64) {
        self.began.get_or_insert_with(Instant::now);
        let key = (
            refused.act.who.name.clone(),
            refused.act.from.clone(),
            refused.action.clone(),
            refused.app.clone(),
            refused.target.clone(),
        );
        if let Some(again) = self.seen.get_mut(&key) {
            again.times += times;
            again.last = refused;
        } else if self.seen.len() < ENTRIES_MAX {
            self.new.push(refused.clone());
            self.seen.insert(key, Again { last: refused, times: times.saturating_sub(1) });
        } else {
            self.take_others(refused, times);
        }
    }

    fn take_others(&mut self, last: RefusedAct, times: u64) {
        self.began.get_or_insert_with(Instant::now);
        let before = self.more.take().map_or(0, |(_last, times)| times);
        self.more = Some((last, before + times));
    }

    fn due(&mut self, all: bool, now: Instant) -> Vec<RefusedAct> {
        let mut due = std::mem::take(&mut self.new);
        let over = self.began.is_some_and(|began| now.saturating_duration_since(began) >= self.span);
        if !(over || all) {
            return due;
        }
        self.began = None;
        for Again { mut last, times } in std::mem::take(&mut self.seen).into_values() {
            if times > 0 {
                last.reason["times"] = json!(times);
                due.push(last);
            }
        }
        if let Some((mut last, times)) = self.more.take() {
            // Who and what differ among them: this one stands for all.
            last.reason["and_others"] = json!(times - 1);
            due.push(last);
        }
        due
    }
}

/// Writes for ever; asleep while nothing is refused.
pub async fn run(refusals: Refusals, store: Arc<dyn Store>) {
    loop {
        match refusals.left() {
            None => refusals.0.arrived.notified().await,
            Some(left) => {
                // Either something new came, or a span is over.
                let _which = tokio::time::timeout(left, refusals.0.arrived.notified()).await;
            }
        }
        tokio::time::sleep(BATCH_WINDOW).await;
        refusals.flush(store.as_ref(), false).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::audit::Act;
    use picloud_model::principal::{Principal, PrincipalKind};

    fn refused(from: &str, action: &str) -> RefusedAct {
        let who = Principal { kind: PrincipalKind::Key, name: "unknown".to_owned() };
        let act = Act { who, from: from.to_owned(), at: 0, message: None };
        RefusedAct { act, action: action.to_owned(), app: None, target: String::new(), reason: json!({ "code": "x" }) }
    }

    #[test]
    fn equal_refusals_are_one_entry_and_their_number_follows_at_the_end_of_the_span() {
        let mut waiting = Waiting::new(SPAN);
        let began = Instant::now();
        for from in ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1"] {
            waiting.take(refused(from, "kv.read"), 1);
        }
        let now = waiting.due(false, began);
        assert_eq!(now.iter().map(|entry| entry.act.from.as_str()).collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.2"]);
        assert!(now.iter().all(|entry| entry.reason.get("times").is_none()));
        let later = waiting.due(false, began + 2 * SPAN);
        assert_eq!(later.len(), 1);
        assert_eq!((later[0].act.from.as_str(), &later[0].reason["times"]), ("10.0.0.1", &json!(2)));
        assert!(waiting.due(true, began).is_empty());
    }

    #[test]
    fn a_flood_is_a_bounded_number_of_entries_and_one_that_counts_the_rest() {
        let mut waiting = Waiting::new(SPAN);
        let began = Instant::now();
        for n in 0..10_000 {
            waiting.take(refused(&format!("10.0.{}.{}", n / 256, n % 256), "kv.read"), 1);
        }
        assert_eq!(waiting.due(false, began).len(), ENTRIES_MAX);
        let rest = waiting.due(false, began + 2 * SPAN);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].reason["and_others"], json!(10_000 - ENTRIES_MAX as u64 - 1));
    }
    #[test]
    fn strangers_have_entries_of_their_own_and_fewer_of_them() {
        let refusals = Refusals::default();
        for n in 0..1_000 {
            refusals.push(refused(&format!("10.0.0.{n}"), "kv.read"));
        }
        let mut known = refused("10.0.0.9", "kv.read");
        known.act.who.name = "laptop".to_owned();
        refusals.push(known);
        let mut waiting = refusals.0.waiting.lock().unwrap();
        let soon = Instant::now() + 2 * SPAN;
        let due = [0, 1].map(|who| waiting[who].due(false, soon).len());
        assert_eq!(due, [1, ENTRIES_MAX], "of strangers, what is more is told when their hour is over");
    }
}
