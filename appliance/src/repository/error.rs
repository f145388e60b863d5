//! Why nothing was backed up, or nothing came back.

use super::restic::RESTIC_OLDEST;
use crate::backup::BackupError;
use picloud_store::{OpenError, StoreError};
use std::path::{Path, PathBuf};

/// Why something was not done with a repository. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// Nobody has said where it is.
    #[error(
        "no repository is set\nhint: choose one, in /etc/picloud/appliance.toml: backup_repository = \"/mnt/usb/picloud\"; or \
         for once: --backup-repository /mnt/usb/picloud"
    )]
    NotSet,
    /// There is no data.
    #[error("`{}` does not exist: there is nothing to back up\nhint: name the data folder: --data-dir DIR", .0.display())]
    NoData(PathBuf),
    /// The program is missing.
    #[error("`restic` is not installed, which keeps the repository\nhint: apt install restic")]
    NoRestic,
    /// It is too old.
    #[error(
        "`restic` is version {found}, older than {RESTIC_OLDEST}\nhint: install a newer one; Debian 12 and later have it"
    )]
    OldRestic {
        /// Its version.
        found: String,
    },
    /// There is none.
    #[error(
        "there is no repository in `{place}`\nhint: is the disk there? Make one: picloud-appliance repository init"
    )]
    NotThere {
        /// Where it was looked for.
        place: String,
    },
    /// There is one already.
    #[error(
        "there is a repository in `{place}` already, and `{}` did not exist\nhint: write its password into that file, \
         which only its owner may read; it stands on the recovery sheet", file.display()
    )]
    ThereAlready {
        /// Where.
        place: String,
        /// The file of the password.
        file: PathBuf,
    },
    /// It is locked with another one.
    #[error("the password in `{}` does not open `{place}`\nhint: write the right one into it; it stands on the recovery sheet", file.display())]
    WrongPassword {
        /// Where.
        place: String,
        /// The file of the password.
        file: PathBuf,
    },
    /// A secret that must be there.
    #[error("`{}` does not exist: {what}\nhint: {hint}", file.display())]
    NoSecret {
        /// The file.
        file: PathBuf,
        /// What it is.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A secret that others may read, or that is none.
    #[error("`{}` {what}\nhint: {hint}", file.display())]
    BadSecret {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Restic failed.
    #[error("{doing}: restic says: {said}\nhint: {hint}")]
    Restic {
        /// What was to be done.
        doing: &'static str,
        /// The end of what it said.
        said: String,
        /// What to do.
        hint: &'static str,
    },
    /// It said what nobody understands.
    #[error(
        "{doing}: restic answered what cannot be understood: {source}\nhint: look whether `restic` is the real one: restic version"
    )]
    Answer {
        /// What was to be done.
        doing: &'static str,
        /// What the decoder says.
        source: serde_json::Error,
    },
    /// It did not end.
    #[error(
        "{doing}: restic did not end within {hours} hours\nhint: look at the way to the repository, and start again: it goes on where it was"
    )]
    TooLong {
        /// What was to be done.
        doing: &'static str,
        /// The bound.
        hours: u64,
    },
    /// No such snapshot.
    #[error("{0}\nhint: see what there is: picloud-appliance repository list")]
    NoSnapshot(String),
    /// It is not what was backed up.
    #[error(
        "snapshot {snapshot} is not whole: {what}\nhint: use another one (picloud-appliance repository list), and look what else is wrong: picloud-appliance repository check --all"
    )]
    Damaged {
        /// Its id.
        snapshot: String,
        /// What is wrong.
        what: String,
    },
    /// It is from the future.
    #[error(
        "snapshot {snapshot} has format {found}, this program reads up to {known}\nhint: install the PiCloud that wrote it, version {version}, or a newer one"
    )]
    Newer {
        /// Its id.
        snapshot: String,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
        /// Which program wrote it.
        version: String,
    },
    /// There is not enough room.
    #[error("`{}` has {} free, and {} are needed\nhint: make room (df -h), or choose a folder on another disk", dir.display(), crate::backup::shown_size(*free_bytes), crate::backup::shown_size(*needed_bytes))]
    NoRoom {
        /// The folder.
        dir: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
    },
    /// The appliance that has the data in use.
    #[error("{0}")]
    Appliance(String),
    /// As with archives.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store.
    #[error("{}", crate::appliance::with_sources(.0))]
    Store(#[from] StoreError),
    /// The store does not open.
    #[error("{}\nhint: {}", crate::appliance::with_sources(.0), .0.hint())]
    Open(#[from] OpenError),
}

impl RepositoryError {
    pub(super) fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> Self + use<'p> {
        move |source| Self::Backup(BackupError::Io { doing, path: path.to_owned(), source })
    }
}
