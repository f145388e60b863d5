//! Where appliances may be: typed addresses, those that answered before, and those that announce themselves.

use picloud_cluster::lan::Found;
use std::net::SocketAddr;

/// Appliances that are dialled at most.
pub const CANDIDATES_MAX: usize = 16;

/// An appliance that may be dialled. Nothing of this is proved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// How it is called in messages: what was typed, or what it calls itself.
    pub label: String,
    /// Where.
    pub at: At,
}

/// Where a candidate is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// `host:port`, looked up each time.
    Name(String),
    /// As announced.
    Addresses(Vec<SocketAddr>),
}

/// Everybody to ask: what was typed goes first.
pub fn candidates<'a>(typed: impl IntoIterator<Item = &'a String>, found: &[Found]) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for address in typed {
        let candidate = Candidate { label: address.clone(), at: At::Name(address.clone()) };
        if !all.contains(&candidate) {
            all.push(candidate);
        }
    }
    for found in found {
        let label = format!("{} ({})", found.name, found.id);
        all.push(Candidate { label, at: At::Addresses(found.addresses.clone()) });
    }
    all.truncate(CANDIDATES_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_cluster::lan::Kind;

    #[test]
    fn typed_addresses_go_first_and_each_is_asked_once() {
        let found = |name: &str| Found {
            kind: Kind::Appliance,
            id: "1".to_owned(),
            name: name.to_owned(),
            addresses: vec!["10.0.0.1:8443".parse().unwrap()],
            ingress: None,
            setup: None,
            fingerprint: None,
        };
        let typed = ["pi:8443".to_owned(), "pi:8443".to_owned()];
        let all = candidates(&typed, &[found("one"), found("two")]);
        let labels: Vec<_> = all.iter().map(|candidate| candidate.label.as_str()).collect();
        assert_eq!(labels, ["pi:8443", "one (1)", "two (1)"]);
        let many: Vec<Found> = (0..100).map(|_nth| found("x")).collect();
        assert_eq!(candidates(&typed, &many).len(), CANDIDATES_MAX);
    }
}
