//! The one list of Debian packages that building and testing need, and their installation.

use anyhow::{Context, Result, bail, ensure};
use std::process::{Command, Stdio};

/// Everything that is needed beside Rust, each with the reason.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    ("avahi-daemon", "whom the machines that announce themselves have to get along with"),
    ("avahi-utils", "sees what is announced, and announces, as others do"),
    ("ca-certificates", "cargo fetches crates over TLS"),
    ("caddy", "stands in front of an appliance that keeps its upstreams"),
    ("dbus", "the bus that Avahi is asked over"),
    ("dosfstools", "makes boot partitions of every kind, and looks whether what a flash left of them is whole"),
    ("faketime", "a node whose clock is wrong"),
    ("g++", "compiles libFuzzer for the fuzz targets"),
    ("gcc", "compiles the bundled SQLite, and links"),
    ("git", "tidy and the tests run in a clone"),
    ("iproute2", "hosts, cables and a bridge for the tests of the cluster"),
    ("libc6-dev", "the headers that SQLite includes"),
    ("mount", "a small file system that a test fills, and loop devices in the place of cards"),
    ("nftables", "cuts these cables, in one direction or both"),
    ("openssh-client", "people come to the terminal UI with it"),
    ("openssh-server", "lets them in, and runs the terminal UI in the place of a shell"),
    ("passwd", "makes the account of a machine that starts for the first time"),
    ("postgresql", "the server that tests of the shared store start for themselves"),
    ("python3-swift", "OpenStack Swift: a bucket that backups go to"),
    ("python3-venv", "a place for schemathesis, which tries the admin API"),
    ("restic", "keeps the repository that backups go to"),
    ("strace", "makes the disk fail under a running appliance"),
    ("systemd", "reads the units of the services, and says how closed they are"),
    ("util-linux", "namespaces for these hosts"),
    ("xz-utils", "packs an image as releases are"),
    ("zstd", "packs an image as tests do"),
];

/// What the tests with whole machines need in addition.
pub(crate) const NEEDED_FOR_MACHINES: &[(&str, &str)] = &[
    ("debian-archive-keyring", "the keys of the archive that machines are made from"),
    ("mmdebstrap", "makes the root file system of a machine"),
    ("systemd-container", "boots it on x86, without a kernel of its own"),
];

/// Prints the list and installs what is missing; does nothing where all is there.
pub(crate) fn install_missing() -> Result<()> {
    install(NEEDED)
}

/// The same for another list.
pub(crate) fn install(needed: &[(&str, &str)]) -> Result<()> {
    for (name, reason) in needed {
        println!("   {name:<22} {reason}");
    }
    if !runs("dpkg-query", &["--version"]) {
        ensure!(
            runs("cc", &["--version"]),
            "no C compiler (`cc`) is here and this is no Debian: install what is listed above your system's way"
        );
        println!("   this is no Debian: taken as installed");
        return Ok(());
    }
    let missing: Vec<&str> = needed.iter().map(|(name, _)| *name).filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        println!("   all of them are installed");
        return Ok(());
    }
    println!("   installing {}", missing.join(" "));
    apt_get(&["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(missing);
    apt_get(&install)
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Abbrev}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|out| out.stdout.starts_with(b"ii"))
}

fn apt_get(args: &[&str]) -> Result<()> {
    let as_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    let mut command = if as_root {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    let status = command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .context("start apt-get (as another user than root: through sudo)")?;
    if !status.success() {
        bail!("`apt-get {}` failed: install the packages by hand and run this again", args.join(" "));
    }
    Ok(())
}

/// Whether `program args` can be started and succeeds.
pub(crate) fn runs(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
