//! Root file systems of Debian, made once by `mmdebstrap` and kept as archives; each machine gets a fresh one.

use super::Place;
use crate::cross::done;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What a machine has beside the essential packages: what ours depend on, and what the stories use.
const INCLUDED: &str = "systemd,systemd-sysv,dbus,passwd,ca-certificates,curl,libgcc-s1,restic";

/// The ending of the file that says what one has.
const MADE_WITH: &str = "included";

/// Unpacks a fresh one under `name`.
pub(super) fn fresh(place: &Place<'_>, suite: &str, name: &str) -> Result<PathBuf> {
    let archive = place.folder.join(format!("{suite}.tar"));
    // One that was made with other packages is made anew.
    let is_it = fs::read_to_string(archive.with_extension(MADE_WITH)).is_ok_and(|made_with| made_with == INCLUDED);
    if !(archive.is_file() && is_it) {
        make(place, suite, &archive)?;
    }
    let root = place.folder.join(name);
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("delete {}", root.display()))?;
    }
    fs::create_dir_all(&root).with_context(|| format!("make {}", root.display()))?;
    // Device files are the container's own.
    done(
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&root)
            .args(["--exclude=./dev/*", "--numeric-owner"]),
    )?;
    Ok(root)
}

fn make(place: &Place<'_>, suite: &str, archive: &std::path::Path) -> Result<()> {
    println!("            making a root file system of {suite}, once");
    let sources = place.folder.join(format!("{suite}.sources"));
    let text = format!(
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {suite}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    );
    fs::write(&sources, text).with_context(|| format!("write {}", sources.display()))?;
    // Complete before it has its name: an interrupted one is never taken.
    let partial = archive.with_extension("partial.tar");
    done(
        Command::new("mmdebstrap")
            .args(["--variant=minbase", "--dpkgopt=path-exclude=/usr/share/locale/*"])
            .arg(format!("--include={INCLUDED}"))
            .arg(suite)
            .arg(&partial)
            .arg(&sources),
    )?;
    fs::rename(&partial, archive).with_context(|| format!("make {}", archive.display()))?;
    let made_with = archive.with_extension(MADE_WITH);
    fs::write(&made_with, INCLUDED).with_context(|| format!("write {}", made_with.display()))
}
