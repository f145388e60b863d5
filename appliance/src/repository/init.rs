//! Makes a repository, and its password where there is none yet.

use super::restic::Restic;
use super::{Repository, RepositoryError, Target, secret, sheet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use zeroize::Zeroizing;

/// What was made.
pub struct Made {
    /// Whether the repository is new.
    pub is_new: bool,
    /// What a person keeps on paper; with the password where that was made now.
    pub sheet: Zeroizing<String>,
}

impl Repository {
    /// Makes what is missing. Where both are there already, and the one opens the other, nothing changes.
    pub async fn init(&self, node: &str) -> Result<Made, RepositoryError> {
        let file = &self.settings.password_file;
        let password = if file.exists() {
            secret::check_password(file)?;
            None
        } else {
            let password = secret::new_password()
                .map_err(|error| RepositoryError::io("make a password for", file)(std::io::Error::other(error)))?;
            secret::write_password(file, &password, self.owner())?;
            Some(password)
        };
        let made = self.init_with_password().await;
        if made.is_err() && password.is_some() {
            // It opens nothing.
            let _left_behind = std::fs::remove_file(file);
        }
        let is_new = match made {
            Err(RepositoryError::ThereAlready { .. }) if password.is_none() => {
                self.restic()
                    .await?
                    .succeed("open the repository", &["cat", "config"].map(AsRef::as_ref), &mut |_words| {})
                    .await?;
                false
            }
            made => made.map(|()| true)?,
        };
        Ok(Made { is_new, sheet: sheet::text(self, node, password.as_deref().map(String::as_str)) })
    }

    async fn init_with_password(&self) -> Result<(), RepositoryError> {
        let restic: Restic = self.restic().await?;
        if let Target::Folder(folder) = &self.settings.target {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(RepositoryError::io("make the folder", folder))?;
            restic.let_in(folder)?;
        }
        let doing = "make the repository";
        let ended = restic.run(doing, &["init".as_ref()], &mut |_words| {}).await?;
        if ended.status.success() {
            return Ok(());
        }
        if ended.said.contains("already exists") || ended.said.contains("already initialized") {
            let (place, file) = (restic.place(), restic.password_file().to_owned());
            return Err(RepositoryError::ThereAlready { place, file });
        }
        Err(restic.refused(doing, ended.said))
    }
}
