//! Whether anybody else is at the database: those of an appliance that has just ended are seen there for a moment.

use sqlx::PgConnection;
use std::time::{Duration, Instant};

/// How long the database may take to notice that somebody has ended.
const OTHERS_GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Connections of others that are there, once those of whoever has just ended are gone.
pub(super) async fn others_that_stay(conn: &mut PgConnection) -> sqlx::Result<i64> {
    let began = Instant::now();
    loop {
        let others = others_at_work(conn).await?;
        if others == 0 || began.elapsed() >= OTHERS_GONE_WITHIN {
            return Ok(others);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Connections of appliances, and of whoever moves the store.
async fn others_at_work(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND application_name LIKE 'picloud%'",
    )
    .fetch_one(conn)
    .await
}
