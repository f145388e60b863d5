//! A run's row, read.

use super::error::JobResult;
use crate::execution_body::{self, Stored};
use picloud_model::execution::Execution;
use rusqlite::Row;

/// The columns that [`read`] takes, in its order.
pub(super) const COLUMNS: &str = "id, root_id, app_id, script, outcome, started_at, trigger_name, body";

/// Reads the [`COLUMNS`] of a row.
pub(super) fn read(row: &Row<'_>) -> JobResult<Execution> {
    Ok(execution_body::read(Stored {
        id: row.get(0)?,
        root_id: row.get(1)?,
        app_id: row.get(2)?,
        script: row.get(3)?,
        outcome: row.get(4)?,
        started_at: row.get(5)?,
        trigger_name: row.get(6)?,
        body: row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?,
    })?)
}
