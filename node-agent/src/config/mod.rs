//! Settings of the agent: defaults, then the configuration file, then `PICLOUD_*`, then flags; the same names in all.
//!
//! To add a setting: a field in [`Settings`] and a row in [`table::SETTINGS`]; file key, variable, flag, help and errors
//! come from that row.

mod table;

pub use picloud_cluster::settings::{ConfigError, Layers};
pub use table::{SETTINGS, SettingRow};

use picloud_cluster::settings::{ConfigFile, Table};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The file that is read where `--config` names no other.
pub const CONFIG_FILE: &str = "/etc/picloud/node.toml";
/// The port of an appliance's admin and node API where a typed address names none.
pub const APPLIANCE_PORT: u16 = 8443;

/// What the agent goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where its key, its cache and its spool are.
    pub data_dir: PathBuf,
    /// Where scripts' routes are answered.
    pub ingress_addr: SocketAddr,
    /// Typed addresses of appliances, each `host:port`.
    pub appliance: Vec<String>,
    /// The join token, where one was given.
    pub join_token: Option<String>,
    /// A file that holds it.
    pub join_token_file: Option<PathBuf>,
    /// Whether it announces itself and looks for appliances on the network.
    pub mdns: bool,
    /// What it calls itself where nobody has named it.
    pub name: Option<String>,
    /// What it says of itself beyond what is plugged in, for placement.
    pub labels: picloud_model::placement::Labels,
    /// Compiled modules that a worker keeps.
    pub module_cache_size: u32,
    /// Runs at once.
    pub concurrency: u32,
    /// Whom workers run as, where the agent is root.
    pub worker_user: Option<String>,
    /// What is logged.
    pub log: String,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let concurrency = picloud_model::limits::default_concurrency(cores);
        Self {
            data_dir: PathBuf::from("/var/lib/picloud-node"),
            ingress_addr: SocketAddr::from(([0, 0, 0, 0], 8080)),
            appliance: Vec::new(),
            join_token: None,
            join_token_file: None,
            mdns: true,
            name: None,
            labels: picloud_model::placement::Labels::new(),
            module_cache_size: 512,
            concurrency: u32::try_from(concurrency).unwrap_or(u32::MAX),
            worker_user: None,
            log: "info".to_owned(),
        }
    }
}

impl Settings {
    /// The defaults on a machine with four cores, whatever this one has.
    pub fn of_any_machine() -> Self {
        Self { concurrency: 16, ..Self::default() }
    }
}

/// Settings of the agent and where each came from.
pub type Config = picloud_cluster::settings::Config<Settings>;

/// Everything that is read of the settings.
pub const TABLE: Table<Settings> = Table {
    rows: SETTINGS,
    foreign_variables: &["PICLOUD_URL", "PICLOUD_SOCKET", "PICLOUD_KEY", "PICLOUD_FINGERPRINT", "PICLOUD_APP"],
    file_expected: "the path of a TOML file in UTF-8",
    named_file_expected: "the path of a TOML file in UTF-8",
};

/// Reads file and environment and loads; `config_file` is what `--config` says.
pub fn read(config_file: Option<&Path>, flags: Vec<(&'static str, String)>) -> Result<Config, ConfigError> {
    let file = ConfigFile { named: config_file, usual: Some(Path::new(CONFIG_FILE)) };
    TABLE.read(Settings::default(), file, flags)
}

/// Lays the layers over the defaults.
pub fn load(layers: &Layers) -> Result<Settings, ConfigError> {
    Ok(TABLE.load(Settings::default(), layers)?.settings)
}

/// A typed address of an appliance as `host:port`, `None` where it is none.
pub fn typed_address(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.to_string());
    }
    let bare_v6 = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare_v6.parse::<std::net::IpAddr>() {
        return Some(SocketAddr::new(ip, APPLIANCE_PORT).to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, APPLIANCE_PORT),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!host.is_empty() && host.len() <= 253 && host.chars().all(fits)).then(|| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;
