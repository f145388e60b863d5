//! Where things run: requests that are sent on, deliveries that wait or change their node, and who is said to answer.

use super::client::{Connection, Member, Stream, admin, hello};
use super::runtime;
use super::serving::{done, given, picky, result, snapshot};
use crate::support::{Appliance, Reply, exchange, until};
use picloud_model::problem::Code;
use picloud_model::protocol::node::{FromNode, NodeHello, ToNode};
use picloud_model::protocol::{RunInput, RunResult, ServiceFailure};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

fn label(appliance: &Appliance, node: &str, labels: &Value) {
    let reply = admin(appliance, "PATCH", &format!("/nodes/{node}"), &json!({ "labels": labels }).to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A node of this name with a camera, that is connected and answers from everything.
async fn with_camera(appliance: &Appliance, name: &str) -> (Connection, Stream) {
    let node = Member::join(appliance, name).await;
    label(appliance, name, &json!({ "camera": "" }));
    let mut connection = node.connect().await.unwrap();
    let (mut control, _name) = connection.control(hello()).await;
    snapshot(&mut control).await;
    until("the node is in step", || admin(appliance, "GET", &format!("/nodes/{name}"), "").json()["in_step"] == true);
    (connection, control)
}

fn served_by(appliance: &Appliance) -> Value {
    admin(appliance, "GET", "/apps/camera/routes", "").json()["items"][0]["served_by"].clone()
}

/// Asks for the route beside the test.
fn ask(appliance: &Appliance) -> JoinHandle<Reply> {
    let address = appliance.ingress;
    let connect = async move { tokio::net::TcpStream::connect(address).await };
    tokio::task::spawn_blocking(move || exchange(connect, "GET", "/camera/?size=2", &[], b"").unwrap())
}

#[test]
fn a_request_for_a_script_that_may_not_run_here_is_answered_by_a_node_or_told_what_is_missing() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&picky());
    runtime().block_on(async {
        let nobody = ask(&appliance).await.unwrap();
        assert_eq!((nobody.status, nobody.header("retry-after")), (503, "2"));
        assert_eq!(nobody.json()["detail"], "script `hello`: no connected node may run it: it needs `camera`");
        assert_eq!(served_by(&appliance), json!([]));

        let (_connection, mut control) = with_camera(&appliance, "cam").await;
        assert_eq!(served_by(&appliance), json!(["cam"]));
        let asked = ask(&appliance);
        let run = given(&mut control).await;
        let RunInput::Forwarded { request, remote_addr } = &run.input else { panic!("{run:?}") };
        assert_eq!((request.path.as_str(), remote_addr.as_str()), ("/camera/?size=2", "127.0.0.1"));
        assert_eq!((run.cause.as_str(), run.root_execution_id), ("GET /camera/", run.execution_id));
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        let answer = RunResult { status: 203, headers, body: b"click".to_vec(), ..result(&run) };
        control.say(&FromNode::RunDone { run: run.execution_id, result: Ok(answer) }).await;
        let answer = asked.await.unwrap();
        assert_eq!((answer.status, answer.text().as_str(), answer.header("x-picloud-node")), (203, "click", "cam"));

        // What a node does not run, it says; what may have run is no 503, which clients repeat.
        for (code, status) in [(Code::Overloaded, 503), (Code::WorkerLost, 502)] {
            let asked = ask(&appliance);
            let run = given(&mut control).await;
            let failure = ServiceFailure { code, message: "it says why".to_owned() };
            control.say(&FromNode::RunDone { run: run.execution_id, result: Err(failure) }).await;
            let answer = asked.await.unwrap();
            assert_eq!((answer.status, &answer.json()["detail"]), (status, &json!("it says why")));
        }
        // A person who runs it by hand gets it run there, too.
        let by_hand = {
            let socket = appliance.socket.clone();
            let connect = async move { tokio::net::UnixStream::connect(socket).await };
            let path = "/api/v1/apps/camera/scripts/hello/run";
            tokio::task::spawn_blocking(move || {
                exchange(connect, "POST", path, &[("content-type", "application/json")], b"{}")
            })
        };
        let run = given(&mut control).await;
        assert!(matches!(run.input, RunInput::Request(_)), "{run:?}");
        done(&mut control, &run).await;
        assert_eq!(by_hand.await.unwrap().unwrap().status, 200);
    });
}

#[test]
fn deliveries_wait_for_a_node_that_may_run_them_and_move_on_at_once_when_it_is_removed() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut app = picky();
    app["triggers"] = json!([{ "name": "on", "kind": "pubsub", "topic": "t", "script": "hello" }]);
    appliance.deploy(&app);
    let waiting = || admin(&appliance, "GET", "/status", "").json()["queues"][0]["waiting_for_node"].clone();
    let publish = || {
        let body = json!({ "topic": "t", "value": 1 }).to_string();
        assert!(admin(&appliance, "POST", "/apps/camera/publish", &body).status < 300);
    };
    runtime().block_on(async {
        publish();
        until("it waits for a node", || waiting() == 1);
        let said = "no connected node may run it: it needs `camera`";
        until("the log says so", || appliance.output.text().contains(said));
        let (_first, mut first) = with_camera(&appliance, "first").await;
        let run = given(&mut first).await;
        assert_eq!(waiting(), 0);
        let (_second, mut second) = with_camera(&appliance, "second").await;
        assert_eq!(served_by(&appliance), json!(["first", "second"]));
        assert_eq!(admin(&appliance, "DELETE", "/nodes/first", "").status, 204);
        let again = given(&mut second).await;
        let RunInput::Event { attempt, .. } = again.input else { panic!("{again:?}") };
        assert_eq!((attempt, again.execution_id == run.execution_id), (2, false), "it may have run: an attempt");
        done(&mut second, &again).await;
        let runs = || admin(&appliance, "GET", "/apps/camera/executions", "").json()["items"].clone();
        until("both are kept", || runs().as_array().is_some_and(|runs| runs.len() == 2));
        let kept = runs();
        let lost = kept.as_array().unwrap().iter().find(|run| run["outcome"] == "worker_lost").unwrap();
        assert_eq!(lost["node"], "first");

        // One that drains is passed over; what waits goes back to where it may run once that is another place.
        assert_eq!(admin(&appliance, "POST", "/nodes/second/drain", "").status, 200);
        publish();
        until("it waits for a node", || waiting() == 1);
        let mut anywhere = app.clone();
        anywhere["placement"] = json!({});
        super::client::deploy(&appliance, &anywhere);
        until("it ran here", || waiting() == 0 && runs().as_array().is_some_and(|runs| runs.len() == 3));
    });
}

#[test]
fn a_node_is_given_no_more_than_it_takes_and_what_is_left_waits_beside_what_runs() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut app = picky();
    app["triggers"] = json!([{ "name": "on", "kind": "pubsub", "topic": "t", "script": "hello" }]);
    appliance.deploy(&app);
    let status = || admin(&appliance, "GET", "/status", "").json()["queues"][0].clone();
    runtime().block_on(async {
        let node = Member::join(&appliance, "cam").await;
        label(&appliance, "cam", &json!({ "camera": "" }));
        let mut connection = node.connect().await.unwrap();
        let (mut control, _name) = connection.control(NodeHello { places: 2, ..hello() }).await;
        snapshot(&mut control).await;
        for _publish in 0..7 {
            let body = json!({ "topic": "t", "value": 1 }).to_string();
            assert!(admin(&appliance, "POST", "/apps/camera/publish", &body).status < 300);
        }
        until("five are too many", || status()["waiting_for_node"] == 5);
        let mut under_way = Vec::new();
        for over in 0..7 {
            while under_way.len() < 2.min(7 - over) {
                let runs = control
                    .until(|frame| match frame {
                        ToNode::Run(runs) => Some(runs),
                        _ => None,
                    })
                    .await;
                under_way.extend(runs);
                assert!(under_way.len() <= 2, "{under_way:?}");
            }
            let run = under_way.remove(0);
            control.say(&FromNode::RunDone { run: run.execution_id, result: Ok(result(&run)) }).await;
        }
        until("all are over", || status()["deliveries"] == 0 && status()["waiting_for_node"] == 0);
    });
}
