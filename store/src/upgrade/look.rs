//! A look at a store that changes nothing: what an upgrade would meet.

use super::making::{free_bytes, needed_bytes};
use super::{Schema, UpgradeCopy, upgrade_copies};
use crate::sqlite::Found;
use crate::{OpenError, OpenSettings};
use std::path::Path;

/// What a store is, as whoever wants to upgrade it must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLook {
    /// What it has; `None` where there is no store yet.
    pub found: Option<Schema>,
    /// What this program would give it.
    pub known: Schema,
    /// What an upgrade needs on the disk.
    pub needed_bytes: u64,
    /// What is free there.
    pub free_bytes: u64,
    /// What is wrong with the data, if anything.
    pub damage: Option<String>,
    /// The copies of earlier upgrades, newest first.
    pub copies: Vec<UpgradeCopy>,
}

impl StoreLook {
    /// Whether opening it would change its schema.
    pub fn is_older(&self) -> bool {
        let older = |found: i64, known: i64| found > 0 && found < known;
        self.found.is_some_and(|found| older(found.data, self.known.data) || older(found.history, self.known.history))
    }

    /// Whether there is room for the copy.
    pub fn has_room(&self) -> bool {
        self.free_bytes >= self.needed_bytes
    }
}

/// Looks at the store, reading all of it, also while an appliance uses it. Refuses what opening it would refuse, except
/// that somebody uses it.
pub async fn look(settings: &OpenSettings) -> Result<StoreLook, OpenError> {
    if let Some(url) = &settings.database_url {
        return crate::postgres::look(settings, url).await;
    }
    let dir = settings.data_dir.clone();
    let looked = tokio::task::spawn_blocking(move || look_at_files(&dir)).await;
    looked.map_err(|source| OpenError::Unusable { path: settings.data_dir.clone(), source: Box::new(source) })?
}

fn look_at_files(dir: &Path) -> Result<StoreLook, OpenError> {
    let known = crate::sqlite::known();
    let nothing = StoreLook { found: None, known, needed_bytes: 0, free_bytes: 0, damage: None, copies: Vec::new() };
    if !dir.exists() {
        return Ok(nothing);
    }
    let free_bytes = free_bytes(dir)?;
    let copies = upgrade_copies(dir)?;
    let Some(files) = Found::look(dir)? else { return Ok(StoreLook { free_bytes, copies, ..nothing }) };
    let unusable = |error: rusqlite::Error| OpenError::Unusable { path: dir.to_owned(), source: Box::new(error) };
    Ok(StoreLook {
        found: Some(files.found),
        needed_bytes: needed_bytes(files.copy_bytes().map_err(unusable)?),
        free_bytes,
        damage: files.is_whole().map_err(unusable)?.err(),
        copies,
        ..nothing
    })
}
