//! Where an address is: on the public internet, or somewhere a script must not reach unasked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that clouds answer questions about their machines at, some of which look public: those of AWS, Alibaba and
/// Azure (others use AWS's).
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// Why a script must not reach an address unasked, in words that end a sentence; `None` on the public internet.
///
/// The blocks are those of IANA's special-purpose registries (RFC 6890 and its successors) that are not reachable
/// globally. Addresses that carry another inside (mapped, NAT64, 6to4) are what they carry.
pub(super) fn why_not_public(address: IpAddr, of_this_machine: &[IpAddr]) -> Option<&'static str> {
    let address = carried(address);
    if METADATA.contains(&address) {
        return Some("where clouds answer questions about their machines");
    }
    if address.is_loopback() || of_this_machine.contains(&address) {
        return Some("this machine itself");
    }
    match address {
        IpAddr::V4(address) => why_v4(address),
        IpAddr::V6(address) => why_v6(address),
    }
}

/// The address that counts.
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let segments = six.segments();
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match segments {
        // ::a.b.c.d (long deprecated) and ::ffff:a.b.c.d, but not :: and ::1.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if high != 0 || low > 1 => four(high, low),
        // NAT64, RFC 6052.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        // 6to4, RFC 3056.
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}

fn why_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Some("in a private network"),
        (100, 64..=127, _) => Some("in a network that providers share"),
        (169, 254, _) => Some("link-local"),
        (224..=239, ..) => Some("a multicast group"),
        (0 | 240..=255, ..) | (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) => {
            Some("reserved")
        }
        _ => None,
    }
}

fn why_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Some("in a private network"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfec0..=0xfeff, ..] => Some("site-local"),
        [0xff00..=0xffff, ..] => Some("a multicast group"),
        // Only this block has been given out for the internet; Teredo, ORCHID and documentation lie within it.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] => Some("reserved"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("reserved"),
    }
}

/// The addresses of this machine's own interfaces.
pub(super) fn of_this_machine() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_reached_unasked() {
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1", "64:ff9b::1.1.1.1", "192.88.98.1"]
        {
            assert_eq!(why_not_public(public.parse().unwrap(), &[]), None, "{public}");
        }
        for not in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:192.168.1.1",
            "::127.0.0.1",
            "fe80::1",
            "fd00::1",
            "fc00::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "fd00:ec2::254",
        ] {
            assert!(why_not_public(not.parse().unwrap(), &[]).is_some(), "{not}");
        }
        let own: IpAddr = "93.184.216.34".parse().unwrap();
        assert_eq!(why_not_public(own, &[own]), Some("this machine itself"));
        assert!(of_this_machine().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
