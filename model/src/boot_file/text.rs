//! Writes a file from what it is to say, for `picloud flash`.

use super::{BootFile, BootSecret, ERASED, Setting};
use crate::clock::rfc3339;
use std::fmt::Write;

/// The file that says this.
pub fn text(file: &BootFile) -> String {
    let mut text = String::new();
    section(&mut text, "", &[("host_name", quoted(&file.host_name)), ("time_zone", quoted(&file.time_zone))]);
    let wifi = &file.wifi;
    let on = |on: bool| on.then(|| "true".to_owned());
    section(
        &mut text,
        "wifi",
        &[
            ("ssid", quoted(&wifi.ssid)),
            ("password", secret(&wifi.password)),
            ("psk", secret(&wifi.psk)),
            ("open", on(wifi.open)),
            ("country", quoted(&wifi.country)),
            ("hidden", on(wifi.hidden)),
        ],
    );
    let keys: Vec<String> = file.ssh.authorized_keys.iter().map(|key| format!("\n    {},", string(key))).collect();
    let keys = Some(format!("[{}\n]", keys.concat())).filter(|_keys| !keys.is_empty());
    section(&mut text, "ssh", &[("user", quoted(&file.ssh.user)), ("authorized_keys", keys)]);
    let node = &file.node;
    let labels: Vec<String> =
        node.labels.iter().map(|(name, value)| format!("{} = {}", string(name), string(value))).collect();
    section(
        &mut text,
        "node",
        &[
            ("appliance", quoted(&node.appliance)),
            ("join_token", secret(&node.join_token)),
            ("join_token_expires", node.join_token_expires.map(|at| string(&rfc3339(at)))),
            ("labels", (!labels.is_empty()).then(|| format!("{{ {} }}", labels.join(", ")))),
        ],
    );
    let restore = &file.restore;
    section(
        &mut text,
        "restore",
        &[
            ("repository", quoted(&restore.repository)),
            ("password", secret(&restore.password)),
            ("snapshot", quoted(&restore.snapshot)),
            ("s3_access_key", quoted(&restore.s3_access_key)),
            ("s3_secret_key", secret(&restore.s3_secret_key)),
            ("s3_region", quoted(&restore.s3_region)),
            ("ssh_key", secret(&restore.ssh_key)),
            ("ssh_host_key", quoted(&restore.ssh_host_key)),
        ],
    );
    for (name, settings) in [("appliance.settings", &file.appliance_settings), ("node.settings", &file.node_settings)] {
        let lines: Vec<_> =
            settings.iter().map(|Setting { key, toml, .. }| (key.as_str(), Some(toml.clone()))).collect();
        section(&mut text, name, &lines);
    }
    text
}

/// The lines that have a value, below the section's name.
fn section(text: &mut String, name: &str, lines: &[(&str, Option<String>)]) {
    let mut is_begun = name.is_empty();
    for (key, value) in lines.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        if !is_begun {
            if !text.is_empty() {
                text.push('\n');
            }
            let _never = writeln!(text, "[{name}]");
            is_begun = true;
        }
        let _never = writeln!(text, "{key} = {value}");
    }
}

fn string(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

fn quoted(value: &Option<String>) -> Option<String> {
    value.as_deref().map(string)
}

fn secret(value: &Option<BootSecret>) -> Option<String> {
    value.as_ref().map(|secret| string(secret.given().unwrap_or(&ERASED.to_string())))
}
