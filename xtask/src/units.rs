//! `cargo xtask units`: systemd reads all units of `systemd/` without a word, and finds the services as closed as they are
//! meant to be.
//!
//! The programs need not be installed: a folder with others of their names stands in for the system.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The services, all of them, and how exposed each may be, in tenths, as `systemd-analyze security` counts. The last three
/// run as root, once and to their end.
const EXPOSED_MAX: &[(&str, u32)] = &[
    ("picloud-appliance.service", 15),
    ("picloud-node.service", 15),
    ("picloud-backup.service", 15),
    ("picloud-first-boot-report.service", 23),
    ("picloud-restore.service", 30),
    ("picloud-first-boot.service", 34),
];
/// What units start.
const PROGRAMS: &[&str] = &["usr/bin/picloud-appliance", "usr/bin/picloud-node", "bin/sh"];
/// What makes a file a unit.
const ENDINGS: &[&str] = &["service", "socket", "timer", "path"];
/// What systemd has itself, and units name.
const TARGETS: &[&str] = &[
    "basic",
    "local-fs",
    "multi-user",
    "network-online",
    "network-pre",
    "paths",
    "shutdown",
    "sockets",
    "sysinit",
    "timers",
];

/// Checks them; says so and passes where systemd is not there.
pub(crate) fn run(root: &Path) -> Result<()> {
    if !crate::packages::runs("systemd-analyze", &["--version"]) {
        println!("   systemd-analyze is not here: the units are not checked");
        return Ok(());
    }
    let system = tempfile_folder()?;
    let checked = verify(root, &system).and_then(|count| exposed(&system).map(|()| count));
    // A folder that stays behind is in nobody's way.
    let _removed = fs::remove_dir_all(&system);
    println!("   {} units are clean", checked?);
    Ok(())
}

fn tempfile_folder() -> Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("picloud-units-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("make the folder `{}`", folder.display()))?;
    Ok(folder)
}

fn verify(root: &Path, system: &Path) -> Result<usize> {
    let folder = system.join("usr/lib/systemd/system");
    fs::create_dir_all(&folder).context("make the folder of units")?;
    for program in PROGRAMS {
        let path = system.join(program);
        fs::create_dir_all(path.parent().context("a program is in a folder")?)?;
        fs::copy("/bin/true", path).context("copy /bin/true")?;
    }
    for target in TARGETS {
        fs::write(folder.join(format!("{target}.target")), "[Unit]\nDescription=Stands in\n")?;
    }
    let mut units = Vec::new();
    for entry in fs::read_dir(root.join("systemd")).context("read the folder `systemd`")? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ENDINGS.contains(&ending)) {
            fs::copy(&path, folder.join(&name))?;
            units.push(name);
        }
    }
    units.sort();
    for service in units.iter().filter(|unit| unit.ends_with(".service")) {
        let has_row = EXPOSED_MAX.iter().any(|(unit, _most)| unit == service);
        ensure!(has_row, "systemd/{service} has no bound in EXPOSED_MAX of xtask/src/units.rs: give it one");
    }
    let mut command = Command::new("systemd-analyze");
    let said = command.args(["verify", "--man=no", "--root"]).arg(system).args(&units).output()?;
    let text = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success() && text.trim().is_empty(), "systemd-analyze verify says of systemd/:\n{text}");
    Ok(units.len())
}

fn exposed(system: &Path) -> Result<()> {
    for (unit, most) in EXPOSED_MAX {
        let mut command = Command::new("systemd-analyze");
        let path = system.join("usr/lib/systemd/system").join(unit);
        let said = command.args(["security", "--offline=true", "--no-pager"]).arg(path).output()?;
        let text = String::from_utf8_lossy(&said.stdout);
        let tenths = exposure_tenths(&text).with_context(|| format!("read what is said of {unit}:\n{text}"))?;
        println!("   {unit}: exposure {}.{}, at most {}.{}", tenths / 10, tenths % 10, most / 10, most % 10);
        if tenths > *most {
            bail!("systemd/{unit} is more exposed than it may be; what it leaves open:\n{}", open(&text));
        }
    }
    Ok(())
}

/// `→ Overall exposure level for x.service: 1.3 OK 🙂` is 13.
fn exposure_tenths(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.contains("Overall exposure level"))?;
    let (whole, tenths) = line.rsplit_once(": ")?.1.split_whitespace().next()?.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 10 + tenths.parse::<u32>().ok()?)
}

fn open(text: &str) -> String {
    text.lines().filter(|line| line.starts_with('✗')).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposure_is_read_from_the_last_line() {
        let text = "✓ PrivateTmp=  x\n✗ PrivateUsers= y 0.2\n\n→ Overall exposure level for a.service: 1.3 OK 🙂\n";
        assert_eq!(exposure_tenths(text), Some(13));
        assert_eq!(exposure_tenths("nothing"), None);
        assert_eq!(open(text), "✗ PrivateUsers= y 0.2");
    }
}
