//! Deliveries against plain maps, over whatever happens in whatever order.

use crate::conformance::deliveries::failed;
use crate::conformance::kv::set;
use crate::conformance::triggers::{app_with_scripts, on_kv};
use crate::conformance::{NOW, act};
use crate::open;
use picloud_model::dead_letter::RetryInput;
use picloud_model::delivery::{Delivery, DeliveryEnd};
use picloud_model::ids::{AppId, DeadLetterId, DeliveryId};
use picloud_model::kv::KvRequest;
use picloud_store::{Store, TriggerWrite};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tokio::runtime::Runtime;

/// The triggers of the app: the collection of each, how many may run at once, whether its keys are in order.
const TRIGGERS: [(&str, Option<u32>, bool); 3] =
    [("free", None, false), ("narrow", Some(2), false), ("keys", None, true)];
/// Far more than a case can make wait.
const ALL: u32 = 1_000;

#[derive(Clone, Debug)]
enum Op {
    /// A key of the trigger's collection is set.
    Write(usize, u8),
    Claim(u32),
    /// One of those that are under way ends.
    Done(usize),
    Retry(usize, i64),
    Dead(usize),
    NotRun(usize, i64),
    Noted(usize),
    Pause(usize),
    Resume(usize),
    RetryLetter(usize),
    Pass(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let any = || any::<usize>();
    prop_oneof![
        6 => (0..TRIGGERS.len(), 0..3_u8).prop_map(|(trigger, key)| Op::Write(trigger, key)),
        4 => (0..6_u32).prop_map(Op::Claim),
        4 => any().prop_map(Op::Done),
        2 => (any(), 0..40_i64).prop_map(|(which, ms)| Op::Retry(which, ms)),
        1 => any().prop_map(Op::Dead),
        1 => (any(), 0..40_i64).prop_map(|(which, ms)| Op::NotRun(which, ms)),
        1 => any().prop_map(Op::Noted),
        1 => (0..TRIGGERS.len()).prop_map(Op::Pause),
        1 => (0..TRIGGERS.len()).prop_map(Op::Resume),
        1 => any().prop_map(Op::RetryLetter),
        2 => (1..30_i64).prop_map(Op::Pass),
    ]
}

/// One that waits or is under way, in plain words.
#[derive(Clone, Debug)]
struct Waits {
    trigger: usize,
    key: String,
    due_at: i64,
    attempts: u32,
    running: bool,
}

/// The obvious queue. Ids grow, so the order of the map is that of the writes.
#[derive(Default)]
struct Model {
    waits: BTreeMap<DeliveryId, Waits>,
    /// Written, but not seen yet: their ids are the store's.
    unseen: Vec<Waits>,
    letters: BTreeMap<DeadLetterId, Waits>,
    paused: BTreeSet<usize>,
    now: i64,
}

impl Model {
    fn size(&self) -> usize {
        self.waits.len() + self.unseen.len()
    }

    /// What was written and may be claimed for the first time: the first of its trigger and key.
    fn first_seen(&mut self, trigger: usize, one: &Delivery) -> Waits {
        let key = key_of(one);
        let at = self.unseen.iter().position(|waits| waits.trigger == trigger && waits.key == key);
        self.unseen.remove(at.expect("it was written"))
    }

    /// How many could be claimed now.
    fn claimable(&self) -> usize {
        let mut count = 0;
        for (trigger, (_name, at_once, ordered)) in TRIGGERS.iter().enumerate() {
            if self.paused.contains(&trigger) {
                continue;
            }
            let of = |waits: &&Waits| waits.trigger == trigger;
            let known: Vec<&Waits> = self.waits.values().filter(of).collect();
            let unseen = self.unseen.iter().filter(of);
            let running = known.iter().filter(|waits| waits.running).count();
            let due = |waits: &&Waits| !waits.running && waits.due_at <= self.now;
            let due = if *ordered {
                // The head of each key is known before those that nobody has seen.
                let mut heads: BTreeMap<&str, &Waits> = BTreeMap::new();
                for waits in known.iter().copied().chain(unseen) {
                    heads.entry(waits.key.as_str()).or_insert(waits);
                }
                heads.into_values().filter(due).count()
            } else {
                known.into_iter().filter(due).count() + unseen.filter(due).count()
            };
            count += due.min(at_once.map_or(usize::MAX, |most| most as usize - running));
        }
        count
    }
}

fn key_of(one: &Delivery) -> String {
    let body: serde_json::Value = serde_json::from_slice(&one.event.body).unwrap();
    body["key"].as_str().unwrap().to_owned()
}

struct Case<'a> {
    runtime: &'a Runtime,
    store: &'a dyn Store,
    app: AppId,
    model: Model,
    /// In the order in which they were claimed.
    running: Vec<Delivery>,
}

impl Case<'_> {
    fn claim(&mut self, limit: u32) {
        let wanted = self.model.claimable().min(limit as usize);
        let claimed = self.runtime.block_on(self.store.claim_deliveries(limit, self.model.now)).unwrap().deliveries;
        assert_eq!(claimed.len(), wanted, "nothing is stuck, and nothing is claimed that should wait");
        for one in claimed {
            let trigger = TRIGGERS.iter().position(|(name, ..)| *name == one.trigger.as_ref().unwrap().1).unwrap();
            if !self.model.waits.contains_key(&one.id) {
                let waits = self.model.first_seen(trigger, &one);
                self.model.waits.insert(one.id, waits);
            }
            let waits = self.model.waits.get_mut(&one.id).unwrap();
            assert!(!waits.running, "twice at once");
            assert!(waits.due_at <= self.model.now && !self.model.paused.contains(&trigger));
            assert_eq!((one.attempt, waits.key.clone()), (waits.attempts + 1, key_of(&one)));
            waits.running = true;
            if TRIGGERS[trigger].2 {
                let earlier = self
                    .model
                    .waits
                    .range(..one.id)
                    .find(|(_id, waits)| waits.trigger == trigger && waits.key == key_of(&one));
                assert!(earlier.is_none(), "before the earlier {earlier:?}");
            }
            self.running.push(one);
        }
    }

    fn take(&mut self, which: usize) -> Option<Delivery> {
        if self.running.is_empty() { None } else { Some(self.running.remove(which % self.running.len())) }
    }

    fn end(&mut self, one: &Delivery, end: DeliveryEnd) -> Option<DeadLetterId> {
        let ended = self.runtime.block_on(self.store.end_delivery(one.id, end.clone(), self.model.now)).unwrap();
        // Told a second time it changes nothing.
        let again = self.runtime.block_on(self.store.end_delivery(one.id, end, self.model.now)).unwrap();
        assert_eq!(again, Default::default());
        ended.dead_letter
    }

    fn waits_again(&mut self, one: &Delivery, due_at: i64, failed: bool) {
        let waits = self.model.waits.get_mut(&one.id).unwrap();
        (waits.running, waits.due_at) = (false, due_at);
        waits.attempts += u32::from(failed);
    }

    fn apply(&mut self, op: &Op) {
        let now = self.model.now;
        match *op {
            Op::Pass(ms) => self.model.now += ms,
            Op::Claim(limit) => self.claim(limit),
            Op::Write(trigger, key) => {
                let key = format!("k{key}");
                let collection = TRIGGERS[trigger].0.to_owned();
                let KvRequest::Set { key: name, value, ttl_ms, condition, .. } = set(&key, "1") else { unreachable!() };
                let request = KvRequest::Set { collection, key: name, value, ttl_ms, condition };
                self.runtime.block_on(self.store.kv(self.app, request, now)).unwrap();
                self.model.unseen.push(Waits { trigger, key, due_at: now, attempts: 0, running: false });
            }
            Op::Pause(trigger) | Op::Resume(trigger) => {
                let pause = matches!(op, Op::Pause(_));
                let (name, reason, act) = (TRIGGERS[trigger].0, pause.then_some("x"), act());
                self.runtime.block_on(self.store.pause_trigger(self.app, name, reason, &act)).unwrap();
                if pause {
                    self.model.paused.insert(trigger)
                } else {
                    self.model.paused.remove(&trigger)
                };
            }
            Op::Noted(which) => {
                if let Some(one) = self.running.get(which % self.running.len().max(1)) {
                    self.runtime.block_on(self.store.note_attempts(&[one.id])).unwrap();
                }
            }
            Op::Done(which) => {
                if let Some(one) = self.take(which) {
                    self.end(&one, DeliveryEnd::Done(None));
                    self.model.waits.remove(&one.id);
                }
            }
            Op::Retry(which, ms) => {
                if let Some(one) = self.take(which) {
                    self.end(&one, DeliveryEnd::Retry { attempt: failed(&one, "no"), due_at: now + ms });
                    self.waits_again(&one, now + ms, true);
                }
            }
            Op::NotRun(which, ms) => {
                if let Some(one) = self.take(which) {
                    self.end(&one, DeliveryEnd::NotRun { due_at: now + ms });
                    // It waits in memory: its place in the queue stays what it was.
                    self.waits_again(&one, now + ms, false);
                }
            }
            Op::Dead(which) => {
                if let Some(one) = self.take(which) {
                    let letter = self.end(&one, DeliveryEnd::Dead(failed(&one, "no"))).expect("it was there");
                    let waits = self.model.waits.remove(&one.id).unwrap();
                    self.model.letters.insert(letter, waits);
                }
            }
            Op::RetryLetter(which) => {
                let ids: Vec<_> = self.model.letters.keys().copied().collect();
                if let Some(id) = ids.get(which % ids.len().max(1)) {
                    let (how, act) = (RetryInput::default(), act());
                    let sent = self.runtime.block_on(self.store.retry_dead_letter(self.app, *id, &how, &act));
                    sent.unwrap().expect("the letter is there");
                    let waits = self.model.letters.remove(id).unwrap();
                    self.model.unseen.push(Waits { attempts: 0, running: false, due_at: NOW, ..waits });
                }
            }
        }
        let queued = self.runtime.block_on(self.store.queued(self.app)).unwrap();
        assert_eq!(queued.deliveries, i64::try_from(self.model.size()).unwrap(), "after {op:?}");
        assert_eq!(queued.dead_letters, i64::try_from(self.model.letters.len()).unwrap());
    }

    /// Whatever happened, all that is left can be done.
    fn drain(&mut self) {
        for trigger in 0..TRIGGERS.len() {
            self.apply(&Op::Resume(trigger));
        }
        self.apply(&Op::Pass(1_000));
        while self.model.size() > 0 {
            self.claim(ALL);
            assert!(!self.running.is_empty(), "{} are stuck", self.model.size());
            while !self.running.is_empty() {
                self.apply(&Op::Done(0));
            }
        }
    }
}

#[test]
fn nothing_is_lost_stuck_or_out_of_order_whatever_happens() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = ProptestConfig { cases: crate::QUEUES, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(ops in proptest::collection::vec(op(), 1..80))| {
        // A store of its own: a claim is of all apps.
        let (store, _dir) = runtime.block_on(open());
        let app = runtime.block_on(app_with_scripts(&*store));
        for (name, at_once, ordered) in TRIGGERS {
            let mut write: TriggerWrite = on_kv(name, "hello");
            write.spec.collection = Some(name.to_owned());
            write.spec.concurrency = at_once;
            write.spec.ordering_key = ordered.then(|| "key".to_owned());
            write.spec.pause_after = Some(0);
            write.spec.retry = Some(picloud_model::trigger::Retry { max_attempts: 100, ..Default::default() });
            runtime.block_on(store.put_trigger(app, &write, None, &act())).unwrap();
        }
        let model = Model { now: NOW, ..Model::default() };
        let mut case = Case { runtime: &runtime, store: &*store, app, model, running: Vec::new() };
        for op in &ops {
            case.apply(op);
        }
        case.drain();
    });
}
