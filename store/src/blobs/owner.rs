//! To which database the folder belongs: an id that is kept in both. With another database every blob would be one
//! without a row, and be swept away.

use super::error::io;
use super::{BlobError, Blobs, FILE_MODE, blocking};
use crate::{Files, Kept, Others, StoreError};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use uuid::Uuid;

/// The file that holds the id.
const OWNER: &str = "database";
/// Under which name the database keeps it.
const KEPT_AS: &str = "files_root_id";

/// Why the folder cannot be used with a database.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// It holds the files of another one.
    #[error("the folder of files `{}` belongs to another database", root.display())]
    Other {
        /// The folder.
        root: std::path::PathBuf,
    },
    /// The database has files, and none of them are there.
    #[error("the database has files, and the folder of files `{}` is empty", root.display())]
    Missing {
        /// The folder.
        root: std::path::PathBuf,
    },
    /// Another appliance on the database keeps the files in another folder.
    #[error("appliance `{name}` on the same database keeps files in another folder than `{}`", root.display())]
    Elsewhere {
        /// The folder.
        root: std::path::PathBuf,
        /// That appliance.
        name: String,
    },
    /// The id could not be read or written.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OwnerError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Other { root } => format!(
                "set the `files_root` of this appliance, or put back the database that the files are of; if they are to be \
                 this one's nevertheless, remove `{}`: those that it has no rows for are then swept away",
                root.join(OWNER).display()
            ),
            Self::Missing { .. } => {
                "is its disk mounted? Set `files_root` to the folder with the files, which is one for all \
                                     appliances on a database; if they are lost, make an empty folder `00` in it"
                    .to_owned()
            }
            Self::Elsewhere { .. } => {
                "set `files_root` of both to one folder, on a disk that both reach: what one stores the other reads"
                    .to_owned()
            }
            Self::Blobs(_) => {
                "give the folder to this appliance alone and to its user, or set another one: files_root".to_owned()
            }
            Self::Store(_) => "try again when the database answers".to_owned(),
        }
    }
}

impl Blobs {
    /// Makes the folder the database's, or finds that it is; refuses one that holds files of another, and an empty one where
    /// the database has files.
    pub async fn belong_to(&self, store: &(impl Kept + Files + Others + ?Sized)) -> Result<(), OwnerError> {
        let blobs = self.clone();
        let (found, is_empty) = blocking(move || Ok((read(blobs.root())?, blobs.is_empty()?))).await?;
        let kept = store.kept(KEPT_AS).await?;
        if found.is_some() && found == kept {
            return Ok(());
        }
        // Without blobs it is anybody's.
        if found.is_some() && !is_empty {
            return Err(OwnerError::Other { root: self.root().to_owned() });
        }
        if is_empty && kept.is_some() {
            if !store.files_by_blob(None, 1).await?.is_empty() {
                return Err(OwnerError::Missing { root: self.root().to_owned() });
            }
            if let Some((name, _address)) = store.others().await?.into_iter().next() {
                return Err(OwnerError::Elsewhere { root: self.root().to_owned(), name });
            }
        }
        // First the database: with a file alone the next start would take this one for another's.
        let id = store.keep(KEPT_AS, Uuid::new_v4().to_string().as_bytes()).await?;
        let blobs = self.clone();
        Ok(blocking(move || blobs.write_owner(&id)).await?)
    }

    /// Whether it has no folder of blobs.
    fn is_empty(&self) -> Result<bool, BlobError> {
        let entries = std::fs::read_dir(self.root()).map_err(io("read the folder", self.root()))?;
        for entry in entries {
            let name = entry.map_err(io("read the folder", self.root()))?.file_name();
            let digits = name.as_encoded_bytes();
            if digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write_owner(&self, id: &[u8]) -> Result<(), BlobError> {
        let (temp, path) = (self.temp_path(Uuid::new_v4()), self.root().join(OWNER));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(FILE_MODE).open(&temp).map_err(io("make", &temp))?;
        file.write_all(id).and_then(|()| file.sync_all()).map_err(io("write", &temp))?;
        std::fs::rename(&temp, &path).map_err(io("rename", &temp))?;
        File::open(self.root()).and_then(|root| root.sync_all()).map_err(io("sync", self.root()))
    }
}

fn read(root: &Path) -> Result<Option<Vec<u8>>, BlobError> {
    let path = root.join(OWNER);
    match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(io("read", &path)),
    }
}
