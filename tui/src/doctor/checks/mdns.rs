//! Whether this machine is found on the local network by its name, and its appliance by whoever looks for one.

use crate::doctor::machine::Lan;
use crate::doctor::{Case, Check, Finding};
use std::time::Duration;

pub(super) const CHECK: Check = Check { name: "mdns", title: "Found on the local network", look, ..Check::PLAIN };

/// How long is listened: whoever is there answers within two seconds.
const LISTENING: Duration = Duration::from_millis(3_500);

const FILTERED: &str = "if `mdns = false` is set, all is well; else something keeps multicast from being heard: a firewall (UDP 5353), \
a guest network, or `client isolation` of the Wi-Fi. A typed address works without it: `picloud-node run --appliance HOST`";

fn look(case: &Case) -> Finding {
    let host = case.host_name();
    let lan = match case.machine.listen(&host, LISTENING) {
        Ok(lan) => lan,
        Err(why) => return Finding::unknown(format!("nothing can be heard: {why}")),
    };
    let mut findings = vec![own_name(&host, &lan)];
    findings.extend(renamed(case, &host));
    findings.extend(announced(case, &lan));
    findings.extend(twins(&lan));
    let heard: Vec<String> = lan.appliances.iter().map(|one| format!("{} ({})", one.name, one.ca)).collect();
    Finding::worst(findings, Finding::unknown("nothing was heard")).fact("appliances", heard)
}

/// Whether the host name leads here, and only here.
fn own_name(host: &str, lan: &Lan) -> Finding {
    let others: Vec<String> = lan
        .host_addresses
        .iter()
        .filter(|address| !address.is_loopback() && !lan.own_addresses.contains(address))
        .map(ToString::to_string)
        .collect();
    if lan.host_addresses.is_empty() {
        let cure = "`sudo apt install avahi-daemon`, and see that nothing keeps multicast away";
        return Finding::warning(format!("nobody answers to {host}.local"), cure);
    }
    if !others.is_empty() {
        let what = format!("another machine answers to {host}.local, too: {}", others.join(", "));
        return Finding::warning(what, "give one of them another name: `sudo hostnamectl set-hostname NAME`");
    }
    Finding::ok(format!("{host}.local leads here"))
}

/// Avahi takes another name where somebody has it already.
fn renamed(case: &Case, host: &str) -> Option<Finding> {
    let call = ["call", "org.freedesktop.Avahi", "/", "org.freedesktop.Avahi.Server", "GetHostName"];
    let said = case.machine.run("busctl", &call).ok()?;
    let taken = said.trim().strip_prefix("s ")?.trim_matches('"').to_owned();
    if taken.is_empty() || taken.eq_ignore_ascii_case(host) {
        return None;
    }
    let what = format!("another machine is called {host}, so this one calls itself {taken}.local");
    Some(Finding::warning(what, "give one of them another name: `sudo hostnamectl set-hostname NAME`"))
}

/// Whether this machine's appliance is heard, and what it says of its first boot.
fn announced(case: &Case, lan: &Lan) -> Option<Finding> {
    let ours = case.status_here()?.ca_fingerprint.as_ref()?;
    let Some(heard) = lan.appliances.iter().find(|one| !one.ca.is_empty() && ours.starts_with(&one.ca)) else {
        return Some(Finding::warning("the appliance of this machine is not heard to announce itself", FILTERED));
    };
    Some(match &heard.setup {
        Some(setup) => {
            let cure = "mend picloud.toml on the boot partition and start again; the whole report is in picloud-report.txt beside it";
            Finding::warning(format!("the first boot did not go well: {setup}"), cure)
        }
        None => Finding::ok(format!("the appliance announces itself as {}", heard.name)),
    })
}

/// Whether two appliances have one name.
fn twins(lan: &Lan) -> Option<Finding> {
    let all = &lan.appliances;
    let twin = all
        .iter()
        .enumerate()
        .find(|(index, one)| all[..*index].iter().any(|other| other.name == one.name && other.ca != one.ca))?;
    let what = format!("two appliances with different CAs announce themselves as {}", twin.1.name);
    Some(Finding::warning(
        what,
        "if both are yours, give one machine another name; if not, name the appliance by its address and fingerprint",
    ))
}
