//! Several writes within a job that is expected to write once: all of them or none.

use super::DataTx;
use super::error::JobResult;
use rusqlite::Connection;

/// Does `work`; where it fails, what it wrote is taken back.
pub(super) fn within<T>(tx: &mut DataTx<'_>, work: impl FnOnce(&mut DataTx<'_>) -> JobResult<T>) -> JobResult<T> {
    let conn = tx.conn;
    conn.prepare_cached("SAVEPOINT parts")?.execute([])?;
    let open = Open { conn, keep: false };
    let done = work(tx)?;
    open.keep()?;
    Ok(done)
}

/// A savepoint that is taken back when it is dropped, by an error or a panic.
struct Open<'a> {
    conn: &'a Connection,
    keep: bool,
}

impl Open<'_> {
    fn keep(mut self) -> rusqlite::Result<()> {
        self.conn.prepare_cached("RELEASE parts")?.execute([])?;
        self.keep = true;
        Ok(())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // Out of room or memory, SQLite has taken the whole transaction back already.
        if self.keep || self.conn.is_autocommit() {
            return;
        }
        if let Err(error) = self.conn.execute_batch("ROLLBACK TO parts; RELEASE parts") {
            tracing::error!(error = %error, "part of a transaction was not taken back");
        }
    }
}
