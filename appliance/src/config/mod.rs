//! Settings: defaults, then the configuration file, then `PICLOUD_*`, then flags; the same names in all four.
//!
//! To add a setting: a field in [`Settings`] and a row in [`table::SETTINGS`]; file key, variable, flag, help, errors and
//! `check-config` come from that row.

mod table;

pub use picloud_cluster::settings::{ConfigError, Layers, Origin};
pub use table::{SETTINGS, SettingRow};

use crate::caddy::{self, CaddyAddress, CaddySettings};
use crate::repository::Target;
use picloud_cluster::settings::{ConfigFile, Table};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The file that is read where `--config` names no other.
pub const CONFIG_FILE: &str = "/etc/picloud/appliance.toml";

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Where the defaults come from: a machine's service, or a folder that somebody works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `serve`: data in `/var/lib/picloud`.
    Service,
    /// `dev DIR`: everything below `DIR/.picloud`. The machine's own configuration file is not read, so that
    /// trying an app never touches the data of an appliance that is installed there.
    Dev(PathBuf),
}

/// What the appliance goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where data lives.
    pub data_dir: PathBuf,
    /// Where scripts' routes are answered.
    pub ingress_addr: SocketAddr,
    /// Where the admin API listens for local people.
    pub admin_socket: PathBuf,
    /// Where the admin API listens for everybody else.
    pub admin_addr: SocketAddr,
    /// The owner's own certificate for it, in place of one by the appliance's authority.
    pub tls_cert: Option<PathBuf>,
    /// The key of that certificate.
    pub tls_key: Option<PathBuf>,
    /// Whether the appliance announces itself on the local network, and sees nodes there.
    pub mdns: bool,
    /// Where files of apps are, if not in the data folder.
    pub files_root: Option<PathBuf>,
    /// The Postgres database that holds the data, if not SQLite in the data folder.
    pub database_url: Option<String>,
    /// The Caddy whose upstreams are kept current, if any.
    pub caddy_admin: Option<CaddyAddress>,
    /// Where in its configuration they are.
    pub caddy_upstreams: String,
    /// Compiled modules that a worker keeps.
    pub module_cache_size: u32,
    /// Runs at once.
    pub concurrency: u32,
    /// Whom workers run as, where the appliance is root.
    pub worker_user: Option<String>,
    /// What is logged.
    pub log: String,
    /// So many of a script's newest versions are kept, whatever their age.
    pub versions_min: u32,
    /// No more of a script's versions are kept.
    pub versions_max: u32,
    /// Between these two, a version is kept for so many days.
    pub versions_days: u32,
    /// Dead letters are kept for so many days.
    pub letters_days: u32,
    /// At most so many dead letters of an app are kept.
    pub letters_max: u32,
    /// Where backups go that are taken one after the other.
    pub backup_repository: Option<Target>,
    /// The file of its password, if not in the data folder.
    pub backup_password_file: Option<PathBuf>,
    /// A file of variables for what asks for credentials.
    pub backup_env_file: Option<PathBuf>,
    /// The command that reaches an SSH target, in place of `ssh`.
    pub backup_sftp_command: Option<String>,
    /// How hard restic compresses: `auto`, `off` or `max`.
    pub backup_compression: String,
    /// The newest backup of so many days is kept.
    pub backup_keep_daily: u32,
    /// The newest of so many weeks.
    pub backup_keep_weekly: u32,
    /// The newest of so many months.
    pub backup_keep_monthly: u32,
}

impl Settings {
    /// What holds where nothing is said.
    pub fn defaults(mode: &Mode) -> Self {
        let (data_dir, admin_socket) = match mode {
            Mode::Service => (PathBuf::from("/var/lib/picloud"), PathBuf::from("/run/picloud/admin.sock")),
            Mode::Dev(folder) => (folder.join(".picloud"), folder.join(".picloud").join("admin.sock")),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let concurrency = picloud_model::limits::default_concurrency(cores);
        Self {
            data_dir,
            ingress_addr: SocketAddr::from(([0, 0, 0, 0], 8080)),
            admin_socket,
            admin_addr: SocketAddr::from(([0, 0, 0, 0], 8443)),
            tls_cert: None,
            tls_key: None,
            mdns: true,
            files_root: None,
            database_url: None,
            caddy_admin: None,
            caddy_upstreams: "picloud".to_owned(),
            module_cache_size: 512,
            concurrency: u32::try_from(concurrency).unwrap_or(u32::MAX),
            worker_user: None,
            log: "info".to_owned(),
            versions_min: 20,
            versions_max: 500,
            versions_days: 90,
            letters_days: 30,
            letters_max: 10_000,
            backup_repository: None,
            backup_password_file: None,
            backup_env_file: None,
            backup_sftp_command: None,
            backup_compression: "auto".to_owned(),
            backup_keep_daily: 7,
            backup_keep_weekly: 4,
            backup_keep_monthly: 12,
        }
    }

    /// The service's defaults on a machine with four cores, whatever this one has.
    pub fn of_any_machine() -> Self {
        Self { concurrency: 16, ..Self::defaults(&Mode::Service) }
    }

    /// The Caddy whose upstreams are kept current, if any.
    pub fn caddy(&self) -> Option<CaddySettings> {
        let path = caddy::upstreams_path(&self.caddy_upstreams)?;
        Some(CaddySettings { address: self.caddy_admin.clone()?, path })
    }

    /// Where files of apps are.
    pub fn files_dir(&self) -> PathBuf {
        self.files_root.clone().unwrap_or_else(|| self.data_dir.join("files"))
    }

    /// Which versions of scripts are kept.
    pub fn versions_kept(&self) -> picloud_store::VersionsKept {
        picloud_store::VersionsKept {
            newest_min: self.versions_min,
            newest_max: self.versions_max.max(self.versions_min),
            age_ms_max: i64::from(self.versions_days) * DAY_MS,
        }
    }

    /// Which dead letters are kept.
    pub fn letters_kept(&self) -> picloud_model::dead_letter::LettersKept {
        picloud_model::dead_letter::LettersKept {
            age_ms_max: i64::from(self.letters_days) * DAY_MS,
            per_app_max: self.letters_max,
        }
    }
}

/// Settings of the appliance and where each came from.
pub type Config = picloud_cluster::settings::Config<Settings>;

/// Everything that is read of the settings.
pub const TABLE: Table<Settings> = Table {
    rows: SETTINGS,
    foreign_variables: &[
        "PICLOUD_URL",
        "PICLOUD_SOCKET",
        "PICLOUD_KEY",
        "PICLOUD_FINGERPRINT",
        "PICLOUD_APP",
        // Of a node agent on the same machine.
        "PICLOUD_APPLIANCE",
    ],
    file_expected: "a TOML file in UTF-8",
    named_file_expected: "the path of a TOML file after --config",
};

/// Reads file and environment and loads; `config_file` is what `--config` says.
pub fn read(
    mode: &Mode,
    config_file: Option<&Path>,
    flags: Vec<(&'static str, String)>,
) -> Result<Config, ConfigError> {
    TABLE.read(Settings::defaults(mode), ConfigFile { named: config_file, usual: default_file(mode) }, flags)
}

/// Lays the layers over the defaults.
pub fn load(mode: &Mode, layers: &Layers) -> Result<Config, ConfigError> {
    TABLE.load(Settings::defaults(mode), layers)
}

/// The file that `mode` reads where `--config` names none; `None` where it reads none.
pub fn default_file(mode: &Mode) -> Option<&'static Path> {
    match mode {
        Mode::Service => Some(Path::new(CONFIG_FILE)),
        Mode::Dev(_) => None,
    }
}

#[cfg(test)]
mod tests;
