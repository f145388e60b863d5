//! The migrations, with checksums, under a lock: appliances that start at once bring the schema up to date once.
//!
//! To change the schema: a new pair of files, here and for SQLite (a landed one is never edited), and a line below.

use super::connection::Address;
use crate::OpenError;
use sqlx::{PgPool, SqlStr};
use sqlx_core::migrate::{Migration, MigrationType, Migrator};
use std::borrow::Cow;

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "start", include_str!("../../../migrations/postgres/V001__start.sql")),
    (2, "control", include_str!("../../../migrations/postgres/V002__control.sql")),
    (3, "events", include_str!("../../../migrations/postgres/V003__events.sql")),
    (4, "cluster", include_str!("../../../migrations/postgres/V004__cluster.sql")),
];

/// Brings the database to this program's schema; refuses one of a newer program, and one made with other migrations.
pub(super) async fn migrate(pool: &PgPool, address: &Address) -> Result<(), OpenError> {
    let (found, known) = schema(pool, address).await?;
    // The runner locks and reads; a start that has nothing to do does nothing.
    if found < known {
        let unusable = |error| OpenError::Unusable { path: address.shown.clone().into(), source: Box::new(error) };
        // However long that takes, and however long another appliance that is at it.
        let patient = address.pool_to_migrate();
        migrator().run(&patient).await.map_err(unusable)?;
        patient.close().await;
    }
    Ok(())
}

/// Refuses a database that is not of this program's schema, and leaves it as it is.
pub(super) async fn check(pool: &PgPool, address: &Address) -> Result<(), OpenError> {
    let (found, known) = schema(pool, address).await?;
    if found < known {
        return Err(OpenError::Older { path: address.shown.clone().into(), found, known });
    }
    Ok(())
}

/// The schema of the database (0: it has none) and the newest one there is. Refuses what `migrate` refuses.
pub(super) async fn schema(pool: &PgPool, address: &Address) -> Result<(i64, i64), OpenError> {
    let shown = || address.shown.clone();
    let unusable = |source| OpenError::Unusable { path: shown().into(), source };
    let migrator = migrator();
    let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
    let applied = applied(pool).await.map_err(|error| unusable(Box::new(error)))?;
    let found = applied.last().map_or(0, |(version, ..)| *version);
    if found > known {
        return Err(OpenError::Newer { path: shown().into(), found, known });
    }
    for (version, name, checksum) in &applied {
        let same = migrator.iter().any(|one| one.version == *version && *one.checksum == **checksum);
        if !same {
            let migration = format!("V{version:03}__{name}");
            return Err(OpenError::ChangedMigration { path: shown().into(), migration });
        }
    }
    Ok((found, known))
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, SqlStr::from_static(sql), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Version, name and checksum of what was applied, by version.
async fn applied(pool: &PgPool) -> sqlx::Result<Vec<(i64, String, Vec<u8>)>> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?;
    if !there {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, description, checksum FROM _sqlx_migrations ORDER BY version").fetch_all(pool).await
}
