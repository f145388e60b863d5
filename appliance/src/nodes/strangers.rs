//! Machines that ask to be let in, or were seen on the network: kept in memory only, few, and gone after a while.

use picloud_cluster::identity::fingerprint_groups;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::node::NodeId;
use picloud_model::placement::Labels;
use picloud_model::problem::{Code, Problem};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Most strangers that are known at once.
const STRANGERS_MAX: usize = 100;
/// Most of them at one address.
const OF_ONE_ADDRESS_MAX: usize = 5;
/// For how long one that asks no more is still shown.
const SHOWN_AFTER_MS: i64 = 15 * 60 * 1000;
/// When whoever finds no room may try again.
const RETRY_AFTER_S: u32 = 60;

/// What people decided about one that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is let in.
    Admitted,
    /// It is not.
    TurnedAway,
}

/// What is known of a stranger.
#[derive(Clone, Debug)]
pub(super) struct Stranger {
    pub(super) id: NodeId,
    pub(super) fingerprint: ContentHash,
    /// What it calls itself.
    pub(super) name: String,
    /// What it says of itself.
    pub(super) facts: Labels,
    pub(super) version: Option<String>,
    pub(super) address: Option<IpAddr>,
    pub(super) first_at: UnixMs,
    pub(super) last_at: UnixMs,
    /// It has proved that it has the key; else it was only seen to say so.
    pub(super) has_asked: bool,
}

struct Entry {
    stranger: Stranger,
    /// Requests that are held until somebody decides.
    waiting: usize,
    decided: watch::Sender<Option<Decision>>,
}

impl Entry {
    fn new(stranger: Stranger) -> Self {
        Self { stranger, waiting: 0, decided: watch::Sender::new(None) }
    }
}

/// All of them. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Strangers {
    all: Arc<Mutex<Vec<Entry>>>,
    /// Counts those that came, asked for the first time, or went.
    changes: watch::Sender<u64>,
}

/// A request that is held; the stranger goes on being known for a while after it is dropped.
pub(super) struct Held {
    among: Strangers,
    id: NodeId,
    decided: watch::Receiver<Option<Decision>>,
}

impl Held {
    /// What somebody decides.
    pub(super) async fn decided(&mut self) -> Decision {
        match self.decided.wait_for(Option::is_some).await.map(|decision| *decision) {
            Ok(Some(decision)) => decision,
            // Forgotten for want of room.
            _gone => Decision::TurnedAway,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(entry) = self.among.lock().iter_mut().find(|entry| entry.stranger.id == self.id) {
            entry.waiting = entry.waiting.saturating_sub(1);
        }
    }
}

impl Strangers {
    /// One that asks; 429 where there are too many.
    pub(super) fn ask(&self, asking: Stranger) -> Result<Held, Problem> {
        let mut all = self.lock();
        let (at, is_news) = find_or_room(&mut all, asking)?;
        if is_news {
            self.say_changed();
        }
        let entry = &mut all[at];
        entry.waiting += 1;
        Ok(Held { among: self.clone(), id: entry.stranger.id.clone(), decided: entry.decided.subscribe() })
    }

    /// One that was seen on the network. Left out where there are too many.
    pub(super) fn see(&self, seen: Stranger) {
        // It is nobody's request that could be told of no room.
        if let Ok((_at, true)) = find_or_room(&mut self.lock(), seen) {
            self.say_changed();
        }
    }

    /// It is not seen on the network any more.
    pub(super) fn unsee(&self, id: &NodeId) {
        self.lock().retain(|entry| entry.stranger.id != *id || entry.stranger.has_asked);
        self.say_changed();
    }

    /// All that are known as of `now`.
    pub(super) fn all(&self, now: UnixMs) -> Vec<Stranger> {
        let mut all = self.lock();
        forget_old(&mut all, now);
        all.iter().map(|entry| entry.stranger.clone()).collect()
    }

    /// Tells those who ask what was decided, and forgets them. Answers whether it was known.
    pub(super) fn decide(&self, id: &NodeId, decision: Decision) -> bool {
        let mut all = self.lock();
        let Some(at) = all.iter().position(|entry| entry.stranger.id == *id) else { return false };
        all.swap_remove(at).decided.send_replace(Some(decision));
        self.say_changed();
        true
    }

    /// Changes when one comes, asks for the first time, or goes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn say_changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_old(all: &mut Vec<Entry>, now: UnixMs) {
    all.retain(|entry| entry.waiting > 0 || now.saturating_sub(entry.stranger.last_at) < SHOWN_AFTER_MS);
}

/// Where it is among all, a place made for it where it is new; and whether it is, or asks for the first time.
fn find_or_room(all: &mut Vec<Entry>, stranger: Stranger) -> Result<(usize, bool), Problem> {
    forget_old(all, stranger.last_at);
    if let Some(at) = all.iter().position(|entry| entry.stranger.id == stranger.id) {
        let known = &mut all[at].stranger;
        let is_news = stranger.has_asked && !known.has_asked;
        // What was only seen says nothing against what was proved.
        if stranger.has_asked || !known.has_asked {
            let first_at = known.first_at;
            *known = Stranger { first_at, ..stranger };
        } else {
            known.last_at = stranger.last_at;
        }
        return Ok((at, is_news));
    }
    let of_address = |entry: &Entry| entry.stranger.address == stranger.address;
    let too_many = |what: &str, max: usize| {
        Problem::new(Code::RateLimited, format!("{max} machines {what} wait to be let in already"))
            .hint("approve or remove those that wait: picloud nodes")
            .retry_after_s(RETRY_AFTER_S)
    };
    if all.iter().filter(|entry| of_address(entry)).count() >= OF_ONE_ADDRESS_MAX && !forget_idle(all, of_address) {
        return Err(too_many("of this address", OF_ONE_ADDRESS_MAX));
    }
    if all.len() >= STRANGERS_MAX && !forget_idle(all, |_any| true) {
        return Err(too_many("", STRANGERS_MAX).limit("strangers", STRANGERS_MAX as u64));
    }
    tracing::info!(
        name = %stranger.name, from = ?stranger.address, asks = stranger.has_asked,
        "a stranger: fingerprint {}; compare it with its console, then: picloud nodes approve {}",
        fingerprint_groups(&stranger.fingerprint), stranger.id
    );
    all.push(Entry::new(stranger));
    Ok((all.len() - 1, true))
}

/// Forgets the one of these that has asked for nothing for the longest; answers whether there was one.
fn forget_idle(all: &mut Vec<Entry>, of: impl Fn(&Entry) -> bool) -> bool {
    let idle = all.iter().enumerate().filter(|(_at, entry)| entry.waiting == 0 && of(entry));
    let Some((oldest, _entry)) = idle.min_by_key(|(_at, entry)| entry.stranger.last_at) else { return false };
    all.swap_remove(oldest);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(number: u32, address: u8, at: UnixMs) -> Stranger {
        let fingerprint = ContentHash::of(&number.to_le_bytes());
        Stranger {
            id: NodeId::of(&fingerprint),
            fingerprint,
            name: format!("pi-{number}"),
            facts: Labels::new(),
            version: None,
            address: Some(IpAddr::from([10, 0, 0, address])),
            first_at: at,
            last_at: at,
            has_asked: true,
        }
    }

    #[tokio::test]
    async fn whoever_asks_hears_what_is_decided_and_is_forgotten() {
        let strangers = Strangers::default();
        let one = stranger(1, 1, 0);
        let mut held = strangers.ask(one.clone()).unwrap();
        let mut again = strangers.ask(one.clone()).unwrap();
        assert_eq!(strangers.all(1).len(), 1, "the same key is the same stranger");
        assert!(strangers.decide(&one.id, Decision::Admitted) && !strangers.decide(&one.id, Decision::Admitted));
        assert_eq!((held.decided().await, again.decided().await), (Decision::Admitted, Decision::Admitted));
        assert!(strangers.all(1).is_empty());
    }

    #[test]
    fn there_are_few_of_one_address_and_few_of_all_and_those_that_ask_no_more_give_way() {
        let strangers = Strangers::default();
        let mut held: Vec<Held> = (0..5).map(|n| strangers.ask(stranger(n, 1, 0)).unwrap()).collect();
        let refused = strangers.ask(stranger(9, 1, 0)).err().unwrap();
        assert_eq!((refused.code, refused.retry_after_s), (Code::RateLimited, Some(60)));
        held.pop();
        let sixth = strangers.ask(stranger(9, 1, 0)).unwrap();
        assert_eq!(strangers.all(0).len(), 5, "one that asked no more gave way");
        held.extend((0..95_u8).map(|n| strangers.ask(stranger(100 + u32::from(n), 2 + n / 5, 0)).unwrap()));
        assert_eq!(strangers.all(0).len(), 100);
        assert!(strangers.ask(stranger(999, 250, 0)).is_err());
        drop((held, sixth));
        assert!(strangers.ask(stranger(999, 250, 0)).is_ok());
        assert_eq!(strangers.all(SHOWN_AFTER_MS).len(), 0, "after a while nobody is shown who does not ask");
    }

    #[test]
    fn what_is_only_seen_does_not_change_what_was_proved() {
        let strangers = Strangers::default();
        let asked = stranger(1, 1, 0);
        let _held = strangers.ask(asked.clone()).unwrap();
        strangers.see(Stranger { name: "evil".to_owned(), has_asked: false, last_at: 5, ..asked.clone() });
        let known = strangers.all(5).pop().unwrap();
        assert_eq!((known.name.as_str(), known.last_at, known.has_asked), ("pi-1", 5, true));
        strangers.unsee(&asked.id);
        assert_eq!(strangers.all(5).len(), 1);
    }
}
