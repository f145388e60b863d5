//! One of the two stores between which rows are copied.

use super::table::Table;
use super::value::{Row, Value};
use async_trait::async_trait;

/// Why a side failed, as its database said it.
pub(crate) type SideError = Box<dyn std::error::Error + Send + Sync>;
/// What a side answers.
pub(crate) type SideResult<T> = Result<T, SideError>;

/// A store as tables, at one moment. What is written into one is there once [`Side::keep`] was answered, and not before.
#[async_trait]
pub(crate) trait Side: Send {
    /// Up to `rows_max` rows behind the one with the key `after`, in the order of the key.
    async fn rows_after(&mut self, table: &Table, after: Option<&[Value]>, rows_max: u32) -> SideResult<Vec<Row>>;
    /// How many rows the table has.
    async fn count(&mut self, table: &Table) -> SideResult<u64>;
    /// Adds rows; those that a new store has already are replaced.
    async fn insert(&mut self, table: &Table, rows: Vec<Row>) -> SideResult<()>;
    /// The highest id that was given out in a table that counts ids, 0 before the first.
    async fn last_id(&mut self, table: &Table) -> SideResult<i64>;
    /// Ids go on behind this one.
    async fn set_last_id(&mut self, table: &Table, id: i64) -> SideResult<()>;
    /// Keeps what was written.
    async fn keep(self: Box<Self>) -> SideResult<()>;
}
