//! How machines are let in.

use super::client::{Connection, Member, admin, deploy, enrol, hello, node_addr};
use super::runtime;
use crate::support::{Appliance, until};
use picloud_cluster::identity::{NodeKey, Trust, fingerprint_groups};
use picloud_model::protocol::node::{FromNode, PATH_RENEW, ToNode};
use serde_json::json;

#[test]
fn a_node_joins_with_a_token_and_is_told_what_there_is() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    deploy(&appliance, &crate::hello("kitchen", "\"hi\""));
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-1").await;
        let mut connection = node.connect().await.unwrap();
        let (mut control, name) = connection.control(hello()).await;
        assert_eq!(name, "pi-1");
        let snapshot = control
            .until(|frame| match frame {
                ToNode::Snapshot(it) => Some(it),
                _ => None,
            })
            .await;
        assert_eq!(snapshot.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["kitchen"]);
        control.say(&FromNode::Applied { revision: snapshot.revision }).await;
        until("the node is in step", || {
            let shown = admin(&appliance, "GET", "/nodes/pi-1", "").json();
            shown["state"] == "up" && shown["in_step"] == true
        });
    });
    let shown = admin(&appliance, "GET", "/nodes", "").json();
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(2), "the appliance is a node, too: {shown}");
}

#[test]
fn a_stranger_is_let_in_by_whoever_compares_its_fingerprint_and_keeps_its_place_when_it_comes_back() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let addr = node_addr(&appliance);
    runtime().block_on(async {
        let key = NodeKey::make().unwrap();
        let mut connection = Connection::open(addr, Trust::FirstSeen, None).await.unwrap();
        let id = key.id().to_string();
        let asking = tokio::spawn({
            let body = serde_json::to_vec(&enrol(&key, "pi-2", None)).unwrap();
            async move { connection.exchange("/node/v1/enrol", Some("1-1"), &body).await }
        });
        until("the stranger is seen", || admin(&appliance, "GET", &format!("/nodes/{id}"), "").status == 200);
        let shown = admin(&appliance, "GET", &format!("/nodes/{id}"), "").json();
        assert_eq!((&shown["state"], &shown["name"]), (&json!("waiting"), &json!("pi-2")), "{shown}");
        let wrong = json!({ "fingerprint": "0000 0000 0000 0000 0000 0000 0000 0000" }).to_string();
        assert_eq!(admin(&appliance, "POST", &format!("/nodes/{id}/approve"), &wrong).status, 409);
        let how = json!({ "fingerprint": fingerprint_groups(&key.fingerprint()), "labels": { "room": "attic" } });
        let reply = admin(&appliance, "POST", &format!("/nodes/{id}/approve"), &how.to_string());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let (status, body) = asking.await.unwrap();
        assert_eq!(status, 200, "{body}");
        // Its certificate may be lost, or a year old: the same key is let in again at once.
        let mut again = Connection::open(addr, Trust::FirstSeen, None).await.unwrap();
        let (status, body) = again.enrol(&key, "other-name", None).await;
        assert_eq!((status, &body["name"]), (200, &json!("pi-2")));
    });
}

#[test]
fn a_certificate_is_renewed_for_the_same_key_and_both_hold() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-3").await;
        let mut connection = node.connect().await.unwrap();
        let body = serde_json::to_vec(&enrol(&node.key, "pi-3", None)).unwrap();
        let (status, renewed) = connection.exchange(PATH_RENEW, Some("1-1"), &body).await;
        assert_eq!(status, 200, "{renewed}");
        let other = serde_json::to_vec(&enrol(&NodeKey::make().unwrap(), "pi-3", None)).unwrap();
        assert_eq!(connection.exchange(PATH_RENEW, Some("1-1"), &other).await.0, 403, "another key is another node");
        let renewed = Member { in_by: serde_json::from_value(renewed).unwrap(), ..node };
        let (_control, name) = renewed.connect().await.unwrap().control(hello()).await;
        assert_eq!(name, "pi-3");
    });
}

#[test]
fn a_node_that_was_flashed_anew_takes_the_place_of_the_one_before() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    runtime().block_on(async {
        let old = Member::join(&appliance, "pi-4").await;
        let labels = json!({ "labels": { "room": "attic" } }).to_string();
        assert_eq!(admin(&appliance, "PATCH", "/nodes/pi-4", &labels).status, 200);
        let new = NodeKey::make().unwrap();
        let how = json!({ "replaces": old.id() }).to_string();
        let reply = admin(&appliance, "POST", &format!("/nodes/{}/approve", new.fingerprint()), &how);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let node = reply.json();
        assert_eq!((&node["name"], &node["labels"]), (&json!("pi-4"), &json!({ "room": "attic" })));
        let mut connection = Connection::open(old.addr, Trust::FirstSeen, None).await.unwrap();
        assert_eq!(connection.enrol(&new, "raspberrypi", None).await.0, 200, "it was let in before it asked");
        assert_eq!(connection.enrol(&old.key, "pi-4", None).await.0, 410);
    });
}
