//! Copies are whole and of one moment, while others write.

use crate::conformance::executions::run;
use crate::conformance::kv::incr;
use crate::conformance::{NOW, act, endpoint, make_app};
use crate::{open, open_in};
use picloud_model::ids::AppId;
use picloud_model::kv::{KvReply, KvRequest};
use picloud_store::Store;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const CALLERS: usize = 4;
const COPIES: usize = 5;

fn counter(caller: usize) -> String {
    format!("caller{caller}")
}

async fn count_of(store: &dyn Store, app: AppId, key: &str) -> i64 {
    let get = KvRequest::Get { collection: "c".to_owned(), key: key.to_owned() };
    match store.kv(app, get, NOW).await.unwrap() {
        KvReply::Entry(entry) => entry.map_or(0, |entry| String::from_utf8(entry.value).unwrap().parse().unwrap()),
        other => panic!("expected an entry, got {other:?}"),
    }
}

fn check_file(path: &Path) {
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    let file = Connection::open(path).unwrap();
    let check: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok", "{}", path.display());
}

/// Callers count, each in its own key; what they were told before the copy began is in it, and nothing that was asked
/// for only after it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_holds_what_was_answered_before_it_and_nothing_from_after_it() {
    let (store, dir) = open().await;
    let app = make_app(&*store, "kitchen").await.id;
    let stop = Arc::new(AtomicBool::new(false));
    let told: Arc<Vec<AtomicI64>> = Arc::new((0..CALLERS).map(|_| AtomicI64::new(0)).collect());
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (store, stop, told) = (store.clone(), stop.clone(), told.clone());
        callers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let KvReply::Number(number) = store.kv(app, incr(&counter(caller), 1), NOW).await.unwrap() else {
                    panic!("it is a number")
                };
                told[caller].store(number, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        });
    }
    let mut bounds = Vec::new();
    for copy in 0..COPIES {
        let to = dir.path().join(format!("copy{copy}"));
        std::fs::create_dir(&to).unwrap();
        let at_least: Vec<i64> = told.iter().map(|told| told.load(Ordering::SeqCst)).collect();
        assert_eq!(store.copy_to(&to).await.unwrap(), ["picloud.db", "history.db"]);
        // Whoever was being answered when it ended may be one ahead of what was told.
        let at_most: Vec<i64> = told.iter().map(|told| told.load(Ordering::SeqCst) + 1).collect();
        bounds.push((to, at_least, at_most));
    }
    stop.store(true, Ordering::SeqCst);
    callers.join_all().await;
    for (to, at_least, at_most) in bounds {
        let names = std::fs::read_dir(&to).unwrap().count();
        assert_eq!(names, 2, "two files and no logs beside them");
        check_file(&to.join("picloud.db"));
        check_file(&to.join("history.db"));
        let copy = open_in(&to).await.unwrap();
        for caller in 0..CALLERS {
            let found = count_of(&*copy, app, &counter(caller)).await;
            assert!((at_least[caller]..=at_most[caller]).contains(&found), "{found} in {at_least:?}..={at_most:?}");
        }
    }
}

#[tokio::test]
async fn a_copy_is_a_store_with_everything_in_it() {
    let (store, dir) = open().await;
    let app = make_app(&*store, "kitchen").await.id;
    let script = store.save_script(app, &endpoint("hello", "1"), None, &act()).await.unwrap();
    store.put_secret(app, "token", Some(b"sealed".to_vec()), None, None, &act()).await.unwrap();
    store.add_executions(vec![run(app, "hello", 1)]).await.unwrap();
    let to = dir.path().join("copy");
    std::fs::create_dir(&to).unwrap();
    store.copy_to(&to).await.unwrap();
    let again = store.copy_to(&to).await;
    assert!(again.is_err(), "a copy that is there is not overwritten");
    let copy = open_in(&to).await.unwrap();
    assert_eq!(copy.script(app, "hello").await.unwrap().unwrap().0, script);
    assert_eq!(copy.sealed_secrets(app).await.unwrap(), store.sealed_secrets(app).await.unwrap());
    assert_eq!(copy.executions(app, &Default::default()).await.unwrap().items, [run(app, "hello", 1)]);
    assert_eq!(copy.verify_audit().await.unwrap(), store.verify_audit().await.unwrap());
    assert!(copy.verify_audit().await.unwrap().intact);
    // Ids go on where they were.
    assert_eq!(make_app(&*copy, "garden").await.id, make_app(&*store, "garden").await.id);
    let mode: String = Connection::open(to.join("history.db"))
        .unwrap()
        .query_row(
            "SELECT (SELECT auto_vacuum FROM pragma_auto_vacuum) || ' ' || (SELECT page_size FROM pragma_page_size)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(mode, "2 4096", "it still gives room back");
}

#[tokio::test]
async fn a_copy_to_nowhere_is_an_error_and_the_store_goes_on() {
    let (store, dir) = open().await;
    assert!(store.copy_to(&dir.path().join("missing")).await.is_err());
    make_app(&*store, "kitchen").await;
}
