//! `picloud.toml`: the one file on a card's boot partition that says what a machine becomes when it first starts.
//!
//! Pure: `picloud flash` checks and writes it before the card leaves the desk, the machine reads it again when it
//! starts. To add a key: a field below, a row in [`KEYS`], a line in `text`; checks, errors, the example and the
//! documentation's table go by the rows.

mod checks;
mod countries;
mod example;
mod keys;
mod mask;
mod read;
mod text;

pub use example::example;
pub use keys::{KEYS, Key};
pub use mask::{ERASED, mask};
pub use read::read;
pub use text::text;

use crate::clock::UnixMs;
use crate::placement::Labels;
use std::collections::BTreeMap;
use std::fmt;

/// Its name.
pub const BOOT_FILE: &str = "picloud.toml";
/// The file beside it in which a machine says what came of it.
pub const REPORT_FILE: &str = "picloud-report.txt";
/// The folder beside it whose folders are apps.
pub const APPS_FOLDER: &str = "picloud-apps";
/// Largest file that is read.
pub const BOOT_FILE_BYTES_MAX: usize = 64 * 1024;
/// Whom SSH keys let in where the file names nobody.
pub const DEFAULT_USER: &str = "pi";
/// Most SSH keys.
pub const SSH_KEYS_MAX: usize = 32;

/// What the file says; nothing of it is set where the file is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootFile {
    /// The machine's name.
    pub host_name: Option<String>,
    /// Its time zone, as `Europe/Berlin`.
    pub time_zone: Option<String>,
    /// The wireless network.
    pub wifi: Wifi,
    /// Who comes in over SSH.
    pub ssh: Ssh,
    /// What a node is told.
    pub node: NodeBoot,
    /// Which backup an appliance begins with.
    pub restore: RestoreBoot,
    /// Lines for `/etc/picloud/appliance.toml`.
    pub appliance_settings: Vec<Setting>,
    /// Lines for `/etc/picloud/node.toml`.
    pub node_settings: Vec<Setting>,
    /// Line and column of each section and key that is there (`wifi.ssid`), for what is found out later.
    pub places: BTreeMap<String, (usize, usize)>,
}

impl BootFile {
    /// Where `key` (`wifi.ssid`) stands; the file as a whole where it does not.
    pub fn place(&self, key: &str) -> (usize, usize) {
        self.places.get(key).copied().unwrap_or_default()
    }

    /// Whether there is anything under this section.
    pub fn has(&self, section: &str) -> bool {
        self.places.contains_key(section)
    }
}

/// A wireless network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wifi {
    /// Its name; no network where absent.
    pub ssid: Option<String>,
    /// The passphrase.
    pub password: Option<BootSecret>,
    /// The key made of passphrase and name, in its place.
    pub psk: Option<BootSecret>,
    /// It has neither.
    pub open: bool,
    /// Where the radio stands.
    pub country: Option<String>,
    /// It does not say its name.
    pub hidden: bool,
}

/// Who comes in over SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// As whom; [`DEFAULT_USER`] where absent.
    pub user: Option<String>,
    /// With which keys.
    pub authorized_keys: Vec<String>,
}

impl Ssh {
    /// As whom.
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(DEFAULT_USER)
    }
}

/// What a node is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeBoot {
    /// Where its appliance is: `HOST` or `HOST:PORT`.
    pub appliance: Option<String>,
    /// The token that lets it in.
    pub join_token: Option<BootSecret>,
    /// When the token ends.
    pub join_token_expires: Option<UnixMs>,
    /// What it says of itself, for placement.
    pub labels: Labels,
}

/// Which backup an appliance begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreBoot {
    /// The repository that it is in; no backup where absent.
    pub repository: Option<String>,
    /// The repository's password.
    pub password: Option<BootSecret>,
    /// Which of its backups; the newest where absent.
    pub snapshot: Option<String>,
    /// Who asks a bucket for it,
    pub s3_access_key: Option<String>,
    /// with which secret,
    pub s3_secret_key: Option<BootSecret>,
    /// and in which region, where it has some.
    pub s3_region: Option<String>,
    /// The private key with which SSH lets one in where it is,
    pub ssh_key: Option<BootSecret>,
    /// and the public key of that machine.
    pub ssh_host_key: Option<String>,
}

/// A line that a program's own settings file gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The setting's name.
    pub key: String,
    /// Its value as TOML writes it.
    pub toml: String,
    /// It was secret, has been used, and is not there any more.
    pub is_erased: bool,
}

/// A value that is removed from the card after it was used.
#[derive(Clone, PartialEq, Eq)]
pub enum BootSecret {
    /// It is there.
    Given(String),
    /// It was there.
    Erased,
}

impl BootSecret {
    /// The value, where it is still there.
    pub fn given(&self) -> Option<&str> {
        match self {
            Self::Given(value) => Some(value),
            Self::Erased => None,
        }
    }
}

impl fmt::Debug for BootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(…)",
            Self::Erased => "Erased",
        })
    }
}

#[cfg(test)]
mod tests;
