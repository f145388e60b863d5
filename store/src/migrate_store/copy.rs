//! Table by table from one side to the other, and the comparison of both.

use super::MoveProgress;
use super::side::{Side, SideError};
use super::table::Table;
use super::value::{Row, Sum, Summing, Value};

/// Rows of the first page of a table.
const FIRST_ROWS: u32 = 64;
/// Rows of a page: within these, so many that a page has nearly [`PAGE_BYTES`].
const PAGE_ROWS_MIN: u32 = 8;
const PAGE_ROWS_MAX: u32 = 4_096;
/// A page in memory, once for each side.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The side that is read.
    #[error("table `{table}` could not be read")]
    Read {
        table: String,
        #[source]
        source: SideError,
    },
    /// The side that is written.
    #[error("table `{table}` could not be written")]
    Write {
        table: String,
        #[source]
        source: SideError,
    },
    /// What was written is not what was read.
    #[error("table `{table}` is not the same on both sides: {read} rows were read, {written} are there")]
    Differs { table: String, read: u64, written: u64 },
}

/// A page's length, out of what the last one took.
struct PageRows(u32);

impl PageRows {
    fn next(&mut self, rows: &[Row]) {
        let bytes: usize = rows.iter().flatten().map(Value::size_bytes).sum();
        let row_bytes = (bytes / rows.len().max(1)).max(1);
        let fit = u32::try_from(PAGE_BYTES / row_bytes).unwrap_or(PAGE_ROWS_MAX);
        // A page of larger rows may follow one of small ones: it grows step by step.
        self.0 = fit.clamp(PAGE_ROWS_MIN, PAGE_ROWS_MAX.min(self.0.saturating_mul(4)));
    }
}

/// A table that is read page by page.
struct Pages<'t> {
    table: &'t Table,
    summing: Summing,
    rows_max: PageRows,
    after: Option<Vec<Value>>,
    is_done: bool,
}

impl<'t> Pages<'t> {
    fn of(table: &'t Table) -> Self {
        Self { table, summing: Summing::default(), rows_max: PageRows(FIRST_ROWS), after: None, is_done: false }
    }

    /// The next rows; none at the end.
    async fn next(&mut self, side: &mut dyn Side) -> Result<Vec<Row>, CopyError> {
        if self.is_done {
            return Ok(Vec::new());
        }
        let asked = self.rows_max.0;
        let page = side.rows_after(self.table, self.after.as_deref(), asked).await;
        let rows = page.map_err(|source| CopyError::Read { table: self.table.name.clone(), source })?;
        self.is_done = rows.len() < asked as usize;
        if let Some(last) = rows.last() {
            self.after = Some(self.table.key_of(last));
            rows.iter().for_each(|row| self.summing.add(row));
            self.rows_max.next(&rows);
        }
        Ok(rows)
    }
}

/// Copies all tables into a new store; answers what each has.
pub(crate) async fn copy(
    from: &mut dyn Side,
    to: &mut dyn Side,
    tables: &[Table],
    progress: &mut (dyn FnMut(MoveProgress<'_>) + Send),
) -> Result<Vec<Sum>, CopyError> {
    let mut sums = Vec::with_capacity(tables.len());
    for table in tables {
        let read = |source| CopyError::Read { table: table.name.clone(), source };
        let write = |source| CopyError::Write { table: table.name.clone(), source };
        let rows = from.count(table).await.map_err(read)?;
        let mut done = 0;
        let mut pages = Pages::of(table);
        loop {
            let page = pages.next(from).await?;
            if page.is_empty() {
                break;
            }
            done += page.len() as u64;
            to.insert(table, page).await.map_err(write)?;
            progress(MoveProgress { table: &table.name, done, rows });
        }
        sums.push(pages.summing.sum());
        if table.counts_ids {
            let last = from.last_id(table).await.map_err(read)?;
            to.set_last_id(table, last).await.map_err(write)?;
        }
    }
    Ok(sums)
}

/// Reads all tables of what was written, and refuses one that is not what was read.
pub(crate) async fn verify(side: &mut dyn Side, tables: &[Table], sums: &[Sum]) -> Result<(), CopyError> {
    for (table, expected) in tables.iter().zip(sums) {
        let mut pages = Pages::of(table);
        while !pages.next(side).await?.is_empty() {}
        let found = pages.summing.sum();
        if found != *expected {
            return Err(CopyError::Differs { table: table.name.clone(), read: expected.rows, written: found.rows });
        }
    }
    Ok(())
}

/// The first table that has other rows than in a new store, and how many it has.
pub(crate) async fn first_used<'t>(
    side: &mut dyn Side,
    tables: &'t [Table],
) -> Result<Option<(&'t Table, u64)>, CopyError> {
    for table in tables {
        let rows = side.count(table).await.map_err(|source| CopyError::Read { table: table.name.clone(), source })?;
        if rows > table.first_rows.len() as u64 {
            return Ok(Some((table, rows)));
        }
    }
    Ok(None)
}
