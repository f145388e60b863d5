//! Runs on nodes that come, go, and are silent: what whoever waits for them is told.

use super::*;
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::node::NodeRecord;
use picloud_model::problem::Code;
use picloud_model::protocol::node::NodeHello;
use picloud_model::protocol::{RunInput, RunRequest, ServiceFailure};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);

fn record(name: &str) -> NodeRecord {
    let fingerprint = ContentHash::of(name.as_bytes());
    NodeRecord {
        id: NodeId::of(&fingerprint),
        name: name.to_owned(),
        fingerprint,
        labels: Labels::new(),
        facts: Labels::new(),
        draining: false,
        retired_at: None,
        joined_at: 0,
        last_seen_at: None,
        certificate_expires_at: None,
        version: 1,
    }
}

fn hello(places: u32, holding: &[ExecutionId], incarnation: u64) -> NodeHello {
    NodeHello {
        version: "1".to_owned(),
        facts: Labels::new(),
        urls: Vec::new(),
        places,
        holding: holding.to_vec(),
        incarnation,
    }
}

fn run() -> RunRequest {
    let execution_id = ExecutionId::new();
    RunRequest {
        app: AppId(1),
        script: "hello".to_owned(),
        source: None,
        version: None,
        input: RunInput::Event { json: Vec::new(), trigger: None, attempt: 1 },
        principal: None,
        execution_id,
        root_execution_id: execution_id,
        trigger_depth: 1,
        cause: String::new(),
        dry_run: false,
    }
}

type Waiting = tokio::task::JoinHandle<Result<RunResult, NoResult>>;

/// Gives a run to the node, and waits until it is in its feed.
async fn given(hub: &Hub, node: &Attached) -> (ExecutionId, Waiting) {
    let (run, hub, id) = (run(), hub.clone(), node.id.clone());
    let execution = run.execution_id;
    let waiting = tokio::spawn(async move { hub.run(&id, run, LONG).await });
    let due = node.feed.next().await;
    assert!(due.welcome || due.runs.iter().any(|run| run.execution_id == execution), "{due:?}");
    if due.welcome && due.runs.is_empty() {
        assert!(node.feed.next().await.runs.iter().any(|run| run.execution_id == execution));
    }
    (execution, waiting)
}

fn said(result: Result<RunResult, NoResult>) -> String {
    match result {
        Ok(result) => format!("ended with {}", result.status),
        Err(NoResult::NotRun(problem)) => format!("not run: {}", problem.detail),
        Err(NoResult::Lost(problem)) => format!("lost: {}", problem.detail),
    }
}

#[tokio::test]
async fn whoever_waits_for_a_run_is_told_what_became_of_its_node() {
    let failure = |code| Err(ServiceFailure { code, message: "it says so".to_owned() });
    let mut all = Vec::new();
    // Each with a hub of its own, and one run on one node.
    for what in ["fails", "worker dies", "silent", "goodbye", "removed", "stops", "back without", "anew", "twice"] {
        let hub = Hub::default();
        let node = hub.attach(&record("pi"), hello(2, &[], 1));
        let (id, waiting) = given(&hub, &node).await;
        assert_eq!(hub.counts().leases, 1);
        match what {
            "fails" => node.run_done(id, failure(Code::NodeAway)),
            "worker dies" => node.run_done(id, failure(Code::WorkerLost)),
            "silent" => {
                hub.expire(Instant::now() + Duration::from_secs(29));
                assert!(!waiting.is_finished());
                hub.expire(Instant::now() + Duration::from_secs(31));
                assert_eq!(node.feed.next().await.end, Some(End::Cut), "its connection is cut, too");
            }
            "goodbye" => node.goodbye(),
            "removed" => hub.retire(&node.id),
            "stops" => hub.close(),
            "back without" => drop(hub.attach(&record("pi"), hello(2, &[], 1))),
            "anew" => drop(hub.attach(&record("pi"), hello(2, &[], 2))),
            _twice => {
                drop(node);
                assert!(hub.live().is_empty());
                let node = hub.attach(&record("pi"), hello(2, &[id], 1));
                assert!(!waiting.is_finished(), "it goes on");
                node.run_done(id, failure(Code::Deadline));
                node.run_done(id, failure(Code::NodeAway));
            }
        }
        all.push(format!("{what}: {}", said(waiting.await.unwrap()).replace(record("pi").id.as_str(), "ID")));
        assert_eq!(hub.counts().leases, 0, "{what}");
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test]
async fn a_node_is_given_as_many_as_it_has_places_and_says_when_it_has_room_again() {
    let hub = Hub::default();
    let node = hub.attach(&record("pi"), hello(1, &[], 1));
    let (id, waiting) = given(&hub, &node).await;
    let refused = hub.run(&node.id, run(), LONG).await;
    assert_eq!(said(refused), "not run: node `pi` runs as many as it takes at once");
    let mut changed = hub.changed();
    changed.mark_unchanged();
    node.run_done(id, Err(ServiceFailure { code: Code::NodeAway, message: String::new() }));
    waiting.await.unwrap().unwrap_err();
    assert!(changed.has_changed().unwrap());
    assert_eq!(hub.live()[0].running, 0);
}

#[tokio::test]
async fn an_appliance_that_stops_waits_for_what_nodes_run_and_gives_nothing_more() {
    let hub = Hub::default();
    hub.stop_giving(LONG).await;
    let hub = Hub::default();
    let node = hub.attach(&record("pi"), hello(3, &[], 1));
    let (first, first_waiting) = given(&hub, &node).await;
    let (second, second_waiting) = given(&hub, &node).await;
    let stopping = tokio::spawn({
        let hub = hub.clone();
        async move { hub.stop_giving(LONG).await }
    });
    while !hub.lock().gives_nothing {
        tokio::task::yield_now().await;
    }
    let refused = hub.run(&node.id, run(), LONG).await;
    assert_eq!(said(refused), "not run: the appliance stopped before the run ended");
    let failure = || Err(ServiceFailure { code: Code::WorkerLost, message: "it says so".to_owned() });
    node.run_done(first, failure());
    assert_eq!(said(first_waiting.await.unwrap()), "lost: it says so");
    assert!(!stopping.is_finished(), "one runs still");
    node.run_done(second, failure());
    assert_eq!(said(second_waiting.await.unwrap()), "lost: it says so");
    stopping.await.unwrap();
}

#[tokio::test]
async fn an_appliance_that_stops_waits_no_longer_than_it_may() {
    let hub = Hub::default();
    let node = hub.attach(&record("pi"), hello(1, &[], 1));
    let (_run, waiting) = given(&hub, &node).await;
    hub.stop_giving(Duration::from_millis(1)).await;
    assert!(!waiting.is_finished());
    hub.close();
    assert_eq!(said(waiting.await.unwrap()), "not run: the appliance stopped before the run ended");
}

#[tokio::test]
async fn that_a_result_is_kept_is_said_with_the_next_word_or_soon_and_once() {
    let hub = Hub::default();
    let node = hub.attach(&record("pi"), hello(1, &[], 1));
    let failure = || Err(ServiceFailure { code: Code::NodeAway, message: String::new() });
    let id = ExecutionId::new();
    node.feed.next().await;
    node.run_done(id, failure());
    node.beat(7, 0, 0);
    let due = node.feed.next().await;
    assert_eq!((due.taken, due.beat), (vec![id], Some(7)), "with the next word");
    let nothing = tokio::time::timeout(Duration::from_millis(100), node.feed.next()).await;
    assert!(nothing.is_err(), "said twice: {nothing:?}");
    node.run_done(id, failure());
    node.run_done(id, failure());
    assert_eq!(node.feed.next().await.taken, [id, id], "by themselves, as nothing else is said");
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_not_given() {
    let hub = Hub::default();
    let node = hub.attach(&record("pi"), hello(1, &[], 1));
    let timed_out = hub.run(&node.id, run(), Duration::ZERO).await;
    assert_eq!(said(timed_out), "lost: script `hello` gave no result within 0 ms");
    assert!(node.feed.next().await.runs.is_empty());
    assert_eq!((hub.counts().leases, hub.live()[0].running), (0, 0));
}

#[tokio::test]
async fn a_change_waits_for_nodes_in_step_and_not_for_others() {
    let hub = Hub::default();
    hub.app_changed(AppId(1)).await;
    let node = hub.attach(&record("pi"), hello(1, &[], 1));
    let began = Instant::now();
    // The node has not answered from anything yet: it is told, and not waited for.
    hub.app_changed(AppId(1)).await;
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    assert!(!hub.live()[0].in_step);
    node.applied(3);
    assert!(hub.live()[0].in_step);
    let changing = {
        let hub = hub.clone();
        tokio::spawn(async move { hub.app_changed(AppId(2)).await })
    };
    while hub.revision() < 4 {
        tokio::task::yield_now().await;
    }
    assert!(!changing.is_finished() && !hub.live()[0].in_step);
    node.applied(4);
    changing.await.unwrap();
    assert!(hub.live()[0].in_step);
    node.applied(99);
    assert!(hub.live()[0].in_step, "a revision that there is not yet is none");
}

#[tokio::test]
async fn an_old_connection_of_a_node_says_nothing_any_more() {
    let hub = Hub::default();
    let old = hub.attach(&record("pi"), hello(1, &[], 1));
    let new = hub.attach(&record("pi"), hello(1, &[], 1));
    assert!(!old.is_current() && new.is_current());
    assert!(!old.executions(1) && new.executions(1));
    assert!(!new.executions(1), "a batch that is said again is kept already");
    old.goodbye();
    drop(old);
    assert_eq!(hub.live().len(), 1);
    let anew = hub.attach(&record("pi"), hello(1, &[], 2));
    assert!(anew.executions(1), "another start of the agent counts from the beginning");
}
