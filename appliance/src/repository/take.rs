//! One backup into the repository: held, written, looked at, tagged; and what came of it is kept.

use super::glance::Glance;
use super::held::Held;
use super::inventory::{Inventory, MANIFEST};
use super::outcome::{self, Outcome, Outcomes};
use super::restic::Restic;
use super::snapshots::{self, OURS, VERIFIED};
use super::{Repository, RepositoryError, verify};
use crate::appliance::node_name;
use crate::config::Settings;
use picloud_cluster::private_file;
use picloud_model::audit::Act;
use picloud_model::clock::Clock;
use picloud_store::{OpenSettings, Store};
use serde::Deserialize;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Attempts where a file went while it was read, such as a certificate that was made anew.
const ATTEMPTS_MAX: u32 = 2;
/// What restic ends with where it could not read something, and wrote a snapshot without it.
const INCOMPLETE: i32 = 3;
/// Rows of files that are looked at in one go.
const ROWS_MAX: u32 = 1_000;

/// What a backup needs to know.
pub struct Take<'t> {
    /// The settings of the appliance.
    pub settings: &'t Settings,
    /// Its configuration file, where there is one.
    pub config: Option<&'t Path>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who takes it.
    pub act: &'t Act,
}

/// What restic says at the end of a backup.
#[derive(Default, Deserialize)]
struct Summary {
    #[serde(default)]
    message_type: String,
    #[serde(default)]
    snapshot_id: String,
    #[serde(default)]
    data_added: u64,
}

/// What was written.
struct Written {
    snapshot: String,
    inventory: Inventory,
    added_bytes: u64,
    files_without_bytes: u64,
}

impl Repository {
    /// Takes a backup, and keeps what came of it, also where that was nothing.
    pub async fn take(&self, take: &Take<'_>) -> Result<Outcome, RepositoryError> {
        let began = Instant::now();
        let written = self.write_and_verify(take).await;
        let mut outcome = Outcome {
            at: take.clock.now_ms(),
            ok: written.is_ok(),
            repository: self.target().to_string(),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            ..Outcome::default()
        };
        match &written {
            Ok(written) => {
                outcome.snapshot = Some(written.snapshot.clone());
                outcome.files = written.inventory.files.len() as u64;
                outcome.size_bytes = written.inventory.size_bytes();
                outcome.added_bytes = written.added_bytes;
                outcome.files_without_bytes = written.files_without_bytes;
            }
            Err(error) => outcome.error = Some(error.to_string().chars().take(outcome::ERROR_CHARS_MAX).collect()),
        }
        let kept = outcome::keep(take.settings, Arc::clone(&take.clock), take.act, &outcome).await;
        written?;
        kept?;
        Ok(outcome)
    }

    async fn write_and_verify(&self, take: &Take<'_>) -> Result<Written, RepositoryError> {
        if !self.data_dir.is_dir() {
            return Err(RepositoryError::NoData(self.data_dir.clone()));
        }
        let restic = self.restic().await?;
        let parent = self.parent(&restic).await?;
        for attempt in 1.. {
            let held = Held::take(take.settings, Arc::clone(&take.clock), take.act).await?;
            let (written, whole) = write(&restic, &held, take.config, parent.as_deref()).await?;
            let checked = match (whole, held.check()) {
                (Ok(()), Ok(())) => verify::verify(&restic, &written.snapshot, &written.inventory).await,
                (whole, still_held) => whole.and(still_held),
            };
            match checked {
                Ok(()) => return self.finish(&restic, written, &held, Arc::clone(&take.clock)).await,
                Err(error) => {
                    // It would only be in the way of those that are whole.
                    let arguments = ["forget", &written.snapshot].map(AsRef::as_ref);
                    let forgotten = restic.succeed("forget what is not whole", &arguments, &mut |_words| {}).await;
                    if let Err(error) = forgotten {
                        tracing::warn!(%error, snapshot = written.snapshot, "a backup that is not whole stays, unverified");
                    }
                    if attempt >= ATTEMPTS_MAX {
                        return Err(error);
                    }
                    tracing::warn!(%error, "the backup is not whole; once more");
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The backup that this one goes on from: what is as it was then is not read again. Unlocks what somebody who was
    /// killed has left locked.
    async fn parent(&self, restic: &Restic) -> Result<Option<String>, RepositoryError> {
        let seen = Glance::at(self.target());
        if seen.as_ref().is_none_or(Glance::is_locked) {
            // Those of others that live are not touched.
            restic.succeed("open the repository", &["unlock".as_ref()], &mut |_words| {}).await?;
        }
        if let Some(seen) = &seen {
            if seen.has_none() {
                return Ok(None);
            }
            // One that failed may have written more than the last one that went well: then restic is asked.
            if let Outcomes { success: Some(last), failure: None } = Outcomes::read(&self.data_dir)
                && last.repository == self.target().to_string()
                && let Some(id) = last.snapshot.as_deref().and_then(|id| seen.find(id))
            {
                return Ok(Some(id.to_owned()));
            }
        }
        let before = snapshots::list(restic).await?;
        let parent = before.into_iter().rfind(|snapshot| snapshot.node == node_name());
        Ok(parent.map(|snapshot| snapshot.id))
    }

    /// Tags what is whole; and counts the files that had lost their bytes before, which no backup can bring back.
    async fn finish(
        &self,
        restic: &Restic,
        written: Written,
        held: &Held,
        clock: Arc<dyn Clock>,
    ) -> Result<Written, RepositoryError> {
        let before = Glance::at(self.target());
        let arguments = ["tag", "--add", VERIFIED, &written.snapshot].map(AsRef::as_ref);
        let tag = async {
            restic.succeed("tag the backup as whole", &arguments, &mut |_words| {}).await?;
            self.tagged(restic, before.as_ref(), &written.snapshot).await
        };
        let (snapshot, files_without_bytes) = tokio::try_join!(tag, without_bytes(held, &written.inventory, clock))?;
        Ok(Written { snapshot, files_without_bytes, ..written })
    }

    /// The id that a snapshot has since it was tagged.
    async fn tagged(
        &self,
        restic: &Restic,
        before: Option<&Glance>,
        snapshot: &str,
    ) -> Result<String, RepositoryError> {
        let after = Glance::at(self.target());
        if let Some(new) = before.zip(after.as_ref()).and_then(|(before, after)| after.new_since(before)) {
            return Ok(snapshots::short(new).to_owned());
        }
        let all = snapshots::list(restic).await?;
        let is_it = |id: &str| id.starts_with(snapshot);
        let tagged =
            all.iter().rfind(|snapshot| snapshot.original.as_deref().is_some_and(is_it) || is_it(&snapshot.id));
        Ok(tagged.map_or_else(|| snapshot.to_owned(), |snapshot| snapshot.short_id().to_owned()))
    }
}

/// Writes one snapshot; and whether restic could read everything.
async fn write(
    restic: &Restic,
    held: &Held,
    config: Option<&Path>,
    parent: Option<&str>,
) -> Result<(Written, Result<(), RepositoryError>), RepositoryError> {
    let inventory = Inventory::of(held, config)?;
    let file = held.copies().join(MANIFEST);
    let text = serde_json::to_vec(&inventory).expect("a manifest has only plain fields");
    private_file::write(&file, &text).map_err(RepositoryError::io("write", &file))?;
    restic.let_in(held.copies())?;
    let tags = [
        OURS.to_owned(),
        format!("format={}", inventory.format),
        format!("version={}", inventory.appliance_version),
        format!("files={}", inventory.files.len()),
        format!("bytes={}", inventory.size_bytes()),
    ];
    let mut arguments: Vec<OsString> = ["backup", "--json", "--ignore-ctime", "--host"].map(OsString::from).into();
    arguments.push(inventory.node.clone().into());
    arguments.extend(tags.iter().flat_map(|tag| [OsString::from("--tag"), tag.into()]));
    arguments.extend(parent.into_iter().flat_map(|id| [OsString::from("--parent"), id.into()]));
    arguments.extend(inventory.targets().into_iter().map(PathBuf::into_os_string));
    let arguments: Vec<_> = arguments.iter().map(OsString::as_os_str).collect();
    let (doing, mut summary) = ("write the backup", Summary::default());
    let mut read = |line: &[u8]| {
        if let Ok(said) = serde_json::from_slice::<Summary>(line)
            && said.message_type == "summary"
        {
            summary = said;
        }
    };
    let ended = restic.lines(doing, &arguments, &mut read).await?;
    let refused = || restic.refused(doing, ended.said.clone());
    let incomplete = ended.status.code() == Some(INCOMPLETE);
    if summary.snapshot_id.is_empty() || !(ended.status.success() || incomplete) {
        return Err(refused());
    }
    let Summary { snapshot_id: snapshot, data_added: added_bytes, .. } = summary;
    let whole = if incomplete { Err(refused()) } else { Ok(()) };
    Ok((Written { snapshot, inventory, added_bytes, files_without_bytes: 0 }, whole))
}

/// Files whose bytes are not in the backup: nothing was removed while it was taken, so they were lost before. The copies
/// have been saved: they may be opened.
async fn without_bytes(held: &Held, inventory: &Inventory, clock: Arc<dyn Clock>) -> Result<u64, RepositoryError> {
    let there: HashSet<(&str, u64)> =
        inventory.files.iter().filter_map(|entry| Some((entry.path.rsplit_once('/')?.1, entry.size_bytes))).collect();
    let store: Arc<dyn Store> = picloud_store::open(OpenSettings::new(held.copies()), clock).await?;
    let (mut after, mut lost) = (None, 0);
    loop {
        let rows = store.files_by_blob(after, ROWS_MAX).await?;
        let Some(last) = rows.last() else { return Ok(lost) };
        after = Some(last.blob);
        for row in &rows {
            if !there.contains(&(row.blob.to_string().as_str(), row.size_bytes)) {
                tracing::warn!(collection = row.collection, file = %row.id, "the bytes of this file are lost; the backup is without them");
                lost += 1;
            }
        }
    }
}
