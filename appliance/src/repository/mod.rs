//! Repositories: backups one after the other in a folder, on another machine or in a bucket, encrypted, each with only
//! what changed. The program `restic` keeps them; whoever has the password reads them with it, without us.
//!
//! ```text
//! DATA/backup-tmp-N/   the store's own copies of its files, each at one moment, and manifest.json
//! DATA/keys/…          the CA and the key that secrets are sealed with
//! FILES/aa/…           bytes of files, where they lie: those that were there before are not read again
//! appliance.toml       the configuration file
//! ```
//!
//! A snapshot counts once everything that its manifest names was found in it, and what changes between two backups was
//! read back and is the same: then it is tagged `verified`. What was cut off is never taken for a backup.

mod app;
mod check;
mod error;
mod glance;
mod held;
mod hints;
mod init;
mod inventory;
pub(crate) mod outcome;
mod prune;
mod restic;
mod restore;
mod secret;
mod sheet;
mod snapshots;
mod ssh;
mod take;
mod target;
mod verify;

pub use app::{AppRestore, AppRestored};
pub use check::CheckPart;
pub use error::RepositoryError;
pub use held::Holding;
pub use init::Made;
pub use inventory::Inventory;
pub use outcome::{Outcome, Outcomes};
pub use prune::Pruned;
pub use restore::{RepositoryRestored, RestorePlan};
pub use snapshots::Snapshot;
pub use take::Take;
pub use target::Target;

use crate::config::Settings;
use picloud_store::Room;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is kept when older backups go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupsKept {
    /// The newest of so many days.
    pub daily: u32,
    /// The newest of so many weeks.
    pub weekly: u32,
    /// The newest of so many months.
    pub monthly: u32,
}

/// A repository, as the settings have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySettings {
    /// Where it is.
    pub target: Target,
    /// The file of its password.
    pub password_file: PathBuf,
    /// A file of variables for what asks for credentials.
    pub env_file: Option<PathBuf>,
    /// The command that reaches an SSH target, in place of `ssh`.
    pub sftp_command: Option<String>,
    /// `auto`, `off` or `max`.
    pub compression: String,
    /// What is kept.
    pub kept: BackupsKept,
}

/// The file of the password in the data folder, where the settings name no other. It is in no backup.
const PASSWORD_FILE: &str = "backup.password";
/// Where restic keeps what it would fetch again, in the data folder.
const CACHE_FOLDER: &str = "backup-cache";

/// The repository that these settings name.
#[derive(Clone, Debug)]
pub struct Repository {
    settings: RepositorySettings,
    data_dir: PathBuf,
}

impl Repository {
    /// Refused where none is set.
    pub fn of(settings: &Settings) -> Result<Self, RepositoryError> {
        let target = settings.backup_repository.clone().ok_or(RepositoryError::NotSet)?;
        let data_dir = settings.data_dir.clone();
        let password_file = settings.backup_password_file.clone().unwrap_or_else(|| data_dir.join(PASSWORD_FILE));
        let settings = RepositorySettings {
            target,
            password_file,
            env_file: settings.backup_env_file.clone(),
            sftp_command: settings.backup_sftp_command.clone(),
            compression: settings.backup_compression.clone(),
            kept: BackupsKept {
                daily: settings.backup_keep_daily,
                weekly: settings.backup_keep_weekly,
                monthly: settings.backup_keep_monthly,
            },
        };
        Ok(Self { settings, data_dir })
    }

    /// Where it is.
    pub fn target(&self) -> &Target {
        &self.settings.target
    }

    /// Whom the data folder belongs to, where root works for somebody else: restic runs as them, so that what it keeps
    /// is theirs, whoever starts it.
    fn owner(&self) -> Option<(u32, u32)> {
        let found = std::fs::metadata(&self.data_dir).ok()?;
        let others = nix::unistd::geteuid().is_root() && found.uid() != 0;
        others.then_some((found.uid(), found.gid()))
    }

    /// Restic on it, as the owner of the data; `restic` is looked for and asked for its version.
    async fn restic(&self) -> Result<restic::Restic, RepositoryError> {
        secret::check_password(&self.settings.password_file)?;
        let cache = self.data_dir.is_dir().then(|| self.data_dir.join(CACHE_FOLDER));
        restic::Restic::find(&self.settings, self.owner(), cache).await
    }

    /// Restic for what brings data back: it writes as whoever runs this, and nothing is there to keep things in.
    async fn restic_for_restore(&self) -> Result<restic::Restic, RepositoryError> {
        secret::check_password(&self.settings.password_file)?;
        restic::Restic::find(&self.settings, None, None).await
    }

    /// The snapshots in it, oldest first.
    pub async fn list(&self) -> Result<Vec<Snapshot>, RepositoryError> {
        snapshots::list(&self.restic().await?).await
    }
}

/// What is free on the disk of a folder, for whoever runs this.
fn free_bytes(dir: &Path) -> Option<u64> {
    Room::of(dir).ok().map(|room| room.free_bytes)
}

#[cfg(test)]
mod tests;
