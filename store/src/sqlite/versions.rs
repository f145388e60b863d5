//! The store-wide sequence of versions of keys and files: it only grows and gives no number out twice, crash or not.
//!
//! Numbers are drawn from memory. What the file holds is a mark above all of them, moved up a block at a
//! time in the transaction that first needs it: one more page write in a thousand.

use super::writer::BatchState;
use rusqlite::Connection;

/// Numbers a block has.
const BLOCK: i64 = 1_000;

/// The writer's memory.
pub(super) struct Versions {
    last: i64,
    reserved: i64,
    /// What was reserved when the running transaction had begun: what jobs reserve beyond goes with them.
    reserved_at_begin: i64,
}

impl Versions {
    /// Goes on above everything that may have been given out.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let reserved =
            conn.query_row("SELECT reserved FROM sequences WHERE name = 'kv_version'", [], |row| row.get(0))?;
        Ok(Self { last: reserved, reserved, reserved_at_begin: reserved })
    }

    /// The next number. The first of each job is reserved already, so that a job that draws one writes nothing for it.
    pub(super) fn draw(&mut self, conn: &Connection) -> rusqlite::Result<i64> {
        if self.last >= self.reserved {
            self.reserve(conn, self.last + BLOCK)?;
        }
        self.last += 1;
        Ok(self.last)
    }

    fn reserve(&mut self, conn: &Connection, reserved: i64) -> rusqlite::Result<()> {
        conn.prepare_cached("UPDATE sequences SET reserved = ?1 WHERE name = 'kv_version'")?.execute([reserved])?;
        self.reserved = reserved;
        Ok(())
    }
}

impl BatchState for Versions {
    fn begin(&mut self, conn: &Connection, jobs: usize) -> rusqlite::Result<()> {
        let needed = self.last + i64::try_from(jobs).expect("a batch is small");
        if needed > self.reserved {
            self.reserve(conn, needed.max(self.reserved + BLOCK))?;
        }
        self.reserved_at_begin = self.reserved;
        Ok(())
    }

    fn taken_back(&mut self, whole: bool) {
        // Marks may have been taken back with it: who draws above them reserves again.
        self.reserved = if whole { self.last } else { self.reserved_at_begin };
    }
}
