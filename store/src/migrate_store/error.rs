//! Why a store could not be moved.

use super::StorePlace;
use super::copy::CopyError;
use crate::OpenError;

/// Why a store could not be moved; the target is as it was. [`MigrateError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// From and to are one.
    #[error("`{0}` is the source and the target")]
    SamePlace(StorePlace),
    /// A store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no store.
    #[error("there is no store in `{0}`")]
    NoStore(StorePlace),
    /// An appliance has it open.
    #[error("`{place}` is in use: {connections} connections of PiCloud are open")]
    InUse {
        /// The store.
        place: StorePlace,
        /// How many.
        connections: i64,
    },
    /// The target is not empty.
    #[error("`{place}` is not empty: {what}")]
    NotEmpty {
        /// The store.
        place: StorePlace,
        /// What is there: `table \`apps\` has 3 rows`.
        what: String,
    },
    /// Rows could not be copied, or are not the same afterwards.
    #[error("{from} could not be moved to {to}")]
    Copy {
        /// The source.
        from: StorePlace,
        /// The target.
        to: StorePlace,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl MigrateError {
    pub(super) fn copy(from: &StorePlace, to: &StorePlace) -> impl Fn(CopyError) -> Self {
        move |source| Self::Copy { from: from.clone(), to: to.clone(), source: Box::new(source) }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::SamePlace(_) => "name two different stores".to_owned(),
            Self::Open(error) => error.hint(),
            Self::NoStore(StorePlace::Dir(dir)) => {
                format!(
                    "a store is the `data-dir` of an appliance, with `picloud.db` in it; look at `{}`",
                    dir.display()
                )
            }
            Self::NoStore(StorePlace::Url(_)) => "check the name of the database in the URL".to_owned(),
            Self::InUse { .. } => "stop every appliance that uses it, then try again".to_owned(),
            Self::NotEmpty { place: StorePlace::Dir(_), .. } => {
                "name a folder without a store, or move that store away first".to_owned()
            }
            Self::NotEmpty { place: StorePlace::Url(_), .. } => {
                "make a new database (`createdb`) and name that one".to_owned()
            }
            Self::Copy { .. } => {
                "the source and the target are as they were; try again when the cause is gone".to_owned()
            }
        }
    }
}
