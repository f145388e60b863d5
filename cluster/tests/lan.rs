//! Announcing and finding over the multicast of this machine itself, on a port of the test's own.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use picloud_cluster::lan::{Announcement, Browse, Found, Kind, Lan, LanEvent, LanOptions};
use picloud_model::hash::ContentHash;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

/// Nothing here takes that long but for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port that nobody else speaks mDNS on.
fn options() -> LanOptions {
    let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    LanOptions { port, loopback: true }
}

fn announcement(kind: Kind, id: &str, name: &str, port: u16) -> Announcement {
    let fingerprint = ContentHash::of(id.as_bytes());
    Announcement { kind, id: id.to_owned(), name: name.to_owned(), port, ingress: 8080, fingerprint, setup: None }
}

async fn until<T>(browse: &mut Browse, mut wanted: impl FnMut(LanEvent) -> Option<T>) -> T {
    let looking = async {
        loop {
            let event = browse.next().await.expect("nobody stopped it");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it is found in time")
}

async fn found(browse: &mut Browse, is_wanted: impl Fn(&Found) -> bool) -> Found {
    until(browse, |event| match event {
        LanEvent::Found(found) if is_wanted(&found) => Some(found),
        _other => None,
    })
    .await
}

#[tokio::test]
async fn several_on_one_machine_find_each_other_and_see_one_go() {
    let options = options();
    let (kitchen, cellar, seeker) =
        (Lan::open(options).unwrap(), Lan::open(options).unwrap(), Lan::open(options).unwrap());
    let mut browse = seeker.browse(Kind::Node).unwrap();
    kitchen.announce(&announcement(Kind::Node, "aa01", "pi", 8081)).unwrap();
    cellar.announce(&announcement(Kind::Node, "bb02", "pi", 8082)).unwrap();
    seeker.announce(&announcement(Kind::Appliance, "cc03", "home", 8443)).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let next = found(&mut browse, |found| !seen.contains(&found.id)).await;
        assert_eq!((next.kind, next.name.as_str(), next.ingress), (Kind::Node, "pi", Some(8080)));
        assert_eq!(next.fingerprint, Some(ContentHash::of(next.id.as_bytes()).to_string()));
        let port = if next.id == "aa01" { 8081 } else { 8082 };
        assert!(next.addresses.iter().all(|address| address.port() == port), "{next:?}");
        seen.push(next.id);
    }
    assert_eq!(browse.known().count(), 2, "an appliance is no node");
    let mut appliances = kitchen.browse(Kind::Appliance).unwrap();
    let home = found(&mut appliances, |found| found.id == "cc03").await;
    assert_eq!(home.fingerprint, Some(ContentHash::of(b"cc03").to_string()[..32].to_owned()));

    cellar.stop().await;
    let gone = until(&mut browse, |event| match event {
        LanEvent::Gone { id } => Some(id),
        LanEvent::Found(_) => None,
    });
    assert_eq!(gone.await, "bb02");
}

#[tokio::test]
async fn another_name_and_port_are_seen_without_anybody_asking() {
    let options = options();
    let (node, seeker) = (Lan::open(options).unwrap(), Lan::open(options).unwrap());
    let mut browse = seeker.browse(Kind::Node).unwrap();
    node.announce(&announcement(Kind::Node, "aa01", "before", 1)).unwrap();
    found(&mut browse, |found| found.name == "before").await;
    node.announce(&announcement(Kind::Node, "aa01", "after", 2)).unwrap();
    let after = found(&mut browse, |found| found.name == "after").await;
    assert!(after.addresses.iter().all(|address| address.port() == 2), "{after:?}");
}

#[tokio::test]
async fn whoever_answers_when_doubted_stays() {
    let options = options();
    let seeker = Lan::open(options).unwrap();
    let mut browse = seeker.browse(Kind::Node).unwrap();
    let node = Lan::open(options).unwrap();
    node.announce(&announcement(Kind::Node, "aa01", "node", 1)).unwrap();
    found(&mut browse, |found| found.id == "aa01").await;
    browse.verify("aa01");
    let other = Lan::open(options).unwrap();
    other.announce(&announcement(Kind::Node, "bb02", "later", 1)).unwrap();
    found(&mut browse, |found| found.id == "bb02").await;
    assert!(browse.known().any(|found| found.id == "aa01"));
}

#[tokio::test]
async fn packets_that_nobody_should_send_change_nothing() {
    let options = options();
    let seeker = Lan::open(options).unwrap();
    let mut browse = seeker.browse(Kind::Node).unwrap();
    let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
    sender.set_multicast_loop_v4(true).unwrap();
    for packet in hostile_packets() {
        // A machine without any network sends to itself.
        for address in [("224.0.0.251", options.port), ("127.0.0.1", options.port)] {
            let _sent = sender.send_to(&packet, address);
        }
    }
    let node = Lan::open(options).unwrap();
    node.announce(&announcement(Kind::Node, "aa01", "honest", 1)).unwrap();
    found(&mut browse, |found| found.id == "aa01").await;
    let known: Vec<&str> = browse.known().map(|found| found.id.as_str()).collect();
    assert_eq!(known, ["aa01"]);
    let lan = Arc::clone(&seeker);
    lan.stop().await;
    // What is on its way still comes.
    let ended = async { while browse.next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends");
}

/// Nothing, garbage, heads that claim more than follows, names that point at themselves, and an announcement of ours
/// with an id that is none.
fn hostile_packets() -> Vec<Vec<u8>> {
    let head = |questions: u16, answers: u16| {
        let mut packet = vec![0, 0, 0x84, 0];
        for count in [questions, answers, 0, 0] {
            packet.extend(count.to_be_bytes());
        }
        packet
    };
    let mut packets = vec![Vec::new(), vec![0xff; 9000], head(0xffff, 0xffff), head(0, 1)];
    // The name at byte 12 points at byte 12.
    packets.push([head(0, 1), vec![0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 120, 0, 2, 0xc0, 12]].concat());
    // A label that is longer than the packet.
    packets.push([head(1, 0), vec![63, b'x']].concat());
    let name = |labels: &[&str]| {
        let mut bytes: Vec<u8> = Vec::new();
        for label in labels {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.bytes());
        }
        bytes.push(0);
        bytes
    };
    let service = name(&["_picloud-node", "_tcp", "local"]);
    let instance = name(&["\u{1b}[2Jevil", "_picloud-node", "_tcp", "local"]);
    let host = name(&["evil", "local"]);
    let record = |of: &[u8], kind: u16, data: &[u8]| {
        let mut bytes = of.to_vec();
        bytes.extend([&kind.to_be_bytes()[..], &[0, 1], &u32::MAX.to_be_bytes()].concat());
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
        bytes
    };
    let text = b"\x0bid=\x1b[2J\xff\xfe..";
    packets.push(
        [
            head(0, 4),
            record(&service, 12, &instance),
            record(&instance, 33, &[&[0, 0, 0, 0, 0, 1][..], &host].concat()),
            record(&instance, 16, text),
            record(&host, 1, &[127, 0, 0, 1]),
        ]
        .concat(),
    );
    packets
}
