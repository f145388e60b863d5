//! The store-wide sequence of KV versions: it only grows and gives no number out twice, crash or not.
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
}

impl Versions {
    /// Goes on above everything that may have been given out.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let reserved =
            conn.query_row("SELECT reserved FROM sequences WHERE name = 'kv_version'", [], |row| row.get(0))?;
        Ok(Self { last: reserved, reserved })
    }

    /// The next number. A job draws at most one.
    pub(super) fn draw(&mut self) -> i64 {
        self.last += 1;
        debug_assert!(self.last <= self.reserved, "a job draws one number");
        self.last
    }
}

impl BatchState for Versions {
    fn begin(&mut self, conn: &Connection, jobs: usize) -> rusqlite::Result<()> {
        let needed = self.last + i64::try_from(jobs).expect("a batch is small");
        if needed > self.reserved {
            let reserved = needed.max(self.reserved + BLOCK);
            conn.prepare_cached("UPDATE sequences SET reserved = ?1 WHERE name = 'kv_version'")?.execute([reserved])?;
            self.reserved = reserved;
        }
        Ok(())
    }

    fn taken_back(&mut self, whole: bool) {
        if whole {
            // The mark may have been taken back with it: reserve again, above what was drawn.
            self.reserved = self.last;
        }
    }
}
