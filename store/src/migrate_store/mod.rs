//! From one store to another: SQLite to Postgres, and back.
//!
//! Table by table, each behind those that it refers to, as plain values, into a new store only. Then both sides are
//! compared, by number and by a hash over every row in the order of its key; only then is it kept. What the tables are
//! is read from the schema of SQLite, so that a new table is copied without a line here.

mod copy;
mod error;
mod folder;
mod side;
mod table;
mod value;

pub use error::MigrateError;

pub(crate) use copy::{CopyError, copy, first_used};
pub(crate) use side::{Side, SideError, SideResult};
pub(crate) use table::{Column, Part, Table};
pub(crate) use value::{Kind, Row, Value};

use crate::postgres::{PgSide, masked};
use crate::sqlite::tables;
pub(crate) use copy::verify;
use folder::{FolderSource, FolderTarget};
use picloud_model::hash::ContentHash;
use std::path::PathBuf;
use value::Sum;

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// SQLite, in this data folder.
    Dir(PathBuf),
    /// Postgres.
    Url(String),
}

impl StorePlace {
    /// `postgres://…`, or else a folder.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::Url(text.to_owned())
        } else {
            Self::Dir(PathBuf::from(text))
        }
    }
}

/// Without the password.
impl std::fmt::Display for StorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dir(dir) => write!(f, "{}", dir.display()),
            Self::Url(url) => f.write_str(&masked(url)),
        }
    }
}

impl std::fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct MoveProgress<'a> {
    /// The table.
    pub table: &'a str,
    /// Rows of it that were copied.
    pub done: u64,
    /// Rows that it has.
    pub rows: u64,
}

/// A table that was moved: the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTable {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Over all of them in the order of their key.
    pub sha256: ContentHash,
}

/// Moves the store at `from` into the new one at `to`, and tells `progress` how far it is. Files of apps are no part of
/// it: they stay in their folder, and belong to whoever has the rows.
pub async fn migrate_store(
    from: &StorePlace,
    to: &StorePlace,
    progress: &mut (dyn FnMut(MoveProgress<'_>) + Send),
) -> Result<Vec<MovedTable>, MigrateError> {
    if from == to {
        return Err(MigrateError::SamePlace(from.clone()));
    }
    let tables = tables()?;
    // Of a folder, its lock as well.
    let (mut source, _lock): (Box<dyn Side>, _) = match from {
        StorePlace::Dir(dir) => {
            let folder = FolderSource::open(dir).await?;
            (Box::new(folder.side), Some(folder.lock))
        }
        StorePlace::Url(url) => (Box::new(PgSide::read_alone(url).await?), None),
    };
    let sums = match to {
        StorePlace::Dir(dir) => {
            let (target, mut side) = FolderTarget::make(dir).await?;
            let sums =
                copy(source.as_mut(), &mut side, &tables, progress).await.map_err(MigrateError::copy(from, to))?;
            let kept = Box::new(side).keep().await;
            kept.map_err(|source| MigrateError::Copy { from: from.clone(), to: to.clone(), source })?;
            verify(&mut target.read().await?, &tables, &sums).await.map_err(MigrateError::copy(from, to))?;
            target.put_in_place().await?;
            sums
        }
        StorePlace::Url(url) => {
            let mut side = PgSide::write(url, &tables).await?;
            if let Some((table, rows)) = first_used(&mut side, &tables).await.map_err(MigrateError::copy(from, to))? {
                let what = format!("table `{}` has {rows} rows", table.name);
                return Err(MigrateError::NotEmpty { place: to.clone(), what });
            }
            let sums =
                copy(source.as_mut(), &mut side, &tables, progress).await.map_err(MigrateError::copy(from, to))?;
            verify(&mut side, &tables, &sums).await.map_err(MigrateError::copy(from, to))?;
            let kept = Box::new(side).keep().await;
            kept.map_err(|source| MigrateError::Copy { from: from.clone(), to: to.clone(), source })?;
            sums
        }
    };
    let moved = tables.into_iter().zip(sums);
    Ok(moved
        .map(|(table, Sum { rows, sha256 })| MovedTable { name: table.name, rows, sha256: ContentHash(sha256) })
        .collect())
}
