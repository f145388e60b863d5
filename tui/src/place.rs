//! Where an appliance is: its admin socket, or a URL.

use crate::failure::Failure;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The socket of an installed appliance.
pub(crate) const SYSTEM_SOCKET: &str = "/run/picloud/admin.sock";
/// The socket of `picloud-appliance dev DIR`, below DIR.
const DEV_SOCKET: &str = ".picloud/admin.sock";
/// The port of an appliance's HTTPS where the URL names none.
const HTTPS_PORT: u16 = 8443;
/// The same for plain HTTP, which only something in front of an appliance speaks.
const HTTP_PORT: u16 = 80;

/// Where the admin API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A Unix socket.
    Socket(PathBuf),
    /// A URL without a path.
    Url(Url),
}

/// `https://host:port`, or without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Whether the way there is encrypted and the appliance proves who it is.
    pub(crate) tls: bool,
    /// The name or address; an IPv6 one without its brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl Url {
    /// Reads a URL as a person types it.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let bad =
            |why: &str| Failure::usage(format!("`{text}` {why}"), "write https://HOST:PORT, or use --socket PATH");
        let uri: http::Uri = text.parse().map_err(|_no_uri| bad("is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("does not begin with https://")),
        };
        if !matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("/" | "")) {
            return Err(bad("has a path"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(bad("has a user name"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Ok(Self { tls, host, port: uri.port_u16().unwrap_or(if tls { HTTPS_PORT } else { HTTP_PORT }) })
    }

    /// `host:port`, as a `Host` header and the file of pins have it.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether it is this machine, so that nobody on the way reads along.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

/// The socket of the `dev` appliance that serves this folder or one above it.
pub(crate) fn nearest_dev_socket(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(DEV_SOCKET)).find(|socket| socket.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_scheme_host_and_port() {
        for (typed, meant) in [
            ("https://pi.local:9443", "https://pi.local:9443"),
            ("https://Pi/", "https://pi:8443"),
            ("https://[::1]", "https://[::1]:8443"),
            ("http://[::1]:81/", "http://[::1]:81"),
            ("http://pi", "http://pi:80"),
        ] {
            assert_eq!(Url::parse(typed).unwrap().to_string(), meant);
        }
        for bad in ["pi:8081", "ftp://pi", "https://pi/x", "https://", "http:// pi", "https://me@pi"] {
            assert_eq!(Url::parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, is) in [
            ("http://localhost", true),
            ("http://127.3.2.1", true),
            ("http://[::1]", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.org", false),
            ("http://127.0.0.1.example.org", false),
        ] {
            assert_eq!(Url::parse(url).unwrap().is_loopback(), is, "{url}");
        }
    }

    #[test]
    fn the_nearest_dev_socket_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(nearest_dev_socket(&inner).filter(|found| found.starts_with(folder.path())), None);
        std::fs::create_dir_all(folder.path().join("a/.picloud")).unwrap();
        let socket = folder.path().join("a").join(DEV_SOCKET);
        std::fs::write(&socket, "").unwrap();
        assert_eq!(nearest_dev_socket(&inner), Some(socket));
    }
}
