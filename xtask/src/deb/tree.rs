//! Files of a package on the disk: modes, times and sizes that do not depend on who makes them, and the packing.

use crate::cross::done;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

/// Writes a file and the folders above it.
pub(super) fn write(path: &Path, contents: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(path, contents).with_context(|| format!("write {}", path.display()))?;
    set_mode(path, mode)
}

/// Copies a file, or a folder with everything in it.
pub(super) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    if from.is_dir() {
        for path in entries(from)? {
            let name = path.file_name().context("an entry has a name")?;
            // What an app leaves beside itself while it is tried is not part of it.
            if name != ".picloud" {
                copy(&path, &to.join(name), mode)?;
            }
        }
        return Ok(());
    }
    let contents = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    write(to, &contents, mode)
}

/// Compresses a file, as Debian has its manual pages and changelogs: without name and time.
pub(super) fn compress(path: &Path) -> Result<()> {
    done(Command::new("gzip").args(["-9", "--no-name", "--force"]).arg(path))
}

/// What Debian counts: every file in whole KiB, and one for each folder.
pub(super) fn installed_kib(tree: &Path) -> Result<u64> {
    let mut kib = 0;
    for path in all(tree)? {
        let metadata = fs::symlink_metadata(&path)?;
        let is_control = path.strip_prefix(tree).is_ok_and(|path| path.starts_with("DEBIAN"));
        if !is_control {
            kib += if metadata.is_file() { metadata.size().div_ceil(1024) } else { 1 };
        }
    }
    Ok(kib)
}

/// Writes the lists of configuration files and checksums, and gives everything the same time.
pub(super) fn seal(tree: &Path, epoch_seconds: u64) -> Result<()> {
    let mut files: Vec<String> = Vec::new();
    for path in all(tree)? {
        let name = path.strip_prefix(tree).context("a file is in its tree")?.to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with("DEBIAN/") {
            files.push(name);
        }
    }
    let settings: String =
        files.iter().filter(|name| name.starts_with("etc/")).map(|name| format!("/{name}\n")).collect();
    if !settings.is_empty() {
        write(&tree.join("DEBIAN/conffiles"), settings.as_bytes(), 0o644)?;
    }
    let summed: Vec<&String> = files.iter().filter(|name| !name.starts_with("etc/")).collect();
    let sums = crate::cross::output(Command::new("md5sum").current_dir(tree).args(summed))?;
    write(&tree.join("DEBIAN/md5sums"), sums.as_bytes(), 0o644)?;
    let time = UNIX_EPOCH + Duration::from_secs(epoch_seconds);
    let mut paths = all(tree)?;
    // Folders last: a change inside gives them a new time.
    paths.reverse();
    for path in paths.iter().chain([&tree.to_owned()]) {
        if path.is_dir() {
            set_mode(path, 0o755)?;
        }
        let file = fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
        file.set_modified(time).with_context(|| format!("set the time of {}", path.display()))?;
    }
    Ok(())
}

/// Packs the tree into one `.deb`.
pub(super) fn pack(tree: &Path, epoch_seconds: u64, compression: &str, file: &Path) -> Result<()> {
    let folder = file.parent().context("a package is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    // One thread: how many there are changes the bytes.
    done(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--threads-max=1"])
            .arg(format!("-Z{compression}"))
            .arg("--build")
            .arg(tree)
            .arg(file)
            .env("SOURCE_DATE_EPOCH", epoch_seconds.to_string())
            .env("TZ", "UTC"),
    )
}

/// Everything below a folder, sorted, each folder before what is in it.
pub(super) fn all(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        let is_folder = path.is_dir();
        found.push(path.clone());
        if is_folder {
            found.extend(all(&path)?);
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths = read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("set the mode of {}", path.display()))
}
