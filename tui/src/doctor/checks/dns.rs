//! Whether names of the internet are found, and by whom.

use crate::doctor::{Case, Check, Finding};
use std::time::{Duration, Instant};

pub(super) const CHECK: Check = Check { name: "dns", title: "Names of the internet", look, ..Check::PLAIN };

/// A name that every machine with updates asks for.
const NAME: &str = "deb.debian.org";
/// Longer than this is felt in every request that a script sends.
const SLOW: Duration = Duration::from_secs(2);
/// Where systemd's resolver listens, which asks others.
const STUB: &str = "127.0.0.53";

fn look(case: &Case) -> Finding {
    let servers = servers(case);
    let by = if servers.is_empty() { "no server is named".to_owned() } else { format!("asked {}", servers.join(", ")) };
    let cure = "see what is asked (`resolvectl status`, or /etc/resolv.conf) and whether it is reached (`ping` its address); \
        a router mostly is the right one. Without it scripts reach no other server, and nothing is updated";
    let began = Instant::now();
    let finding = match case.machine.resolve(NAME) {
        Ok(found) if found.is_empty() => Finding::warning(format!("{NAME} has no address ({by})"), cure),
        Ok(_) if began.elapsed() > SLOW => {
            Finding::warning(format!("{NAME} was found after {:.1} s ({by})", began.elapsed().as_secs_f64()), cure)
        }
        Ok(_) => Finding::ok(format!("{NAME} is found ({by})")),
        Err(why) => Finding::warning(format!("{NAME} is not found: {why} ({by})"), cure),
    };
    finding.fact("servers", servers)
}

fn servers(case: &Case) -> Vec<String> {
    let text = case.machine.read("/etc/resolv.conf").unwrap_or_default();
    let named = text.lines().filter_map(|line| line.strip_prefix("nameserver ")).map(|name| name.trim().to_owned());
    let mut servers: Vec<String> = named.collect();
    if servers == [STUB]
        && let Ok(said) = case.machine.run("resolvectl", &["dns"])
    {
        let behind = said.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_link, names)| names.split(' '));
        servers = behind.filter(|name| !name.is_empty()).map(|name| format!("{name} through {STUB}")).collect();
        if servers.is_empty() {
            servers.push(STUB.to_owned());
        }
    }
    servers.dedup();
    servers
}
