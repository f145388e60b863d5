//! The story of a card with `picloud.toml` alone, as `picloud flash` writes it: name, time zone, account, Wi-Fi.
//!
//! The machine has two simulated radios. The first is set up by the card; on the second one an access point is opened
//! once somebody has come in, and the first finds its way to it.

use super::board::VIRT;
use super::boot::{BOOT_WAIT, Place, USER, say, settled, told_of_success};
use anyhow::{Context, Result, ensure};

/// Loaded at the start, so that radios are there as they are in a Pi.
const RADIOS: &str = "modules_load=mac80211_hwsim";
const SSID: &str = "the garden's network";
const PASSWORD: &str = "under the third stone";

pub(crate) fn applied(place: &Place<'_>) -> Result<()> {
    let card = place.blank_card()?;
    let public = std::fs::read_to_string(place.key.with_extension("pub")).context("read the story's key")?;
    card.write(
        "picloud.toml",
        &format!(
            "host_name = \"garage\"\ntime_zone = \"Europe/Berlin\"\n\n\
             [ssh]\nuser = \"{USER}\"\nauthorized_keys = [\"{}\"]\n\n\
             [wifi]\nssid = \"{SSID}\"\npassword = \"{PASSWORD}\"\ncountry = \"DE\"\n\n\
             [appliance.settings]\nlog = \"info\"\n",
            public.trim()
        ),
    )?;
    let mut machine = card.start_in(&VIRT, RADIOS)?;
    machine.wait("the appliance on port 80", BOOT_WAIT, |machine| machine.get(80, "/.picloud/health").ok())?;
    say(&machine, "the appliance answers");
    place.wait_for_login(&mut machine)?;
    for (what, command, wanted) in [
        ("the name", "hostname", "garage"),
        ("the time zone", "readlink /etc/localtime", "/usr/share/zoneinfo/Europe/Berlin"),
        ("the account", "sudo -n id -u", "0"),
        ("the settings", "sudo grep -c '^log = ' /etc/picloud/appliance.toml", "1"),
    ] {
        let found = place.ssh(&machine, command)?;
        ensure!(found.trim() == wanted, "{what}: `{command}` says `{}`, and not `{wanted}`", found.trim());
    }
    place.ssh(&machine, &access_point())?;
    say(&machine, "an access point is opened");
    let state = "sudo /usr/sbin/wpa_cli -p /run/wpa_supplicant -i wlan0 status";
    machine.wait("the Wi-Fi of the card", BOOT_WAIT, |machine| {
        let said = place.ssh(machine, state).ok()?;
        (said.contains("wpa_state=COMPLETED") && said.contains(&format!("ssid={SSID}"))).then_some(())
    })?;
    say(&machine, "the card's Wi-Fi is connected with it");
    settled(place, &mut machine)?;
    place.off(&mut machine)?;
    drop(machine);
    told_of_success(&card)?;
    ensure!(!card.read("picloud.toml")?.contains(PASSWORD), "the Wi-Fi's password is still on the card");
    Ok(())
}

/// What opens the access point: in the 2.4 GHz band, where every country lets one be.
fn access_point() -> String {
    format!(
        "cat > /tmp/point.conf <<'END'\nnetwork={{\n ssid=\"{SSID}\"\n mode=2\n frequency=2437\n key_mgmt=WPA-PSK\n \
         psk=\"{PASSWORD}\"\n}}\nEND\n\
         sudo systemd-run --quiet --unit=access-point /usr/sbin/wpa_supplicant -D nl80211 -i wlan1 -c /tmp/point.conf"
    )
}
