//! A server that is killed, started again, or frozen: what was answered is kept, callers hear of it in time, and nobody
//! needs to do anything.

use crate::conformance::{NOW, act, kv, make_app, new_app};
use crate::open_on;
use crate::temp_pg::TempPg;
use picloud_model::kv::{KvReply, KvRequest};
use picloud_store::{Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long coming back may take: the server's own recovery, and the longest wait between two tries.
const BACK: Duration = Duration::from_secs(60);
/// How long any call may take with a server that does not answer.
const GIVEN_UP: Duration = Duration::from_secs(25);

async fn open_own() -> (Arc<dyn Store>, TempDir, TempPg) {
    let (dir, pg) = (tempfile::tempdir().unwrap(), TempPg::own());
    let store = open_on(&pg, &dir.path().join("data")).await.unwrap();
    (store, dir, pg)
}

/// Calls until it succeeds.
async fn until_back(store: &dyn Store) {
    let back = async {
        while let Err(error) = store.apps(&Default::default()).await {
            assert!(matches!(error, StoreError::Away(_)), "{error:?}");
        }
    };
    timeout(BACK, back).await.expect("it comes back by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_while_many_write_loses_nothing_that_was_answered() {
    const WRITERS: u64 = 6;
    let (store, _dir, pg) = open_own().await;
    let app = make_app(&*store, "kitchen").await.id;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut written, mut number) = (Vec::new(), 0);
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let key = format!("{writer}-{number}");
                    if store.kv(app, kv::set(&key, "1"), NOW).await.is_ok() {
                        written.push(key);
                    }
                    let name = format!("app-{writer}-{number}");
                    if store.create_app(&new_app(&name), &act()).await.is_ok() {
                        written.push(name);
                    }
                }
                written
            })
        })
        .collect();
    for _round in 0..2 {
        let seen = store.audit_last().await.unwrap();
        let mut grown = store.audit_signal();
        timeout(BACK, grown.wait_for(|seq| *seq > seen + 20)).await.expect("they write").unwrap();
        pg.kill();
        pg.start();
        until_back(&*store).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        for written in timeout(BACK, writer).await.unwrap().unwrap() {
            let there = match written.starts_with("app-") {
                true => store.app(&written).await.unwrap().is_some(),
                false => {
                    let get = KvRequest::Get { collection: "c".to_owned(), key: written.clone() };
                    matches!(store.kv(app, get, NOW).await.unwrap(), KvReply::Entry(Some(_)))
                }
            };
            assert!(there, "{written} was answered and is gone");
        }
    }
    let verdict = store.verify_audit().await.unwrap();
    assert!(verdict.intact, "{verdict:?}");
}

#[tokio::test]
async fn what_others_did_while_the_connection_was_broken_is_caught_up_with() {
    let (store, dir, pg) = open_own().await;
    let other = open_on(&pg, &dir.path().join("other")).await.unwrap();
    let (mut told, mut audit, mut deliveries) = (store.others_signal(), store.audit_signal(), store.delivery_signal());
    told.mark_unchanged();
    deliveries.mark_unchanged();
    pg.kill();
    pg.start();
    until_back(&*other).await;
    other.create_app(&new_app("kitchen"), &act()).await.unwrap();
    timeout(BACK, told.changed()).await.expect("it looks again").unwrap();
    timeout(BACK, deliveries.changed()).await.expect("it looks again").unwrap();
    timeout(BACK, audit.wait_for(|seq| *seq == 1)).await.expect("it reads what it missed").unwrap();
    // And it hears again.
    other.create_app(&new_app("garden"), &act()).await.unwrap();
    timeout(BACK, audit.wait_for(|seq| *seq == 2)).await.expect("it hears").unwrap();
}

#[tokio::test]
async fn a_listening_connection_that_is_cut_alone_comes_back() {
    let (store, dir, pg) = open_own().await;
    let other = open_on(&pg, &dir.path().join("other")).await.unwrap();
    let mut told = store.others_signal();
    told.mark_unchanged();
    let cut =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'picloud listener'";
    assert_eq!(pg.sql(cut), "2");
    timeout(BACK, told.changed()).await.expect("it looks again").unwrap();
    told.mark_unchanged();
    other.create_app(&new_app("kitchen"), &act()).await.unwrap();
    timeout(BACK, told.changed()).await.expect("it hears").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_given_up_in_time_and_used_again_when_it_thaws() {
    let (store, _dir, pg) = open_own().await;
    make_app(&*store, "kitchen").await;
    pg.freeze();
    let begun = Instant::now();
    for _again in 0..2 {
        let error = timeout(GIVEN_UP, store.create_app(&new_app("garden"), &act())).await.expect("it is given up");
        assert!(matches!(error, Err(StoreError::Away(_))), "{error:?}");
    }
    assert!(begun.elapsed() < GIVEN_UP, "{:?}", begun.elapsed());
    pg.thaw();
    until_back(&*store).await;
    assert!(store.app("kitchen").await.unwrap().is_some());
    // What was given up may have happened or not; either way it is done now.
    let made = store.create_app(&new_app("garden"), &act()).await;
    assert!(matches!(made, Ok(_) | Err(StoreError::Conflict { .. })), "{made:?}");
    assert!(store.verify_audit().await.unwrap().intact);
}
