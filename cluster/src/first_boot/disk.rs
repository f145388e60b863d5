//! The machine's files, as a first boot writes them: each whole or not at all, and down on the disk when the call ends.

use super::Machine;
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// A user and a group.
pub(super) type Owner = (u32, u32);

/// Mode of what everybody may read.
pub(super) const PUBLIC: u32 = 0o644;
/// Mode of what only its owner may read.
pub(super) const PRIVATE: u32 = 0o600;

/// All changes go through here.
pub(super) struct Disk {
    root: PathBuf,
    boot: PathBuf,
    /// How many changes are made yet before the power goes; only tests have fewer than enough.
    changes_left: Cell<u32>,
}

impl Disk {
    pub(super) fn new(machine: &Machine) -> Self {
        Self { root: machine.root.clone(), boot: machine.boot.clone(), changes_left: Cell::new(u32::MAX) }
    }

    /// One whose power goes after so many changes.
    #[cfg(test)]
    pub(super) fn with_power_for(machine: &Machine, changes: u32) -> Self {
        Self { changes_left: Cell::new(changes), ..Self::new(machine) }
    }

    /// A path of the machine, as it is reached from here.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A path on the boot partition.
    pub(super) fn on_boot(&self, name: &str) -> PathBuf {
        self.boot.join(name)
    }

    /// The text of a machine's file, empty where it is not there.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Result<String> {
        match std::fs::read_to_string(self.at(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }

    /// Puts these bytes in the place of whatever the file holds.
    pub(super) fn write(&self, path: impl AsRef<Path>, bytes: &[u8], mode: u32, owner: Option<Owner>) -> Result<()> {
        let path = self.at(path);
        let is_right = |kept: std::fs::Metadata| kept.is_file() && kept.permissions().mode() & 0o777 == mode;
        if std::fs::symlink_metadata(&path).is_ok_and(is_right) && std::fs::read(&path).is_ok_and(|kept| kept == bytes)
        {
            // It may be of an attempt that did not come to giving it away.
            return self.give(&path, owner);
        }
        if let Some(folder) = path.parent() {
            self.folders(folder, 0o755)?;
        }
        let unfinished = unfinished(&path);
        self.change()?;
        // One that was left behind may have another mode, or be a link.
        crate::private_file::remove(&unfinished)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        self.give(&unfinished, owner)?;
        file.sync_all()?;
        self.change()?;
        std::fs::rename(&unfinished, &path)?;
        sync_folder_of(&path)
    }

    /// A link in place of whatever is there.
    pub(super) fn link(&self, path: impl AsRef<Path>, to: &str) -> Result<()> {
        let path = self.at(path);
        if std::fs::read_link(&path).is_ok_and(|kept| kept == Path::new(to)) {
            return Ok(());
        }
        let unfinished = unfinished(&path);
        self.change()?;
        crate::private_file::remove(&unfinished)?;
        std::os::unix::fs::symlink(to, &unfinished)?;
        self.change()?;
        std::fs::rename(&unfinished, &path)?;
        sync_folder_of(&path)
    }

    /// A folder with this mode and owner, which may be there.
    pub(super) fn folder(&self, path: impl AsRef<Path>, mode: u32, owner: Option<Owner>) -> Result<()> {
        let path = self.at(path);
        self.folders(&path, mode)?;
        self.give(&path, owner)
    }

    /// Renames a folder or file of the machine, replacing a folder that is in the way.
    pub(super) fn replace_folder(&self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        self.change()?;
        remove_folder(&to)?;
        self.change()?;
        std::fs::rename(&from, &to)?;
        sync_folder_of(&to)
    }

    /// Removes a file that may not be there.
    pub(super) fn remove_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = self.at(path);
        if std::fs::symlink_metadata(&path).is_err() {
            return Ok(());
        }
        self.change()?;
        crate::private_file::remove(&path)?;
        sync_folder_of(&path)
    }

    /// Removes a folder with all that is in it.
    pub(super) fn remove_folder(&self, path: &Path) -> Result<()> {
        self.change()?;
        remove_folder(&self.at(path))
    }

    /// Writes over the file's bytes in place, where they differ: in the very blocks that hold them.
    pub(super) fn overwrite(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let kept = std::fs::read(path)?;
        if kept.len() != bytes.len() {
            return Err(Error::new(ErrorKind::InvalidData, "it was changed meanwhile"));
        }
        let mut file = OpenOptions::new().write(true).open(path)?;
        let mut at = 0;
        while at < bytes.len() {
            let differ = |index: &usize| kept[*index] != bytes[*index];
            let Some(start) = (at..bytes.len()).find(differ) else { break };
            let end = (start..bytes.len()).find(|index| !differ(index)).unwrap_or(bytes.len());
            self.change()?;
            file.seek(SeekFrom::Start(start as u64))?;
            file.write_all(&bytes[start..end])?;
            at = end;
        }
        file.sync_all()
    }

    /// A text for people on the boot partition: only where it changed, for each write wears the card.
    pub(super) fn tell_on_boot(&self, name: &str, text: &str) -> Result<()> {
        let path = self.on_boot(name);
        if std::fs::read(&path).is_ok_and(|kept| kept == text.as_bytes()) {
            return Ok(());
        }
        self.change()?;
        let mut file = File::create(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Everything that was written is on the disk after this.
    pub(super) fn settle(&self) {
        // Each of our files waited for the disk already; what other programs wrote did not. Tests have no such.
        if self.root == Path::new("/") {
            nix::unistd::sync();
        }
    }

    /// The account's user and group, as this machine has them.
    pub(super) fn owner(&self, account: &str) -> Option<Owner> {
        let field = |line: &str, index: usize| line.split(':').nth(index).and_then(|id| id.parse().ok());
        let line = self.account_line(account)?;
        Some((field(&line, 2)?, field(&line, 3)?))
    }

    /// The account's home.
    pub(super) fn home(&self, account: &str) -> Option<PathBuf> {
        let line = self.account_line(account)?;
        line.split(':').nth(5).filter(|home| home.starts_with('/')).map(PathBuf::from)
    }

    fn account_line(&self, account: &str) -> Option<String> {
        let accounts = self.text("/etc/passwd").ok()?;
        accounts.lines().find(|line| line.split(':').next() == Some(account)).map(str::to_owned)
    }

    /// Counts a change; the power may be gone.
    pub(super) fn change(&self) -> Result<()> {
        let left = self.changes_left.get();
        if left == 0 {
            return Err(Error::other("the power is gone"));
        }
        self.changes_left.set(left - 1);
        Ok(())
    }

    fn give(&self, path: &Path, owner: Option<Owner>) -> Result<()> {
        let Some((user, group)) = owner else { return Ok(()) };
        chown(path, Some(user), Some(group))
    }

    fn folders(&self, path: &Path, mode: u32) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.change()?;
        DirBuilder::new().recursive(true).mode(mode).create(path)?;
        sync_folder_of(path)
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".picloud-new");
    path.with_file_name(name)
}

fn remove_folder(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sync_folder_of(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
