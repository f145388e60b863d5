//! Cases of `Kv`.

use super::*;
use picloud_model::ids::AppId;
use picloud_model::kv::{Condition, KvEntry, KvQuery, KvReply, KvRequest};
use std::sync::Arc;

pub(crate) fn set(key: &str, value: &str) -> KvRequest {
    set_if(key, value, None, Condition::Always)
}

pub(crate) fn set_if(key: &str, value: &str, ttl_ms: Option<u64>, condition: Condition) -> KvRequest {
    let value = value.as_bytes().to_vec();
    KvRequest::Set { collection: "c".to_owned(), key: key.to_owned(), value, ttl_ms, condition }
}

pub(crate) fn incr(key: &str, by: i64) -> KvRequest {
    KvRequest::Incr { collection: "c".to_owned(), key: key.to_owned(), by }
}

pub(crate) fn list(query: KvQuery) -> KvRequest {
    KvRequest::List { collection: "c".to_owned(), query }
}

fn get(key: &str) -> KvRequest {
    KvRequest::Get { collection: "c".to_owned(), key: key.to_owned() }
}

fn has(key: &str) -> KvRequest {
    KvRequest::Has { collection: "c".to_owned(), key: key.to_owned() }
}

fn delete(key: &str, condition: Condition) -> KvRequest {
    KvRequest::Delete { collection: "c".to_owned(), key: key.to_owned(), condition }
}

/// One app's KV, as of a time.
struct At<'a> {
    store: &'a dyn Store,
    app: AppId,
}

impl At<'_> {
    async fn ask(&self, request: KvRequest, after_ms: i64) -> KvReply {
        self.store.kv(self.app, request, NOW + after_ms).await.unwrap()
    }

    async fn now(&self, request: KvRequest) -> KvReply {
        self.ask(request, 0).await
    }

    async fn version(&self, request: KvRequest) -> i64 {
        match self.now(request).await {
            KvReply::Set(Some(version)) => version,
            other => panic!("expected a version, got {other:?}"),
        }
    }

    async fn entry(&self, key: &str) -> Option<KvEntry> {
        match self.now(get(key)).await {
            KvReply::Entry(entry) => entry,
            other => panic!("expected an entry, got {other:?}"),
        }
    }

    async fn keys(&self, query: KvQuery) -> (String, Option<String>) {
        match self.now(list(query)).await {
            KvReply::List(page) => {
                let keys: Vec<String> = page.entries.into_iter().map(|entry| entry.key).collect();
                (keys.join(" "), page.cursor)
            }
            other => panic!("expected a list, got {other:?}"),
        }
    }
}

pub(crate) async fn what_is_set_is_there_and_versions_only_grow(store: Arc<dyn Store>) {
    let kv = At { store: &*store, app: make_app(&*store, "kitchen").await.id };
    assert_eq!(kv.entry("k").await, None);
    let first = kv.version(set("k", "1")).await;
    let other = kv.version(set("other", "{}")).await;
    let second = kv.version(set("k", "[2]")).await;
    assert!(first < other && other < second);
    let entry = kv.entry("k").await.unwrap();
    assert_eq!((entry.key.as_str(), entry.value.as_slice(), entry.version), ("k", b"[2]".as_slice(), second));
    assert_eq!((entry.updated_at, entry.expires_at), (NOW, None));
    assert_eq!(kv.now(has("k")).await, KvReply::Was(true));
    assert_eq!(kv.now(delete("k", Condition::Always)).await, KvReply::Was(true));
    assert_eq!(kv.now(delete("k", Condition::Always)).await, KvReply::Was(false));
    assert_eq!(kv.now(has("k")).await, KvReply::Was(false));
    assert!(kv.version(set("k", "3")).await > second, "a version is not given out twice");
}

pub(crate) async fn conditions_hold_or_change_nothing(store: Arc<dyn Store>) {
    let kv = At { store: &*store, app: make_app(&*store, "kitchen").await.id };
    assert_eq!(kv.now(set_if("k", "1", None, Condition::IfVersion(1))).await, KvReply::Set(None));
    let first = kv.version(set_if("k", "1", None, Condition::IfAbsent)).await;
    assert_eq!(kv.now(set_if("k", "2", None, Condition::IfAbsent)).await, KvReply::Set(None));
    let second = kv.version(set_if("k", "2", None, Condition::IfVersion(first))).await;
    assert_eq!(kv.now(set_if("k", "3", None, Condition::IfVersion(first))).await, KvReply::Set(None));
    assert_eq!(kv.entry("k").await.unwrap().value, b"2");
    assert_eq!(kv.now(delete("k", Condition::IfVersion(first))).await, KvReply::Unmet);
    assert_eq!(kv.now(delete("k", Condition::IfVersion(second))).await, KvReply::Was(true));
    assert_eq!(kv.now(delete("k", Condition::IfVersion(second))).await, KvReply::Unmet);
}

pub(crate) async fn an_expired_key_is_absent_for_everyone(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let kv = At { store: &*store, app };
    let mut version = 0;
    for key in ["get", "set", "delete", "incr"] {
        version = kv.version(set_if(key, "5", Some(1_000), Condition::Always)).await;
    }
    assert_eq!(kv.entry("get").await.unwrap().expires_at, Some(NOW + 1_000));
    assert_eq!(kv.ask(has("get"), 999).await, KvReply::Was(true));

    assert_eq!(kv.ask(has("get"), 1_000).await, KvReply::Was(false));
    assert_eq!(kv.ask(get("get"), 1_000).await, KvReply::Entry(None));
    let all = list(KvQuery { limit: 10, ..KvQuery::default() });
    assert!(matches!(kv.ask(all, 1_000).await, KvReply::List(page) if page.entries.is_empty()));
    assert!(store.kv_collections(app, NOW + 1_000).await.unwrap().is_empty());
    assert_eq!(kv.ask(delete("delete", Condition::Always), 1_000).await, KvReply::Was(false));
    assert_eq!(kv.ask(set_if("incr", "1", None, Condition::IfVersion(version)), 1_000).await, KvReply::Set(None));
    assert!(matches!(kv.ask(set_if("set", "6", None, Condition::IfAbsent), 1_000).await, KvReply::Set(Some(_))));
    assert_eq!(kv.ask(incr("incr", 1), 1_000).await, KvReply::Number(1), "it counts from 0 again");
    assert_eq!(kv.ask(has("incr"), i64::MAX - NOW).await, KvReply::Was(true), "and keeps no time to live");
    let forever = set_if("far", "1", Some(u64::MAX), Condition::Always);
    assert!(matches!(kv.now(forever).await, KvReply::Set(Some(_))), "a time to live has no overflow");
}

pub(crate) async fn incr_counts_keeps_the_time_to_live_and_refuses_what_is_no_number(store: Arc<dyn Store>) {
    let kv = At { store: &*store, app: make_app(&*store, "kitchen").await.id };
    assert_eq!(kv.now(incr("n", 5)).await, KvReply::Number(5));
    let first = kv.entry("n").await.unwrap();
    assert_eq!(kv.now(incr("n", -7)).await, KvReply::Number(-2));
    let second = kv.entry("n").await.unwrap();
    assert_eq!(second.value, b"-2");
    assert!(second.version > first.version);
    kv.now(set_if("t", "1", Some(500), Condition::Always)).await;
    kv.ask(incr("t", 1), 100).await;
    assert_eq!(kv.entry("t").await.unwrap().expires_at, Some(NOW + 500));
    for value in ["1.5", "\"1\"", "null", "[]", "9223372036854775808"] {
        kv.now(set("x", value)).await;
        assert_eq!(kv.now(incr("x", 1)).await, KvReply::NotANumber, "{value}");
        assert_eq!(kv.entry("x").await.unwrap().value, value.as_bytes());
    }
    kv.now(set("x", &i64::MAX.to_string())).await;
    assert_eq!(kv.now(incr("x", 1)).await, KvReply::Overflow);
    assert_eq!(kv.now(incr("x", -1)).await, KvReply::Number(i64::MAX - 1));
}

pub(crate) async fn apps_and_collections_do_not_see_each_other(store: Arc<dyn Store>) {
    let one = At { store: &*store, app: make_app(&*store, "one").await.id };
    let two = At { store: &*store, app: make_app(&*store, "two").await.id };
    one.now(set("k", "1")).await;
    assert_eq!(two.entry("k").await, None);
    two.now(set("k", "2")).await;
    assert_eq!(one.entry("k").await.unwrap().value, b"1");
    let elsewhere = KvRequest::Get { collection: "d".to_owned(), key: "k".to_owned() };
    assert_eq!(one.now(elsewhere).await, KvReply::Entry(None));
    assert_eq!(store.delete_collection(one.app, "c", &act()).await.unwrap(), 1);
    assert_eq!(one.entry("k").await, None);
    assert!(two.entry("k").await.is_some());
}

pub(crate) async fn expired_keys_are_purged_in_batches_and_the_next_expiry_is_known(store: Arc<dyn Store>) {
    let kv = At { store: &*store, app: make_app(&*store, "kitchen").await.id };
    assert_eq!(store.next_expiry().await.unwrap(), None);
    kv.now(set("stays", "1")).await;
    for ttl in [300, 100, 200] {
        kv.now(set_if(&format!("k{ttl}"), "1", Some(ttl), Condition::Always)).await;
    }
    assert_eq!(store.next_expiry().await.unwrap(), Some(NOW + 100));
    assert_eq!(store.purge_expired(NOW + 99, 10).await.unwrap(), 0);
    assert_eq!(store.purge_expired(NOW + 250, 1).await.unwrap(), 1);
    assert_eq!(store.next_expiry().await.unwrap(), Some(NOW + 200));
    assert_eq!(store.purge_expired(NOW + 250, 10).await.unwrap(), 1);
    assert_eq!(store.purge_expired(NOW + 250, 10).await.unwrap(), 0);
    assert_eq!(store.next_expiry().await.unwrap(), Some(NOW + 300));
    assert_eq!(kv.keys(KvQuery { limit: 10, ..KvQuery::default() }).await.0, "k300 stays");
}

pub(crate) async fn lists_go_by_bytes_prefix_and_direction(store: Arc<dyn Store>) {
    let kv = At { store: &*store, app: make_app(&*store, "kitchen").await.id };
    for key in ["b", "a/2", "a/1", "Z", "é", "a/\u{10ffff}", "a0", "a", "a/10"] {
        kv.now(set(key, "1")).await;
    }
    let query = |prefix: &str, reverse, limit, cursor| KvQuery {
        prefix: prefix.to_owned(),
        cursor,
        limit,
        reverse,
        keys_only: false,
    };
    assert_eq!(kv.keys(query("", false, 100, None)).await, ("Z a a/1 a/10 a/2 a/\u{10ffff} a0 b é".to_owned(), None));
    assert_eq!(kv.keys(query("", true, 100, None)).await.0, "é b a0 a/\u{10ffff} a/2 a/10 a/1 a Z");
    assert_eq!(kv.keys(query("a/", false, 100, None)).await.0, "a/1 a/10 a/2 a/\u{10ffff}");
    assert_eq!(kv.keys(query("a/1", true, 100, None)).await.0, "a/10 a/1");
    assert_eq!(kv.keys(query("x", false, 100, None)).await, (String::new(), None));
    for reverse in [false, true] {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let (page, next) = kv.keys(query("a", reverse, 2, cursor)).await;
            keys.extend(page.split(' ').map(str::to_owned));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        if reverse {
            keys.reverse();
        }
        assert_eq!(keys, ["a", "a/1", "a/10", "a/2", "a/\u{10ffff}", "a0"]);
    }
    let only = KvQuery { keys_only: true, ..query("b", false, 1, None) };
    let KvReply::List(page) = kv.now(list(only)).await else { panic!("a list") };
    assert!(page.entries[0].value.is_empty() && page.entries[0].version > 0);
}

pub(crate) async fn a_bad_cursor_is_refused(store: Arc<dyn Store>) {
    let kv = At { store: &*store, app: make_app(&*store, "kitchen").await.id };
    for key in ["a1", "a2", "b1"] {
        kv.now(set(key, "1")).await;
    }
    let query = KvQuery { limit: 1, prefix: "a".to_owned(), ..KvQuery::default() };
    let cursor = kv.keys(query.clone()).await.1;
    assert!(cursor.is_some());
    for bad in [
        KvQuery { cursor: Some("rubbish".to_owned()), ..query.clone() },
        KvQuery { cursor: cursor.clone(), reverse: true, ..query.clone() },
        KvQuery { cursor: cursor.clone(), prefix: "b".to_owned(), ..query.clone() },
    ] {
        assert_eq!(kv.now(list(bad.clone())).await, KvReply::BadCursor, "{bad:?}");
    }
}

pub(crate) async fn a_page_of_large_values_ends_early_and_goes_on(store: Arc<dyn Store>) {
    let kv = At { store: &*store, app: make_app(&*store, "kitchen").await.id };
    let large = format!("\"{}\"", "x".repeat(1_000_000));
    for number in 0..10 {
        kv.now(set(&format!("k{number}"), &large)).await;
    }
    let (mut keys, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let (page, next) = kv.keys(KvQuery { limit: 100, cursor, ..KvQuery::default() }).await;
        keys.extend(page.split(' ').map(str::to_owned));
        pages += 1;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(keys.join(" "), "k0 k1 k2 k3 k4 k5 k6 k7 k8 k9");
    assert!((3..=9).contains(&pages), "{pages} pages");
}

pub(crate) async fn collections_are_counted_and_vanish_when_empty(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let kv = At { store: &*store, app };
    assert!(store.kv_collections(app, NOW).await.unwrap().is_empty());
    kv.now(set("ab", "123")).await;
    kv.now(set("c", "1")).await;
    let found = store.kv_collections(app, NOW).await.unwrap();
    assert_eq!((found[0].name.as_str(), found[0].keys, found[0].size_bytes), ("c", 2, 7));
    kv.now(delete("ab", Condition::Always)).await;
    kv.now(delete("c", Condition::Always)).await;
    assert!(store.kv_collections(app, NOW).await.unwrap().is_empty());
    assert_eq!(store.delete_collection(app, "c", &act()).await.unwrap(), 0);
}

pub(crate) async fn a_write_to_an_app_that_is_gone_is_a_conflict(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    store.delete_app(app, None, &act()).await.unwrap();
    assert!(in_the_way(store.kv(app, set("k", "1"), NOW).await).is_empty());
    let other = make_app(&*store, "other").await.id;
    assert!(matches!(store.kv(other, set("k", "1"), NOW).await, Ok(KvReply::Set(Some(_)))), "the next write works");
}

pub(crate) async fn many_callers_count_to_the_right_sum(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let callers: Vec<_> = (0..16)
        .map(|_caller| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for _time in 0..25 {
                    match store.kv(app, incr("n", 1), NOW).await.unwrap() {
                        KvReply::Number(number) => seen.push(number),
                        other => panic!("expected a number, got {other:?}"),
                    }
                }
                seen
            })
        })
        .collect();
    let mut seen = Vec::new();
    for caller in callers {
        seen.extend(caller.await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=400).collect::<Vec<i64>>());
}
