//! Why nobody can go back.

use crate::OpenError;
use std::path::PathBuf;

/// Why nobody can go back. [`GoBackError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum GoBackError {
    /// The folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is nothing to go back to.
    #[error("`{}` has no copy from before an upgrade{}", dir.display(), of_known(*known))]
    NoCopy {
        /// The data folder.
        dir: PathBuf,
        /// The newest schema that was looked for, where there are only newer ones.
        known: Option<i64>,
    },
    /// It has others.
    #[error("`{}` has no copy called `{name}`; it has {}", dir.display(), names.join(", "))]
    UnknownCopy {
        /// The data folder.
        dir: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// It is not what was written.
    #[error("the copy `{}` is damaged: {what}", dir.display())]
    Damaged {
        /// The copy.
        dir: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It was in a database.
    #[error("the copy `{}` is of a Postgres database", dir.display())]
    OfPostgres {
        /// The copy.
        dir: PathBuf,
    },
}

fn of_known(known: Option<i64>) -> String {
    known.map(|known| format!(" that this program could open (schema {known} or older)")).unwrap_or_default()
}

impl GoBackError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Open(error) => error.hint(),
            Self::NoCopy { known: None, .. } => {
                "copies are kept for two weeks; put back a backup instead: `picloud-appliance restore`".to_owned()
            }
            Self::NoCopy { known: Some(_), .. } => {
                "install the PiCloud that made the copy, and go back with that".to_owned()
            }
            Self::UnknownCopy { .. } => "name one of those, or none for the newest".to_owned(),
            Self::Damaged { .. } => {
                "the disk may be failing; nothing was changed. Name an older copy, or put back a backup".to_owned()
            }
            Self::OfPostgres { dir } => format!(
                "move it into a new, empty database with the older PiCloud: `picloud-appliance migrate-store --from {} --to \
                 postgres://…`, and set `database_url` to that",
                dir.display()
            ),
        }
    }
}
