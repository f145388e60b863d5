//! Who comes in over SSH: an account, its keys, and that it may do everything with sudo.

use super::super::disk::{Disk, PRIVATE};
use super::Job;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Groups that the account joins, where the machine has them: for sudo, the log, and the admin socket.
const GROUPS: [&str; 3] = ["sudo", "adm", "picloud"];
/// Rules of sudo, a file each.
const SUDO_FOLDER: &str = "/etc/sudoers.d";

pub(super) fn tell(job: &Job<'_>) -> Option<String> {
    let (keys, user) = (job.file.ssh.authorized_keys.len(), job.file.ssh.user());
    let keys = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
    (!job.file.ssh.authorized_keys.is_empty()).then(|| format!("as `{user}`, with {keys}"))
}

pub(super) fn act(job: &Job<'_>) -> Result<()> {
    let (disk, user) = (job.disk, job.file.ssh.user());
    if job.file.ssh.authorized_keys.is_empty() {
        return Ok(());
    }
    if disk.owner(user).is_none() {
        account(job, "useradd", &["--create-home", "--shell", "/bin/bash", user])?;
    }
    let groups = groups_to_join(disk, user)?;
    if !groups.is_empty() {
        account(job, "usermod", &["--append", "--groups", &groups.join(","), user])?;
    }
    let missing = || Error::new(ErrorKind::NotFound, format!("the account `{user}` has no home"));
    let (owner, home) = disk.owner(user).zip(disk.home(user)).ok_or_else(missing)?;
    // The power may have gone between the account and its home.
    disk.folder(&home, 0o700, Some(owner))?;
    let folder = home.join(".ssh");
    refuse_link(&disk.at(&folder))?;
    disk.folder(&folder, 0o700, Some(owner))?;
    let file = folder.join("authorized_keys");
    refuse_link(&disk.at(&file))?;
    let keys = with_keys(&disk.text(&file)?, &job.file.ssh.authorized_keys);
    disk.write(&file, keys.as_bytes(), PRIVATE, Some(owner))?;
    if disk.at(SUDO_FOLDER).is_dir() {
        let rule = format!("{user} ALL=(ALL) NOPASSWD:ALL\n");
        disk.write(format!("{SUDO_FOLDER}/picloud-{user}"), rule.as_bytes(), 0o440, None)?;
    }
    Ok(())
}

/// Runs a program of Debian's `passwd`, on the folder that is looked at.
fn account(job: &Job<'_>, program: &str, arguments: &[&str]) -> Result<()> {
    let root = job.disk.at("/").display().to_string();
    let prefix: &[&str] = if job.commands.is_live() { &[] } else { &["--prefix", &root] };
    job.disk.change()?;
    job.commands.run(program, &[prefix, arguments].concat())
}

/// Those of [`GROUPS`] that there are and that the account is not in.
fn groups_to_join(disk: &Disk, user: &str) -> Result<Vec<String>> {
    let groups = disk.text("/etc/group")?;
    let joins = |line: &&str| {
        let mut fields = line.split(':');
        let (name, members) = (fields.next().unwrap_or_default(), fields.nth(2).unwrap_or_default());
        GROUPS.contains(&name) && !members.split(',').any(|member| member == user)
    };
    Ok(groups.lines().filter(joins).filter_map(|line| line.split(':').next()).map(str::to_owned).collect())
}

/// Root writes no file through a link that an account has laid.
fn refuse_link(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(kept) if kept.is_symlink() => {
            Err(Error::new(ErrorKind::InvalidInput, format!("`{}` is a link, which is not followed", path.display())))
        }
        _plain => Ok(()),
    }
}

/// The lines that are there, and the keys that are not.
fn with_keys(kept: &str, keys: &[String]) -> String {
    let has = |key: &String| kept.lines().any(|line| line.trim() == key);
    let lines = kept.lines().map(str::to_owned).chain(keys.iter().filter(|key| !has(key)).cloned());
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_to_those_that_are_there_and_none_twice() {
        let keys = ["ssh-ed25519 A me".to_owned(), "ssh-rsa B you".to_owned()];
        let kept = "# mine\nssh-rsa B you\n";
        let with = with_keys(kept, &keys);
        assert_eq!(with, "# mine\nssh-rsa B you\nssh-ed25519 A me\n");
        assert_eq!(with_keys(&with, &keys), with);
    }
}
