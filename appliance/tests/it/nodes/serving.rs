//! What nodes are told and what they ask.

use super::client::{Member, Stream, admin, deploy, hello};
use super::runtime;
use crate::support::Appliance;
use picloud_model::execution::{Execution, Outcome, Usage};
use picloud_model::ids::{AppId, EventId, ExecutionId};
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::problem::Code;
use picloud_model::protocol::node::{FromNode, NodeCall, NodeHello, Once, ToNode};
use picloud_model::protocol::{
    AppSnapshot, Caller, RunInput, RunRequest, RunResult, ServiceReply, ServiceRequest, Snapshot, Verdict,
};
use picloud_model::publish::Publish;
use serde_json::json;
use std::sync::Arc;

pub(super) async fn snapshot(control: &mut Stream) -> Snapshot {
    let snapshot = control
        .until(|frame| match frame {
            ToNode::Snapshot(it) => Some(it),
            _ => None,
        })
        .await;
    control.say(&FromNode::Applied { revision: snapshot.revision }).await;
    snapshot
}

fn caller(app: AppId) -> Caller {
    let execution_id = ExecutionId::new();
    Caller { app, execution_id, root_execution_id: execution_id, trigger_depth: 0, script: "hello".into(), version: 1 }
}

fn call(id: u64, app: AppId, once: Option<Once>, request: ServiceRequest) -> NodeCall {
    NodeCall { id, caller: caller(app), deadline_ms: 10_000, once, request }
}

/// An app whose endpoint runs on nodes with a camera only.
pub(super) fn picky() -> serde_json::Value {
    let mut app = crate::hello("camera", "\"hi\"");
    app["placement"] = json!({ "hello": { "needs": ["camera"] } });
    app
}

async fn changed(control: &mut Stream) -> (u64, Arc<AppSnapshot>) {
    control
        .until(|frame| match frame {
            ToNode::AppChanged { revision, app } => Some((revision, app)),
            _ => None,
        })
        .await
}

#[test]
fn a_deploy_a_label_a_secret_a_key_and_a_removal_reach_a_node() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-1").await;
        let mut connection = node.connect().await.unwrap();
        let (mut control, _name) = connection.control(hello()).await;
        let before = snapshot(&mut control).await.revision;
        deploy(&appliance, &picky());
        let (revision, app) = changed(&mut control).await;
        assert!(revision > before, "{revision}");
        assert!(app.script("hello").unwrap().elsewhere, "it has no camera");
        let labels = json!({ "labels": { "camera": "" } }).to_string();
        assert_eq!(admin(&appliance, "PATCH", "/nodes/pi-1", &labels).status, 200);
        let placed = snapshot(&mut control).await;
        assert!(!placed.apps[0].script("hello").unwrap().elsewhere, "now it has one");
        let secret = json!({ "value": "hunter2" }).to_string();
        assert_eq!(admin(&appliance, "PUT", "/apps/camera/secrets/token", &secret).status, 201);
        let secrets = control
            .until(|frame| match frame {
                ToNode::Secrets { secrets, .. } => Some(secrets),
                _ => None,
            })
            .await;
        assert_eq!((secrets[0].name.as_str(), secrets[0].value.as_str()), ("token", "hunter2"));
        let key = json!({ "name": "door", "scopes": ["invoke"] }).to_string();
        assert_eq!(admin(&appliance, "POST", "/keys", &key).status, 201);
        let keys = control
            .until(|frame| match frame {
                ToNode::Keys { keys, .. } => Some(keys),
                _ => None,
            })
            .await;
        assert_eq!(keys.len(), 1);
        assert_eq!(admin(&appliance, "DELETE", "/apps/camera", "").status, 204);
        let gone = control
            .until(|frame| match frame {
                ToNode::AppRemoved { app, .. } => Some(app),
                _ => None,
            })
            .await;
        assert_eq!(gone, app.id);
        assert_eq!(admin(&appliance, "PATCH", "/nodes/pi-1", &json!({ "name": "attic" }).to_string()).status, 200);
        let name = control
            .until(|frame| match frame {
                ToNode::Welcome { name, .. } => Some(name),
                _ => None,
            })
            .await;
        assert_eq!(name, "attic");
        assert_eq!(admin(&appliance, "POST", "/nodes/attic/drain", "").status, 200);
        assert!(
            control
                .until(|frame| match frame {
                    ToNode::Drain(it) => it.then_some(true),
                    _ => None,
                })
                .await
        );
    });
}

#[test]
fn calls_are_answered_from_the_store_and_a_publish_that_is_said_twice_is_done_once() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut app = crate::hello("kitchen", "\"hi\"");
    app["triggers"] = json!([{ "name": "on", "kind": "pubsub", "topic": "t", "script": "hello" }]);
    deploy(&appliance, &app);
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-1").await;
        let mut connection = node.connect().await.unwrap();
        let (mut control, _name) = connection.control(hello()).await;
        let app = snapshot(&mut control).await.apps[0].id;
        let mut calls = connection.calls().await;
        let get = KvRequest::Get { collection: "c".to_owned(), key: "k".to_owned() };
        let reply = calls.call(&call(1, app, None, ServiceRequest::Kv(get.clone()))).await;
        assert!(matches!(reply.result, Ok(ServiceReply::Kv(KvReply::Entry(None)))), "{reply:?}");
        let reply = calls.call(&call(2, AppId(999), None, ServiceRequest::Kv(get))).await;
        assert_eq!((reply.id, reply.result.unwrap_err().code), (2, Code::NotFound));
        let publish = || {
            ServiceRequest::Publish(Publish {
                topic: "t".to_owned(),
                value: b"1".to_vec(),
                delay_ms: 0,
                dedup_key: None,
            })
        };
        let once = Once { number: 7, settled_below: 7, event: EventId::new() };
        for id in [3, 4] {
            let reply = calls.call(&call(id, app, Some(once), publish())).await;
            let Ok(ServiceReply::Published(published)) = reply.result else { panic!("{reply:?}") };
            assert_eq!(published.event, Some(once.event));
        }
        crate::support::until("the delivery has run", || {
            let runs = admin(&appliance, "GET", "/apps/kitchen/executions", "").json();
            runs["items"].as_array().is_some_and(|runs| !runs.is_empty())
        });
        let runs = admin(&appliance, "GET", "/apps/kitchen/executions", "").json();
        assert_eq!(runs["items"].as_array().unwrap().len(), 1, "{runs}");
    });
}

/// What came of a run, as a node tells it.
pub(super) fn result(run: &RunRequest) -> RunResult {
    let execution = Execution {
        id: run.execution_id,
        root_id: run.root_execution_id,
        app_id: run.app,
        app: "camera".to_owned(),
        script: run.script.clone(),
        version: 1,
        node: "pi-1".to_owned(),
        cause: run.cause.clone(),
        outcome: Outcome::Ok,
        status: 200,
        started_at: 1_790_000_000_000,
        duration_us: 1,
        usage: Usage::default(),
        error_json: String::new(),
        logs: Vec::new(),
        logs_dropped: 0,
        trigger_depth: 1,
        trigger: "on".to_owned(),
        attempt: 1,
        result_json: String::new(),
        input_json: String::new(),
    };
    RunResult {
        status: 200,
        headers: Vec::new(),
        body: Vec::new(),
        execution,
        verdict: Verdict::Done,
        effects: Vec::new(),
    }
}

pub(super) async fn given(control: &mut Stream) -> RunRequest {
    let mut runs = control
        .until(|frame| match frame {
            ToNode::Run(runs) => Some(runs),
            _ => None,
        })
        .await;
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

pub(super) async fn done(control: &mut Stream, run: &RunRequest) {
    control.say(&FromNode::RunDone { run: run.execution_id, result: Ok(result(run)) }).await;
    let taken = control
        .until(|frame| match frame {
            ToNode::Taken(runs) => Some(runs),
            _ => None,
        })
        .await;
    assert_eq!(taken, [run.execution_id]);
}

#[test]
fn deliveries_go_to_the_node_that_may_run_them_and_a_connection_that_breaks_costs_nothing() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut app = picky();
    app["triggers"] = json!([{ "name": "on", "kind": "pubsub", "topic": "t", "script": "hello" }]);
    appliance.deploy(&app);
    let publish = || {
        let body = json!({ "topic": "t", "value": 1 }).to_string();
        let reply = admin(&appliance, "POST", "/apps/camera/publish", &body);
        assert!(reply.status < 300, "{}", reply.text());
    };
    let ended = |count: usize| {
        crate::support::until("the deliveries are over", || {
            let queued = admin(&appliance, "GET", "/status", "").json()["queues"][0]["deliveries"].clone();
            let runs = admin(&appliance, "GET", "/apps/camera/executions", "").json();
            let of_node = runs["items"].as_array().unwrap().iter().filter(|run| run["node"] == "pi-1").count();
            queued == 0 && of_node == count
        });
    };
    publish();
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-1").await;
        let labels = json!({ "labels": { "camera": "" } }).to_string();
        assert_eq!(admin(&appliance, "PATCH", "/nodes/pi-1", &labels).status, 200);
        let mut connection = node.connect().await.unwrap();
        let (mut control, _name) = connection.control(hello()).await;
        snapshot(&mut control).await;
        // What waited for somebody who may run it.
        let waited = given(&mut control).await;
        done(&mut control, &waited).await;
        ended(1);
        // The connection breaks before it began: it is given again, as the same attempt.
        publish();
        let never_began = given(&mut control).await;
        drop((control, connection));
        let mut connection = node.connect().await.unwrap();
        let (mut control, _name) = connection.control(hello()).await;
        let again = given(&mut control).await;
        let event = |run: &RunRequest| match &run.input {
            RunInput::Event { json, attempt, .. } => {
                let event: serde_json::Value = serde_json::from_slice(json).unwrap();
                (event["id"].clone(), *attempt)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(event(&again), event(&never_began));
        done(&mut control, &again).await;
        ended(2);
        // It breaks while it runs: the node says so, and goes on.
        publish();
        let under_way = given(&mut control).await;
        drop((control, connection));
        let mut connection = node.connect().await.unwrap();
        let (mut control, _name) =
            connection.control(NodeHello { holding: vec![under_way.execution_id], ..hello() }).await;
        done(&mut control, &under_way).await;
        ended(3);
        // What nobody asked for is taken, so that it is not said for ever.
        let strange = RunRequest { execution_id: ExecutionId::new(), ..under_way.clone() };
        done(&mut control, &strange).await;
        // A node that says goodbye is not waited for.
        publish();
        given(&mut control).await;
        control.say(&FromNode::Goodbye).await;
        while control.next::<ToNode>().await.is_some() {}
        let (mut control, _name) = node.connect().await.unwrap().control(hello()).await;
        let last = given(&mut control).await;
        done(&mut control, &last).await;
        ended(4);
    });
}
