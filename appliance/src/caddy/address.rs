//! Where a Caddy's admin API listens, and which of its objects is ours to keep.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a Caddy's admin API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaddyAddress {
    /// `http://HOST:PORT`, without the scheme.
    Tcp(String),
    /// A socket file.
    Unix(PathBuf),
}

/// Caddy's own port, where none is said.
const PORT: u16 = 2019;

impl FromStr for CaddyAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // `unix//run/…` is how Caddy's own configuration writes it.
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix/")) {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(()) };
        }
        let text = text.strip_prefix("http://").unwrap_or(text);
        let uri: http::Uri = text.strip_suffix('/').unwrap_or(text).parse().map_err(|_no_uri| ())?;
        let authority = uri.authority().ok_or(())?;
        let plain = uri.scheme().is_none()
            && uri.path_and_query().is_none_or(|path| path == "/")
            && !authority.as_str().contains('@');
        if !plain || authority.host().is_empty() {
            return Err(());
        }
        // The library takes what is no number for no port at all.
        let port = match authority.as_str().strip_prefix(authority.host()).ok_or(())?.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_no_port| ())?,
            None => PORT,
        };
        Ok(Self::Tcp(format!("{}:{port}", authority.host())))
    }
}

impl fmt::Display for CaddyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => write!(f, "http://{authority}"),
            Self::Unix(path) => write!(f, "unix/{}", path.display()),
        }
    }
}

/// The URL path of the upstreams: of the `reverse_proxy` handler with this `@id`, or at this place of the configuration.
pub fn upstreams_path(place: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    if place.is_empty() || !place.chars().all(fits) || place.split('/').any(|segment| segment == "..") {
        return None;
    }
    let place = place.trim_end_matches('/');
    let handler = place.strip_suffix("/upstreams").unwrap_or(place);
    match handler.strip_prefix('/') {
        Some(path) if path.starts_with("config/") || path.starts_with("id/") => Some(format!("/{path}/upstreams")),
        Some(_other) => None,
        None if handler.contains('/') => None,
        None => Some(format!("/id/{handler}/upstreams")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_caddy_and_as_everybody_else_writes_it() {
        for (text, shown) in [
            ("http://127.0.0.1:2019", "http://127.0.0.1:2019"),
            ("http://proxy.local/", "http://proxy.local:2019"),
            ("localhost:2020", "http://localhost:2020"),
            ("http://[::1]:2019", "http://[::1]:2019"),
            ("unix//run/caddy/admin.sock", "unix//run/caddy/admin.sock"),
            ("unix:///run/caddy/admin.sock", "unix//run/caddy/admin.sock"),
        ] {
            assert_eq!(text.parse::<CaddyAddress>().map(|it| it.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for bad in ["", "https://proxy:2019", "unix/run", "http://proxy/config", "http://me@proxy", "proxy:port", "a b"]
        {
            assert_eq!(bad.parse::<CaddyAddress>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn upstreams_are_named_by_an_id_or_a_place() {
        for (place, path) in [
            ("picloud", Some("/id/picloud/upstreams")),
            (
                "/config/apps/http/servers/srv0/routes/0/handle/0",
                Some("/config/apps/http/servers/srv0/routes/0/handle/0/upstreams"),
            ),
            ("/id/picloud/upstreams/", Some("/id/picloud/upstreams")),
            ("", None),
            ("/load", None),
            ("a/b", None),
            ("/config/../load", None),
            ("a?b", None),
        ] {
            assert_eq!(upstreams_path(place).as_deref(), path, "{place}");
        }
    }
}
