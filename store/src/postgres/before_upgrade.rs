//! The way to the database at the start: one appliance at a time, the schema changed by one that is alone, and before
//! that a checked copy of everything in the data folder, as the two files that SQLite would have.

use super::alone::others_that_stay;
use super::connection::Address;
use super::migrate;
use super::tables::PgSide;
use crate::migrate_store::{Part, Side as _, Table, copy, verify};
use crate::sqlite::{SqliteSide, tables_at};
use crate::upgrade::{
    CopiedTable, Copying, Schema, StoreLook, check_room, expire_copies, free_bytes, go_on, needed_bytes, upgrade_copies,
};
use crate::{OpenError, OpenSettings};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use std::path::Path;

/// What all appliances lock for the moment in which they come.
const GATE: i64 = 0x7069_636c_6f75_6401;

/// Held until the appliance can be seen at the database by whoever comes after it.
pub(super) struct Gate {
    pool: PgPool,
    _locked: PoolConnection<Postgres>,
}

impl Gate {
    /// Waits until nobody else comes, and brings the schema up to date.
    pub(super) async fn pass(settings: &OpenSettings, address: &Address, at: UnixMs) -> Result<Self, OpenError> {
        let pool = address.pool_to_migrate();
        let mut locked = pool.acquire().await.map_err(|error| address.unreachable(error))?;
        let took = sqlx::query("SELECT pg_advisory_lock($1)").bind(GATE).execute(&mut *locked).await;
        took.map_err(|error| address.unreachable(error))?;
        let (found, known) = migrate::schema(&mut locked, address).await?;
        if 0 < found && found < known {
            let others = others_that_stay(&mut locked).await.map_err(|error| address.unreachable(error))?;
            if others > 0 {
                return Err(OpenError::OthersAtWork { shown: address.shown.clone(), connections: others });
            }
            tracing::info!(dir = %settings.data_dir.display(), from = found, to = known, "the database is copied before its schema is changed");
            copy_checked(&settings.data_dir, address, at, (found, known)).await?;
        }
        if found < known {
            migrate::run(&mut locked, address, known).await?;
        }
        Ok(Self { pool, _locked: locked })
    }

    /// Lets the next one in.
    pub(super) async fn leave(self) {
        // The lock goes with its connection.
        let Self { pool, _locked } = self;
        drop(_locked.detach());
        pool.close().await;
    }
}

async fn database_bytes(pool: &PgPool) -> sqlx::Result<u64> {
    let bytes: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(pool).await?;
    Ok(bytes.unsigned_abs())
}

/// Copies the database as it is, and reads the copy again.
async fn copy_checked(
    data_dir: &Path,
    address: &Address,
    at: UnixMs,
    (found, known): (i64, i64),
) -> Result<(), OpenError> {
    let pool = address.pool_to_migrate();
    check_room(data_dir, database_bytes(&pool).await.map_err(|error| address.unreachable(error))?)?;
    let schema = Schema { data: found, history: 0 };
    let copying = Copying::begin(data_dir, schema, at, &go_on)?;
    match write(&copying.dir, address, &pool, found).await {
        Ok(tables) => {
            let to = Schema { data: known, history: 0 };
            let copy = copying.keep("postgres", at, (schema, to), tables)?;
            expire_copies(data_dir, at)?;
            tracing::info!(copy = %copy.dir.display(), bytes = copy.manifest.size_bytes(), "the copy is whole");
            Ok(())
        }
        Err(error) => {
            copying.give_up();
            Err(error)
        }
    }
}

/// Writes the files, and reads them again; answers what is in them.
async fn write(dir: &Path, address: &Address, pool: &PgPool, found: i64) -> Result<Vec<CopiedTable>, OpenError> {
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| OpenError::Unusable { path: dir.to_owned(), source };
    let (data, history) = migrate::files_of(found);
    let tables = tables_at(data, history)?;
    let mut to = SqliteSide::make_at(dir, data, history)?;
    let mut from = PgSide::begin_to_read(pool).await.map_err(|error| address.unreachable(error))?;
    let copied = copy(&mut from, &mut to, &tables, &mut |_progress| {}).await;
    let sums = copied.map_err(|error| failed(Box::new(error)))?;
    Box::new(to).keep().await.map_err(failed)?;
    let mut again = SqliteSide::read_at(dir, data, history)?;
    verify(&mut again, &tables, &sums).await.map_err(|error| failed(Box::new(error)))?;
    let copied = tables.into_iter().zip(sums);
    Ok(copied
        .map(|(Table { part, name, .. }, sum)| CopiedTable {
            file: crate::sqlite::DATABASE_FILES[usize::from(part == Part::History)].to_owned(),
            name,
            rows: sum.rows,
            sha256: ContentHash(sum.sha256),
        })
        .collect())
}

/// Looks at the database, and changes nothing.
pub(crate) async fn look(settings: &OpenSettings, url: &str) -> Result<StoreLook, OpenError> {
    let address = Address::parse(url)?;
    let pool = address.pool(1);
    let mut conn = pool.acquire().await.map_err(|error| address.unreachable(error))?;
    let (found, known) = migrate::schema(&mut conn, &address).await?;
    drop(conn);
    let bytes = database_bytes(&pool).await.map_err(|error| address.unreachable(error))?;
    let dir = &settings.data_dir;
    let there = dir.exists();
    Ok(StoreLook {
        found: (found > 0).then_some(Schema { data: found, history: 0 }),
        known: Schema { data: known, history: 0 },
        needed_bytes: needed_bytes(bytes),
        free_bytes: if there { free_bytes(dir)? } else { 0 },
        damage: None,
        copies: if there { upgrade_copies(dir)? } else { Vec::new() },
    })
}
