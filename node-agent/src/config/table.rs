//! The table of settings: one row each, from which file keys, variables, flags, help and errors come.

use super::{Settings, typed_address};
use picloud_cluster::settings::{Secret, Shape, number, path};
use picloud_model::placement::{LABELS_MAX, Labels, check_label};

/// One setting of the agent.
pub type SettingRow = picloud_cluster::settings::SettingRow<Settings>;

/// Most compiled modules that may be kept; each takes tens of kilobytes.
const MODULE_CACHE_SIZE_MAX: u32 = 65_536;
/// Most runs at once; each has a thread with a deep stack.
const CONCURRENCY_MAX: u32 = 1_024;
/// Most typed addresses.
const APPLIANCES_MAX: usize = 16;

/// All settings.
pub const SETTINGS: &[SettingRow] = &[
    SettingRow {
        key: "data_dir",
        value_name: "DIR",
        expected: "a folder",
        doc: "Where the node's key, its cache and its spool are",
        set: |settings, text| path(text).map(|dir| settings.data_dir = dir),
        show: |settings| settings.data_dir.display().to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "ingress_addr",
        value_name: "ADDR:PORT",
        expected: "an address and a port, such as `0.0.0.0:8080` or `[::]:8080`",
        doc: "Where scripts' routes are answered (HTTP); port 0 takes a free one",
        set: |settings, text| text.parse().ok().map(|addr| settings.ingress_addr = addr),
        show: |settings| settings.ingress_addr.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "appliance",
        value_name: "HOST[:PORT]",
        expected: "one or more of HOST or HOST:PORT with commas between, such as `pi.local` or `192.168.1.2:8443`",
        doc: "The appliance's address; it is asked beside those that are found on the network",
        set: |settings, text| {
            let all: Option<Vec<_>> = text.split(',').map(typed_address).collect();
            all.filter(|all| all.len() <= APPLIANCES_MAX).map(|all| settings.appliance = all)
        },
        show: |settings| settings.appliance.join(","),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "join_token",
        value_name: "TOKEN",
        expected: "a join token, as `picloud join-tokens create` prints it",
        doc: "Lets this machine in without anybody approving it; trusts the appliance that the token names and no other",
        set: |settings, text| {
            let token: picloud_model::join_token::TokenParts = text.parse().ok()?;
            settings.join_token = Some(token.text());
            Some(())
        },
        show: |settings| settings.join_token.as_ref().map(|_token| "(set)".to_owned()).unwrap_or_default(),
        secret: Secret::Value("what it is"),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "join_token_file",
        value_name: "FILE",
        expected: "the path of a file that holds a join token",
        doc: "A file with the join token, on the boot partition for example",
        set: |settings, text| path(text).map(|file| settings.join_token_file = Some(file)),
        show: |settings| settings.join_token_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "mdns",
        value_name: "true|false",
        expected: "`true` or `false`",
        doc: "Whether it announces itself and looks for appliances on the network",
        shape: Shape::Switch,
        set: |settings, text| text.parse().ok().map(|on| settings.mdns = on),
        show: |settings| settings.mdns.to_string(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "name",
        value_name: "NAME",
        expected: "1 to 63 of a-z, 0-9 and `-`, and no `-` at the beginning",
        doc: "What it calls itself when it asks to join; the machine's host name otherwise",
        set: |settings, text| {
            picloud_model::node::check_name(text).ok()?;
            settings.name = Some(text.to_owned());
            Some(())
        },
        show: |settings| settings.name.clone().unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "labels",
        value_name: "LABELS",
        expected: "up to 64 of NAME or NAME=VALUE with commas between, such as `room=garage,relay`",
        doc: "What the machine says of itself, for scripts that need it; `picloud nodes label` goes before it",
        set: |settings, text| labels(text).map(|labels| settings.labels = labels),
        show: |settings| {
            let shown = |(name, value): (&String, &String)| {
                if value.is_empty() { name.clone() } else { format!("{name}={value}") }
            };
            settings.labels.iter().map(shown).collect::<Vec<_>>().join(",")
        },
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
        doc: "Whom workers run as, where the agent runs as root",
        set: |settings, text| (!text.is_empty()).then(|| settings.worker_user = Some(text.to_owned())),
        show: |settings| settings.worker_user.clone().unwrap_or_default(),
        ..SettingRow::TEXT
    },
    SettingRow {
        key: "log",
        value_name: "LEVEL",
        expected: "error, warn, info, debug or trace, also per module: `info,picloud_node=debug`",
        doc: "What is logged on standard error",
        set: |settings, text| {
            tracing_subscriber::EnvFilter::try_new(text).ok().filter(|_valid| !text.is_empty())?;
            settings.log = text.to_owned();
            Some(())
        },
        show: |settings| settings.log.clone(),
        ..SettingRow::TEXT
    },
];

fn labels(text: &str) -> Option<Labels> {
    let one = |entry: &str| {
        let (name, value) = entry.trim().split_once('=').unwrap_or((entry.trim(), ""));
        check_label(name, value).ok().map(|()| (name.to_owned(), value.to_owned()))
    };
    let labels: Option<Labels> = text.split(',').map(one).collect();
    labels.filter(|labels| labels.len() <= LABELS_MAX)
}
