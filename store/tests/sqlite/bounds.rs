//! Bounds of the files: a full one refuses writes and goes on reading; history gives room back.

use crate::conformance::executions::run;
use crate::conformance::kv::{incr, set};
use crate::conformance::{NOW, make_app};
use crate::open_with;
use picloud_model::execution::{Execution, ExecutionQuery, Outcome};
use picloud_model::ids::AppId;
use picloud_model::kv::{Condition, KvReply, KvRequest};
use picloud_store::{OpenSettings, Store, StoreError};
use std::path::Path;

fn get(key: &str) -> KvRequest {
    KvRequest::Get { collection: "c".to_owned(), key: key.to_owned() }
}

/// Sets keys until the store is full; answers how many were set.
async fn fill(store: &dyn Store, app: AppId) -> usize {
    let value = format!("\"{}\"", "x".repeat(20_000));
    for number in 0..1_000 {
        match store.kv(app, set(&format!("k{number}"), &value), NOW).await {
            Ok(KvReply::Set(Some(_version))) => {}
            Err(StoreError::Full(_)) => return number,
            other => panic!("expected a version or a full store, got {other:?}"),
        }
    }
    panic!("it never was full");
}

#[tokio::test]
async fn a_full_store_refuses_writes_reads_on_and_takes_writes_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let settings = OpenSettings { data_bytes_max: Some(600_000), ..OpenSettings::new(dir.path()) };
    let store = open_with(settings).await.unwrap();
    let app = make_app(&*store, "kitchen").await.id;
    let count = fill(&*store, app).await;
    assert!(count > 10, "{count} fitted");
    for number in 0..count {
        let found = store.kv(app, get(&format!("k{number}")), NOW).await.unwrap();
        assert!(matches!(found, KvReply::Entry(Some(_))), "k{number} was answered for and is there");
    }
    assert!(matches!(store.kv(app, get(&format!("k{count}")), NOW).await.unwrap(), KvReply::Entry(None)));
    for number in 0..5 {
        let delete =
            KvRequest::Delete { collection: "c".to_owned(), key: format!("k{number}"), condition: Condition::Always };
        assert_eq!(store.kv(app, delete, NOW).await.unwrap(), KvReply::Was(true));
    }
    assert!(matches!(store.kv(app, set("again", "1"), NOW).await.unwrap(), KvReply::Set(Some(_))));
}

/// A job that finds no room may cost its neighbours their transaction, but never an answered write.
#[tokio::test]
async fn who_is_answered_beside_a_write_that_finds_no_room_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let settings = OpenSettings { data_bytes_max: Some(600_000), ..OpenSettings::new(dir.path()) };
    let store = open_with(settings).await.unwrap();
    let app = make_app(&*store, "kitchen").await.id;
    store.kv(app, incr("n", 1), NOW).await.unwrap();
    fill(&*store, app).await;
    let large = format!("\"{}\"", "y".repeat(900_000));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..60 {
        let (store, large) = (store.clone(), large.clone());
        callers.spawn(async move {
            let request = if number % 3 == 0 { set("large", &large) } else { incr("n", 1) };
            (number % 3 == 0, store.kv(app, request, NOW).await)
        });
    }
    let mut answered = 1;
    while let Some(done) = callers.join_next().await {
        match done.unwrap() {
            (false, Ok(KvReply::Number(_))) => answered += 1,
            (_, Err(StoreError::Full(_))) => {}
            other => panic!("expected a number or a full store, got {other:?}"),
        }
    }
    let KvReply::Entry(Some(entry)) = store.kv(app, get("n"), NOW).await.unwrap() else { panic!("it is there") };
    assert_eq!(String::from_utf8(entry.value).unwrap(), answered.to_string());
}

#[tokio::test]
async fn an_app_keeps_its_newest_runs() {
    let dir = tempfile::tempdir().unwrap();
    let settings = OpenSettings { history_app_runs_max: 5, ..OpenSettings::new(dir.path()) };
    let store = open_with(settings).await.unwrap();
    let (app, other) = (AppId(1), AppId(2));
    store.add_executions(vec![run(other, "a", 1)]).await.unwrap();
    for batch in [1..=3, 4..=7, 8..=8] {
        store.add_executions(batch.map(|number| run(app, "a", number)).collect()).await.unwrap();
    }
    let page = store.executions(app, &ExecutionQuery::default()).await.unwrap();
    let numbers: Vec<u128> = page.items.iter().map(|execution| execution.id.0.as_u128()).collect();
    assert_eq!(numbers, [8, 7, 6, 5, 4]);
    let others = store.executions(other, &ExecutionQuery::default()).await.unwrap();
    assert_eq!(others.items.len(), 1, "another app's runs are not counted");
}

#[tokio::test]
async fn an_app_drops_what_went_well_before_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = OpenSettings { history_app_runs_max: 5, ..OpenSettings::new(dir.path()) };
    let store = open_with(settings).await.unwrap();
    let app = AppId(1);
    let failed = |number| Execution { outcome: Outcome::Failed, ..run(app, "a", number) };
    let numbers = || async {
        let page = store.executions(app, &ExecutionQuery::default()).await.unwrap();
        page.items.iter().map(|execution| execution.id.0.as_u128()).collect::<Vec<_>>()
    };
    let runs = vec![failed(1), failed(2), run(app, "a", 3), run(app, "a", 4), run(app, "a", 5), run(app, "a", 6)];
    store.add_executions(runs).await.unwrap();
    assert_eq!(numbers().await, [6, 5, 4, 2, 1]);
    store.add_executions(vec![failed(7), failed(8), failed(9), failed(10)]).await.unwrap();
    assert_eq!(numbers().await, [10, 9, 8, 7, 2], "and the oldest of them where nothing else is left");
}

/// A run with a log of `bytes` bytes.
fn chatty(app: AppId, number: u128, bytes: usize) -> Execution {
    let mut execution = run(app, "a", number);
    execution.logs[0].message = "x".repeat(bytes);
    execution
}

fn size(data_dir: &Path) -> u64 {
    std::fs::metadata(data_dir.join("history.db")).unwrap().len()
}

#[tokio::test]
async fn history_stays_within_its_bytes_and_gives_room_back() {
    const BYTES_MAX: u64 = 4 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let settings = OpenSettings { history_bytes_max: BYTES_MAX, ..OpenSettings::new(dir.path()) };
    let store = open_with(settings.clone()).await.unwrap();
    let app = AppId(1);
    for batch in 0..20 {
        let runs = (0..40).map(|number| chatty(app, batch * 40 + number, 10_000)).collect();
        store.add_executions(runs).await.unwrap();
    }
    let newest = store.executions(app, &ExecutionQuery::default()).await.unwrap();
    assert_eq!(newest.items[0].id.0.as_u128(), 799);
    drop(store);
    let full = size(dir.path());
    assert!((BYTES_MAX / 2..=BYTES_MAX).contains(&full), "{full} bytes of 8 MB are kept");

    let store = open_with(settings).await.unwrap();
    assert!(store.expire_executions(NOW + 100 * 86_400_000, 1_000).await.unwrap() > 100);
    assert_eq!(store.expire_executions(NOW + 100 * 86_400_000, 1_000).await.unwrap(), 0);
    drop(store);
    let empty = size(dir.path());
    assert!(empty < BYTES_MAX / 3, "{empty} bytes after {full}");
}
