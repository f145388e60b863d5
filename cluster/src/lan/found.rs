//! What somebody on the local network says of himself, as far as it is fit to be looked at.

use super::Kind;
use super::announcement::{CA_DIGITS, NAME_BYTES_MAX};
use crate::first_boot::{SETUP_BYTES_MAX, trouble};
use mdns_sd::{ResolvedService, ScopedIp};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Most addresses of one machine that are looked at.
const ADDRESSES_MAX: usize = 16;
/// Digits of a key's fingerprint.
const KEY_DIGITS: usize = 64;
/// Longest id.
const ID_BYTES_MAX: usize = 20;

/// Somebody who says to be an appliance or a node. Nothing of this is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Appliance or node.
    pub kind: Kind,
    /// What tells it from others.
    pub id: String,
    /// What it calls itself; fit to be shown.
    pub name: String,
    /// Where it says to be spoken to; those that are likelier to work go first. Of link-local ones with the interface.
    pub addresses: Vec<SocketAddr>,
    /// The port where it says to answer requests.
    pub ingress: Option<u16>,
    /// Of an appliance the first digits of its CA's hash, of a node its key's fingerprint.
    pub fingerprint: Option<String>,
    /// What it says of its first boot; fit to be shown.
    pub setup: Option<String>,
}

impl Found {
    /// What is fit to be looked at of what was said; nothing where it is not of ours.
    pub(super) fn of(kind: Kind, said: &ResolvedService, loopback: bool) -> Option<Self> {
        let text = |key: &str| said.get_property_val_str(key);
        let id = text("id").filter(|id| is_id(id))?.to_owned();
        let mut addresses: Vec<SocketAddr> =
            said.get_addresses().iter().filter_map(|address| dialled(address, said.get_port(), loopback)).collect();
        addresses.sort_by_key(|address| (rank(address.ip()), *address));
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() {
            return None;
        }
        let (key, digits) = match kind {
            Kind::Appliance => ("ca", CA_DIGITS),
            Kind::Node => ("fp", KEY_DIGITS),
        };
        Some(Self {
            kind,
            name: text("name")
                .map(|name| printable(name, NAME_BYTES_MAX))
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| id.clone()),
            id,
            addresses,
            ingress: text("ingress").and_then(|port| port.parse().ok()).filter(|port| *port != 0),
            fingerprint: text(key).filter(|text| is_hex(text, digits)).map(str::to_owned),
            setup: text("setup").map(|said| printable(said, SETUP_BYTES_MAX)).filter(|said| !said.is_empty()),
        })
    }

    /// What is wrong with its first boot, as a label's value; nothing where nothing is said to be.
    pub fn setup_trouble(&self) -> Option<String> {
        trouble(self.setup.as_deref()?)
    }
}

fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What may go to a terminal and a log: no control characters, none that turn the direction of what follows.
fn printable(text: &str, bytes_max: usize) -> String {
    let is_turning = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut name = String::new();
    for c in text.chars().filter(|c| !c.is_control() && !is_turning(*c)) {
        if name.len() + c.len_utf8() > bytes_max {
            break;
        }
        name.push(c);
    }
    name.trim().to_owned()
}

/// An address as one dials it; nothing where that cannot be a machine of this network.
fn dialled(address: &ScopedIp, port: u16, loopback: bool) -> Option<SocketAddr> {
    let ip = address.to_ip_addr();
    if port == 0 || ip.is_unspecified() || ip.is_multicast() || (ip.is_loopback() && !loopback) {
        return None;
    }
    match address {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
            let scope = v6.scope_id().index;
            // Without its interface it leads nowhere.
            (scope != 0).then(|| SocketAddrV6::new(*v6.addr(), port, 0, scope).into())
        }
        ScopedIp::V4(v4) if v4.addr().is_broadcast() => None,
        _plain => Some(SocketAddr::new(ip, port)),
    }
}

/// Which address goes first: what a household's router gave, then what reaches only this cable.
fn rank(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(v4) if v4.is_link_local() => 2,
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => 3,
        IpAddr::V6(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdns_sd::ServiceInfo;

    fn said(addresses: &str, port: u16, text: &[(&str, &str)]) -> ResolvedService {
        ServiceInfo::new(Kind::Node.service(), "x", "x.local.", addresses, port, text).unwrap().as_resolved_service()
    }

    fn found(addresses: &str, port: u16, text: &[(&str, &str)]) -> Option<Found> {
        Found::of(Kind::Node, &said(addresses, port, text), false)
    }

    #[test]
    fn what_a_machine_of_ours_says_is_taken_with_its_likelier_addresses_first() {
        let fp = "0f".repeat(32);
        let text = [("v", "1"), ("id", "ab12"), ("name", "Küche"), ("ingress", "8080"), ("fp", &fp)];
        let found = found("169.254.1.1,fd00::7,192.168.1.7", 8443, &text).unwrap();
        assert_eq!((found.id.as_str(), found.name.as_str(), found.ingress), ("ab12", "Küche", Some(8080)));
        assert_eq!(found.fingerprint, Some(fp));
        let addresses: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.168.1.7:8443", "[fd00::7]:8443", "169.254.1.1:8443"]);
    }

    #[test]
    fn what_no_machine_of_ours_would_say_is_left_out() {
        let ours = [("id", "ab12")];
        assert!(found("192.168.1.7", 1, &ours).is_some());
        for (addresses, port, text) in [
            ("192.168.1.7", 0, &[("id", "ab12")][..]),
            ("127.0.0.1", 1, &[("id", "ab12")]),
            ("0.0.0.0,224.0.0.1,255.255.255.255", 1, &[("id", "ab12")]),
            ("fe80::1", 1, &[("id", "ab12")]),
            ("192.168.1.7", 1, &[]),
            ("192.168.1.7", 1, &[("id", "")]),
            ("192.168.1.7", 1, &[("id", "../../etc")]),
            ("192.168.1.7", 1, &[("id", "aaaaaaaaaaaaaaaaaaaaa")]),
        ] {
            assert_eq!(found(addresses, port, text), None, "{addresses} {port} {text:?}");
        }
    }

    #[test]
    fn a_name_that_would_paint_over_a_terminal_is_made_harmless() {
        let nasty = "\u{1b}]0;owned\u{7}\u{202e}evil\r\nline ".to_owned() + &"x".repeat(200);
        let text = [("id", "ab12"), ("name", nasty.as_str()), ("fp", "zz"), ("ingress", "70000")];
        let found = found("192.168.1.7", 1, &text).unwrap();
        assert!(found.name.starts_with("]0;ownedevilline xx"), "{:?}", found.name);
        assert_eq!((found.name.len(), found.fingerprint, found.ingress), (63, None, None));
    }

    #[test]
    fn what_a_first_boot_complains_of_is_seen_and_that_all_is_well_is_no_trouble() {
        let of = |setup: &'static str| found("192.168.1.7", 1, &[("id", "ab12"), ("setup", setup)]).unwrap();
        assert_eq!((of("ok").setup.as_deref(), of("ok").setup_trouble()), (Some("ok"), None));
        let said = "picloud.toml line 7, column 1: no key `hostname` here, a=b\u{1b}[2J";
        let trouble = of(said).setup_trouble().unwrap();
        assert_eq!(trouble, "picloud.toml line 7; column 1: no key `hostname` here; a b[2J");
        picloud_model::placement::check_label("setup", &trouble).unwrap();
    }

    #[test]
    fn of_a_machine_that_claims_to_be_everywhere_only_some_addresses_are_looked_at() {
        let many: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}")).collect();
        assert_eq!(found(&many.join(","), 1, &[("id", "ab12")]).unwrap().addresses.len(), ADDRESSES_MAX);
    }
}
