//! An answered write and its delivery survive a kill at any moment, and many writes share one commit.

use crate::conformance::kv::{incr, list, set};
use crate::conformance::triggers::{claimed, on_kv};
use crate::conformance::{NOW, act, endpoint, make_app};
use crate::{open, open_in};
use picloud_model::event::Cause;
use picloud_model::ids::AppId;
use picloud_model::kv::{KvQuery, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_store::Store;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const CALLERS: usize = 8;
/// After how many acknowledgements each of the children is killed: early, within the first group, late.
const KILLED_AFTER: [usize; 6] = [1, 3, 50, 7, 211, 400];

/// Every caller counts in its own key, and says so once it was answered: `caller number version`.
#[test]
#[ignore = "the child of the test below; it reads its data directory from standard input"]
fn child_that_counts_until_it_is_killed() {
    let mut data_dir = String::new();
    std::io::stdin().read_line(&mut data_dir).unwrap();
    if data_dir.trim().is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = open_in(Path::new(data_dir.trim())).await.unwrap();
        let app = match store.app("kitchen").await.unwrap() {
            Some(app) => app.id,
            None => {
                let app = make_app(&*store, "kitchen").await.id;
                store.save_script(app, &endpoint("hello", "1"), None, &act()).await.unwrap();
                store.put_trigger(app, &on_kv("on-c", "hello"), None, &act()).await.unwrap();
                app
            }
        };
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let store = store.clone();
            callers.spawn(async move {
                loop {
                    let key = format!("caller{caller}");
                    let KvReply::Number(number) = store.kv_for(app, incr(&key, 1), &unbounded()).await.unwrap() else {
                        panic!("it is a number")
                    };
                    let version = set("shared", &number.to_string());
                    let KvReply::Set(Some(version)) = store.kv_for(app, version, &unbounded()).await.unwrap() else {
                        panic!("it has a version")
                    };
                    // One write of a whole line: a kill cuts between lines.
                    let line = format!("ack {caller} {number} {version}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    std::io::stdout().lock().flush().unwrap();
                }
            });
        }
        callers.join_next().await.unwrap().unwrap();
    });
}

fn start_child(data_dir: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::child_that_counts_until_it_is_killed", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", data_dir.display()).unwrap();
    child
}

#[test]
fn every_answered_write_and_its_delivery_survive_a_kill_and_no_version_is_given_out_twice() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let mut acked: HashMap<String, i64> = HashMap::new();
    let mut last_version = 0;
    for killed_after in KILLED_AFTER {
        let mut child = start_child(dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut versions = Vec::new();
        let mut acks = 0;
        // After the kill, what the child had said already is still in the pipe.
        while let Some(Ok(line)) = lines.next() {
            let Some(ack) = line.split_once("ack ").map(|(_before, ack)| ack.to_owned()) else { continue };
            let mut words = ack.split(' ');
            let caller = words.next().unwrap().to_owned();
            let [number, version] = [(); 2].map(|()| words.next().unwrap().parse::<i64>().unwrap());
            let before = acked.insert(caller, number).unwrap_or(0);
            assert!(number > before, "{line}: a count never goes back");
            versions.push(version);
            acks += 1;
            if acks == killed_after {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "the child was killed, it did not end");
        assert!(acks >= killed_after);
        assert!(*versions.iter().min().unwrap() > last_version, "versions go on above all that were given out");
        last_version = *versions.iter().max().unwrap();
        runtime.block_on(check(dir.path(), &mut acked));
    }
}

/// Each caller's count is what it was last told, or one more that was not told any more; from here on it is known.
async fn check(data_dir: &Path, acked: &mut HashMap<String, i64>) {
    let store = open_in(data_dir).await.unwrap();
    let app = store.app("kitchen").await.unwrap().unwrap().id;
    for (caller, number) in acked.iter_mut() {
        let get = KvRequest::Get { collection: "c".to_owned(), key: format!("caller{caller}") };
        let KvReply::Entry(Some(entry)) = store.kv(app, get, NOW).await.unwrap() else {
            panic!("caller {caller} was told {number}, and there is nothing")
        };
        let found: i64 = String::from_utf8(entry.value).unwrap().parse().unwrap();
        assert!((*number..=*number + 1).contains(&found), "caller {caller} was told {number}, and {found} is there");
        *number = found;
    }
    check_deliveries(&*store, app).await;
}

/// Each count was one write and one delivery: there is one for every number up to what is there, and none beyond; and of
/// the key that all share, the newest delivery has the version that is there.
async fn check_deliveries(store: &dyn Store, app: AppId) {
    let mut told: HashMap<String, Vec<i64>> = HashMap::new();
    let mut shared = 0;
    loop {
        let deliveries = claimed(store, NOW).await;
        if deliveries.is_empty() {
            break;
        }
        for one in deliveries {
            let event: serde_json::Value = serde_json::from_slice(&one.event.body).unwrap();
            match event["key"].as_str().unwrap().strip_prefix("caller") {
                Some(caller) => told.entry(caller.to_owned()).or_default().push(event["value"].as_i64().unwrap()),
                None => shared = shared.max(event["version"].as_i64().unwrap()),
            }
        }
    }
    let all = list(KvQuery { limit: 100, ..KvQuery::default() });
    let KvReply::List(all) = store.kv(app, all, NOW).await.unwrap() else { panic!("a list") };
    for entry in &all.entries {
        let Some(caller) = entry.key.strip_prefix("caller") else {
            assert_eq!(shared, entry.version);
            continue;
        };
        let count: i64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
        let mut numbers = told.remove(caller).unwrap_or_default();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "caller {caller}");
    }
    assert!(told.is_empty(), "deliveries without a key: {told:?}");
}

/// Whatever waits: nobody takes deliveries while the child runs.
fn unbounded() -> Cause {
    Cause { queued_max: u64::MAX, ..Cause::first(NOW, &Limits::default()) }
}

/// Frames of the log that end a transaction: each was one sync.
fn commits_in_log(data_dir: &Path) -> usize {
    let log = std::fs::read(data_dir.join("picloud.db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page_bytes = number(8) as usize;
    let salt = &log[16..24];
    (32..log.len())
        .step_by(24 + page_bytes)
        .take_while(|&frame| frame + 24 <= log.len() && &log[frame + 8..frame + 16] == salt)
        .filter(|&frame| number(frame + 4) != 0)
        .count()
}

/// On one thread, all callers have asked before the first is answered.
#[tokio::test(flavor = "current_thread")]
async fn writes_that_wait_together_share_a_commit() {
    const WRITES: usize = 400;
    let (store, dir) = open().await;
    let app: AppId = make_app(&*store, "kitchen").await.id;
    let before = commits_in_log(&dir.path().join("data"));
    let mut callers = tokio::task::JoinSet::new();
    for _write in 0..WRITES {
        let store = store.clone();
        callers.spawn(async move { store.kv(app, incr("n", 1), NOW).await.unwrap() });
    }
    let answers = callers.join_all().await;
    assert!(answers.contains(&KvReply::Number(400)));
    let commits = commits_in_log(&dir.path().join("data")) - before;
    assert!((2..=WRITES / 10).contains(&commits), "{commits} commits for {WRITES} writes");
}

/// A write that fails on its own terms takes nothing of its neighbours back.
#[tokio::test(flavor = "current_thread")]
async fn a_failed_write_leaves_the_others_of_its_group() {
    let (store, _dir) = open().await;
    let app = make_app(&*store, "kitchen").await.id;
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..30 {
        let store = store.clone();
        callers.spawn(async move {
            match number % 3 {
                0 => store.kv(app, incr("n", 1), NOW).await.is_ok(),
                1 => store.kv(AppId(app.0 + 99), incr("n", 1), NOW).await.is_ok(),
                _ => {
                    store.create_app(&crate::conformance::new_app("kitchen"), &crate::conformance::act()).await.is_ok()
                }
            }
        });
    }
    assert_eq!(callers.join_all().await.into_iter().filter(|worked| *worked).count(), 10);
    assert_eq!(store.kv(app, incr("n", 0), NOW).await.unwrap(), KvReply::Number(10));
}

/// More than the queue holds is refused at once, and those within are all answered.
#[tokio::test(flavor = "current_thread")]
async fn more_writes_than_the_queue_holds_are_refused() {
    let (store, _dir) = open().await;
    let app = make_app(&*store, "kitchen").await.id;
    let mut callers = tokio::task::JoinSet::new();
    // Twenty queues' worth on one thread that does nothing else: no writer with a sync keeps up.
    for _write in 0..20_000 {
        let store = store.clone();
        callers.spawn(async move { store.kv(app, incr("n", 1), NOW).await });
    }
    let (mut answered, mut refused) = (0, 0);
    while let Some(done) = callers.join_next().await {
        match done.unwrap() {
            Ok(KvReply::Number(_)) => answered += 1,
            Err(picloud_store::StoreError::Overloaded) => refused += 1,
            other => panic!("expected a number or a full queue, got {other:?}"),
        }
    }
    assert_eq!(store.kv(app, incr("n", 0), NOW).await.unwrap(), KvReply::Number(answered));
    assert!(refused > 0 && answered > 1_000, "{refused} refused, {answered} answered");
}
