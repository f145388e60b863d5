//! The table of settings: one row each, from which file keys, variables, flags, help and errors come.

use super::Settings;
use crate::repository::Target;
use picloud_cluster::settings::{Secret, Shape, number, path};
use std::net::SocketAddr;

/// One setting of the appliance.
pub type SettingRow = picloud_cluster::settings::SettingRow<Settings>;

/// Most compiled modules that may be kept; each takes tens of kilobytes.
const MODULE_CACHE_SIZE_MAX: u32 = 65_536;
/// Most runs at once; each has a thread with a deep stack.
const CONCURRENCY_MAX: u32 = 1_024;

/// Most versions that may be kept of a script.
const VERSIONS_MAX: u32 = 10_000;
/// Longest time that versions and dead letters may be kept.
const VERSIONS_DAYS_MAX: u32 = 36_500;
/// Most dead letters of an app that may be kept.
const LETTERS_MAX: u32 = 1_000_000;

/// Most backups of a kind that are kept.
const BACKUPS_MAX: u32 = 1_000;

/// All settings.
pub const SETTINGS: &[SettingRow] = &[
    SettingRow {
        key: "data_dir",
        value_name: "DIR",
        expected: "a folder",
        doc: "Where data lives",
        set: |settings, text| path(text).map(|dir| settings.data_dir = dir),
        show: |settings| settings.data_dir.display().to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "ingress_addr",
        value_name: "ADDR:PORT",
        expected: "an address and a port, such as `0.0.0.0:8080` or `[::]:8080`",
        doc: "Where scripts' routes are answered (HTTP); port 0 takes a free one",
        set: |settings, text| address(text).map(|addr| settings.ingress_addr = addr),
        show: |settings| settings.ingress_addr.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "admin_socket",
        value_name: "FILE",
        expected: "the path of a socket file",
        doc: "Where the admin API listens for people of this machine",
        set: |settings, text| path(text).map(|file| settings.admin_socket = file),
        show: |settings| settings.admin_socket.display().to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "admin_addr",
        value_name: "ADDR:PORT",
        expected: "an address and a port, such as `0.0.0.0:8443`",
        doc: "Where the admin API listens for remote people (HTTPS); `dev` leaves it off unless this is set",
        set: |settings, text| address(text).map(|addr| settings.admin_addr = addr),
        show: |settings| settings.admin_addr.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "tls_cert",
        value_name: "FILE",
        expected: "the path of a PEM file",
        doc: "Your own certificate for the admin API, in place of one by the appliance's own CA",
        set: |settings, text| path(text).map(|file| settings.tls_cert = Some(file)),
        show: |settings| settings.tls_cert.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "tls_key",
        value_name: "FILE",
        expected: "the path of a PEM file",
        doc: "The private key of that certificate",
        set: |settings, text| path(text).map(|file| settings.tls_key = Some(file)),
        show: |settings| settings.tls_key.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "mdns",
        value_name: "true|false",
        expected: "`true` or `false`",
        doc: "Whether the appliance announces itself on the local network, and sees nodes there",
        shape: Shape::Switch,
        set: |settings, text| text.parse().ok().map(|on| settings.mdns = on),
        show: |settings| settings.mdns.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "files_root",
        value_name: "DIR",
        expected: "a folder",
        doc: "Where files of apps are, on another disk for example; `files` in the data folder otherwise",
        set: |settings, text| path(text).map(|dir| settings.files_root = Some(dir)),
        show: |settings| settings.files_root.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "database_url",
        value_name: "URL",
        expected: "the address of a Postgres database: `postgres://USER:PASSWORD@HOST:5432/DATABASE`",
        doc: "The Postgres database for the data, which appliances may share; SQLite in the data folder otherwise",
        set: |settings, text| {
            picloud_store::is_database_url(text).then(|| settings.database_url = Some(text.to_owned()))
        },
        show: |settings| settings.database_url.as_deref().map(picloud_store::shown_database_url).unwrap_or_default(),
        // It may hold a password.
        secret: Secret::Whole("what was given"),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "caddy_admin",
        value_name: "URL",
        expected: "the admin API of a Caddy: `http://127.0.0.1:2019`, or `unix//run/caddy/admin.sock`",
        doc: "A Caddy whose upstreams are kept to the nodes there are (docs/caddy.md)",
        set: |settings, text| text.parse().ok().map(|address| settings.caddy_admin = Some(address)),
        show: |settings| settings.caddy_admin.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "caddy_upstreams",
        value_name: "ID",
        expected: "the `@id` of a `reverse_proxy` handler, or a path such as `/config/apps/http/servers/srv0/routes/0/handle/0`",
        doc: "Which handler of that Caddy has them",
        set: |settings, text| {
            crate::caddy::upstreams_path(text)?;
            settings.caddy_upstreams = text.to_owned();
            Some(())
        },
        show: |settings| settings.caddy_upstreams.clone(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "module_cache_size",
        value_name: "N",
        expected: "a number from 1 to 65536",
        doc: "Compiled modules that a worker keeps",
        shape: Shape::Number,
        set: |settings, text| number(text, MODULE_CACHE_SIZE_MAX).map(|n| settings.module_cache_size = n),
        show: |settings| settings.module_cache_size.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "concurrency",
        value_name: "N",
        expected: "a number from 1 to 1024",
        doc: "Runs at once; more requests get 503 (default: 4 a core)",
        shape: Shape::Number,
        set: |settings, text| number(text, CONCURRENCY_MAX).map(|n| settings.concurrency = n),
        show: |settings| settings.concurrency.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "worker_user",
        value_name: "USER",
        expected: "the name of a user",
        doc: "Whom workers run as, where the appliance runs as root",
        set: |settings, text| (!text.is_empty()).then(|| settings.worker_user = Some(text.to_owned())),
        show: |settings| settings.worker_user.clone().unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "log",
        value_name: "LEVEL",
        expected: "error, warn, info, debug or trace, also per module: `info,picloud_store=debug`",
        doc: "What is logged on standard error",
        set: |settings, text| {
            tracing_subscriber::EnvFilter::try_new(text).ok().filter(|_valid| !text.is_empty())?;
            settings.log = text.to_owned();
            Some(())
        },
        show: |settings| settings.log.clone(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "versions_min",
        value_name: "N",
        expected: "a number from 1 to 10000",
        doc: "Newest versions of a script that are kept, whatever their age",
        shape: Shape::Number,
        set: |settings, text| number(text, VERSIONS_MAX).map(|n| settings.versions_min = n),
        show: |settings| settings.versions_min.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "versions_max",
        value_name: "N",
        expected: "a number from 1 to 10000",
        doc: "Versions of a script that are kept at most; what is live and what it needs stays in any case",
        shape: Shape::Number,
        set: |settings, text| number(text, VERSIONS_MAX).map(|n| settings.versions_max = n),
        show: |settings| settings.versions_max.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "versions_days",
        value_name: "DAYS",
        expected: "a number of days from 1 to 36500",
        doc: "How long versions are kept beyond the newest `versions_min`",
        shape: Shape::Number,
        set: |settings, text| number(text, VERSIONS_DAYS_MAX).map(|n| settings.versions_days = n),
        show: |settings| settings.versions_days.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "letters_days",
        value_name: "DAYS",
        expected: "a number of days from 1 to 36500",
        doc: "How long dead letters are kept",
        shape: Shape::Number,
        set: |settings, text| number(text, VERSIONS_DAYS_MAX).map(|n| settings.letters_days = n),
        show: |settings| settings.letters_days.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "letters_max",
        value_name: "N",
        expected: "a number from 1 to 1000000",
        doc: "Dead letters of an app that are kept, the newest",
        shape: Shape::Number,
        set: |settings, text| number(text, LETTERS_MAX).map(|n| settings.letters_max = n),
        show: |settings| settings.letters_max.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_repository",
        value_name: "PLACE",
        expected: "an absolute folder, `sftp:USER@HOST:/FOLDER` or `s3:https://HOST/BUCKET`, without credentials",
        doc: "Where backups go, one after the other and encrypted: a folder, another machine, a bucket",
        set: |settings, text| Target::parse(text).map(|target| settings.backup_repository = Some(target)),
        show: |settings| settings.backup_repository.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_password_file",
        value_name: "FILE",
        expected: "the path of a file",
        doc: "The file of that repository's password; `backup.password` in the data folder otherwise",
        set: |settings, text| path(text).map(|file| settings.backup_password_file = Some(file)),
        show: |settings| {
            settings.backup_password_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default()
        },
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_env_file",
        value_name: "FILE",
        expected: "the path of a file",
        doc: "A file with the credentials of a bucket: AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…",
        set: |settings, text| path(text).map(|file| settings.backup_env_file = Some(file)),
        show: |settings| settings.backup_env_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_sftp_command",
        value_name: "COMMAND",
        expected: "a command that speaks SFTP, such as `ssh -p 2222 pi@vault -s sftp`",
        doc: "How a repository over SSH is reached, in place of plain `ssh`",
        set: |settings, text| (!text.trim().is_empty()).then(|| settings.backup_sftp_command = Some(text.to_owned())),
        show: |settings| settings.backup_sftp_command.clone().unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_compression",
        value_name: "auto|off|max",
        expected: "`auto`, `off` or `max`",
        doc: "How hard backups are compressed; `off` is quickest, for photos and films",
        set: |settings, text| {
            ["auto", "off", "max"].contains(&text).then(|| settings.backup_compression = text.to_owned())
        },
        show: |settings| settings.backup_compression.clone(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_keep_daily",
        value_name: "N",
        expected: "a number from 1 to 1000",
        doc: "Of so many days the newest backup is kept",
        shape: Shape::Number,
        set: |settings, text| number(text, BACKUPS_MAX).map(|n| settings.backup_keep_daily = n),
        show: |settings| settings.backup_keep_daily.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_keep_weekly",
        value_name: "N",
        expected: "a number from 1 to 1000",
        doc: "Of so many weeks the newest backup is kept",
        shape: Shape::Number,
        set: |settings, text| number(text, BACKUPS_MAX).map(|n| settings.backup_keep_weekly = n),
        show: |settings| settings.backup_keep_weekly.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "backup_keep_monthly",
        value_name: "N",
        expected: "a number from 1 to 1000",
        doc: "Of so many months the newest backup is kept",
        shape: Shape::Number,
        set: |settings, text| number(text, BACKUPS_MAX).map(|n| settings.backup_keep_monthly = n),
        show: |settings| settings.backup_keep_monthly.to_string(),
        ..SettingRow::TEXT
    },
];

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}
