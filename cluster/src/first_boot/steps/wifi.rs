//! The wireless network: a file of netplan, which nobody else may read.
//!
//! It is optional, so that a start never waits for a radio that is late or away.

use super::super::disk::PRIVATE;
use super::Job;
use picloud_model::boot_file::{BootSecret, Wifi};
use std::io::Result;

/// The file.
pub(in super::super) const NETWORK_FILE: &str = "/etc/netplan/60-picloud.yaml";
/// What stands before the secret.
const SECRET: &str = "          password: ";

pub(super) fn tell(job: &Job<'_>) -> Option<String> {
    let (ssid, country) = (job.file.wifi.ssid.as_ref()?, job.file.wifi.country.as_deref().unwrap_or_default());
    Some(format!("network `{ssid}`, country {country}"))
}

pub(super) fn act(job: &Job<'_>) -> Result<()> {
    let Some(ssid) = &job.file.wifi.ssid else { return Ok(()) };
    let text = network(&job.file.wifi, ssid, job.plan.wifi_secret.as_deref());
    job.disk.write(NETWORK_FILE, text.as_bytes(), PRIVATE, None)?;
    // Its generator ran before this file was there. Nothing is waited for: the network may be ordered after this.
    job.commands.try_live("netplan", &["generate"]);
    job.commands.try_live("systemctl", &["daemon-reload"]);
    job.commands.try_live("systemctl", &["--no-block", "restart", "systemd-networkd.service"]);
    job.commands.try_live("systemctl", &["--no-block", "start", "netplan-wpa-wlan0.service"]);
    Ok(())
}

/// The text of the file; `kept` is the line of a secret that was erased.
fn network(wifi: &Wifi, ssid: &str, kept: Option<&str>) -> String {
    let given = [&wifi.password, &wifi.psk].into_iter().flatten().find_map(BootSecret::given);
    let secret = given.map(|given| format!("{SECRET}{}", quoted(given))).or_else(|| kept.map(str::to_owned));
    let hidden = wifi.hidden.then(|| "          hidden: true".to_owned());
    let point: String = secret.into_iter().chain(hidden).map(|line| line + "\n").collect();
    let point = if point.is_empty() { " {}\n".to_owned() } else { format!("\n{point}") };
    let (country, ssid) = (quoted(wifi.country.as_deref().unwrap_or("00")), quoted(ssid));
    format!(
        "# Written from picloud.toml of the boot partition.\n\
         network:\n  version: 2\n  wifis:\n    wlan0:\n      optional: true\n      dhcp4: true\n      \
         regulatory-domain: {country}\n      access-points:\n        {ssid}:{point}"
    )
}

/// The line with the secret of `ssid` in a file that was written before.
pub(in super::super) fn secret_line(text: &str, ssid: &str) -> Option<String> {
    let is_of_it = text.lines().any(|line| line.trim() == format!("{}:", quoted(ssid)));
    text.lines().find(|line| is_of_it && line.starts_with(SECRET)).map(str::to_owned)
}

/// A text in YAML's double quotes. It has no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_as_netplan_reads_it_and_an_erased_secret_is_found_again() {
        let wifi = Wifi {
            password: Some(BootSecret::Given("pass \"word\"".to_owned())),
            country: Some("DE".to_owned()),
            hidden: true,
            ..Wifi::default()
        };
        let text = network(&wifi, "my \\net", None);
        insta::assert_snapshot!(text);
        let line = secret_line(&text, "my \\net");
        assert!(line.is_some());
        let erased = Wifi { password: Some(BootSecret::Erased), ..wifi };
        assert_eq!(network(&erased, "my \\net", line.as_deref()), text);
        assert_eq!(secret_line(&text, "other"), None);
        let open = Wifi { open: true, country: Some("DE".to_owned()), ..Wifi::default() };
        assert!(network(&open, "cafe", None).ends_with("        \"cafe\": {}\n"));
    }
}
