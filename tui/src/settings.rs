//! Which appliance, which app, who asks: flags before environment before what the current folder says.
//! The only file that looks at the environment.

use crate::failure::Failure;
use crate::folder;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use std::path::{Path, PathBuf};

/// The socket of an installed appliance.
const SYSTEM_SOCKET: &str = "/run/picloud/admin.sock";
/// The socket of `picloud-appliance dev DIR`, below DIR.
const DEV_SOCKET: &str = ".picloud/admin.sock";

/// Flags that every command takes.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// The admin API's address, such as http://localhost:8081 [default: the admin socket]
    #[arg(
        long,
        global = true,
        env = "PICLOUD_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub(crate) url: Option<String>,
    /// The admin socket [default: the nearest .picloud/admin.sock, else /run/picloud/admin.sock]
    #[arg(
        long,
        global = true,
        env = "PICLOUD_SOCKET",
        hide_env_values = true,
        value_name = "PATH",
        help_heading = "Global options"
    )]
    pub(crate) socket: Option<PathBuf>,
    /// The API key to show; prefer the environment, which other users do not see
    #[arg(
        long,
        global = true,
        env = "PICLOUD_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Global options"
    )]
    pub(crate) key: Option<String>,
    /// The app [default: the name in ./app.toml]
    #[arg(
        long,
        global = true,
        env = "PICLOUD_APP",
        hide_env_values = true,
        value_name = "APP",
        help_heading = "Global options"
    )]
    pub(crate) app: Option<String>,
    /// Print what the appliance answered, as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
}

/// Where the admin API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A Unix socket.
    Socket(PathBuf),
    /// `http://host:port`, without a path.
    Http { host: String, port: u16 },
}

/// What holds for this command.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where to ask.
    pub(crate) place: Place,
    /// What to show.
    pub(crate) key: Option<String>,
    /// The app of `--app`, if it was on the command line itself.
    pub(crate) app_flag: Option<String>,
    app: Option<String>,
}

impl Settings {
    /// Puts flags, environment and current folder together.
    pub(crate) fn resolve(global: Global, matches: &ArgMatches) -> Result<Self, Failure> {
        let typed = |id: &str| typed(matches, id);
        if typed("url") && typed("socket") {
            return Err(Failure::usage("--url and --socket are two places", "give one of them"));
        }
        let place = match (global.url, global.socket) {
            // A flag beats the environment's other way.
            (Some(_), Some(socket)) if typed("socket") => Place::Socket(socket),
            (Some(url), _) => http_place(&url)?,
            (None, Some(socket)) => Place::Socket(socket),
            (None, None) => Place::Socket(default_socket()),
        };
        if let Some(key) = &global.key
            && (key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(Failure::usage("the key is empty or has characters no key has", "check --key and PICLOUD_KEY"));
        }
        let app_flag = global.app.clone().filter(|_| typed("app"));
        Ok(Self { place, key: global.key, app_flag, app: global.app })
    }

    /// The app a command is about.
    pub(crate) fn app(&self) -> Result<String, Failure> {
        if let Some(app) = &self.app {
            return Ok(app.clone());
        }
        folder::name_of_current().ok_or_else(|| {
            Failure::usage("no app was named", "give --app APP, set PICLOUD_APP, or go to a folder with an app.toml")
        })
    }
}

/// Whether the argument was on the command line, at whatever level.
fn typed(matches: &ArgMatches, id: &str) -> bool {
    let here =
        matches.try_contains_id(id).unwrap_or(false) && matches.value_source(id) == Some(ValueSource::CommandLine);
    here || matches.subcommand().is_some_and(|(_, below)| typed(below, id))
}

fn http_place(url: &str) -> Result<Place, Failure> {
    let bad = |why: &str| Failure::usage(format!("`{url}` {why}"), "write http://HOST:PORT, or use --socket PATH");
    let uri: http::Uri = url.parse().map_err(|_no_uri| bad("is no URL"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return Err(Failure::usage(
                format!("`{url}`: this version does not speak HTTPS yet"),
                "run picloud on the appliance itself, over SSH: it uses the admin socket there",
            ));
        }
        _ => return Err(bad("does not begin with http://")),
    }
    if !matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("/" | "")) {
        return Err(bad("has a path"));
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("has no host"))?;
    Ok(Place::Http { host: host.to_owned(), port: uri.port_u16().unwrap_or(80) })
}

fn default_socket() -> PathBuf {
    let current = std::env::current_dir().unwrap_or_default();
    nearest_dev_socket(&current).unwrap_or_else(|| PathBuf::from(SYSTEM_SOCKET))
}

fn nearest_dev_socket(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(DEV_SOCKET)).find(|socket| socket.exists())
}

/// Whether the person asked for text without colours (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_host_and_port() {
        let place = |host: &str, port| Place::Http { host: host.to_owned(), port };
        assert_eq!(http_place("http://pi.local:8081").unwrap(), place("pi.local", 8081));
        assert_eq!(http_place("http://[::1]:81/").unwrap(), place("[::1]", 81));
        assert_eq!(http_place("http://pi").unwrap(), place("pi", 80));
        for bad in ["https://pi", "pi:8081", "ftp://pi", "http://pi/x", "http://", "http:// pi"] {
            assert_eq!(http_place(bad).unwrap_err().exit_code(), 2, "{bad}");
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
