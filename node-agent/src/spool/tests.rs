//! What the spool promises: kept before it is said, in order, each number once; also when the power goes in between.

use super::*;
use picloud_model::ids::{AppId, EventId, ExecutionId};
use picloud_model::protocol::Caller;
use picloud_model::publish::Publish;
use std::process::Command;

const NOW: UnixMs = 1_900_000_000_000;

fn spooled(number: u64, topic: &str) -> Spooled {
    let run = ExecutionId::new();
    Spooled {
        number,
        event: EventId::new(),
        at: NOW,
        caller: Caller {
            app: AppId(3),
            execution_id: run,
            root_execution_id: run,
            trigger_depth: 1,
            script: "hello".into(),
            version: 7,
        },
        publish: Publish {
            topic: topic.to_owned(),
            value: b"{\"a\":1}".to_vec(),
            delay_ms: 5,
            dedup_key: Some("k".to_owned()),
        },
    }
}

async fn add(spool: &Arc<Spool>, topic: &str) -> Spooled {
    let number = spool.begin().await.unwrap();
    let it = spooled(number.get(), topic);
    spool.append(number, it.clone()).await.unwrap();
    it
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_in_order_and_its_numbers_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), NOW).unwrap();
    let kept = [add(&spool, "a").await, add(&spool, "b").await, add(&spool, "c").await];
    drop(spool);
    let spool = Spool::open(dir.path(), NOW - 1_000_000).unwrap();
    assert_eq!(spool.waiting(), 3);
    assert_eq!(spool.front(10, usize::MAX).await.unwrap(), kept);
    assert_eq!(spool.front(2, usize::MAX).await.unwrap(), kept[..2]);
    assert_eq!(spool.front(10, 1).await.unwrap(), kept[..1], "one in any case");
    assert_eq!(spool.settled_below(), kept[0].number, "they may be said again");
    let next = spool.begin().await.unwrap();
    assert!(next.get() > kept[2].number);
    drop(next);
    spool.remove(&kept[..2]).await.unwrap();
    assert_eq!((spool.settled_below(), spool.waiting()), (kept[2].number, 1));
    drop(spool);
    let spool = Spool::open(dir.path(), NOW).unwrap();
    assert_eq!(spool.front(10, usize::MAX).await.unwrap(), kept[2..]);
    spool.remove(&kept[2..]).await.unwrap();
    assert_eq!(spool.waiting(), 0);
    let next = spool.begin().await.unwrap();
    assert_eq!(spool.settled_below(), next.get(), "nothing else is under way");
}

#[tokio::test]
async fn a_publish_that_was_answered_or_given_up_is_settled_and_a_kept_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), NOW).unwrap();
    let (first, second) = (spool.begin().await.unwrap(), spool.begin().await.unwrap());
    let kept = spooled(second.get(), "t");
    spool.append(second, kept.clone()).await.unwrap();
    assert_eq!(spool.settled_below(), first.get());
    drop(first);
    assert_eq!(spool.settled_below(), kept.number);
}

#[tokio::test]
async fn more_numbers_than_are_reserved_at_once_are_all_different() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), NOW).unwrap();
    let mut last = 0;
    for _publish in 0..NUMBERS_RESERVED + 10 {
        let number = spool.begin().await.unwrap();
        assert!(number.get() > last);
        last = number.get();
    }
    drop(spool);
    let spool = Spool::open(dir.path(), NOW).unwrap();
    assert!(spool.begin().await.unwrap().get() > last, "also those that were never kept are not given again");
}

/// Where the child that is killed keeps its spool.
const CHILD_DIR: &str = "PICLOUD_TEST_SPOOL_DIR";

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    for kept_before_kill in [1, 5, 40] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spool::tests::a_child_that_spools_until_it_is_killed", "--ignored", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let acknowledged: Vec<u64> = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("kept ")?.parse().ok())
            .take(kept_before_kill)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(acknowledged.len(), kept_before_kill);
        let file = SpoolFile::open(&dir.path().join("spool.db"), 1).unwrap();
        let standing = file.standing().unwrap();
        assert!(standing.waiting.starts_with(&acknowledged), "{acknowledged:?} {:?}", standing.waiting);
        assert!(standing.waiting.iter().all(|number| *number < standing.next), "none of them is given again");
    }
}

#[test]
#[ignore = "the child of what_was_acknowledged_before_a_kill_is_there_after_it"]
fn a_child_that_spools_until_it_is_killed() {
    let dir = std::env::vars_os().find(|(name, _value)| name == CHILD_DIR).expect("its parent says where").1;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let spool = Spool::open(Path::new(&dir), NOW).unwrap();
        loop {
            let it = add(&spool, "t").await;
            use std::io::Write;
            let mut out = std::io::stdout().lock();
            writeln!(out, "kept {}", it.number).and_then(|()| out.flush()).unwrap();
        }
    });
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.db");
    drop(SpoolFile::open(&path, 1).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let error = SpoolFile::open(&path, 1).err().unwrap().to_string();
    assert!(error.contains("newer version of picloud-node"), "{error}");
}
