//! The data at one moment, held while it is saved: copies of the databases, and every file kept in its place. Writes go
//! on meanwhile.
//!
//! Where an appliance runs it holds them, as long as the answer to our request is open; where none does, this process
//! has the store itself.

use super::RepositoryError;
use crate::appliance::node_name;
use crate::backup::contents::{Contents, Source, Turn};
use crate::backup::local::{Local, Opened};
use crate::config::Settings;
use picloud_model::audit::Act;
use picloud_model::clock::{Clock, UnixMs};
use picloud_store::{OpenError, OpenSettings, Store};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What is said while another backup is taken.
const BUSY: &str = "another backup is under way";
/// How often it is asked again then, and how long after.
const TRIES_MAX: u32 = 10;
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// What an appliance answers, in the first line, to whoever asks it to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Holding {
    /// The folder with the copies of the databases.
    pub copies: String,
    /// The machine.
    pub node: String,
    /// When it was begun, in milliseconds since 1970.
    pub created_at_ms: UnixMs,
}

/// What is held. Dropping it lets go.
pub(super) struct Held {
    /// The data folder.
    pub(super) data_dir: PathBuf,
    /// Where bytes of files are.
    pub(super) files_dir: PathBuf,
    /// The machine.
    pub(super) node: String,
    /// When it was begun.
    pub(super) created_at: UnixMs,
    copies: PathBuf,
    holder: Holder,
}

enum Holder {
    /// This process.
    Here { _store: Arc<dyn Store>, _contents: Contents },
    /// The appliance that runs.
    There(Opened),
}

impl Held {
    /// Holds the data of these settings.
    pub(super) async fn take(settings: &Settings, clock: Arc<dyn Clock>, act: &Act) -> Result<Self, RepositoryError> {
        let data_dir = std::path::absolute(&settings.data_dir);
        let data_dir = data_dir.map_err(RepositoryError::io("find", &settings.data_dir))?;
        let files_dir = std::path::absolute(settings.files_dir());
        let files_dir = files_dir.map_err(RepositoryError::io("find", &settings.data_dir))?;
        let at = OpenSettings::new(&settings.data_dir).with_database(settings.database_url.clone());
        match picloud_store::open(at, clock).await {
            Ok(store) => {
                let node = node_name();
                let source = Source::of(settings, &node, None);
                let contents = Contents::gather(source, store.as_ref(), &Turn::default(), act).await?;
                let copies = data_dir.join(contents.copies().file_name().unwrap_or_default());
                let created_at = contents.created_at;
                Ok(Self {
                    data_dir,
                    files_dir,
                    node,
                    created_at,
                    copies,
                    holder: Holder::Here { _store: store, _contents: contents },
                })
            }
            Err(OpenError::Taken { .. }) => {
                let mut opened = ask_to_hold(settings).await.map_err(RepositoryError::Appliance)?;
                let line = opened.line().await.map_err(RepositoryError::Appliance)?;
                let holding: Holding = serde_json::from_slice(&line).map_err(|error| {
                    RepositoryError::Appliance(format!(
                        "the appliance answers what cannot be understood: {error}\nhint: it is of another version; restart it"
                    ))
                })?;
                let Holding { copies, node, created_at_ms } = holding;
                let copies = data_dir.join(Path::new(&copies).file_name().unwrap_or_default());
                Ok(Self { data_dir, files_dir, node, created_at: created_at_ms, copies, holder: Holder::There(opened) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The folder of the copies.
    pub(super) fn copies(&self) -> &Path {
        &self.copies
    }

    /// Whether it was held until now.
    pub(super) fn check(&self) -> Result<(), RepositoryError> {
        match &self.holder {
            Holder::There(opened) if opened.is_over() => Err(RepositoryError::Appliance(
                "the appliance ended while it was backed up\nhint: see its log, and start the backup again".to_owned(),
            )),
            Holder::Here { .. } | Holder::There(_) => Ok(()),
        }
    }
}

/// Asks the appliance that runs. A backup that has just ended is noticed by it a moment later.
async fn ask_to_hold(settings: &Settings) -> Result<Opened, String> {
    let mut tries = 1;
    loop {
        let asked = Local::find(settings).await?.open("POST", "/api/v1/backup/copies").await;
        match asked {
            Err(refused) if refused.contains(BUSY) && tries < TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(TRY_AGAIN).await;
            }
            asked => return asked,
        }
    }
}
