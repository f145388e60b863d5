//! Who is heard on the local network, over mDNS: for a moment, and without saying anything but the question.

use super::{Heard, Lan};
use mdns_sd::{HostnameResolutionEvent, ServiceDaemon, ServiceEvent};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What appliances announce.
const SERVICE: &str = "_picloud._tcp.local.";
/// Most that are listed; whoever floods the network is not waited for.
const HEARD_MAX: usize = 32;
/// Longest text of others that is shown.
const TEXT_LETTERS_MAX: usize = 200;

/// Listens for so long.
pub(super) fn listen(host: &str, patience: Duration) -> Result<Lan, String> {
    let daemon = ServiceDaemon::new().map_err(|error| error.to_string())?;
    let heard = ask(&daemon, host, patience);
    // It ends with the process in any case.
    let _ended = daemon.shutdown();
    heard.map_err(|error| error.to_string())
}

fn ask(daemon: &ServiceDaemon, host: &str, patience: Duration) -> mdns_sd::Result<Lan> {
    let until = Instant::now() + patience;
    let appliances = daemon.browse(SERVICE)?;
    let addresses = daemon
        .resolve_hostname(&format!("{host}.local."), Some(patience.as_millis().try_into().unwrap_or(u64::MAX)))?;
    let mut lan = Lan { own_addresses: own_addresses(), ..Lan::default() };
    while let Ok(event) = appliances.recv_timeout(until.saturating_duration_since(Instant::now())) {
        let ServiceEvent::ServiceResolved(said) = event else { continue };
        let text = |key: &str| said.get_property_val_str(key).map(shown);
        let one = Heard {
            name: text("name").unwrap_or_default(),
            ca: text("ca").unwrap_or_default(),
            port: said.get_port(),
            setup: text("setup").filter(|setup| setup != "ok"),
        };
        if !lan.appliances.contains(&one) && lan.appliances.len() < HEARD_MAX {
            lan.appliances.push(one);
        }
    }
    while let Ok(event) = addresses.try_recv() {
        if let HostnameResolutionEvent::AddressesFound(_, found) = event {
            let found = found.iter().map(|address| address.to_ip_addr());
            let new: Vec<IpAddr> =
                found.filter(|address| !lan.host_addresses.contains(address)).take(HEARD_MAX).collect();
            lan.host_addresses.extend(new);
        }
    }
    lan.host_addresses.sort();
    lan.appliances.sort_by(|a, b| (&a.name, &a.ca).cmp(&(&b.name, &b.ca)));
    Ok(lan)
}

fn own_addresses() -> Vec<IpAddr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let address = |one: nix::ifaddrs::InterfaceAddress| {
        let address = one.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    all.filter_map(address).collect()
}

/// What others say, without what would do something to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_LETTERS_MAX).collect()
}
