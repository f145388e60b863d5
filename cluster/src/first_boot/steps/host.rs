//! The host name: `/etc/hostname`, `/etc/hosts`, and cloud-init is told to leave both alone.

use super::super::disk::PUBLIC;
use super::Job;
use std::io::Result;

/// The address that Debian keeps for the machine's own name.
const OWN_ADDRESS: &str = "127.0.1.1";
/// Where cloud-init would set the name of its own file again at each start.
const CLOUD_FOLDER: &str = "/etc/cloud/cloud.cfg.d";

pub(super) fn tell(job: &Job<'_>) -> Option<String> {
    job.file.host_name.as_ref().map(|name| format!("{name} (http://{name}.local)"))
}

pub(super) fn act(job: &Job<'_>) -> Result<()> {
    let Some(name) = &job.file.host_name else { return Ok(()) };
    if job.disk.at(CLOUD_FOLDER).is_dir() {
        let file = format!("{CLOUD_FOLDER}/99-picloud-host-name.cfg");
        job.disk.write(file, b"preserve_hostname: true\nmanage_etc_hosts: false\n", PUBLIC, None)?;
    }
    job.disk.write("/etc/hosts", with_name(&job.disk.text("/etc/hosts")?, name).as_bytes(), PUBLIC, None)?;
    job.disk.write("/etc/hostname", format!("{name}\n").as_bytes(), PUBLIC, None)?;
    if job.commands.is_live() {
        if let Err(error) = nix::unistd::sethostname(name) {
            tracing::warn!(%error, "the host name holds only after the next start");
        }
        job.commands.try_live("systemctl", &["--no-block", "try-restart", "avahi-daemon.service"]);
    }
    Ok(())
}

/// The table of hosts with the machine's own name, instead of the one before.
fn with_name(hosts: &str, name: &str) -> String {
    let is_own = |line: &&str| line.split_ascii_whitespace().next() == Some(OWN_ADDRESS);
    let mut lines: Vec<String> = hosts.lines().filter(|line| !is_own(line)).map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push("127.0.0.1 localhost".to_owned());
        lines.push("::1 localhost ip6-localhost ip6-loopback".to_owned());
    }
    let after = lines.iter().position(|line| line.starts_with("127.0.0.1")).map_or(0, |index| index + 1);
    lines.insert(after, format!("{OWN_ADDRESS} {name}"));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_name_is_replaced_and_all_else_stays() {
        let hosts = "127.0.0.1\tlocalhost\n127.0.1.1 old old.home\n# mine\n10.0.0.2 nas\n";
        let with = with_name(hosts, "garage");
        assert_eq!(with, "127.0.0.1\tlocalhost\n127.0.1.1 garage\n# mine\n10.0.0.2 nas\n");
        assert_eq!(with_name(&with, "garage"), with);
        assert!(with_name("", "garage").contains("127.0.0.1 localhost\n127.0.1.1 garage\n"));
    }
}
