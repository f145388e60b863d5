//! An entry of `[http] allow`: a host, an address or a network that the scripts of an app may reach although it is none
//! of the public internet.

use std::fmt;
use std::net::IpAddr;

/// Longest name of a host, as DNS has it.
const HOST_BYTES_MAX: usize = 253;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    what: What,
    /// Only this port; every one where absent.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// A name in lower case, without a dot at its end: wherever it leads to.
    Name(String),
    /// All addresses that begin with so many bits of this one.
    Network(IpAddr, u8),
}

impl AllowedHost {
    /// Reads `printer.local`, `192.168.1.20:8123`, `[fd00::1]:80`, `10.0.0.0/8`, `fd00::/8`.
    ///
    /// # Errors
    /// A sentence that names the entry and says what it may be.
    pub fn parse(entry: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "`{entry}` is no host, address or network: write \"printer.local\", \"192.168.1.20:8123\", \
                 \"[fd00::1]:80\" or \"10.0.0.0/8\""
            )
        };
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Ok(Self { what: What::Network(address, bits_of(address)), port: None });
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_no_address| refused())?;
            let bits: u8 = bits.parse().map_err(|_no_number| refused())?;
            if bits > bits_of(address) {
                return Err(refused());
            }
            return Ok(Self { what: What::Network(address, bits), port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            None => (entry, None),
            Some((host, port)) => (host, Some(port.parse().map_err(|_no_port| refused())?)),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
            return Ok(Self { what: What::Network(address, bits_of(address)), port });
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let label_fits = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if bare.is_some() || name.len() > HOST_BYTES_MAX || !name.split('.').all(label_fits) {
            return Err(refused());
        }
        Ok(Self { what: What::Name(name), port })
    }

    /// Whether a URL with this host, which leads to this address and port, is meant.
    pub fn allows(&self, host: &str, address: IpAddr, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        match &self.what {
            What::Name(name) => host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(name),
            What::Network(network, bits) => match (network, address.to_canonical()) {
                (IpAddr::V4(network), IpAddr::V4(address)) => {
                    let shift = 32 - u32::from(*bits);
                    network.to_bits().checked_shr(shift).unwrap_or(0)
                        == address.to_bits().checked_shr(shift).unwrap_or(0)
                }
                (IpAddr::V6(network), IpAddr::V6(address)) => {
                    let shift = 128 - u32::from(*bits);
                    network.to_bits().checked_shr(shift).unwrap_or(0)
                        == address.to_bits().checked_shr(shift).unwrap_or(0)
                }
                _ => false,
            },
        }
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.what, self.port) {
            (What::Name(name), _) => f.write_str(name)?,
            (What::Network(address, bits), None) if *bits < bits_of(*address) => write!(f, "{address}/{bits}")?,
            (What::Network(address @ IpAddr::V6(_), _), Some(_)) => write!(f, "[{address}]")?,
            (What::Network(address, _), _) => address.fmt(f)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_allows_what_it_says_and_nothing_beside() {
        for (entry, host, address, port, allowed) in [
            ("printer.local", "printer.local", "192.168.1.7", 80, true),
            ("printer.local", "PRINTER.local.", "10.9.9.9", 631, true),
            ("printer.local:631", "printer.local", "192.168.1.7", 80, false),
            ("printer.local", "other.local", "192.168.1.7", 80, false),
            ("192.168.1.20:8123", "ha.local", "192.168.1.20", 8123, true),
            ("192.168.1.20:8123", "192.168.1.20", "192.168.1.20", 80, false),
            ("10.0.0.0/8", "10.1.2.3", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "x", "11.0.0.1", 80, false),
            ("10.0.0.0/8", "x", "::ffff:10.1.2.3", 80, true),
            ("0.0.0.0/0", "x", "127.0.0.1", 80, true),
            ("[fd00::1]:80", "x", "fd00::1", 80, true),
            ("fd00::/8", "x", "fdff::9", 1, true),
            ("fd00::/8", "x", "fe80::9", 1, false),
        ] {
            let parsed = AllowedHost::parse(entry).unwrap();
            assert_eq!(parsed.allows(host, address.parse().unwrap(), port), allowed, "{entry} {host} {address} {port}");
            assert_eq!(parsed.to_string(), entry);
        }
        for bad in ["", "http://x", "a b", "*", "*.local", "10.0.0.0/33", "x:99999", "[printer]:80", "x:", "-/8"] {
            let why = AllowedHost::parse(bad).unwrap_err();
            assert!(why.contains(bad) && why.contains("192.168.1.20:8123"), "{why}");
        }
    }
}
