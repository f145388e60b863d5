//! Who listens at the ports that PiCloud wants.

use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "ports", title: "Ports", look, ..Check::PLAIN };

/// Where routes are answered, and the admin API, where nothing else was set.
const INGRESS: u16 = 8080;
const ADMIN: u16 = 8443;
/// How the kernel writes that somebody listens.
const LISTENS: &str = "0A";
/// Processes that are looked through for whoever holds a port.
const PROCESSES_MAX: usize = 10_000;

/// Somebody who listens.
struct Listener {
    port: u16,
    inode: String,
}

fn look(case: &Case) -> Finding {
    let listeners: Vec<Listener> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| case.machine.read(file))
        .flat_map(|text| text.lines().skip(1).filter_map(listener).collect::<Vec<_>>())
        .collect();
    if listeners.is_empty() && !case.machine.has("/proc/net/tcp") {
        return Finding::unknown("the kernel does not tell who listens");
    }
    let findings = wanted(case).into_iter().map(|(what, port)| {
        let holder = listeners.iter().find(|listener| listener.port == port);
        judge(case, what, port, holder)
    });
    Finding::worst(findings.collect(), Finding::unknown("no port is wanted on this machine"))
}

/// What should be listened at, as far as it is known.
fn wanted(case: &Case) -> Vec<(&'static str, u16)> {
    let port_of = |address: &str| address.rsplit_once(':')?.1.parse().ok();
    if let Some(status) = case.status_here() {
        let ingress = port_of(&status.ingress_addr).map(|port| ("routes", port));
        let admin = status.admin_url.as_deref().and_then(port_of).map(|port| ("the admin API", port));
        return ingress.into_iter().chain(admin).collect();
    }
    let admin = case.is_appliance().then_some(("the admin API", ADMIN));
    [("routes", INGRESS)].into_iter().chain(admin).collect()
}

fn judge(case: &Case, what: &str, port: u16, holder: Option<&Listener>) -> Finding {
    let answers = case.status_here().is_some();
    let Some(holder) = holder else {
        return if answers {
            let cure =
                "`sudo systemctl restart picloud-appliance`, and see its log: `journalctl -u picloud-appliance -n 50`";
            Finding::failed(format!("nobody listens at port {port}, where {what} should be answered"), cure)
        } else {
            Finding::ok(format!("port {port} for {what} is free"))
        };
    };
    let name = holder_name(case, &holder.inode);
    let is_ours = name.as_deref().is_some_and(|name| name.starts_with("picloud") || name.starts_with("systemd"));
    match name {
        _ if answers || is_ours => Finding::ok(format!("port {port} is held for {what}")),
        Some(name) => Finding::failed(
            format!("port {port} for {what} is held by {name}"),
            format!("end {name}, or take another port: `ingress_addr` and `admin_addr` in /etc/picloud/appliance.toml"),
        ),
        None => {
            Finding::unknown(format!("somebody listens at port {port}; who, only root sees: sudo picloud doctor ports"))
        }
    }
}

/// `  0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 1 …`
fn listener(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != LISTENS {
        return None;
    }
    let port = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
    Some(Listener { port, inode: (*fields.get(9)?).to_owned() })
}

fn holder_name(case: &Case, inode: &str) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    let is_process = |name: &&String| name.bytes().all(|byte| byte.is_ascii_digit());
    let names = case.machine.names("/proc");
    let mut processes = names.iter().filter(is_process).take(PROCESSES_MAX);
    let holder = processes.find(|process| {
        let files = case.machine.names(&format!("/proc/{process}/fd"));
        files.iter().any(|file| case.machine.link(&format!("/proc/{process}/fd/{file}")).as_deref() == Some(&socket))
    })?;
    let name = case.machine.read(&format!("/proc/{holder}/comm"))?;
    Some(format!("{} (process {holder})", name.trim()))
}
