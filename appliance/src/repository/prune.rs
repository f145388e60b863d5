//! Old backups go, and their room is given back.

use super::snapshots::{self, OURS};
use super::{Repository, RepositoryError};

/// What went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Backups that went.
    pub gone: usize,
    /// Backups that are left.
    pub left: usize,
}

impl Repository {
    /// Drops what the settings do not keep, of each machine by itself.
    pub async fn prune(&self) -> Result<Pruned, RepositoryError> {
        let restic = self.restic().await?;
        let before = snapshots::list(&restic).await?;
        // Neither those that were cut off nor those that nobody has looked at are in the place of one that is whole.
        let unverified = before.iter().filter(|snapshot| !snapshot.verified).map(|snapshot| snapshot.id.as_str());
        let unverified: Vec<_> = ["forget"].into_iter().chain(unverified).map(AsRef::as_ref).collect();
        if unverified.len() > 1 {
            restic.succeed("forget what is not whole", &unverified, &mut |_words| {}).await?;
        }
        let kept = self.settings.kept;
        let numbers = [kept.daily, kept.weekly, kept.monthly].map(|number| number.to_string());
        let [daily, weekly, monthly] = &numbers;
        let arguments = [
            "forget",
            "--prune",
            "--tag",
            OURS,
            "--group-by",
            "host",
            "--keep-daily",
            daily,
            "--keep-weekly",
            weekly,
            "--keep-monthly",
            monthly,
        ];
        restic.succeed("forget old backups", &arguments.map(AsRef::as_ref), &mut |_words| {}).await?;
        let left = snapshots::list(&restic).await?.len();
        Ok(Pruned { gone: before.len().saturating_sub(left), left })
    }
}
