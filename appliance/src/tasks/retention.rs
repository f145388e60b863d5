//! Drops executions that are older than they are kept: at the start and once a day.

use picloud_model::clock::Clock;
use picloud_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// How often.
const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after the start, so that it takes nothing from the first answers.
const FIRST_AFTER: Duration = Duration::from_secs(30);

/// Drops for ever.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
        match store.expire_executions(clock.now_ms()).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "executions older than they are kept were dropped"),
            Err(error) => tracing::warn!(%error, "old executions could not be dropped"),
        }
        tokio::time::sleep(PERIOD).await;
    }
}
