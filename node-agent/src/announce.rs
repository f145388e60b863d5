//! Says on the local network that this node is here.

use picloud_cluster::identity::NodeKey;
use picloud_cluster::lan::{Announcement, Kind, Lan, LanOptions};
use std::net::SocketAddr;
use std::sync::Arc;

/// This node on the local network, nothing where it is not to be there or cannot: a typed address is an equal way.
pub fn open(mdns: bool) -> Option<Arc<Lan>> {
    if !mdns {
        return None;
    }
    match Lan::open(LanOptions::default()) {
        Ok(lan) => Some(lan),
        Err(error) => {
            tracing::warn!(%error, "this node is not announced, and looks for no appliance by itself: say where one is, `appliance`");
            None
        }
    }
}

/// Announces the node under this name, instead of the one before. One that answers only this machine is not announced.
pub fn announce(lan: &Lan, key: &NodeKey, name: &str, ingress: SocketAddr) {
    if ingress.ip().is_loopback() {
        return;
    }
    let announcement = Announcement {
        kind: Kind::Node,
        id: key.id().to_string(),
        name: name.to_owned(),
        port: ingress.port(),
        ingress: ingress.port(),
        fingerprint: key.fingerprint(),
        setup: picloud_cluster::first_boot::setup_said(),
    };
    if let Err(error) = lan.announce(&announcement) {
        tracing::warn!(%error, "this node is not announced on the local network");
    }
}
