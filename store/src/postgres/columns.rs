//! Columns read as what they hold: numbers that are never negative, ids, JSON, and an event's seven.

use super::error::{JobResult, unreadable};
use picloud_model::event::{Event, EventKind};
use picloud_model::ids::{EventId, ExecutionId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

/// A count, which is no less than 0 and far from its end.
pub(super) fn count_at(row: &PgRow, column: usize) -> JobResult<u32> {
    Ok(u32::try_from(row.try_get::<i64, _>(column)?).unwrap_or(u32::MAX))
}

/// The UUID in the column.
pub(super) fn uuid_at(row: &PgRow, column: usize) -> JobResult<Uuid> {
    Ok(Uuid::from_bytes(row.try_get(column)?))
}

/// The UUID in the column, if there is one.
pub(super) fn some_uuid_at(row: &PgRow, column: usize) -> JobResult<Option<Uuid>> {
    Ok(row.try_get::<Option<[u8; 16]>, _>(column)?.map(Uuid::from_bytes))
}

/// What is in the column as JSON.
pub(super) fn json_at<T: serde::de::DeserializeOwned>(row: &PgRow, column: usize) -> JobResult<T> {
    Ok(serde_json::from_str(row.try_get(column)?)?)
}

/// The event in the seven columns from `first` on: `event_id, kind, at, root_id, depth, chain, body`.
pub(super) fn event_at(row: &PgRow, first: usize) -> JobResult<Event> {
    Ok(Event {
        id: EventId(uuid_at(row, first)?),
        kind: kind_at(row, first + 1)?,
        at: row.try_get(first + 2)?,
        root_id: ExecutionId(uuid_at(row, first + 3)?),
        depth: count_at(row, first + 4)?,
        chain: json_at(row, first + 5)?,
        body: row.try_get(first + 6)?,
    })
}

/// What kind of event it is.
pub(super) fn kind_at(row: &PgRow, column: usize) -> JobResult<EventKind> {
    EventKind::parse(row.try_get(column)?).ok_or_else(|| unreadable("kind", "the kind of event"))
}
