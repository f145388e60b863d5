//! The life of the packages on one Debian: installed, used, upgraded and restarted under load, hung, cut off, removed,
//! purged. At the end nothing is left that was not there before.

use super::load::during;
use super::nspawn::{Container, until};
use super::{Place, root_fs};
use crate::deb;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the packages are in the machine; outside of what is compared.
const PACKAGES: &str = "/opt/packages";
/// A script of the example that the package brings.
const HELLO: &str = "/quickstart/hello?name=Ada";
/// The watchdog fires after 30 s, and the service is started again after some more.
const WATCHDOG_MAX: Duration = Duration::from_secs(120);
/// How long a service may take to be there.
const START_MAX: Duration = Duration::from_secs(30);
/// The longest time without an answer while the service is restarted, on a machine with nothing else to do. Here it
/// is printed; how busy this machine is, nobody knows.
const GAP_WANTED_MS: u64 = 300;

/// Changed by running at all, whoever runs: what the machine writes about itself.
const NOT_COMPARED: &[&str] = &[
    "/dev",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/tmp",
    "/var/cache",
    "/var/log",
    "/var/tmp",
    "/var/lib/dpkg/status-old",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/triggers",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/timers",
    "/var/lib/systemd/catalog",
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/var/lib/private",
    "/var/lib/systemd/linger",
    "/etc/machine-id",
];

/// The story.
pub(super) fn run(place: &Place<'_>, suite: &str) -> Result<()> {
    let (first, second) = place.step("make the packages, in two versions", || versions(place))?;
    let root = place.step("unpack a fresh machine", || root_fs::fresh(place, suite, &format!("{suite}-packages")))?;
    deliver(&root, "1", &first)?;
    deliver(&root, "2", &second)?;
    let machine = place.step("boot it", || Container::boot(&root))?;
    let before = left(&machine)?;
    place.step("install, deploy, ask", || install(&machine))?;
    let machine = appliance(place, machine, &root)?;
    place.step("remove: data stay, and are there again after installing", || remove(&machine))?;
    place.step("purge the appliance, install the node", || node(&machine))?;
    place.step("purge: nothing is left", || {
        machine.output("dpkg --purge picloud-node picloud")?;
        nothing_left(&before, &left(&machine)?)
    })?;
    place.step("switch it off", || machine.power_off())?;
    fs::remove_dir_all(&root).with_context(|| format!("delete {}", root.display()))
}

/// What happens to an appliance that is in use.
fn appliance(place: &Place<'_>, machine: Container, root: &Path) -> Result<Container> {
    place.step("back up as the unit of the timer does, and restore that for a try", || back_up(&machine))?;
    place.step("upgrade of damaged data: refused, and nothing was installed", || refused(&machine))?;
    place.step("upgrade with bad settings: the old program goes on", || not_restarted(&machine))?;
    place.step("upgrade under load: nobody is refused, data and settings stay", || upgrade(&machine))?;
    place.step("restart three times under load", || {
        let (_, seen) = during(&machine, HELLO, || {
            (0..3).try_for_each(|_| machine.output("systemctl restart picloud-appliance.service").map(drop))
        })?;
        nobody_refused(&seen)
    })?;
    place.step("watchdog: a hung appliance is started again", || watchdog(&machine))?;
    machine.output("picloud kv set counters cut '\"acknowledged\"' --app quickstart")?;
    let machine = place.step("cut it off, and boot it again", || {
        machine.cut()?;
        Container::boot(root)
    })?;
    place.step("what was acknowledged is there, and the script answers", || {
        answers(&machine)?;
        kept(&machine, "cut", "acknowledged")?;
        kept(&machine, "first", "kept")
    })?;
    Ok(machine)
}

/// Two versions of the packages, of the same programs: what is tried here is what the packages do.
fn versions(place: &Place<'_>) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let own = env!("CARGO_PKG_VERSION");
    let next = format!("{own}+next");
    let made = deb::versions(place.root, &place.profile, &[own, &next], &place.folder.join("packages"))?;
    let [first, second] =
        <[_; 2]>::try_from(made).map_err(|made| anyhow::anyhow!("{} versions were made", made.len()))?;
    Ok((first, second))
}

/// Puts packages into the machine, under names without a version.
fn deliver(root: &Path, version: &str, files: &[PathBuf]) -> Result<()> {
    let folder = root.join(PACKAGES.trim_start_matches('/')).join(version);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for (file, name) in files.iter().zip(deb::PACKAGES) {
        fs::copy(file, folder.join(format!("{name}.deb"))).with_context(|| format!("copy {}", file.display()))?;
    }
    Ok(())
}

fn install(machine: &Container) -> Result<()> {
    machine.output(&both("1"))?;
    machine.output("systemctl is-active picloud-appliance.service picloud-appliance.socket")?;
    machine.output("systemctl is-enabled picloud-appliance.service picloud-appliance.socket picloud-backup.timer")?;
    machine.output("picloud deploy /usr/share/doc/picloud/examples/quickstart")?;
    machine.output("picloud kv set counters first '\"kept\"' --app quickstart")?;
    answers(machine)
}

/// The process of the service.
const PID: &str = "systemctl show --value --property=MainPID picloud-appliance.service";

/// As the user of the services, in the sandbox of the unit; and what the repository has is whole.
fn back_up(machine: &Container) -> Result<()> {
    machine.output("install -d -o picloud -g picloud -m 700 /var/backups/repository")?;
    machine.output("printf '\\nbackup_repository = \"/var/backups/repository\"\\n' >> /etc/picloud/appliance.toml")?;
    machine.output("runuser -u picloud -- picloud-appliance repository init")?;
    machine
        .output("systemctl start picloud-backup.service || journalctl --unit picloud-backup --output=cat --no-pager")?;
    let result = machine.output("systemctl show --value --property=Result picloud-backup.service")?;
    ensure!(result.trim() == "success", "the unit of the backup ended with `{}`", result.trim());
    let list = machine.output("runuser -u picloud -- picloud-appliance repository list")?;
    ensure!(list.contains("whole"), "after a backup, the repository has:\n{list}");
    let tried = machine.output("runuser -u picloud -- picloud-appliance repository restore --verify-only")?;
    ensure!(tried.contains("is whole"), "the backup, restored for a try:\n{tried}");
    let doctor = machine.output("picloud doctor backup --json")?;
    ensure!(doctor.contains("/var/backups/repository"), "the doctor says of the backup:\n{doctor}");
    machine.output("rm -r /var/backups/repository").map(drop)
}

/// Installs the appliance with what it needs.
fn both(version: &str) -> String {
    format!("dpkg --install {PACKAGES}/{version}/picloud.deb {PACKAGES}/{version}/picloud-appliance.deb")
}

/// Data that is damaged is no data to upgrade: the package says so before it changes anything.
fn refused(machine: &Container) -> Result<()> {
    machine.output(
        "systemctl stop picloud-appliance.service && cd /var/lib/picloud && mkdir /opt/whole && \
         mv picloud.db* /opt/whole/ && echo 'no database' > picloud.db && chown picloud:picloud picloud.db",
    )?;
    let said = machine.output(&format!("if {} 2>&1; then echo it was installed; fi", both("2")))?;
    ensure!(
        said.contains("is damaged") && said.contains("hint:") && said.contains("nothing was installed"),
        "an upgrade of damaged data says:\n{said}"
    );
    let version =
        machine.output("dpkg-query --show --showformat='${db:Status-Status} ${Version}' picloud-appliance")?;
    ensure!(version.starts_with("installed") && !version.ends_with("+next"), "after it, dpkg has: {version}");
    // It may have been tried to start meanwhile.
    machine.output(
        "systemctl stop picloud-appliance.service && cd /var/lib/picloud && rm -f picloud.db* && \
         mv /opt/whole/picloud.db* . && systemctl start picloud-appliance.service",
    )?;
    // What else was asked for is taken back, too: both are one version again.
    machine.output(&both("1"))?;
    answers(machine)?;
    kept(machine, "first", "kept")
}

/// A restart with settings that nobody can read would end what still runs.
fn not_restarted(machine: &Container) -> Result<()> {
    machine.output(
        "cp --preserve /etc/picloud/appliance.toml /opt/good && echo 'nonsense = 1' >> /etc/picloud/appliance.toml",
    )?;
    let old = machine.output(PID)?;
    let said = machine.output(&format!("{} 2>&1", both("2")))?;
    ensure!(
        said.contains("nonsense") && said.contains("was not restarted"),
        "an upgrade with bad settings says:\n{said}"
    );
    ensure!(old == machine.output(PID)?, "the upgrade restarted the service with settings that cannot be read");
    answers(machine)?;
    machine.output("cp --preserve /opt/good /etc/picloud/appliance.toml")?;
    machine.output(&both("1"))?;
    answers(machine)
}

fn upgrade(machine: &Container) -> Result<()> {
    machine.output("printf '\\nlog = \"debug\"\\n' >> /etc/picloud/appliance.toml")?;
    let socket =
        machine.output("systemctl show --value --property=ActiveEnterTimestampMonotonic picloud-appliance.socket")?;
    let old = machine.output(PID)?;
    let (_, seen) = during(machine, HELLO, || machine.output(&both("2")))?;
    nobody_refused(&seen)?;
    ensure!(old != machine.output(PID)?, "the upgrade left the old program running");
    let version = machine.output("dpkg-query --show --showformat='${Version}' picloud-appliance")?;
    ensure!(version.ends_with("+next"), "after the upgrade, version {version} is installed");
    let still =
        machine.output("systemctl show --value --property=ActiveEnterTimestampMonotonic picloud-appliance.socket")?;
    ensure!(socket == still, "the upgrade closed the socket and opened it again");
    machine
        .output("grep -q '^log = \"debug\"' /etc/picloud/appliance.toml")
        .context("the upgrade changed the settings")?;
    kept(machine, "first", "kept")
}

fn watchdog(machine: &Container) -> Result<()> {
    let pid = || machine.output(PID);
    let hung = pid()?;
    machine.output(&format!("kill -STOP {hung}"))?;
    until("systemd starts the hung appliance again", WATCHDOG_MAX, || {
        let now = pid()?;
        Ok((now != hung && now.trim() != "0").then_some(()))
    })?;
    machine.until_succeeds("systemctl is-active --quiet picloud-appliance.service", START_MAX)?;
    let log = machine
        .output("journalctl --unit picloud-appliance.service --grep 'atchdog' --output=cat --no-pager || true")?;
    ensure!(!log.is_empty(), "the appliance was started again, but the journal says nothing of the watchdog");
    answers(machine)
}

fn remove(machine: &Container) -> Result<()> {
    machine.output("dpkg --remove picloud-appliance")?;
    ensure!(
        !machine.succeeds("curl --silent --max-time 5 http://127.0.0.1:8080/")?,
        "something answers after removing"
    );
    machine.output("test -d /var/lib/picloud").context("removing took the data away")?;
    machine.output(&format!("dpkg --install {PACKAGES}/2/picloud-appliance.deb"))?;
    answers(machine)?;
    kept(machine, "cut", "acknowledged")
}

fn node(machine: &Container) -> Result<()> {
    machine.output("dpkg --purge picloud-appliance")?;
    ensure!(!machine.succeeds("test -e /var/lib/picloud")?, "purging left /var/lib/picloud");
    machine.output(&format!("dpkg --install {PACKAGES}/2/picloud-node.deb"))?;
    machine.output("systemctl is-active picloud-node.service picloud-node.socket")?;
    machine.output("systemctl is-enabled picloud-node.service picloud-node.socket")?;
    // It has no appliance to join: what it says of itself is that.
    machine.output("picloud-node status").map(drop)
}

fn answers(machine: &Container) -> Result<()> {
    let url = format!(
        "curl --silent --show-error --fail --max-time 10 --retry 20 --retry-connrefused --retry-delay 1 'http://127.0.0.1:8080{HELLO}'"
    );
    let said = machine.output(&url)?;
    ensure!(said == "Hello, Ada!", "the script answers `{said}`");
    Ok(())
}

fn kept(machine: &Container, key: &str, value: &str) -> Result<()> {
    let said = machine.output(&format!("picloud kv get counters {key} --app quickstart"))?;
    ensure!(said.contains(value), "`{key}` was set to `{value}`, and now is `{}`", said.trim());
    Ok(())
}

fn nobody_refused(seen: &Value) -> Result<()> {
    println!(
        "            {} answers, {} refused, {} failed, {} kept connections closed between requests; longest gap {} ms (wanted: {GAP_WANTED_MS})",
        seen["answered"], seen["refused"], seen["failed"], seen["closed"], seen["longest_gap_ms"]
    );
    ensure!(seen["refused"] == 0 && seen["failed"] == 0, "clients were refused: {}", seen["told"]);
    ensure!(seen["answered"].as_u64().is_some_and(|answered| answered > 0), "nobody got an answer");
    Ok(())
}

/// Every path of the machine, and of the files in `/etc` what is in them.
fn left(machine: &Container) -> Result<BTreeSet<String>> {
    let skipped: Vec<String> = NOT_COMPARED.iter().map(|path| format!("-path '{path}' -prune -o")).collect();
    let skipped = skipped.join(" ");
    let paths = machine.output(&format!("find / -xdev {skipped} -print"))?;
    let sums = machine.output(&format!("find /etc -xdev {skipped} -type f -exec sha256sum {{}} +"))?;
    Ok(paths.lines().chain(sums.lines()).map(str::to_owned).collect())
}

fn nothing_left(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Result<()> {
    let more: Vec<&str> = after.difference(before).map(String::as_str).collect();
    let less: Vec<&str> = before.difference(after).map(String::as_str).collect();
    ensure!(
        more.is_empty() && less.is_empty(),
        "purging did not bring back what was before installing\n  left over:\n    {}\n  gone:\n    {}",
        more.join("\n    "),
        less.join("\n    ")
    );
    println!("            {} paths and files as before installing", after.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_left_over_file_is_named() {
        let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>();
        assert!(nothing_left(&set(&["/a"]), &set(&["/a"])).is_ok());
        let error = nothing_left(&set(&["/a", "/b"]), &set(&["/a", "/var/lib/picloud"])).unwrap_err().to_string();
        assert!(error.contains("left over:\n    /var/lib/picloud\n  gone:\n    /b"), "{error}");
    }
}
