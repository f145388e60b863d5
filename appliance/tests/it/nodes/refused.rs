//! Every way to be refused: clearly, once in the log, and with nothing changed.

use super::client::{Connection, Member, admin, enrol, hello, node_addr};
use super::runtime;
use crate::support::{Appliance, until};
use bytes::Bytes;
use picloud_cluster::identity::{NodeKey, Trust, node_certificate};
use picloud_model::clock::UnixMs;
use picloud_model::protocol::node::{FromNode, PATH_CALLS, PATH_CONTROL, PATH_ENROL, ToNode};
use rcgen::{CertificateParams, Issuer, KeyPair};
use serde_json::json;
use std::time::Instant;

const DAY_MS: UnixMs = 24 * 60 * 60 * 1000;

#[test]
fn a_removed_node_is_told_is_cut_within_a_second_and_is_not_let_in_again() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-1").await;
        let mut connection = node.connect().await.unwrap();
        let (mut control, _name) = connection.control(hello()).await;
        let mut calls = connection.calls().await;
        let began = Instant::now();
        assert_eq!(admin(&appliance, "DELETE", "/nodes/pi-1", "").status, 204);
        control.until(|frame| matches!(frame, ToNode::Retired).then_some(())).await;
        assert!(control.next::<ToNode>().await.is_none() && calls.next::<ToNode>().await.is_none());
        assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
        // Its certificate is still one of the CA's: that is why each request is looked at.
        let mut stolen = node.connect().await.unwrap();
        for path in [PATH_CONTROL, PATH_CALLS] {
            let (status, body) = stolen.stream(path).await.err().unwrap();
            assert_eq!((status, &body["code"]), (410, &json!("gone")), "{body}");
        }
        assert_eq!(stolen.enrol(&node.key, "pi-1", None).await.0, 410);
    });
    let log = appliance.output.text();
    assert_eq!(log.matches("a node was refused").count(), 1, "{log}");
}

#[test]
fn tokens_hold_as_often_and_as_long_as_they_say_and_for_this_appliance_alone() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let addr = node_addr(&appliance);
    let make =
        |body: &str| admin(&appliance, "POST", "/join-tokens", body).json()["token"].as_str().unwrap().to_owned();
    let (used, short) = (make("{}"), make(r#"{"expires_in_ms":1}"#));
    runtime().block_on(async {
        let mut connection = Connection::open(addr, Trust::FirstSeen, None).await.unwrap();
        let key = || NodeKey::make().unwrap();
        let first = key();
        assert_eq!(connection.enrol(&first, "a", Some(&used)).await.0, 200);
        assert_eq!(connection.enrol(&first, "a", Some(&used)).await.0, 200, "the answer may have been lost");
        let mut parts: Vec<&str> = used.split('.').collect();
        parts[1] = "00000000000000000000000000000000";
        let elsewhere = parts.join(".");
        let mut parts: Vec<&str> = used.split('.').collect();
        parts[3] = "00000000000000000000000000000000";
        let guessed = parts.join(".");
        let mut refusals = Vec::new();
        for token in [used.as_str(), &short, &elsewhere, &guessed, "PC1.nonsense"] {
            let (status, body) = connection.enrol(&key(), "b", Some(token)).await;
            refusals.push(format!("{status} {}", body["detail"].as_str().unwrap()));
        }
        insta::assert_snapshot!(refusals.join("\n"));
    });
    let nodes = admin(&appliance, "GET", "/nodes", "").json();
    assert_eq!(nodes["items"].as_array().unwrap().len(), 2, "only the first came in: {nodes}");
}

#[test]
fn what_is_no_request_of_a_node_is_refused_with_what_is_wrong() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let addr = node_addr(&appliance);
    runtime().block_on(async {
        let mut connection = Connection::open(addr, Trust::FirstSeen, None).await.unwrap();
        let key = NodeKey::make().unwrap();
        let good = serde_json::to_vec(&enrol(&key, "a", None)).unwrap();
        let mut other = enrol(&key, "a", None);
        other.csr = other.csr.replace('M', "N");
        let broken = serde_json::to_vec(&other).unwrap();
        let long = vec![b' '; 20_000];
        let mut refusals = Vec::new();
        for (path, protocol, body) in [
            (PATH_ENROL, None, &good),
            (PATH_ENROL, Some("2-3"), &good),
            (PATH_ENROL, Some("newest"), &good),
            (PATH_ENROL, Some("1-1"), &b"{}".to_vec()),
            (PATH_ENROL, Some("1-1"), &broken),
            (PATH_ENROL, Some("1-1"), &long),
            (PATH_CONTROL, Some("1-1"), &good),
            (PATH_CALLS, Some("1-1"), &good),
            ("/node/v1/renew", Some("1-1"), &good),
            ("/node/v1/other", Some("1-1"), &good),
        ] {
            let (status, body) = connection.exchange(path, protocol, body).await;
            refusals.push(format!("{path} {protocol:?}: {status} {}", body["detail"].as_str().unwrap()));
        }
        insta::assert_snapshot!(refusals.join("\n"));
    });
}

#[test]
fn certificates_of_another_ca_and_expired_ones_and_the_appliances_own_are_no_nodes() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let ca = std::fs::read_to_string(data.path().join("data/keys/ca.crt")).unwrap();
    let ca_key = KeyPair::from_pem(&std::fs::read_to_string(data.path().join("data/keys/ca.key")).unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&ca, ca_key).unwrap();
    let other_key = KeyPair::generate().unwrap();
    let mut other = CertificateParams::default();
    other.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let other = Issuer::new(other, other_key);
    let now = picloud_model::clock::Clock::now_ms(&picloud_model::clock::SystemClock);
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-1").await;
        let key = picloud_cluster::identity::csr_key(&node.key.csr_pem().unwrap()).unwrap();
        let certificate = |issuer: &Issuer<'_, KeyPair>, not_after| {
            let params = node_certificate(&node.key.id(), now - 40 * DAY_MS, not_after).unwrap();
            params.signed_by(&key.public, issuer).unwrap().pem()
        };
        let mut answers = Vec::new();
        for (what, pem) in [
            ("good", certificate(&issuer, now + DAY_MS)),
            ("expired", certificate(&issuer, now - DAY_MS)),
            ("of another CA", certificate(&other, now + DAY_MS)),
        ] {
            let mut with = node.in_by.clone();
            with.certificate = pem;
            let member = Member { key: NodeKey::make().unwrap(), in_by: with, addr: node.addr };
            let trust = Trust::Pinned(picloud_cluster::identity::ca_of_pem(&member.in_by.ca).unwrap());
            let opened = Connection::open(member.addr, trust, Some((&member.in_by.certificate, &node.key))).await;
            // TLS 1.3 tells a client of a refused certificate only when it reads.
            let answer = match opened {
                Ok(mut connection) => match connection.post(PATH_CONTROL, Some("1-1")).await {
                    Ok((_sender, response)) => response.status().to_string(),
                    Err(_cut) => "cut".to_owned(),
                },
                Err(_cut) => "cut".to_owned(),
            };
            answers.push(format!("{what}: {answer}"));
        }
        assert_eq!(answers, ["good: 200 OK", "expired: cut", "of another CA: cut"]);
    });
}

#[test]
fn a_node_that_does_not_speak_as_it_should_is_cut_and_others_are_not() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    runtime().block_on(async {
        let good = Member::join(&appliance, "good").await;
        let mut connection = good.connect().await.unwrap();
        let (mut control, _name) = connection.control(hello()).await;
        let bad = Member::join(&appliance, "bad").await;
        for garbage in [
            Bytes::from_static(&[0xff; 64]),
            Bytes::from_static(&[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            picloud_cluster::frames::encode(&FromNode::Beat { number: 1, round_trip_ms: 0, spooled: 0 }).unwrap(),
        ] {
            let mut connection = bad.connect().await.unwrap();
            let mut stream = connection.stream(PATH_CONTROL).await.unwrap();
            stream.sender.send(garbage).await.unwrap();
            assert!(stream.next::<ToNode>().await.is_none(), "it is cut");
        }
        // A second word of who it is, and calls that are none.
        let mut connection = bad.connect().await.unwrap();
        let (mut twice, _name) = connection.control(hello()).await;
        twice.say(&FromNode::Hello(hello())).await;
        while twice.next::<ToNode>().await.is_some() {}
        let mut connection = bad.connect().await.unwrap();
        let mut calls = connection.calls().await;
        calls.sender.send(Bytes::from_static(&[3, 0, 0, 0, 1, 2, 3])).await.unwrap();
        assert!(calls.next::<ToNode>().await.is_none());
        control.say(&FromNode::Beat { number: 5, round_trip_ms: 1, spooled: 0 }).await;
        control.until(|frame| matches!(frame, ToNode::Beat { number: 5 }).then_some(())).await;
    });
}

/// How many machines wait to be let in.
fn waiting(appliance: &Appliance) -> usize {
    let nodes = admin(appliance, "GET", "/nodes", "").json();
    nodes["items"].as_array().unwrap().iter().filter(|node| node["state"] == "waiting").count()
}

#[test]
fn a_flood_of_strangers_is_bounded_and_nobody_else_is_kept_out() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let addr = node_addr(&appliance);
    runtime().block_on(async {
        let mut asking = Vec::new();
        for _each in 0..5 {
            let (key, mut connection) =
                (NodeKey::make().unwrap(), Connection::open(addr, Trust::FirstSeen, None).await.unwrap());
            asking.push(tokio::spawn(async move { connection.enrol(&key, "raspberrypi", None).await }));
        }
        until("five wait", || waiting(&appliance) == 5);
        for _each in 0..20 {
            let mut connection = Connection::open(addr, Trust::FirstSeen, None).await.unwrap();
            let (status, body) = connection.enrol(&NodeKey::make().unwrap(), "x", None).await;
            assert_eq!(status, 429, "{body}");
        }
        let node = Member::join(&appliance, "pi-1").await;
        assert_eq!(node.in_by.name, "pi-1", "whoever has a token comes in");
        for asking in asking {
            asking.abort();
        }
    });
    assert_eq!(waiting(&appliance), 5);
}

#[test]
fn people_with_a_certificate_of_their_own_and_nodes_meet_at_one_port_each_with_what_they_trust() {
    let data = tempfile::tempdir().unwrap();
    let owner = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["house.example.org".to_owned()]).unwrap().self_signed(&owner).unwrap();
    let (cert_file, key_file) = (data.path().join("my.crt"), data.path().join("my.key"));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, owner.serialize_pem()).unwrap();
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = crate::support::serve_command(data.path());
    command.arg("--tls-cert").arg(&cert_file).arg("--tls-key").arg(&key_file);
    let appliance = Appliance::start(command);
    let people = crate::https::Https::trusting(node_addr(&appliance), cert.pem().as_bytes());
    assert_eq!(people.certificates("house.example.org").unwrap().len(), 1, "people see the owner's");
    runtime().block_on(async {
        let node = Member::join(&appliance, "pi-1").await;
        let (_control, name) = node.connect().await.unwrap().control(hello()).await;
        assert_eq!(name, "pi-1");
    });
}

#[test]
fn the_admin_api_answers_over_http2_as_it_does_otherwise() {
    let data = tempfile::tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    runtime().block_on(async {
        let mut connection = Connection::open(node_addr(&appliance), Trust::FirstSeen, None).await.unwrap();
        let (status, body) = connection.exchange("/api/v1/apps", None, b"").await;
        assert_eq!((status, &body["code"]), (401, &json!("unauthenticated")), "{body}");
    });
}
