//! The appliance on the local network: says that it is here, and sees nodes that say so.
//!
//! Whoever is seen has proved nothing. It is shown as a stranger that has not asked, and can be let in only by somebody
//! who compares its fingerprint, when it asks.

use super::Cluster;
use crate::admin::Https;
use picloud_cluster::lan::{Announcement, Found, Kind, Lan, LanEvent, LanOptions};
use picloud_model::hash::ContentHash;
use picloud_model::node::{NODE_ID_DIGITS, NodeId};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// What tells this machine from others that were set up the same way.
const MACHINE_ID: &str = "/etc/machine-id";

/// This appliance on the local network, nothing where it cannot be there: a typed address is an equal way.
pub(crate) fn open(node: &str, https: &Https, ingress: SocketAddr, data_dir: &Path) -> Option<Arc<Lan>> {
    let admin = https.addr();
    // Nobody else would reach it.
    if admin.ip().is_loopback() {
        return None;
    }
    let ca = https.tls().ca_fingerprint();
    let announcement = Announcement {
        kind: Kind::Appliance,
        id: id(&ca, node, admin.port(), data_dir),
        name: node.to_owned(),
        port: admin.port(),
        ingress: ingress.port(),
        fingerprint: ca,
        setup: picloud_cluster::first_boot::setup_said(),
    };
    let announced = Lan::open(LanOptions::default()).and_then(|lan| {
        lan.announce(&announcement)?;
        Ok(lan)
    });
    announced
        .inspect_err(|error| {
            tracing::warn!(%error, "this appliance is not announced: nodes need its address, `appliance = \"HOST:PORT\"`");
        })
        .ok()
}

/// The same at each start, another on each machine and of each appliance on one.
fn id(ca: &ContentHash, node: &str, port: u16, data_dir: &Path) -> String {
    let machine = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
    let said = format!("{ca}\n{node}\n{port}\n{}\n{}", machine.trim(), data_dir.display());
    ContentHash::of(said.as_bytes()).to_string()[..NODE_ID_DIGITS].to_owned()
}

/// Sees nodes come and go, for ever.
pub(crate) async fn see(lan: Arc<Lan>, cluster: Cluster) {
    let mut browse = match lan.browse(Kind::Node) {
        Ok(browse) => browse,
        Err(error) => return tracing::warn!(%error, "nodes on the local network are not seen until they ask"),
    };
    loop {
        let event = tokio::select! {
            event = browse.next() => event,
            // Who went without a word is known for two minutes more: somebody who looks at it wants to know better.
            () = cluster.looked_at_strangers() => {
                cluster.strangers_that_were_only_seen().iter().for_each(|id| browse.verify(id.as_str()));
                continue;
            }
        };
        let Some(event) = event else { return };
        match event {
            LanEvent::Found(found) => {
                if let Some(fingerprint) = key_of(&found) {
                    let address = found.addresses.first().map(SocketAddr::ip);
                    cluster.seen_on_network(fingerprint, &found.name, address, found.setup_trouble());
                }
            }
            LanEvent::Gone { id } => {
                if let Ok(id) = id.parse() {
                    cluster.gone_from_network(&id);
                }
            }
        }
    }
}

/// The key that a node says to have, where what it says of it goes together.
fn key_of(found: &Found) -> Option<ContentHash> {
    let fingerprint: ContentHash = found.fingerprint.as_deref()?.parse().ok()?;
    (NodeId::of(&fingerprint).as_str() == found.id).then_some(fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, fingerprint: Option<String>) -> Found {
        Found {
            kind: Kind::Node,
            id: id.to_owned(),
            name: "pi".to_owned(),
            addresses: vec![SocketAddr::from(([192, 168, 1, 7], 8080))],
            ingress: Some(8080),
            fingerprint,
            setup: None,
        }
    }

    #[test]
    fn only_a_node_whose_id_is_its_keys_is_seen() {
        let fingerprint = ContentHash::of(b"key");
        let id = NodeId::of(&fingerprint);
        assert_eq!(key_of(&found(id.as_str(), Some(fingerprint.to_string()))), Some(fingerprint));
        let another = ContentHash::of(b"another").to_string();
        for (id, said) in [(id.as_str(), Some(another)), (id.as_str(), None), ("abc", Some(fingerprint.to_string()))] {
            assert_eq!(key_of(&found(id, said)), None);
        }
    }

    #[test]
    fn an_appliance_is_announced_by_the_same_id_at_each_start_and_two_on_one_machine_by_two() {
        let ca = ContentHash::of(b"ca");
        let here = || id(&ca, "pi", 8443, Path::new("/var/lib/picloud"));
        assert_eq!(here(), here());
        assert_eq!(here().len(), NODE_ID_DIGITS);
        for other in [
            id(&ContentHash::of(b"x"), "pi", 8443, Path::new("/var/lib/picloud")),
            id(&ca, "pi2", 8443, Path::new("/var/lib/picloud")),
            id(&ca, "pi", 8444, Path::new("/var/lib/picloud")),
            id(&ca, "pi", 8443, Path::new("/srv")),
        ] {
            assert_ne!(here(), other);
        }
    }
}
