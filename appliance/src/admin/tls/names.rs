//! By which names and addresses this machine is reached.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses in one certificate; a machine with more has them added as they are used.
pub(super) const ADDRESSES_MAX: usize = 64;
/// The name that every appliance answers to.
const COMMON_NAME: &str = "picloud.local";

/// The host names for a machine called `node`.
pub(super) fn names(node: &str) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), COMMON_NAME.to_owned()];
    let node = node.to_ascii_lowercase();
    // What is no host name would make the whole certificate unreadable.
    let is_name = node.len() <= 63 * 3 && node.split('.').all(is_label);
    if is_name {
        if !node.contains('.') {
            names.push(format!("{node}.local"));
        }
        names.push(node);
    }
    names.sort();
    names.dedup();
    names
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// All addresses of this machine's interfaces, and loopback in any case.
pub(super) fn addresses() -> BTreeSet<IpAddr> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let found = nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => Some(IpAddr::V4(v4.ip())),
            (_, Some(v6)) => Some(IpAddr::V6(v6.ip())),
            _other => None,
        }
    });
    loopback.into_iter().chain(found).map(|address| address.to_canonical()).take(ADDRESSES_MAX).collect()
}

/// The address that others most likely reach this machine at.
pub(crate) fn main_address() -> Option<IpAddr> {
    addresses().into_iter().find(|address| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_reached_by_its_name_alone_and_on_the_local_network() {
        assert_eq!(names("Pi-4"), ["localhost", "pi-4", "pi-4.local", "picloud.local"]);
        assert_eq!(names("pi.example.org"), ["localhost", "pi.example.org", "picloud.local"]);
        assert_eq!(names("pi_4"), ["localhost", "picloud.local"], "what is no host name is left out");
        assert!(addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
