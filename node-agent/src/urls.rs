//! Where this node answers requests, as others write it.

use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, SocketAddr};

/// Most addresses that are told.
const URLS_MAX: usize = 16;

/// The URLs of a listener: its own address, or those of all interfaces where it listens at all.
pub fn of(addr: SocketAddr) -> Vec<String> {
    let ips = if addr.ip().is_unspecified() { interfaces(addr.is_ipv4()) } else { vec![addr.ip()] };
    ips.into_iter().take(URLS_MAX).map(|ip| format!("http://{}", SocketAddr::new(ip, addr.port()))).collect()
}

/// The addresses of this machine that others reach it at; a link-local one is no use without the interface of whoever
/// dials it.
fn interfaces(v4_only: bool) -> Vec<IpAddr> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let mut ips: Vec<IpAddr> = all
        .filter(|interface| !is_virtual(&interface.interface_name))
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(|ip| match ip {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            IpAddr::V6(v6) => !v4_only && !v6.is_loopback() && !v6.is_unicast_link_local(),
        })
        .collect();
    ips.sort_unstable();
    ips.dedup();
    ips
}

fn is_virtual(name: &str) -> bool {
    ["docker", "veth", "br-", "virbr"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_at_one_address_is_told_as_that_and_one_at_all_is_told_without_this_machines_own() {
        assert_eq!(of("192.168.1.2:8080".parse().unwrap()), ["http://192.168.1.2:8080"]);
        assert_eq!(of("[::1]:8080".parse().unwrap()), ["http://[::1]:8080"]);
        let all = of("0.0.0.0:8080".parse().unwrap());
        assert!(all.iter().all(|url| url.ends_with(":8080") && !url.contains("127.0.0.1")), "{all:?}");
    }
}
