//! What all appliances on one database keep sealed under a name: each has the same master key.

use super::seal::Place;
use super::{Vault, VaultError};
use zeroize::Zeroizing;

impl Vault {
    /// What is kept under `name`, opened.
    pub(crate) async fn kept(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let Some(sealed) = self.store.kept(name).await? else { return Ok(None) };
        self.open_kept(name, &sealed).await.map(Some)
    }

    /// Keeps `plain` under `name` unless something is there already, and answers what is there then.
    pub(crate) async fn keep(&self, name: &str, plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let sealed = {
            let mut master = self.master.lock().await;
            let key = self.master_or_new(&mut master).await?;
            key.seal(Place::Kept(name), plain).map_err(VaultError::NoRandomness)?
        };
        let sealed = self.store.keep(name, &sealed).await?;
        self.open_kept(name, &sealed).await
    }

    async fn open_kept(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut master = self.master.lock().await;
        if master.is_none() {
            *master = Some(self.file.read()?.ok_or_else(|| self.file.missing())?);
        }
        let key = master.as_ref().ok_or_else(|| self.file.missing())?;
        key.open(Place::Kept(name), sealed).map_err(|_does_not_open| VaultError::Kept(name.to_owned()))
    }
}
