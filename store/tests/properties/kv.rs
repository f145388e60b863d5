//! KV against a plain map, and its lists while others write.

use crate::conformance::kv::{incr, list, set, set_if};
use crate::conformance::{NOW, make_app};
use crate::{Guard, open};
use picloud_model::ids::AppId;
use picloud_model::kv::{Condition, KvQuery, KvReply, KvRequest};
use picloud_store::Store;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// One store for all cases of a property; each case has an app of its own.
struct Bench {
    runtime: Runtime,
    store: Arc<dyn Store>,
    _guard: Guard,
    apps: std::cell::Cell<u32>,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (store, guard) = runtime.block_on(open());
        Self { runtime, store, _guard: guard, apps: std::cell::Cell::new(0) }
    }

    fn app(&self) -> AppId {
        self.apps.set(self.apps.get() + 1);
        self.runtime.block_on(make_app(&*self.store, &format!("app{}", self.apps.get()))).id
    }

    fn ask(&self, app: AppId, request: KvRequest, now: i64) -> KvReply {
        self.runtime.block_on(self.store.kv(app, request, now)).unwrap()
    }

    fn page(&self, app: AppId, query: KvQuery) -> (Vec<String>, Option<String>) {
        match self.ask(app, list(query), NOW) {
            KvReply::List(page) => (page.entries.into_iter().map(|entry| entry.key).collect(), page.cursor),
            other => panic!("expected a list, got {other:?}"),
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(String, i64, Option<u64>),
    SetIfAbsent(String, i64),
    Delete(String),
    Incr(String, i64),
    Pass(i64),
}

/// Few letters, so that keys meet, are prefixes of each other, and differ in the length of their bytes.
fn key() -> impl Strategy<Value = String> {
    "[ab/é]{1,3}"
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (key(), any::<i8>(), proptest::option::of(1..50_u64)).prop_map(|(k, v, ttl)| Op::Set(k, i64::from(v), ttl)),
        (key(), any::<i8>()).prop_map(|(k, v)| Op::SetIfAbsent(k, i64::from(v))),
        key().prop_map(Op::Delete),
        (key(), any::<i8>()).prop_map(|(k, by)| Op::Incr(k, i64::from(by))),
        (1..30_i64).prop_map(Op::Pass),
    ]
}

/// The obvious store: value and the time at which it is over.
type Model = BTreeMap<String, (i64, Option<i64>)>;

fn apply(model: &mut Model, op: &Op, now: &mut i64) -> Option<(KvRequest, KvReply)> {
    let at = *now;
    model.retain(|_key, (_value, over)| over.is_none_or(|over| over > at));
    match op {
        Op::Pass(ms) => {
            *now += ms;
            None
        }
        Op::Set(key, value, ttl) => {
            model.insert(key.clone(), (*value, ttl.map(|ttl| at + i64::try_from(ttl).unwrap())));
            Some((set_if(key, &value.to_string(), *ttl, Condition::Always), KvReply::Set(Some(0))))
        }
        Op::SetIfAbsent(key, value) => {
            let absent = !model.contains_key(key);
            model.entry(key.clone()).or_insert((*value, None));
            let request = set_if(key, &value.to_string(), None, Condition::IfAbsent);
            Some((request, KvReply::Set(absent.then_some(0))))
        }
        Op::Delete(key) => {
            let was = model.remove(key).is_some();
            let request =
                KvRequest::Delete { collection: "c".to_owned(), key: key.clone(), condition: Condition::Always };
            Some((request, KvReply::Was(was)))
        }
        Op::Incr(key, by) => {
            let entry = model.entry(key.clone()).or_insert((0, None));
            entry.0 += by;
            Some((incr(key, *by), KvReply::Number(entry.0)))
        }
    }
}

/// Versions are the store's own; whether there is one is the model's.
fn without_version(reply: KvReply) -> KvReply {
    match reply {
        KvReply::Set(Some(_version)) => KvReply::Set(Some(0)),
        other => other,
    }
}

#[test]
fn the_store_answers_as_a_map_would() {
    let bench = Bench::new();
    proptest!(ProptestConfig::with_cases(48), |(ops in proptest::collection::vec(op(), 1..40), prefix in "[ab/é]{0,2}")| {
        let app = bench.app();
        let (mut model, mut now) = (Model::new(), NOW);
        for op in &ops {
            if let Some((request, expected)) = apply(&mut model, op, &mut now) {
                prop_assert_eq!(without_version(bench.ask(app, request, now)), expected, "{:?}", op);
            }
        }
        model.retain(|_key, (_value, over)| over.is_none_or(|over| over > now));
        let query = KvQuery { prefix: prefix.clone(), limit: 1_000, ..KvQuery::default() };
        let KvReply::List(page) = bench.ask(app, list(query), now) else { panic!("a list") };
        let found: Vec<(String, String)> =
            page.entries.into_iter().map(|entry| (entry.key, String::from_utf8(entry.value).unwrap())).collect();
        let expected: Vec<(String, String)> = model
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(key, (value, _))| (key.clone(), value.to_string()))
            .collect();
        prop_assert_eq!(found, expected);
    });
}

#[test]
fn a_list_neither_skips_nor_repeats_a_key_that_nobody_touches() {
    let bench = Bench::new();
    let strategy = (
        proptest::collection::btree_set("[ab/]{1,4}", 1..20),
        proptest::collection::vec(("[ab/]{1,4}", any::<bool>()), 0..40),
        1..6_u32,
        "[ab/]{0,1}",
        any::<bool>(),
    );
    proptest!(ProptestConfig::with_cases(48), |((stay, writes, limit, prefix, reverse) in strategy)| {
        let app = bench.app();
        for key in &stay {
            bench.ask(app, set(key, "1"), NOW);
        }
        let mut writes = writes.into_iter().filter(|(key, _)| !stay.contains(key));
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let query = KvQuery { prefix: prefix.clone(), cursor, limit, reverse, keys_only: true };
            let (keys, next) = bench.page(app, query);
            seen.extend(keys);
            cursor = next;
            if cursor.is_none() {
                break;
            }
            // Between two pages others insert and delete, before and behind the cursor and at it.
            for (key, insert) in writes.by_ref().take(4) {
                let request = if insert {
                    set(&key, "2")
                } else {
                    KvRequest::Delete { collection: "c".to_owned(), key, condition: Condition::Always }
                };
                bench.ask(app, request, NOW);
            }
        }
        let mut ordered = seen.clone();
        ordered.sort();
        ordered.dedup();
        if reverse {
            ordered.reverse();
        }
        prop_assert_eq!(&seen, &ordered, "in order, none twice");
        for key in stay.iter().filter(|key| key.starts_with(&prefix)) {
            prop_assert!(seen.contains(key), "{} was skipped", key);
        }
    });
}
