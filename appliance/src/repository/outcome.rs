//! What came of the last backups: a small file in the data folder, for `/status`, metrics, `doctor` and people; and an
//! entry in the audit log.

use super::RepositoryError;
use crate::backup::local::Local;
use crate::config::Settings;
use picloud_cluster::private_file;
use picloud_model::audit::Act;
use picloud_model::clock::{Clock, UnixMs, rfc3339};
use picloud_store::{OpenError, OpenSettings, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// The file.
const FILE: &str = "backup-outcome.json";
/// Largest such file.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Of an error, and of every other text, so much is kept.
pub(super) const ERROR_CHARS_MAX: usize = 2_000;

/// What came of one backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BackupOutcome)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// When it ended.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMs,
    /// Whether there is one more backup, written and looked at.
    pub ok: bool,
    /// Where it went.
    pub repository: String,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// How long it took.
    #[schema(minimum = 0)]
    pub took_ms: u64,
    /// Files in it.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub files: u64,
    /// Bytes of everything in it.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub size_bytes: u64,
    /// Bytes that the repository grew by.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub added_bytes: u64,
    /// Files of apps whose bytes had been lost before.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub files_without_bytes: u64,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is known of backups into the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BackupOutcomes)]
pub struct Outcomes {
    /// The last one that went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Outcome>,
    /// The last one that did not, where it is newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Outcome>,
}

impl Outcomes {
    /// What the data folder says. What cannot be read is as if there had been none.
    pub fn read(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE);
        match private_file::read(&path, FILE_BYTES_MAX) {
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(file = %path.display(), %error, "what came of the last backup cannot be understood");
                Self::default()
            }),
            Ok(None) => Self::default(),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "what came of the last backup cannot be read");
                Self::default()
            }
        }
    }

    /// With one more.
    fn with(self, outcome: &Outcome) -> Self {
        if outcome.ok {
            return Self { success: Some(outcome.clone()), failure: None };
        }
        Self { failure: Some(outcome.clone()), ..self }
    }
}

/// Writes one down, in the file and in the audit log: through the appliance that runs, or by ourselves.
pub(super) async fn keep(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    act: &Act,
    outcome: &Outcome,
) -> Result<(), RepositoryError> {
    if !settings.data_dir.is_dir() {
        return Ok(());
    }
    let at = OpenSettings::new(&settings.data_dir).with_database(settings.database_url.clone());
    match picloud_store::open(at, clock).await {
        Ok(store) => Ok(record(store.as_ref(), &settings.data_dir, act, outcome).await?),
        Err(OpenError::Taken { .. }) => {
            let body = serde_json::to_vec(outcome).expect("an outcome has only plain fields");
            let mut local = Local::find(settings).await.map_err(RepositoryError::Appliance)?;
            let told = local.ask("PUT", "/api/v1/backup/outcome", body).await;
            told.map(drop).map_err(RepositoryError::Appliance)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes one down where the store is.
pub(crate) async fn record(store: &dyn Store, data_dir: &Path, act: &Act, outcome: &Outcome) -> Result<(), StoreError> {
    let path = data_dir.join(FILE);
    let mut outcome = outcome.clone();
    for text in [Some(&mut outcome.repository), outcome.snapshot.as_mut(), outcome.error.as_mut()].into_iter().flatten()
    {
        *text = text.chars().take(ERROR_CHARS_MAX).collect();
    }
    let outcomes = Outcomes::read(data_dir).with(&outcome);
    let text = serde_json::to_vec_pretty(&outcomes).expect("outcomes have only plain fields");
    let written = private_file::write(&path, &text).and_then(|()| {
        // Root may have taken it for the appliance's user.
        let folder = std::fs::metadata(data_dir)?;
        let others = nix::unistd::geteuid().is_root() && folder.uid() != 0;
        if others { std::os::unix::fs::chown(&path, Some(folder.uid()), Some(folder.gid())) } else { Ok(()) }
    });
    written.map_err(|error| StoreError::Backend(Box::new(error)))?;
    let action = if outcome.ok { "backup.verified" } else { "backup.failed" };
    let mut after = serde_json::to_value(&outcome).expect("an outcome has only plain fields");
    if let Some(fields) = after.as_object_mut() {
        fields.remove("ok");
    }
    store.audit_done(act, None, action, &rfc3339(outcome.at), after).await
}
